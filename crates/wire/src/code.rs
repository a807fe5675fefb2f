//! The codes of errors: what programs match on. Stable; the sentences are not.

use core::fmt;

/// May the caller send the same request again?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It would be refused again: change it first.
    Never,
    /// After a while, or after `Retry-After`.
    Later,
    /// At once or later, but with the same Idempotency-Key: it may have been done already.
    WithSameIdempotencyKey,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal, $title:literal, $retry:ident;)*) => {
        /// One kind of refusal or failure.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ErrorCode { $($(#[$doc])* $name),* }

        // One line of the table below makes each arm, so a new code must decide everything.
        impl ErrorCode {
            /// All of them, by status.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// As it is written in JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// The HTTP status that it is answered with.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status),* }
            }

            /// The kind of problem in a few words; the same for each occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }

            /// Whether sending the same request again can help.
            #[must_use]
            pub const fn retry(self) -> Retry {
                match self { $(Self::$name => Retry::$retry),* }
            }
        }
    };
}

codes! {
    /// The body is not JSON, or not JSON that we take (a name twice, nested too deep).
    MalformedJson = "malformed-json", 400, "Malformed JSON", Never;
    /// A query parameter or header that is unknown or cannot be read.
    BadParameter = "bad-parameter", 400, "Bad parameter", Never;
    /// A member of a body that there is not.
    UnknownField = "unknown-field", 400, "Unknown field", Never;
    /// A cursor or position of another route, filter or sort.
    CursorMismatch = "cursor-mismatch", 400, "Cursor of another request", Never;
    /// A filter that can't be read.
    FilterSyntax = "filter-syntax", 400, "Filter syntax", Never;
    /// A filter that people would read in two ways.
    FilterAmbiguous = "filter-ambiguous", 400, "Ambiguous filter", Never;
    /// A filter that does not fit what there is to be compared.
    FilterInvalid = "filter-invalid", 400, "Invalid filter", Never;
    /// The request must name its tenant.
    TenantRequired = "tenant-required", 400, "Tenant required", Never;
    /// No key, or none that is known.
    Unauthenticated = "unauthenticated", 401, "Not authenticated", Never;
    /// The key may not do that.
    Forbidden = "forbidden", 403, "Not allowed", Never;
    /// No such route, or no such thing for this caller.
    NotFound = "not-found", 404, "Not found", Never;
    /// The route has other methods.
    MethodNotAllowed = "method-not-allowed", 405, "Method not allowed", Never;
    /// The route writes none of the media types asked for.
    NotAcceptable = "not-acceptable", 406, "Not acceptable", Never;
    /// The request took too long to arrive.
    RequestTimeout = "request-timeout", 408, "Request timeout", Later;
    /// A body above the limit.
    PayloadTooLarge = "payload-too-large", 413, "Payload too large", Never;
    /// A URL above the limit.
    UriTooLong = "uri-too-long", 414, "URI too long", Never;
    /// A body of a media type that the route does not read.
    UnsupportedMediaType = "unsupported-media-type", 415, "Unsupported media type", Never;
    /// Headers above the limit.
    HeadersTooLarge = "headers-too-large", 431, "Headers too large", Never;
    /// The lifecycle has no such step from here.
    TransitionNotAllowed = "transition-not-allowed", 409, "Transition not allowed", Never;
    /// A transition's guard does not hold.
    GuardFailed = "guard-failed", 409, "Guard failed", Never;
    /// The id or key is taken.
    AlreadyExists = "already-exists", 409, "Already exists", Never;
    /// Something changed meanwhile, or stands in the way.
    Conflict = "conflict", 409, "Conflict", Later;
    /// The event's first segment belongs to somebody else.
    TypeOwned = "type-owned", 409, "Event type is owned", Never;
    /// A file declares it; it is read-only over HTTP.
    ManagedByFile = "managed-by-file", 409, "Managed by a file", Never;
    /// The resource's truth lives elsewhere; only its source changes it.
    Mirrored = "mirrored", 409, "Mirrored", Never;
    /// The subscription's state does not allow that.
    SubscriptionNotActive = "subscription-not-active", 409, "Subscription not active", Never;
    /// There are as many as there may be.
    LimitReached = "limit-reached", 409, "Limit reached", Never;
    /// The first request under this Idempotency-Key is still running.
    IdempotencyInProgress = "idempotency-in-progress", 409, "Still in progress", WithSameIdempotencyKey;
    /// The list's pages have aged out.
    CursorExpired = "cursor-expired", 410, "Cursor expired", Never;
    /// Pulled events are somebody else's by now.
    LeaseExpired = "lease-expired", 410, "Lease expired", Never;
    /// The position is from before a restore.
    CursorEpoch = "cursor-epoch", 410, "Cursor of another epoch", Never;
    /// Retention has passed that place of the log.
    LogTruncated = "log-truncated", 410, "Log truncated", Never;
    /// `If-Match` or `If-None-Match` does not hold.
    PreconditionFailed = "precondition-failed", 412, "Precondition failed", Never;
    /// The type wants `If-Match`.
    PreconditionRequired = "precondition-required", 428, "Precondition required", Never;
    /// A body that breaks its rules.
    ValidationFailed = "validation-failed", 422, "Validation failed", Never;
    /// A member that only the server or a transition sets.
    ReadOnlyField = "read-only-field", 422, "Read-only field", Never;
    /// Another request was made under this Idempotency-Key.
    IdempotencyKeyReused = "idempotency-key-reused", 422, "Idempotency-Key reused", Never;
    /// No index serves the filter, and there are too many rows to look at.
    QueryTooExpensive = "query-too-expensive", 422, "Query too expensive", Never;
    /// A new schema that what is stored breaks.
    SchemaIncompatible = "schema-incompatible", 422, "Schema incompatible", Never;
    /// An address that must not be called.
    DestinationNotAllowed = "destination-not-allowed", 422, "Destination not allowed", Never;
    /// An exact event type that nothing declares or has published.
    UnknownEventType = "unknown-event-type", 422, "Unknown event type", Never;
    /// The key's rate is used up.
    RateLimited = "rate-limited", 429, "Rate limited", Later;
    /// As many requests wait as may.
    TooManyWaiters = "too-many-waiters", 429, "Too many waiters", Later;
    /// A fault of ours.
    Internal = "internal", 500, "Internal error", WithSameIdempotencyKey;
    /// More to do than can be done.
    Overloaded = "overloaded", 503, "Overloaded", Later;
    /// The server is going away.
    Draining = "draining", 503, "Shutting down", Later;
    /// It is not known whether the write was stored.
    OutcomeUnknown = "outcome-unknown", 503, "Outcome unknown", WithSameIdempotencyKey;
    /// The disk is full.
    StorageFull = "storage-full", 507, "Storage full", Later;
}

impl ErrorCode {
    /// Reads what `as_str` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.as_str() == text)
    }

    /// Whether `retry` says anything but never.
    #[must_use]
    pub const fn retryable(self) -> bool {
        match self.retry() {
            Retry::Never => false,
            Retry::Later | Retry::WithSameIdempotencyKey => true,
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_distinct_and_read_back() {
        let texts: BTreeSet<_> = ErrorCode::ALL.iter().map(|it| it.as_str()).collect();
        assert_eq!(texts.len(), ErrorCode::ALL.len());
        for it in ErrorCode::ALL {
            assert_eq!(ErrorCode::parse(it.as_str()), Some(*it));
            assert!((400..600).contains(&it.status()), "{it}");
            assert!(it.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{it}");
        }
    }

    #[test]
    fn a_request_that_is_wrong_is_not_worth_repeating() {
        for it in ErrorCode::ALL {
            assert!(it.status() < 500 || it.retryable(), "{it}");
            assert!(!matches!(it.status(), 400..=406 | 410..=428) || !it.retryable(), "{it}");
        }
    }
}
