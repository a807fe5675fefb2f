//! Cases of `Subscriptions`, and of what a change does to a subscription's reader.

use super::make::{at, attempt, change, commit, draft, event_type, exception, publish, subject, subscribe, subscription, success};
use crate::{
    Store,
    store::{Change, CommitError, Expected, ReaderState, Refused, Settlement},
};
use ringback_model::{
    SubscriptionId, TenantId,
    auth::{Access, Auth, Sealed},
    delivery::SkippedRange,
    event::{PayloadForm, Scope},
    key::Authority,
    signing::{Algorithm, Profile, Signing, WebhookId},
    subscription::{Failing, Order, Push, Revision, SealedSecret, State, Subscription, TypePattern, Until},
};
use std::{collections::BTreeMap, sync::Arc};

fn rich(no: u32, until: Option<Until>, state: State) -> Subscription {
    Subscription {
        scope: Scope::All,
        tenant: TenantId::default_tenant(),
        authority: Authority::Operator,
        description: "it's \"all\" of it".into(),
        metadata: BTreeMap::from([("b".into(), "2".into()), ("a".into(), "ü".into())]),
        strict: false,
        subject: Some(subject("/payment/1")),
        until,
        from: "start".into(),
        state,
        push: Some(Push {
            url: "https://example.com/ü?a=b".into(),
            headers: vec![("x-env".into(), "prod".into()), ("x-a".into(), String::new())],
            timeout_ms: 1_000,
            concurrency_max: 256,
            rate_max_per_s: Some(7),
            delays: vec![1, 86_400],
            signing: Signing { algorithm: Algorithm::Ed25519, profile: Profile::Svix, webhook_id: WebhookId::Key },
            access: Access {
                auth: Auth::ClientCredentials {
                    token_url: "https://id.example/token".into(),
                    client_id: "ringback".into(),
                    client_secret: Sealed(vec![0, 255]),
                    scope: Some("hooks".into()),
                },
                headers: vec![("x-api-key".into(), Sealed(vec![1])), ("x-token".into(), Sealed(Vec::new()))],
            },
            secrets: vec![
                SealedSecret {
                    id: "sec_2".into(),
                    created_at: at(9),
                    expires_at: None,
                    public_key: Some("whpk_x".into()),
                    sealed: (0..=255).collect(),
                },
                SealedSecret { id: "sec_1".into(), created_at: at(1), expires_at: Some(at(5)), public_key: None, sealed: Vec::new() },
            ],
        }),
        revisions: vec![
            Revision { no: 1, types: vec![TypePattern::Exact(event_type("payment.completed"))], ..subscription(1).revisions[0].clone() },
            Revision {
                no: 2,
                from: u64::from(u32::MAX) + 5,
                types: vec![TypePattern::Below(event_type("payment")), TypePattern::Exact(event_type("a"))],
                filter: None,
                payload: PayloadForm::Thin,
                order: Order::Subject,
                public_url: "http://127.0.0.1:7464".into(),
            },
        ],
        generation: 7,
        created_at: at(1),
        updated_at: at(2),
        version: 1,
        failing: Some(Failing { since: at(7), tries: 21, announced: 2 }),
        ..subscription(no)
    }
}

pub async fn a_subscription_reads_back_as_it_was_given<S: Store>(store: &Arc<S>) {
    let statuses = Until::Statuses(vec!["completed".parse().unwrap(), "failed".parse().unwrap()]);
    let all = vec![
        rich(1, None, State::Active),
        rich(2, Some(Until::Done), State::Paused),
        rich(3, Some(statuses), State::Suspended),
        rich(u32::MAX, None, State::Done),
    ];
    commit(store, change("default", all.iter().map(|it| subscribe(it.clone(), Some(3))))).await;
    let mut read = store.subscriptions().await.unwrap();
    read.sort_by_key(|it| it.no);
    assert_eq!(read, all);
    assert_eq!(store.cursor(u32::MAX).await, Ok(Some(3)));
}

pub async fn they_come_by_tenant_then_age_then_id<S: Store>(store: &Arc<S>) {
    let one = |no, tenant: &str, secs, id: &str| Subscription {
        tenant: tenant.parse().unwrap(),
        created_at: at(secs),
        id: id.parse().unwrap(),
        ..subscription(no)
    };
    let all = [one(1, "b", 1, "x"), one(2, "a", 2, "y"), one(3, "a", 1, "z"), one(4, "a", 2, "x"), one(5, "a", 2, "X")];
    commit(store, change("a", all.map(|it| subscribe(it, Some(0))))).await;
    assert_eq!(store.subscriptions().await.unwrap().iter().map(|it| it.no).collect::<Vec<_>>(), [3, 5, 4, 2, 1]);
}

pub async fn they_are_unique_by_id_and_by_number<S: Store>(store: &Arc<S>) {
    commit(store, change("acme", [subscribe(subscription(1), Some(0)), subscribe(subscription(2), Some(0))])).await;
    let named = |no, id: &str, version| Subscription { id: SubscriptionId::parse(id).unwrap(), version, ..subscription(no) };
    let mut elsewhere = named(3, "s1", 1);
    elsewhere.tenant = "beta".parse().unwrap();
    for wrong in [named(3, "s1", 1), named(1, "new", 1), named(1, "s2", 2), named(1, "new", 2)] {
        let what = format!("{} {} {}", wrong.no, wrong.id, wrong.version);
        let got = store.commit(change("acme", [subscribe(wrong, Some(0))])).await;
        assert_eq!(got.unwrap_err(), CommitError::Refused(Refused::Exists { change: 0 }), "{what}");
    }
    commit(store, change("beta", [subscribe(elsewhere, Some(0))])).await;
}

