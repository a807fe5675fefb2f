//! Progress: after faults end, everything does; and nothing broke inside.

use crate::{evidence::Evidence, history::End};

/// See the module.
pub(super) fn judge(it: &Evidence) -> Vec<String> {
    let mut wrong: Vec<String> = it.stuck.iter().map(|why| format!("after the faults were over: {why}")).collect();
    wrong.extend(it.unfinished.iter().map(|who| format!("{who} never got its answers")));
    wrong.extend(it.tries.iter().filter(|it| it.end == End::Running).map(|it| format!("a try of {} never ended", it.event)));
    wrong.extend(it.unexplained.iter().map(|it| format!("an internal error that no fault explains, at {}: {}", it.at, it.why)));
    wrong
}
