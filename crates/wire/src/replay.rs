//! Replays: the body that asks for one, and what is shown of one.

use crate::{
    Problem,
    read::{self, Object, Problems, Shape},
    subscription::types,
};
use ringback_model::{
    SubscriptionId, limits,
    replay::{Only, Replay},
    subscription::TypePattern,
};
use serde::Serialize;
use serde_json::Value;

/// The body of `POST /v1/replays`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewReplay {
    /// Of which subscription.
    pub subscription: SubscriptionId,
    /// After where: a time, a position, an event's id, `start`; not read yet.
    pub since: Option<String>,
    /// Up to where: the same, or `now`; not read yet.
    pub until: Option<String>,
    /// Only these types, beside those of the subscription; empty is all.
    pub types: Vec<TypePattern>,
    /// Only events that meet this, beside the subscription's condition.
    pub filter: Option<String>,
    /// What is picked; `failed` if it was not said.
    pub only: Only,
    /// Tries a second, at most.
    pub rate_max_per_s: Option<u32>,
    /// Only count.
    pub dry_run: bool,
}

const MEMBERS: &[&str] = &["subscription", "since", "until", "types", "filter", "only", "rate_max_per_s", "dry_run"];
const NEW: Shape = Shape { members: MEMBERS, read_only: &[], paths: MEMBERS };

impl NewReplay {
    /// Reads the body.
    ///
    /// # Errors
    /// A problem that lists all that is wrong with it.
    pub fn read(body: &Value) -> Result<Self, Problem> {
        let mut problems = Problems::new();
        let read = Object::open(body, "", &NEW, &mut problems).and_then(|it| {
            it.require("subscription", "the id of the subscription that is sent to again", &mut problems);
            let place = |name: &str, problems: &mut Problems| it.text_of(name, 1, limits::URL_BYTES_MAX, problems).map(str::to_owned);
            let only = Only::ALL.map(|it| (it.as_str(), it));
            Some(Self {
                since: place("since", &mut problems),
                until: place("until", &mut problems),
                types: types(&it, &mut problems),
                filter: it.text_of("filter", 1, limits::FILTER_BYTES_MAX, &mut problems).map(str::to_owned),
                only: it.one_of("only", &only, &mut problems).unwrap_or(Only::Failed),
                rate_max_per_s: it.integer("rate_max_per_s", 1, limits::REPLAY_RATE_MAX_PER_S, &mut problems),
                dry_run: it.flag("dry_run", &mut problems).unwrap_or(false),
                subscription: it.parsed("subscription", read::name(SubscriptionId::parse), &mut problems)?,
            })
        });
        problems.finish(read)
    }
}

/// A replay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReplayView {
    /// `rpl_…`.
    pub id: String,
    /// To whom.
    pub subscription: String,
    /// `running done cancelled`.
    pub state: &'static str,
    /// Why it was cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// `failed missing all`.
    pub only: &'static str,
    /// Only these types, beside those of the subscription.
    pub types: Vec<String>,
    /// Only events that meet this.
    pub filter: Option<String>,
    /// As it was asked for.
    pub since: Option<String>,
    /// As it was asked for.
    pub until: Option<String>,
    /// Tries a second, at most.
    pub rate_max_per_s: Option<u32>,
    /// Picked so far.
    pub matched: u64,
    /// Arrived.
    pub delivered: u64,
    /// Given up by it: they are what they were before.
    pub parked: u64,
    /// Events of its stretch that retention took before it came to them.
    pub gone: u64,
    /// Events of its stretch that it has looked at …
    pub looked_at: u64,
    /// … of so many.
    pub events: u64,
    /// When it was asked for.
    pub created_at: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
}

