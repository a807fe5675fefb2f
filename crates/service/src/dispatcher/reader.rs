//! One subscription while it is read.

use super::{handle::ReaderView, pull::Waiting, replays::Replaying};
use crate::{own_events::Parked, subscriptions::meets, types::ServedType};
use ringback_engine::{
    lifecycle, matching,
    window::{Limits, Offer, Resume, Window},
};
use ringback_filter::Expr;
use ringback_model::{
    EventId, StatusName, Timestamp,
    delivery::SkippedRange,
    event::{Event, Place},
    subscription::{Revision, RevisionNo, State, Subscription},
};
use ringback_ports::store::ReaderState;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

/// The least time between two announcements of parked deliveries of one subscription.
const PARKED_APART: Duration = Duration::from_secs(60);

/// Why a replay of a subscription ends that is pulled from now on.
const PULLED: &str = "pulled";

pub(super) struct Reader {
    pub(super) subscription: Arc<Subscription>,
    pub(super) window: Window,
    /// Events that wait in the window, as far as memory allows.
    pub(super) events: BTreeMap<Place, Arc<Event>>,
    pub(super) skipped: Vec<SkippedRange>,
    /// Places of erased events that were in flight when that was heard.
    pub(super) erased: BTreeSet<Place>,
    /// An edit is being committed: nothing is read until it is known.
    pub(super) frozen: bool,
    /// A page is being read.
    pub(super) paging: bool,
    /// A settlement is being written.
    pub(super) settling: bool,
    /// The store had no more when it was last asked, and nothing came since.
    pub(super) caught_up: bool,
    /// It is being ended.
    pub(super) finishing: bool,
    /// A settlement failed: none is written before this time.
    pub(super) settle_after: Option<Timestamp>,
    pub(super) timer: Option<Timestamp>,
    /// Deliveries that were parked and not told of yet.
    parked: Option<Parked>,
    /// When that was last told.
    parked_told_at: Option<Timestamp>,
    /// The conditions of its revisions.
    filters: BTreeMap<RevisionNo, Expr>,
    /// Those who pull or wait until something is stored.
    pub(super) waiting: Waiting,
    /// Replays that run, or wait for their turn.
    pub(super) replaying: Replaying,
    one_shot: Option<OneShot>,
    /// The one event of a one-shot is in the window or past it.
    matched: bool,
    /// Where, if it was in this life of the process.
    matched_at: Option<Place>,
    /// It waits for a status of a type that is not served: what it wants is not known.
    pub(super) unresolved: bool,
}

/// What a one-shot waits for.
pub(super) struct OneShot {
    pub(super) served: Arc<ServedType>,
    pub(super) statuses: Vec<StatusName>,
    /// It has called already, or its call is an exception.
    pub(super) called: bool,
}

/// What became of an offer.
pub(super) enum Take {
    /// It does not match, or is settled already.
    Passed,
    /// It is in the window.
    Owed,
    /// There is no room.
    No,
    /// What a one-shot waits for cannot come any more.
    NeverAgain,
}

impl Reader {
    pub(super) fn new(
        subscription: Arc<Subscription>,
        filters: BTreeMap<RevisionNo, Expr>,
        state: ReaderState,
        one_shot: Option<OneShot>,
        now: Timestamp,
    ) -> Self {
        let limits = Limits::of_either(subscription.push.as_ref());
        let skipped = state.skipped.clone();
        let mut replaying = Replaying::new(state.replays, subscription.generation, now);
        if subscription.push.is_none() {
            replaying.end_all(PULLED, now);
        }
        let matched = one_shot.as_ref().is_some_and(|it| it.called);
        let unresolved = subscription.until.is_some() && one_shot.is_none();
        let resume =
            Resume { cursor: state.cursor, exceptions: state.exceptions, delivered_above: state.delivered_above, skipped: state.skipped };
        let mut window = Window::new(resume, subscription.generation, limits, &subscription.revisions, now);
        if subscription.push.is_none() {
            window.restore_pulled();
        }
        window.set_active(may_try(&subscription), now);
        window.set_shadow(subscription.state == State::Shadow, now);
        let finishing = subscription.state == State::Done;
        if let Some(failing) = subscription.failing {
            window.set_failing(failing);
        }
        let mut reader = Self {
            subscription,
            window,
            events: BTreeMap::new(),
            skipped,
            erased: BTreeSet::new(),
            frozen: false,
            paging: false,
            settling: false,
            caught_up: false,
            finishing,
            settle_after: None,
            timer: None,
            parked: None,
            parked_told_at: None,
            filters,
            waiting: Waiting::default(),
            replaying,
            one_shot,
            matched,
            matched_at: None,
            unresolved,
        };
        reader.ask_for_enough();
        reader
    }

