//! CONTRACT 1, Idempotency-Key: a repeated request is answered as the first one was, and not done again.

use crate::evidence::Evidence;

/// See the module.
pub(super) fn judge(it: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for replay in &it.replays {
        match &replay.again {
            None => wrong.push(format!("{}: a repeated request was done again", replay.what)),
            Some(again) if *again != replay.first => {
                let (first, again) = (String::from_utf8_lossy(&replay.first), String::from_utf8_lossy(again));
                wrong.push(format!("{}: the first answer was {first:?}, the second {again:?}", replay.what));
            }
            Some(_) => {}
        }
    }
    wrong
}