impl ReplayView {
    /// The view of a replay of the subscription with this id.
    #[must_use]
    pub fn of(it: &Replay, subscription: &str) -> Self {
        let progress = &it.progress;
        Self {
            id: it.id.to_string(),
            subscription: subscription.to_owned(),
            state: progress.state.as_str(),
            reason: progress.why.clone(),
            only: it.only.as_str(),
            types: it.types.iter().map(ToString::to_string).collect(),
            filter: it.filter.clone(),
            since: it.since.clone(),
            until: it.until.clone(),
            rate_max_per_s: it.rate_max_per_s,
            matched: progress.matched,
            delivered: progress.delivered,
            parked: progress.parked,
            gone: progress.gone,
            looked_at: progress.cursor.min(it.to).saturating_sub(it.from),
            events: it.to.saturating_sub(it.from),
            created_at: it.created_at.to_string(),
            ended_at: progress.ended_at.map(|it| it.to_string()),
        }
    }
}

/// What a replay would pick.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CountedView {
    /// Always true.
    pub dry_run: bool,
    /// To whom.
    pub subscription: String,
    /// `failed missing all`.
    pub only: &'static str,
    /// What it would pick now.
    pub matched: u64,
    /// Events of its stretch that retention took.
    pub gone: u64,
    /// False when there are more events than a dry run looks at: then there may be more.
    pub complete: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};
    use ringback_model::{ReplayId, TenantId, Timestamp, replay::Progress};
    use serde_json::json;

    #[track_caller]
    fn check(body: Value, want: Expect) {
        let said = match NewReplay::read(&body) {
            Ok(it) => format!("{it:?}"),
            Err(problem) => problem.detail,
        };
        want.assert_eq(&said);
    }

    #[test]
    fn a_body_says_what_is_wrong_with_it() {
        check(
            json!({ "subscription": "mine" }),
            expect![[
                r#"NewReplay { subscription: "mine", since: None, until: None, types: [], filter: None, only: Failed, rate_max_per_s: None, dry_run: false }"#
            ]],
        );
        check(
            json!({ "subscription": "mine", "since": "2026-11-23T00:00:00Z", "only": "missing", "types": ["a.*"], "rate_max_per_s": 5, "dry_run": true }),
            expect![[
                r#"NewReplay { subscription: "mine", since: Some("2026-11-23T00:00:00Z"), until: None, types: [Below("a")], filter: None, only: Missing, rate_max_per_s: Some(5), dry_run: true }"#
            ]],
        );
        check(json!({}), expect!["`/subscription` is required: the id of the subscription that is sent to again."]);
        check(
            json!({ "subscription": "mine", "only": "some" }),
            expect!["`/only` should be one of: failed, missing, all; `some` is none."],
        );
        check(
            json!({ "subscription": "mine", "rate_max_per_s": 0 }),
            expect!["`/rate_max_per_s` should be a whole number from 1 to 10000, and is 0."],
        );
        check(json!({ "subscription": "mine", "limit": 5 }), expect!["`/limit`: no such field here."]);
    }

    #[test]
    fn a_replay_has_one_shape() {
        let it = Replay {
            id: ReplayId::from_bits(1),
            subscription: 1,
            tenant: TenantId::default_tenant(),
            generation: 1,
            only: Only::Failed,
            types: vec![],
            filter: None,
            since: Some("2026-11-23T00:00:00Z".into()),
            until: None,
            from: 3,
            to: 9,
            rate_max_per_s: None,
            created_at: Timestamp::from_secs(0),
            progress: Progress { cursor: 5, matched: 2, delivered: 1, ..Progress::beginning(3) },
        };
        expect![[r#"{"id":"rpl_00000000000000000000000001","subscription":"mine","state":"running","only":"failed","types":[],"filter":null,"since":"2026-11-23T00:00:00Z","until":null,"rate_max_per_s":null,"matched":2,"delivered":1,"parked":0,"gone":0,"looked_at":2,"events":6,"created_at":"1970-01-01T00:00:00.000000Z"}"#]].assert_eq(&serde_json::to_string(&ReplayView::of(&it, "mine")).unwrap());
    }
}
