//! All readers at a glance: for metrics.

use super::{Dispatcher, handle::Figures};
use ringback_engine::window::HealthState;

const STATES: [HealthState; 5] = [HealthState::Ok, HealthState::Failing, HealthState::Open, HealthState::Probing, HealthState::Unroutable];

impl Dispatcher {
    pub(super) fn figures(&self) -> Figures {
        let mut all = Figures { slots_in_use: self.fair.used() as u64, ..Figures::default() };
        let mut health = STATES.map(|it| (it.as_str(), 0));
        for reader in self.readers.values() {
            let (counts, state) = (reader.window.counts(), reader.window.health().state);
            all.retrying += counts.retrying as u64;
            all.held += counts.held as u64;
            all.parked += counts.parked as u64;
            for (name, count) in &mut health {
                *count += u64::from(*name == state.as_str());
            }
            if reader.window.is_active() {
                all.oldest_due = [all.oldest_due, reader.window.oldest_due()].into_iter().flatten().min();
            }
            all.cursors.push((reader.subscription.scope.clone(), reader.window.cursor()));
        }
        all.health = health.to_vec();
        all
    }
}
