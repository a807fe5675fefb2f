//! How the rest of the service speaks with the dispatcher.

use super::pull::{Ask, Batch, Heard, PullRefused, Said, SayRefused};
use ringback_engine::{
    delivery_state::InWindow,
    window::{CancelRefused, Counts, Health, RetryRefused},
};
use ringback_model::{
    EventId, ReplayId, TenantId, Timestamp,
    delivery::{Exception, SkippedRange},
    event::{Event, Place, Scope},
    replay::Replay,
};
use ringback_ports::Clock;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{Notify, mpsc, oneshot};

/// Commands that wait for the dispatcher.
const COMMANDS_MAX: usize = 1_024;

/// Tenants whose log grew since the dispatcher last looked: a hint, never data.
#[derive(Debug, Default)]
pub(super) struct Touched {
    tenants: Mutex<BTreeSet<TenantId>>,
    pub(super) notify: Notify,
}

impl Touched {
    pub(super) fn take(&self) -> BTreeSet<TenantId> {
        std::mem::take(&mut self.tenants.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What the dispatcher hears.
pub(crate) struct Inbox {
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) touched: Arc<Touched>,
}

/// A line to the dispatcher.
#[derive(Clone, Debug)]
pub(crate) struct Handle {
    commands: mpsc::Sender<Command>,
    touched: Arc<Touched>,
}

/// Where a reader stands.
#[derive(Clone, Debug)]
pub(crate) struct ReaderView {
    pub(crate) cursor: Place,
    pub(crate) health: Health,
    pub(crate) first_exception: Option<Place>,
    /// Events that were matched in the shadow.
    pub(crate) shadowed: u64,
    /// Its exceptions.
    pub(crate) counts: Counts,
}

/// Where one delivery stands in its window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Standing {
    pub(crate) in_window: Option<InWindow>,
    pub(crate) exception: Option<Exception>,
}

/// Where deliveries of one subscription stand, all at one moment.
#[derive(Debug)]
pub(crate) struct Standings {
    pub(crate) cursor: Place,
    pub(crate) skipped: Vec<SkippedRange>,
    /// One for each place that was asked for, in that order.
    pub(crate) rows: Vec<Standing>,
}

/// Exceptions of one subscription.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) no: u32,
    /// In order of place; `None` when it is not read: the store knows.
    pub(crate) rows: Option<Vec<Exception>>,
    /// Whether there are more of them.
    pub(crate) cut: bool,
}

/// Exceptions of several subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Segments {
    /// In the order of the question; those without any are left out.
    pub(crate) all: Vec<Segment>,
    /// Whether not all that were asked for were looked at: the last segment says how far it came.
    pub(crate) more: bool,
}

/// How all readers stand together.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) slots_in_use: u64,
    /// By `health.state`, those that no reader has included.
    pub(crate) health: Vec<(&'static str, u64)>,
    pub(crate) retrying: u64,
    pub(crate) held: u64,
    pub(crate) parked: u64,
    /// When the oldest try of an active reader was due.
    pub(crate) oldest_due: Option<Timestamp>,
    pub(crate) cursors: Vec<(Scope, Place)>,
}

/// What became of a wish to try a delivery now; `None` when its subscription is not read.
pub(super) type Retried = Option<Result<oneshot::Receiver<Result<(), SayRefused>>, RetryRefused>>;

/// What became of a wish to cancel a delivery; `None` when its subscription is not read.
pub(super) type Cancelled = Option<Result<oneshot::Receiver<Result<(), SayRefused>>, CancelRefused>>;

/// Who asked for the end of a replay is told when that is stored; `None` when its subscription is not read.
pub(super) type CancelledReplay = Option<oneshot::Receiver<Result<(), SayRefused>>>;

