//! P9: no tenant sees another's: canaries in data and headers never cross.

use crate::evidence::{Evidence, record_of};
use ringback_model::event::Scope;

fn foreign(text: &str, own: &str) -> bool {
    text.match_indices("canary-").any(|(at, _)| !text[at..].starts_with(&format!("canary-{own}-")))
}

/// See the module.
pub(super) fn judge(it: &Evidence) -> Vec<String> {
    let mut wrong = Vec::new();
    for one in it.tries.iter() {
        let Some(made) = record_of(&one.url).and_then(|no| it.subscribed.get(no)) else { continue };
        let own = if made.all { "star" } else { made.tenant.as_str() };
        let body = String::from_utf8_lossy(&one.body);
        if !one.url.starts_with(&format!("https://{own}.example/")) {
            wrong.push(format!("{} was called for {own}", one.url));
        }
        if one.headers.iter().any(|(_, value)| foreign(value, own)) || (!made.all && foreign(&body, own)) {
            wrong.push(format!("{} of another tenant was sent to {}", one.event, one.url));
        }
    }
    for feed in &it.feeds {
        let Scope::Tenant(tenant) = &feed.scope else { continue };
        for (id, bytes) in feed.pages.iter().flatten() {
            if foreign(&String::from_utf8_lossy(bytes), tenant.as_str()) {
                wrong.push(format!("{} saw {id} of another tenant", feed.name));
            }
        }
    }
    wrong
}
