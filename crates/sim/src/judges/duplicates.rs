//! Duplicates are bounded: within one life nothing is sent again that was delivered, and in no life what was settled so.

use crate::{evidence::Evidence, history::End};

/// See the module.
pub(super) fn judge(it: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    // Replays are asked for.
    let tries = it.own_tries_of();
    for ((record, event), tries) in &tries {
        for (at, first) in tries.iter().enumerate().filter(|(_, it)| matches!(it.end, End::Answered(200..=299))) {
            if let Some(again) = tries[at + 1..].iter().find(|it| it.life == first.life) {
                wrong.push(format!("{event} was delivered to number {record} and sent again at {}", again.started));
            }
        }
        let unsure = tries.iter().filter(|it| matches!(it.end, End::Lost | End::Cut)).count();
        let taken = tries.iter().filter(|it| it.taken).count();
        if taken > 1 + it.crashes.len() + unsure {
            wrong.push(format!("{event} was taken {taken} times by number {record}"));
        }
    }
    for (at, settlement) in &it.settlements {
        let Some(record) = it.subscriptions.get(&settlement.subscription).and_then(|one| it.record(one)) else { continue };
        for attempt in settlement.attempts.iter().filter(|it| it.succeeded()) {
            let later = tries.get(&(record, attempt.event)).into_iter().flatten().find(|it| it.started > *at);
            if let Some(later) = later {
                wrong.push(format!("{} was settled as delivered to number {record} and sent again at {}", attempt.event, later.started));
            }
        }
    }
    wrong
}