#[derive(Debug)]
pub(super) enum Command {
    /// Nothing but a reason to look again.
    Wake,
    Refresh {
        no: u32,
    },
    Freeze {
        no: u32,
        reply: oneshot::Sender<Option<Place>>,
    },
    PlanSkip {
        no: u32,
        end: Place,
        why: &'static str,
        reply: oneshot::Sender<Option<Vec<SkippedRange>>>,
    },
    Skip {
        no: u32,
        ranges: Vec<SkippedRange>,
        end: Place,
        reply: oneshot::Sender<()>,
    },
    Below {
        no: u32,
        floor: Place,
        reply: oneshot::Sender<Option<usize>>,
    },
    DropBelow {
        no: u32,
        floor: Place,
        reply: oneshot::Sender<()>,
    },
    RetryNow {
        no: u32,
        place: Place,
        reply: oneshot::Sender<Retried>,
    },
    Cancel {
        no: u32,
        place: Place,
        reply: oneshot::Sender<Cancelled>,
    },
    Replay {
        no: u32,
        replay: Box<Replay>,
    },
    CancelReplay {
        no: u32,
        id: ReplayId,
        reply: oneshot::Sender<CancelledReplay>,
    },
    Pull {
        no: u32,
        ask: Ask,
    },
    Halt {
        no: u32,
        target: Place,
        why: &'static str,
        reply: oneshot::Sender<Result<Vec<SkippedRange>, SayRefused>>,
    },
    Flush {
        no: u32,
        reply: oneshot::Sender<Result<(), SayRefused>>,
    },
    EventsOf {
        no: u32,
        places: Vec<Place>,
        reply: oneshot::Sender<BTreeMap<Place, EventId>>,
    },
    Say {
        no: u32,
        said: Said,
        reply: oneshot::Sender<Result<Heard, SayRefused>>,
    },
    View {
        nos: Vec<u32>,
        reply: oneshot::Sender<Vec<(u32, ReaderView)>>,
    },
    Standings {
        no: u32,
        places: Vec<Place>,
        reply: oneshot::Sender<Option<Standings>>,
    },
    Exceptions {
        nos: Vec<u32>,
        after: (u32, Place),
        limit: usize,
        reply: oneshot::Sender<Segments>,
    },
    Figures {
        reply: oneshot::Sender<Figures>,
    },
    /// These events are erased.
    Forget {
        events: Vec<Arc<Event>>,
        reply: oneshot::Sender<()>,
    },
    Drain {
        deadline: Timestamp,
        over: oneshot::Sender<()>,
    },
}

impl Command {
    /// The one reader that it is about.
    pub(super) const fn reader(&self) -> Option<u32> {
        match self {
            Self::Refresh { no }
            | Self::Freeze { no, .. }
            | Self::PlanSkip { no, .. }
            | Self::Skip { no, .. }
            | Self::Below { no, .. }
            | Self::DropBelow { no, .. }
            | Self::RetryNow { no, .. }
            | Self::Cancel { no, .. }
            | Self::Replay { no, .. }
            | Self::CancelReplay { no, .. }
            | Self::Pull { no, .. }
            | Self::Halt { no, .. }
            | Self::Flush { no, .. }
            | Self::EventsOf { no, .. }
            | Self::Say { no, .. }
            | Self::Standings { no, .. } => Some(*no),
            Self::Wake | Self::Forget { .. } | Self::Figures { .. } | Self::View { .. } | Self::Exceptions { .. } | Self::Drain { .. } => {
                None
            }
        }
    }
}

/// A line to a dispatcher that is about to be started.
pub(crate) fn channel() -> (Handle, Inbox) {
    let (sender, commands) = mpsc::channel(COMMANDS_MAX);
    let touched = Arc::<Touched>::default();
    (Handle { commands: sender, touched: Arc::clone(&touched) }, Inbox { commands, touched })
}

