//! Every limit that is not configuration, in one list (P10).
//!
//! A limit is named after what it bounds, then the unit, then `MAX`.

use core::time::Duration;

/// JSON body of a request, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Nesting of a JSON body.
pub const JSON_DEPTH_MAX: usize = 64;
/// Request target (path and query), in bytes.
pub const URI_BYTES_MAX: usize = 8 * 1024;
/// All headers of a request together, in bytes.
pub const HEADERS_BYTES_MAX: usize = 16 * 1024;
/// Events in one publish, and in one change set.
pub const EVENTS_PER_CHANGE_SET_MAX: usize = 1_000;
/// Rows that a list may look at when no index serves its filter.
pub const ROWS_SCANNED_MAX: usize = 100_000;
/// Resources that may change between two pages of a list before it is too old to be continued.
pub const LIST_CHANGES_MAX: usize = 20_000;
/// Events of its tenant that may be written between two pages of a list.
pub const LIST_EVENTS_MAX: u64 = 500_000;
/// How old a list may be when its next page is asked for, in seconds.
pub const LIST_AGE_SECS_MAX: u64 = 300;
/// `limit` of a list or feed; a larger one is clamped.
pub const PAGE_ITEMS_MAX: usize = 1_000;
/// `limit` of a list or feed when none is given.
pub const PAGE_ITEMS_DEFAULT: usize = 100;
/// Bytes of events that one page reads before it stops at the next change set.
pub const PAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// `wait`, in seconds.
pub const WAIT_SECS_MAX: u64 = 60;
/// Requests that wait and event streams that are open, for one key and in all.
pub const WAITERS_MAX: usize = 20_000;
/// Bytes of resources that are kept in memory for those who ask again and again.
pub const IMAGES_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Pages of lists whose entity tags are remembered, for those who ask again.
pub const LIST_TAGS_MAX: usize = 16_384;
/// Tenants and types, together, of which it is remembered when something last changed.
pub const LIST_STAMPS_MAX: usize = 65_536;
/// Requests a second that a key may be allowed at most; one without this limit has none.
pub const RATE_PER_S_MAX: u32 = 100_000;
/// Pairs of a key and a resource that advice remembers; those not asked for longest are forgotten.
pub const ADVICE_PAIRS_MAX: usize = 100_000;
/// Routes of keys that advice counts.
pub const ADVICE_ROUTES_MAX: usize = 1_000;
/// Hours that advice looks back.
pub const ADVICE_HOURS_MAX: u32 = 24;
/// Changes of one resource between two answers that advice tells apart.
pub const ADVICE_CHANGES_MAX: usize = 64;
/// Events that an endpoint is behind by before advice names it.
pub const ADVICE_LAG_MIN: u64 = 1_000;
/// Polls below which advice says that it knows too little.
pub const ADVICE_POLLS_MIN: u64 = 20;
/// The latest stays in one status of which `Retry-After` is the median.
pub const STAYS_MAX: usize = 200;
/// Stays from which on there is a median.
pub const STAYS_KNOWN_MIN: usize = 20;
/// Statuses, of all types together, whose stays are remembered.
pub const STAYS_STATUSES_MAX: usize = 4_096;
/// Silence of a stream after which a comment is sent, in seconds.
pub const STREAM_COMMENT_SECS: u64 = 15;
/// Time without an event after which a stream says where it stands, in seconds.
pub const STREAM_SYNC_SECS: u64 = 30;
/// How long a stream's reader may take for what it was given, in seconds.
pub const STREAM_TAKEN_SECS_MAX: u64 = 60;
/// Bytes of events that a stream reads at once; the first change set is read whole whatever its size.
pub const STREAM_CHUNK_BYTES_MAX: usize = 64 * 1024;
/// How long after it was made a stream ticket may be used for the first time, in seconds.
pub const TICKET_FIRST_USE_SECS: u64 = 60;
/// How long after it was made a stream ticket lets its stream reconnect, in seconds.
pub const TICKET_SECS: u64 = 3_600;
/// Bytes of answers that are made and not yet written, all connections together.
pub const ANSWER_BYTES_MAX: usize = 128 * 1024 * 1024;
/// An answer up to so many bytes counts for nothing: its connection costs more.
pub const ANSWER_BYTES_FREE: usize = 4 * 1024;
/// An answer up to so many bytes is made also when the budget of answers is used up: an eighth of it is kept for them.
pub const ANSWER_BYTES_MODERATE: usize = 16 * 1024;
/// An event up to so many bytes is copied into the frames of a stream; a larger one is written from where it is.
pub const STREAM_COPIED_BYTES_MAX: usize = 4 * 1024;
/// Bytes of frames that a stream makes at once, and the rest of the last one.
pub const STREAM_PIECE_BYTES: usize = 16 * 1024;
/// How long the reader of a stream may take nothing at all, in seconds.
pub const STREAM_STALL_SECS_MAX: u64 = 20;
/// Pages of the log that are put together at once.
pub const PAGES_AT_ONCE: usize = 16;
/// Origins in `cors.origins`.
pub const CORS_ORIGINS_MAX: usize = 100;