    /// Whether the log should be read for it now.
    pub(super) fn wants_events(&self) -> bool {
        !self.frozen && !self.paging && !self.finishing && !self.unresolved && !self.has_matched() && self.window.room() > 0
    }

    /// Whether something is past its deadline, and can't be parked while an edit is being committed: nothing starts then,
    /// or it might be that.
    pub(super) fn waits_to_expire(&self, now: Timestamp) -> bool {
        self.frozen && self.window.next_expiry().is_some_and(|at| at <= now)
    }

    /// Whether it is a one-shot that has found its event: it wants no other.
    fn has_matched(&self) -> bool {
        self.one_shot.is_some() && self.matched
    }

    /// A stretch that is skipped is not read.
    pub(super) fn jump_over_skipped(&mut self) {
        let generation = self.window.generation();
        while let Some(to) = self
            .skipped
            .iter()
            .find(|it| it.generation == generation && it.from <= self.window.read() && self.window.read() < it.to)
            .map(|it| it.to)
        {
            self.window.advance_read(to);
        }
    }

    /// In the shadow what is owed is not sent: `try_out` makes all of a request but the sending.
    pub(super) fn offer(&mut self, event: &Event, now: Timestamp, try_out: impl Fn(&Subscription, &Event, &Revision) -> bool) -> Take {
        if self.has_matched() {
            // The rest of the page may hold more that would do.
            return Take::No;
        }
        let subscription = &self.subscription;
        let place = event.place(&subscription.scope);
        if place <= self.window.read() {
            return Take::Passed;
        }
        let revision = subscription.revision_at(place);
        let mut owed = revision.filter(|it| matching::matches(subscription, it, event) && meets(self.filters.get(&it.no), event));
        let mut never_again = false;
        if let Some(one_shot) = &self.one_shot
            && !matching::one_shot(event, &one_shot.statuses)
        {
            owed = None;
            // Whatever `types` says: what they leave out ends the waiting, too.
            never_again = is_about(subscription, event) && cannot_come(one_shot, event);
        }
        if self.window.is_skipped(place) {
            // A page may reach into what is not owed any more.
            owed = None;
        }
        if self.window.is_shadow()
            && self.window.room() > 0
            && let Some(revision) = owed
            && !try_out(subscription, event, revision)
        {
            return Take::No;
        }
        let offer = owed.map(|it| Offer { event: event.id, subject: event.subject.clone(), revision: it.no, expires_at: event.expires_at });
        let is_owed = offer.is_some();
        if !self.window.offer(place, offer, now) {
            return Take::No;
        }
        if never_again {
            Take::NeverAgain
        } else if is_owed {
            self.matched = true;
            self.matched_at = Some(place);
            Take::Owed
        } else {
            Take::Passed
        }
    }

    /// Ranges were skipped: what a one-shot had found may be in them, and it looks for another.
    pub(super) fn skip(&mut self, ranges: Vec<SkippedRange>, end: Place, now: Timestamp) {
        self.window.skip(&ranges, end, now);
        self.skipped.extend(ranges);
        if self.matched_at.is_some_and(|it| self.window.is_skipped(it)) {
            self.matched = false;
            self.matched_at = None;
        }
    }

    /// All stretches that are skipped, those too that are not stored yet.
    pub(super) fn all_skipped(&self) -> Vec<SkippedRange> {
        self.skipped.iter().cloned().chain(self.window.shadowed_ranges()).collect()
    }

    /// These stretches are stored, grown from others or new.
    pub(super) fn grow_skipped(&mut self, grown: Vec<SkippedRange>) {
        for it in grown {
            self.skipped.retain(|old| (old.from, old.generation, &old.why) != (it.from, it.generation, &it.why));
            self.skipped.push(it);
        }
    }

