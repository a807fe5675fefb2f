//! Whoever waits for a status is told a true one, and in time.

use crate::evidence::Evidence;
use core::time::Duration;
use serde_json::Value;

/// How late an answer may be: reads may be slow.
const LATE: Duration = Duration::from_secs(3);

/// See the module.
pub(super) fn judge(it: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for wait in &it.waits {
        if it.steps.iter().any(|(at, _)| wait.began <= *at && *at <= wait.ended) {
            // What took no time took an hour by a clock that stepped.
            continue;
        }
        let changes: Vec<_> = it
            .log
            .iter()
            .filter(|event| event.tenant == wait.tenant && event.of.as_ref().is_some_and(|of| of.id == wait.id))
            .map(|event| {
                let data: Value = serde_json::from_slice(&event.data()).unwrap_or_default();
                (event, data["status"].as_str().unwrap_or_default().to_owned())
            })
            .collect();
        let (status, version) = &wait.answer;
        let name = format!("{}/{} at version {version}, answered at {}", wait.tenant, wait.id, wait.ended);
        let at = usize::try_from(*version).unwrap_or(0);
        if changes.get(at.wrapping_sub(1)).is_none_or(|(_, was)| was != status.as_str()) {
            wrong.push(format!("{name}: it was never {status}"));
        }
        // A status that came, or was there, while it was awaited, and that stayed a while.
        for (at, (event, is)) in changes.iter().enumerate() {
            let Some(from) = it.durable_at.get(&event.seq).map(|from| (*from).max(wait.began)) else { continue };
            let until = changes.get(at + 1).and_then(|(next, _)| it.durable_at.get(&next.seq)).copied().unwrap_or(wait.ended);
            let stayed = wait.until.iter().any(|it| it.as_str() == is) && from + LATE < until;
            if stayed && from + LATE < wait.ended {
                wrong.push(format!("{name}: it had been {is} since {from}"));
                break;
            }
        }
    }
    wrong
}