/// An event type, in bytes.
pub const EVENT_TYPE_BYTES_MAX: usize = 128;
/// Segments of an event type.
pub const EVENT_TYPE_SEGMENTS_MAX: usize = 8;
/// A publisher's `key`, in printable ASCII characters.
pub const EVENT_KEY_BYTES_MAX: usize = 128;
/// An event's `subject`, in bytes.
pub const SUBJECT_BYTES_MAX: usize = 512;
/// A resource or subscription id that a client chose.
pub const CHOSEN_ID_BYTES_MAX: usize = 128;
/// A tenant's id.
pub const TENANT_ID_BYTES_MAX: usize = 63;
/// An `Idempotency-Key` header, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// Event types that files of their own declare.
pub const EVENT_FILES_MAX: usize = 1_000;
/// Operations of one batch.
pub const BATCH_OPERATIONS_MAX: usize = 100;
/// `source_version` of a mirrored resource: what every database and index holds exactly.
pub const SOURCE_VERSION_MAX: u64 = i64::MAX as u64;
/// How long an idempotent answer is kept.
pub const IDEMPOTENCY_TTL: Duration = Duration::from_secs(24 * 3600);

/// Entries of a `metadata` member.
pub const METADATA_ENTRIES_MAX: usize = 50;
/// One key or value of a `metadata` member, in bytes.
pub const METADATA_ENTRY_BYTES_MAX: usize = 500;
/// A `description` or `name`, in bytes.
pub const DESCRIPTION_BYTES_MAX: usize = 1_000;

