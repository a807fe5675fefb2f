//! In the shadow: what matches is taken for settled the moment it is offered, and never starts.
//!
//! Whoever offers renders and signs it first. Stretches of such events are skipped
//! ranges that grow, with a count; they ride in settlements. What was in flight when
//! the shadow began ends and settles as ever; what failed before it waits until it is
//! over; what was read and had not started is read again, as what it is now.

use super::Window;
use ringback_model::{
    Timestamp,
    delivery::{SHADOW, SkippedRange},
    event::Place,
    limits,
    subscription::Generation,
};

/// See the module.
#[derive(Debug)]
pub(super) struct Shadow {
    on: bool,
    /// No stretch that ends below it grows: up to here something may have been delivered, and be forgotten.
    since: Place,
    generation: Generation,
    /// The latest stretch; it may grow.
    run: Option<Run>,
    /// Events of earlier stretches of this life.
    before: u64,
    /// Earlier stretches that are not stored as they are now.
    older: Vec<Run>,
    /// Events that no settlement has been taken with.
    unsettled: usize,
}

#[derive(Clone, Copy, Debug)]
struct Run {
    from: Place,
    to: Place,
    matched: u64,
    /// Not stored as it is now.
    dirty: bool,
}

impl Shadow {
    pub(super) fn new(skipped: &[SkippedRange], generation: Generation) -> Self {
        let own = || skipped.iter().filter(|it| it.generation == generation && it.why == SHADOW);
        let last = own().max_by_key(|it| it.to);
        let run = last.map(|it| Run { from: it.from, to: it.to, matched: it.matched, dirty: false });
        let before = own().map(|it| it.matched).sum::<u64>().saturating_sub(run.map_or(0, |it| it.matched));
        Self { on: false, since: 0, generation, run, before, older: Vec::new(), unsettled: 0 }
    }

    pub(super) const fn is_on(&self) -> bool {
        self.on
    }

    pub(super) fn is_pending(&self) -> bool {
        self.run.is_some_and(|it| it.dirty) || !self.older.is_empty()
    }

    /// Something was delivered there.
    pub(super) fn note_delivered(&mut self, place: Place) {
        self.since = self.since.max(place);
    }

    pub(super) const fn unsettled(&self) -> usize {
        self.unsettled
    }

    pub(super) const fn room(&self) -> usize {
        limits::SETTLE_COMPLETIONS_MAX.saturating_sub(self.unsettled)
    }

    fn range(&self, it: Run) -> SkippedRange {
        SkippedRange { generation: self.generation, from: it.from, to: it.to, why: SHADOW.into(), matched: it.matched }
    }

    /// These ranges were not stored.
    pub(super) fn put_back(&mut self, ranges: Vec<SkippedRange>) {
        for it in ranges {
            match &mut self.run {
                // It has grown meanwhile: written as it is now, it says the same and more.
                Some(run) if run.from == it.from => run.dirty = true,
                _ => self.older.push(Run { from: it.from, to: it.to, matched: it.matched, dirty: true }),
            }
        }
    }
}

impl Window {
    /// Whether what matches is only counted: offered, it is settled, and nothing starts.
    ///
    /// What was read and has not started is forgotten and read again. Call it before
    /// anything is offered; one call too many is harmless.
    pub fn set_shadow(&mut self, on: bool, now: Timestamp) {
        if on {
            self.unread(now);
            if !self.shadow.on {
                let done = [self.done.last(), self.done_before.last()].into_iter().flatten().copied();
                self.shadow.since = done.fold(self.read, Place::max);
            }
        }
        if !on && self.shadow.on {
            // What found the address unroutable may be among what was skipped; then nothing is left to ask it with.
            self.hold = None;
        }
        self.shadow.on = on;
    }

    /// Whether it is in the shadow.
    #[must_use]
    pub const fn is_shadow(&self) -> bool {
        self.shadow.is_on()
    }

    /// How many events matched in the shadow in this life of the reader.
    #[must_use]
    pub fn shadowed_count(&self) -> u64 {
        self.shadow.before + self.shadow.run.map_or(0, |it| it.matched)
    }

    /// The stretches that may not be stored as they are now, for display.
    #[must_use]
    pub fn shadowed_ranges(&self) -> Vec<SkippedRange> {
        self.shadow.older.iter().chain(&self.shadow.run).map(|it| self.shadow.range(*it)).collect()
    }

    /// A matching event is rendered and signed, and that is all that becomes of it.
    pub(super) fn shadowed(&mut self, place: Place, now: Timestamp) {
        let grows = self.shadow.run.filter(|it| it.to < place && self.nothing_between(it.to, place));
        let (run, from) = match grows {
            Some(it) => (Run { to: place, matched: it.matched + 1, dirty: true, ..it }, it.to),
            None => {
                if let Some(ended) = self.shadow.run.take() {
                    self.shadow.before += ended.matched;
                    self.shadow.older.extend(Some(ended).filter(|it| it.dirty));
                }
                (Run { from: place - 1, to: place, matched: 1, dirty: true }, place - 1)
            }
        };
        self.shadow.run = Some(run);
        self.shadow.unsettled += 1;
        self.unsettled_since.get_or_insert(now);
        let generation = self.generation;
        self.add_ranges(&[SkippedRange { generation, from, to: place, why: SHADOW.into(), matched: 0 }]);
    }

    /// Whether every event between these places is known not to be owed otherwise.
    fn nothing_between(&self, from: Place, to: Place) -> bool {
        // What was delivered is forgotten once its settlement is stored: a stretch never grows over it.
        from >= self.shadow.since
            && self.fresh.range(from + 1..to).next().is_none()
            && self.exceptions.range(from + 1..to).next().is_none()
            && self.done.range(from + 1..to).next().is_none()
            && self.done_before.range(from + 1..to).next().is_none()
            && self.skipped.range(from..to.saturating_sub(1)).next().is_none()
            && self.skipped.range(..from).next_back().is_none_or(|(_, end)| *end <= from)
    }

    /// What is to be stored of the shadow; it counts as being written.
    pub(super) fn take_shadowed(&mut self) -> Vec<SkippedRange> {
        self.shadow.unsettled = 0;
        let older = std::mem::take(&mut self.shadow.older);
        let mut out: Vec<_> = older.into_iter().map(|it| self.shadow.range(it)).collect();
        if let Some(mut run) = self.shadow.run.filter(|it| it.dirty) {
            // Over what does not match as well, so that after a restart the same stretch goes on.
            let cursor = self.cursor();
            if self.shadow.on && cursor > run.to && self.nothing_between(run.to, cursor + 1) {
                let generation = self.generation;
                self.add_ranges(&[SkippedRange { generation, from: run.to, to: cursor, why: SHADOW.into(), matched: 0 }]);
                run.to = cursor;
            }
            run.dirty = false;
            out.push(self.shadow.range(run));
            self.shadow.run = Some(run);
        }
        out
    }

    /// Forgets what was read and has not started: it is read again.
    pub(super) fn unread(&mut self, now: Timestamp) {
        let waiting: Vec<Place> = self.fresh.iter().filter(|(_, it)| !it.in_flight).map(|(place, _)| *place).collect();
        let Some(first) = waiting.first().copied() else { return };
        let subjects: Vec<_> = waiting.into_iter().filter_map(|place| self.remove_fresh(place)?.subject).collect();
        for subject in &subjects {
            self.refresh_line(Some(subject), now);
        }
        self.read = self.read.min(first - 1);
    }
}
