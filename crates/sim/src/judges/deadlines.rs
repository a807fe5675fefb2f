//! Nothing is tried after its deadline unless somebody asked for that, and nothing is given up before it.

use crate::evidence::{Evidence, record_of};
use core::time::Duration;
use ringback_model::{Timestamp, delivery::ExceptionState};

/// A try may have to read its event first, on a slow disk.
const SLOW: Duration = Duration::from_secs(10);

/// See the module.
pub(super) fn judge(it: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for one in &it.tries {
        let Some(subscription) = record_of(&one.url).and_then(|no| it.subscription(no)) else { continue };
        let Some(expires_at) = it.event(one.event).and_then(|it| it.expires_at) else { continue };
        let asked = it.asked_for(subscription, one.event, Timestamp::from_micros(0), one.started);
        // Whoever replays wants it however late it is.
        if one.shown >= expires_at + SLOW && !asked && !it.may_be_replay(subscription, one) {
            wrong.push(format!("{}: {} expired at {expires_at} and was tried at {}", subscription.id, one.event, one.started));
        }
    }
    for (_, settlement) in &it.settlements {
        for row in &settlement.exceptions {
            let ExceptionState::Parked { reason, at } = &row.state else { continue };
            let expires_at = it.event(row.event).and_then(|it| it.expires_at);
            if reason == "expired" && expires_at.is_none_or(|it| *at < it) {
                wrong.push(format!("{} was parked as expired at {at}, and expires at {expires_at:?}", row.event));
            }
        }
    }
    wrong
}