/// `filter` of a subscription, in bytes.
pub const FILTER_BYTES_MAX: usize = 4_096;
/// `types` of a subscription.
pub const SUBSCRIPTION_TYPES_MAX: usize = 100;
/// Subscriptions of one tenant.
pub const SUBSCRIPTIONS_PER_TENANT_MAX: usize = 10_000;
/// Static headers of a push subscription.
pub const PUSH_HEADERS_MAX: usize = 20;
/// Name and value of one static header together, in bytes.
pub const PUSH_HEADER_BYTES_MAX: usize = 2_048;
/// A user name or client id of `push.auth`, in bytes.
pub const AUTH_NAME_BYTES_MAX: usize = 256;
/// A password, client secret or scope of `push.auth`, in bytes.
pub const AUTH_SECRET_BYTES_MAX: usize = 1_024;
/// A bearer token, given or fetched, in bytes.
pub const TOKEN_BYTES_MAX: usize = 8_192;
/// Deadline of a request for a token; a shorter one of the attempt counts here, too.
pub const TOKEN_TIMEOUT_MS: u32 = 10_000;
/// An endpoint's URL, in bytes.
pub const URL_BYTES_MAX: usize = 2_048;
/// Tries in flight to one subscription: the most that can be asked for.
pub const CONCURRENCY_MAX: u32 = 256;
/// Tries in flight to one subscription when nothing is asked for.
pub const CONCURRENCY_DEFAULT: u32 = 32;
/// `push.rate_max_per_s`: the most that can be asked for.
pub const PUSH_RATE_MAX_PER_S: u32 = 10_000;
/// Keys that one subscription signs with at once, while they rotate.
pub const SIGNING_KEYS_MAX: usize = 5;
/// How long the old keys sign on after a rotation, in seconds: the most that can be asked for.
pub const ROTATION_OVERLAP_SECS_MAX: u32 = 30 * 86_400;
/// How long they sign on when nothing is asked for.
pub const ROTATION_OVERLAP_SECS_DEFAULT: u32 = 86_400;
/// Deadline of one whole attempt, in milliseconds: least, most, default.
pub const ATTEMPT_TIMEOUT_MS: (u32, u32, u32) = (1_000, 60_000, 20_000);
/// Entries of `push.retry.delays`.
pub const RETRY_DELAYS_MAX: usize = 49;
/// One entry of `push.retry.delays`, in seconds.
pub const RETRY_DELAY_SECS_MAX: u32 = 86_400;
/// The longest `Retry-After` that is honoured.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);
/// Exceptions of one subscription; at the limit its reader stops.
pub const EXCEPTIONS_MAX: usize = 10_000;
/// Events that one subscription's window holds (queued, in flight, done out of order).
pub const WINDOW_EVENTS_MAX: usize = 1_024;
/// Events that one pull subscription has handed out and not heard of, or heard of out of order.
pub const LEASES_MAX: usize = 4_096;
/// How long a pull holds what it was given, in seconds: least, most, default.
pub const LEASE_SECS: (u32, u32, u32) = (1, 43_200, 30);
/// How long a nack may put an event off, in seconds.
pub const NACK_DELAY_SECS_MAX: u32 = 86_400;
/// How often an event is handed out without an ack before it is parked.
pub const PULL_TRIES_MAX: u32 = 15;
/// Pulls of one subscription that wait at once.
pub const PULLS_WAITING_MAX: usize = 1_000;
/// An ack token, in characters; the longest one made is shorter.
pub const ACK_TOKEN_CHARS_MAX: usize = 16 * 1024;
/// Completions after which a settlement is written at once.
pub const SETTLE_COMPLETIONS_MAX: usize = 256;
/// Age of a completion after which a settlement is written.
pub const SETTLE_AGE_MAX: Duration = Duration::from_millis(100);
/// Bytes of a receiver's answer that are read.
pub const RESPONSE_READ_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a receiver's answer that are kept.
pub const RESPONSE_KEPT_BYTES_MAX: usize = 4 * 1024;
/// Replays of one subscription that run or wait for their turn.
pub const REPLAYS_RUNNING_MAX: usize = 10;
/// Replays of one subscription that are kept, ended ones included; the oldest ended one makes room.
pub const REPLAYS_KEPT_MAX: usize = 100;
/// Events that one replay holds at once: picked, and not through.
pub const REPLAY_EVENTS_MAX: usize = 64;
/// Deliveries of one replay that failed and are tried again; at the limit it picks no more.
pub const REPLAY_RETRIES_MAX: usize = 256;
/// Events that the dry run of a replay looks at.
pub const REPLAY_COUNTED_MAX: usize = 100_000;
/// `rate_max_per_s` of a replay: the most that can be asked for.
pub const REPLAY_RATE_MAX_PER_S: u32 = 10_000;
/// Stretches that one subscription skips; at the limit no single delivery can be cancelled any more.
pub const SKIPPED_RANGES_MAX: usize = 10_000;
/// Test events that one subscription is sent in a minute.
pub const TESTS_PER_MINUTE_MAX: usize = 10;
/// Test events that are under way at once, all subscriptions together.
pub const TESTS_AT_ONCE: usize = 16;
/// Revisions that a subscription may have.
pub const REVISIONS_MAX: usize = 1_000;

/// A resource as it is encoded, in bytes: twice a body, so that a patch of the most still fits.
pub const RESOURCE_BYTES_MAX: usize = 2 * BODY_BYTES_MAX;
/// How often the parts of a schema may be applied to one value, references followed.
pub const SCHEMA_APPLICATIONS_MAX: u64 = 100_000;
/// References of a schema that are followed one from the other.
pub const SCHEMA_DEPTH_MAX: usize = 500;
/// Violations of a schema that one answer tells.
pub const VIOLATIONS_MAX: usize = 50;

/// Resource types of one server.
pub const TYPES_MAX: usize = 500;
/// A type file, in bytes.
pub const TYPE_FILE_BYTES_MAX: usize = 256 * 1024;
/// Statuses of one type.
pub const STATUSES_MAX: usize = 100;
/// Transitions of one type.
pub const TRANSITIONS_MAX: usize = 200;
/// Indexes of one type, and fields of one index.
pub const INDEXES_MAX: (usize, usize) = (16, 4);
/// An expression (`guard`, `set`, `when`), in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 2_000;
/// A type's path, in bytes.
pub const TYPE_PATH_BYTES_MAX: usize = 128;
/// What generated ids of a type begin with, in bytes.
pub const ID_PREFIX_BYTES_MAX: usize = 32;
/// Examples of one type.
pub const EXAMPLES_MAX: usize = 20;
/// A status timeout, in seconds.
pub const STATUS_TIMEOUT_SECS_MAX: u64 = 366 * 86_400;
/// `poll.max` of a type, in seconds.
pub const POLL_SECS_MAX: u64 = 86_400;
/// Conditions in a list's filter.
pub const FILTER_TERMS_MAX: usize = 20;
/// Tenants of one server.
pub const TENANTS_MAX: usize = 100_000;
/// Keys of one tenant (the operator's count as one more tenant).
pub const KEYS_PER_TENANT_MAX: usize = 1_000;
