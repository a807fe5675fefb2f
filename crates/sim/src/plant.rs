//! Planted bugs: each is switched on by a test, to see that its judge turns red.
//!
//! They sit in the seams around the service (`disk`, `net`, chance), never in
//! the service: what is shipped has no switch that breaks it.

/// A bug that is planted in a seam.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// The disk answers a commit before it is synced.
    AckBeforeSync,
    /// A commit keeps its events and forgets the resource row.
    RowForgotten,
    /// The last event of the log is not read while its change set has others.
    PageCutInsideSet,
    /// Events are numbered before they are stored: for a while a page lacks one that others have passed.
    PlacesOutOfOrder,
    /// Pages of a tenant's log hold other tenants' events.
    TenantFilterMissing,
    /// A settlement forgets its exceptions.
    ExceptionLost,
    /// What a replay delivered keeps its parked exception.
    ReplayLeavesException,
    /// A settlement moves the cursor to the end of the log.
    CursorPastInFlight,
    /// A restart finds no skipped ranges.
    SkipsForgotten,
    /// Resuming drops what came while it was paused.
    DroppedWhenPaused,
    /// A restart finds a lower cursor, and no successes above it.
    CursorMovedBack,
    /// A restart finds retries due at once.
    DueTooEarly,
    /// A restart finds subscriptions without their order.
    OrderForgotten,
    /// A restart finds subscriptions with a higher `concurrency_max`.
    ConcurrencyForgotten,
    /// The way out changes a byte of a body.
    BytesAltered,
    /// The way out reports success for what an endpoint refused.
    RefusalTakenAsSuccess,
    /// The way out calls the endpoint of another tenant.
    WrongEndpoint,
    /// A commit does not keep its idempotent answer.
    AnswerNotKept,
    /// A kept answer is another one when it is read.
    AnswerChanged,
    /// The end of a one-shot is not stored.
    DoneNotStored,
    /// Settlements are never answered once faults are over.
    SettleStuck,
    /// Chance repeats itself, and so do event ids.
    IdsRepeat,
    /// The listener does not hear some transactions.
    HintLost,
    /// The log that judges read lacks an event.
    SequenceGap,
    /// Retention takes all that there is.
    FloorPassesTooMuch,
    /// The store takes more than retention asked for, and says that nothing was taken.
    FloorForgotten,
    /// Events that are read have no deadline.
    DeadlineForgotten,
    /// What a worker was handed is seen to be handed out once more while it holds.
    LeaseForgotten,
    /// A settlement forgets what it says was skipped in the shadow.
    ShadowLost,
    /// A list does not hear of what changed since it began.
    ListForgetsChanges,
    /// A restart makes the rows of resources from the events that retention left.
    RebuiltAfterTruncation,
    /// A restart takes what an earlier generation delivered as delivered in this one.
    OldGenerationCounts,
    /// A try that panics is never heard of again: its slot is gone.
    SlotLeaked,
}

impl Plant {
    /// All of them.
    pub const ALL: [Self; 33] = [
        Self::AckBeforeSync,
        Self::RowForgotten,
        Self::PageCutInsideSet,
        Self::PlacesOutOfOrder,
        Self::TenantFilterMissing,
        Self::ExceptionLost,
        Self::ReplayLeavesException,
        Self::CursorPastInFlight,
        Self::SkipsForgotten,
        Self::DroppedWhenPaused,
        Self::CursorMovedBack,
        Self::DueTooEarly,
        Self::OrderForgotten,
        Self::ConcurrencyForgotten,
        Self::BytesAltered,
        Self::RefusalTakenAsSuccess,
        Self::WrongEndpoint,
        Self::AnswerNotKept,
        Self::AnswerChanged,
        Self::DoneNotStored,
        Self::SettleStuck,
        Self::IdsRepeat,
        Self::HintLost,
        Self::SequenceGap,
        Self::FloorPassesTooMuch,
        Self::FloorForgotten,
        Self::DeadlineForgotten,
        Self::LeaseForgotten,
        Self::ShadowLost,
        Self::ListForgetsChanges,
        Self::RebuiltAfterTruncation,
        Self::OldGenerationCounts,
        Self::SlotLeaked,
    ];
}