    /// The subscription was edited, paused or resumed.
    pub(super) fn edited(&mut self, subscription: Arc<Subscription>, filters: BTreeMap<RevisionNo, Expr>, now: Timestamp) {
        self.filters = filters;
        self.window.set_limits(Limits::of_either(subscription.push.as_ref()));
        self.window.set_revisions(&subscription.revisions);
        self.window.set_pulled(subscription.push.is_none(), now);
        if subscription.push.is_none() {
            // Nothing is sent any more, so nothing can be sent again.
            self.replaying.end_all(PULLED, now);
        }
        self.window.set_active(may_try(&subscription), now);
        self.window.set_shadow(subscription.state == State::Shadow, now);
        if subscription.url() != self.subscription.url() {
            // Another address may be one that can be called, and one that works.
            self.window.reset_endpoint(now);
        }
        self.finishing &= subscription.state == State::Done;
        self.subscription = subscription;
        self.frozen = false;
        self.caught_up = false;
        self.ask_for_enough();
    }

    /// Whether nothing of it is under way.
    pub(super) fn is_idle(&self) -> bool {
        let counts = self.window.counts();
        self.window.in_flight() == 0
            && counts.retrying + counts.held == 0
            && !self.settling
            && !self.paging
            && !self.has_pending()
            && self.replaying.runs.is_empty()
            && self.waiting.next.is_empty()
            && self.waiting.asks.is_empty()
    }

    /// A delivery was parked.
    pub(super) fn note_parked(&mut self, event: EventId, reason: &str) {
        let count = self.parked.as_ref().map_or(0, |it| it.count) + 1;
        self.parked = Some(Parked { count, last: event, reason: reason.to_owned() });
    }

    /// What was parked and may be told of now; or when it may be.
    pub(super) fn parked_to_tell(&mut self, now: Timestamp) -> Result<Option<Parked>, Timestamp> {
        if self.parked.is_none() {
            return Ok(None);
        }
        match self.parked_told_at.map(|it| it + PARKED_APART).filter(|it| now < *it) {
            Some(later) => Err(later),
            None => {
                self.parked_told_at = Some(now);
                Ok(self.parked.take())
            }
        }
    }

    /// Whether a one-shot has called (or given up calling) and all of it is stored.
    pub(super) fn one_shot_is_over(&self) -> bool {
        let counts = self.window.counts();
        self.one_shot.is_some()
            && self.matched
            && !self.finishing
            && !self.settling
            && self.window.in_flight() == 0
            && self.window.queued() == 0
            && counts.retrying + counts.held == 0
            && !self.window.pending_settlement()
    }

    /// Lets go of events that no longer wait for their first try; how many bytes that frees.
    ///
    /// What became an exception is read again when its time comes: it may be days.
    pub(super) fn forget_finished(&mut self) -> usize {
        let (window, mut freed) = (&self.window, 0);
        self.events.retain(|place, event| {
            let keep = window.state_of(*place).is_some();
            freed += if keep { 0 } else { event.bytes.len() };
            keep
        });
        freed
    }

    pub(super) fn view(&self) -> ReaderView {
        let health = self.window.health();
        ReaderView {
            cursor: self.window.cursor(),
            health,
            first_exception: self.window.first_exception(),
            counts: self.window.counts(),
            shadowed: self.window.shadowed_count(),
        }
    }
}

/// Whether the event is about what the subscription waits for.
fn is_about(subscription: &Subscription, event: &Event) -> bool {
    subscription.scope.holds(&event.tenant) && subscription.subject.is_some() && subscription.subject == event.subject
}

/// Whether tries start. One that is done reads nothing more, but what somebody asks for again is tried.
fn may_try(subscription: &Subscription) -> bool {
    matches!(subscription.state, State::Active | State::Shadow | State::Done)
}

/// Whether, after this event, none of the awaited statuses can be reached any more.
fn cannot_come(one_shot: &OneShot, event: &Event) -> bool {
    let Some(of) = &event.of else { return false };
    of.deleted || of.entered.as_ref().is_some_and(|now| !lifecycle::reachable(&one_shot.served.compiled, now, &one_shot.statuses))
}