impl Handle {
    /// Says that these events are durable. Called by the writer: never waits.
    pub(crate) fn hint(&self, events: &[Arc<Event>]) {
        if events.is_empty() {
            return;
        }
        let mut tenants = self.touched.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            if !tenants.contains(&event.tenant) {
                tenants.insert(event.tenant.clone());
            }
        }
        drop(tenants);
        self.touched.notify.notify_one();
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.ok()?;
        answer.await.ok()
    }

    /// The subscription was made, changed or removed in the registry.
    /// Has it look at what may be started.
    pub(crate) async fn wake(&self) {
        let _ = self.commands.send(Command::Wake).await;
    }

    pub(crate) async fn refresh(&self, no: u32) {
        let _ = self.commands.send(Command::Refresh { no }).await;
    }

    /// Stops reading (not trying) until the next `refresh`; the read position.
    pub(crate) async fn freeze(&self, no: u32) -> Option<Place> {
        self.ask(|reply| Command::Freeze { no, reply }).await.flatten()
    }

    /// `None` when the subscription is not read at all.
    pub(crate) async fn plan_skip(&self, no: u32, end: Place, why: &'static str) -> Option<Vec<SkippedRange>> {
        self.ask(|reply| Command::PlanSkip { no, end, why, reply }).await.flatten()
    }

    pub(crate) async fn skip(&self, no: u32, ranges: Vec<SkippedRange>, end: Place) {
        self.ask(|reply| Command::Skip { no, ranges, end, reply }).await;
    }

    /// How many exceptions lie at or below `floor`, those in flight left out. `None` when the subscription is not read at all.
    pub(crate) async fn below(&self, no: u32, floor: Place) -> Option<usize> {
        self.ask(|reply| Command::Below { no, floor, reply }).await.flatten()
    }

    /// Ends these exceptions.
    pub(crate) async fn drop_below(&self, no: u32, floor: Place) {
        self.ask(|reply| Command::DropBelow { no, floor, reply }).await;
    }

    /// Returns when the wish is stored. `None` when the subscription is not read at all.
    pub(crate) async fn retry_now(&self, no: u32, place: Place) -> Option<Result<Result<(), SayRefused>, RetryRefused>> {
        match self.ask(|reply| Command::RetryNow { no, place, reply }).await.flatten()? {
            Ok(stored) => Some(Ok(stored.await.unwrap_or(Err(SayRefused::Fenced)))),
            Err(why) => Some(Err(why)),
        }
    }

    /// Returns when it is stored. `None` when the subscription is not read at all.
    pub(crate) async fn cancel(&self, no: u32, place: Place) -> Option<Result<Result<(), SayRefused>, CancelRefused>> {
        match self.ask(|reply| Command::Cancel { no, place, reply }).await.flatten()? {
            Ok(stored) => Some(Ok(stored.await.unwrap_or(Err(SayRefused::Fenced)))),
            Err(why) => Some(Err(why)),
        }
    }

    /// A replay was stored.
    pub(crate) async fn replay(&self, no: u32, replay: Replay) {
        let _ = self.commands.send(Command::Replay { no, replay: Box::new(replay) }).await;
    }

    /// Ends a replay; returns when that is stored. `None` when the subscription is not read at all.
    pub(crate) async fn cancel_replay(&self, no: u32, id: ReplayId) -> Option<Result<(), SayRefused>> {
        let stored = self.ask(|reply| Command::CancelReplay { no, id, reply }).await.flatten()?;
        Some(stored.await.unwrap_or(Err(SayRefused::Fenced)))
    }

    /// Hands out events, or waits for them until the deadline. `None` when the subscription is gone.
    pub(crate) async fn pull(&self, no: u32, limit: usize, lease: Duration, deadline: Timestamp) -> Option<Result<Batch, PullRefused>> {
        self.ask(|reply| Command::Pull { no, ask: Ask { limit, lease, deadline, reply } }).await
    }

    /// Stops the reader until the next `refresh` and stores all that it knows; then the ranges that
    /// its next life skips if that begins at `target`. `None` when the subscription is not read at all.
    pub(crate) async fn halt(&self, no: u32, target: Place, why: &'static str) -> Option<Result<Vec<SkippedRange>, SayRefused>> {
        self.ask(|reply| Command::Halt { no, target, why, reply }).await
    }

    /// Returns when everything that the reader knows now is stored. `None` when the subscription is not read at all.
    pub(crate) async fn flush(&self, no: u32) -> Option<Result<(), SayRefused>> {
        self.ask(|reply| Command::Flush { no, reply }).await
    }

    /// The events of these places, as far as the reader knows them.
    pub(crate) async fn events_of(&self, no: u32, places: Vec<Place>) -> BTreeMap<Place, EventId> {
        self.ask(|reply| Command::EventsOf { no, places, reply }).await.unwrap_or_default()
    }

    /// Says what happened to events that were handed out; returns when that is stored.
    /// `None` when the subscription is gone.
    pub(crate) async fn say(&self, no: u32, said: Said) -> Option<Result<Heard, SayRefused>> {
        self.ask(|reply| Command::Say { no, said, reply }).await
    }

    pub(crate) async fn views(&self, nos: Vec<u32>) -> Vec<(u32, ReaderView)> {
        self.ask(|reply| Command::View { nos, reply }).await.unwrap_or_default()
    }

    pub(crate) async fn standings(&self, no: u32, places: Vec<Place>) -> Option<Standings> {
        self.ask(|reply| Command::Standings { no, places, reply }).await.flatten()
    }

    /// These events are erased: nobody is owed them any more.
    pub(crate) async fn forget(&self, events: Vec<Arc<Event>>) {
        let _ = self.ask(|reply| Command::Forget { events, reply }).await;
    }

    /// How all readers stand. `None` when nothing is read any more.
    pub(crate) async fn figures(&self) -> Option<Figures> {
        self.ask(|reply| Command::Figures { reply }).await
    }

    /// At most `limit` exceptions of these subscriptions after (subscription, place). One question
    /// for all of them, for there may be thousands. `None` when nothing is read any more.
    pub(crate) async fn exceptions(&self, nos: Vec<u32>, after: (u32, Place), limit: usize) -> Option<Segments> {
        self.ask(|reply| Command::Exceptions { nos, after, limit, reply }).await
    }

    /// Stops starting tries; returns when those in flight are settled, or a little after the deadline.
    pub(crate) async fn drain(&self, clock: &dyn Clock, deadline: Timestamp) {
        let (over, done) = oneshot::channel();
        if self.commands.send(Command::Drain { deadline, over }).await.is_ok() {
            let _ = ringback_ports::clock::until(clock, deadline + Duration::from_secs(1), done).await;
        }
    }
}