pub async fn a_cursor_moves_only_when_it_is_given<S: Store>(store: &Arc<S>) {
    let mut it = subscription(1);
    commit(store, change("acme", [subscribe(it.clone(), Some(10))])).await;
    for (given, want) in [(None, 10), (Some(20), 20), (None, 20), (Some(5), 5)] {
        it.version += 1;
        it.description = format!("edit {}", it.version);
        commit(store, change("acme", [subscribe(it.clone(), given)])).await;
        assert_eq!(store.cursor(1).await, Ok(Some(want)));
    }
    assert_eq!(store.subscriptions().await, Ok(vec![it]));
}

pub async fn skipped_ranges_are_added_and_move_nothing<S: Store>(store: &Arc<S>) {
    let range = |generation, from, to, why: &str| SkippedRange { generation, from, to, why: why.into(), matched: 0 };
    let with = |version, skipped| {
        let subscription = Box::new(Subscription { version, ..subscription(1) });
        let expected = super::make::before(version);
        Change::Subscription { subscription, expected, cursor: (version == 1).then_some(4), skipped }
    };
    commit(store, change("acme", [with(1, vec![range(1, 50, 60, "b"), range(1, 5, 9, "a")])])).await;
    commit(store, change("acme", [with(2, vec![range(2, 5, 7, "c"), range(1, 20, 30, "d")])])).await;
    commit(store, change("acme", [with(3, vec![])])).await;
    let state = store.reader(1).await.unwrap().unwrap();
    assert_eq!(state.cursor, 4);
    let ranges: Vec<_> = state.skipped.iter().map(|it| (it.from, it.to, it.generation, it.why.as_str())).collect();
    assert_eq!(ranges, [(5, 9, 1, "a"), (5, 7, 2, "c"), (20, 30, 1, "d"), (50, 60, 1, "b")]);
}

pub async fn a_new_life_has_no_exception_in_what_it_skips<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", (1..=6).map(draft))).await;
    commit(store, change("acme", [subscribe(subscription(1), Some(0))])).await;
    let settlement = Settlement {
        subscription: 1,
        generation: 1,
        cursor: 1,
        attempts: Vec::new(),
        exceptions: vec![exception(2), exception(3), exception(5)],
        ..Settlement::default()
    };
    store.settle(settlement).await.unwrap();
    let next = |version, generation, cursor| {
        let subscription = Box::new(Subscription { version, generation, ..subscription(1) });
        let skipped = vec![SkippedRange { generation, from: 2, to: 4, why: "x".into(), matched: 0 }];
        Change::Subscription { subscription, expected: super::make::before(version), cursor, skipped }
    };
    let left = async || store.reader(1).await.unwrap().unwrap().exceptions.iter().map(|it| it.place).collect::<Vec<_>>();
    commit(store, change("acme", [next(2, 1, None)])).await;
    assert_eq!(left().await, [2, 3, 5], "in the same life exceptions stay");
    commit(store, change("acme", [next(3, 2, Some(4))])).await;
    assert_eq!(left().await, [2], "3 is skipped, 5 is above the cursor");
}

pub async fn a_deletion_takes_everything_along<S: Store>(store: &Arc<S>) {
    commit(store, publish("acme", (1..=5).map(draft))).await;
    let mut create = subscribe(subscription(1), Some(1));
    if let Change::Subscription { skipped, .. } = &mut create {
        skipped.push(SkippedRange { generation: 1, from: 1, to: 2, why: "x".into(), matched: 0 });
    }
    commit(store, change("acme", [create, subscribe(subscription(2), Some(1))])).await;
    for no in [1, 2] {
        let settlement = Settlement {
            subscription: no,
            generation: 1,
            cursor: 3,
            attempts: vec![attempt(4, 4, 1), success(5, 5, 1)],
            exceptions: vec![exception(4)],
            ..Settlement::default()
        };
        store.settle(settlement).await.unwrap();
    }
    let kept = store.reader(2).await.unwrap();
    commit(store, change("acme", [Change::SubscriptionDelete { no: 1, expected: Expected::Version(1) }])).await;
    assert_eq!(store.subscriptions().await, Ok(vec![subscription(2)]));
    assert_eq!(store.reader(1).await, Ok(None));
    assert_eq!(store.cursor(1).await, Ok(None));
    assert_eq!(store.exception(1, 4).await, Ok(None));
    // One of the same number begins anew.
    commit(store, change("acme", [subscribe(subscription(1), Some(2))])).await;
    assert_eq!(store.reader(1).await, Ok(Some(ReaderState { cursor: 2, ..ReaderState::default() })));
    assert_eq!(store.attempt_summaries(1, 0, 9).await, Ok(Vec::new()));
    assert_eq!(store.reader(2).await.unwrap(), kept);
    assert_eq!(store.attempts(2, draft(5).id).await, Ok(vec![success(5, 5, 1)]));
}
