//! Whatever is asked of them, the SQLite store and the memory store answer and hold the same.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use bytes::Bytes;
use proptest::{collection::vec, option, prelude::*};
use ringback_model::{
    AttemptId, EventId, TenantId, TypeName,
    delivery::{Attempt, Exception, ExceptionState, SkippedRange},
    event::{EventDraft, OfResource, Place, Scope},
    key::Authority,
    subscription::Subscription,
};
use ringback_ports::{
    Store,
    conformance::make::{
        answer, at, attempt, draft, event_type, exception, fields, image, key, payments, resource_id, row, stored_type, subject,
        subscription, tenant, tenant_row, type_name,
    },
    fake::MemoryStore,
    store::{AuditEntry, Change, ChangeSet, CommitError, Expected, ResourceQuery, Settlement, Slice, StoreError, Timer},
};
use ringback_store_sqlite::{Options, SqliteStore};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

#[derive(Clone, Debug)]
enum Op {
    Commit(Set),
    Settle(Settlement),
    Prune(u64, usize),
    Read { scope: Scope, after: Place, events_max: usize, bytes_max: usize },
    List(ResourceQuery),
    Index(Vec<Vec<String>>),
}

/// A change set that can be made twice: `ChangeSet` is used up by a commit.
#[derive(Clone, Debug)]
struct Set {
    tenant: TenantId,
    at: u64,
    changes: Vec<Change>,
    events: Vec<EventDraft>,
    answer: Option<(u8, u64)>,
    audited: bool,
}

impl Set {
    fn make(&self) -> ChangeSet {
        ChangeSet {
            tenant: self.tenant.clone(),
            at: at(self.at),
            changes: self.changes.clone(),
            events: self.events.clone(),
            answer: self.answer.map(|(scope, secs)| {
                let mut it = answer(scope, b"");
                it.expires_at = at(secs);
                it.answer = Box::new(|it| format!("{it:?}").into_bytes());
                it
            }),
            audit: self.audited.then(|| AuditEntry { actor: Some(key(1).id), action: "key.create", object: "x".into() }),
        }
    }
}

fn tenants() -> impl Strategy<Value = TenantId> {
    prop_oneof![Just("acme"), Just("beta")].prop_map(tenant)
}

fn scopes() -> impl Strategy<Value = Scope> {
    prop_oneof![Just(Scope::All), tenants().prop_map(Scope::Tenant)]
}

fn expected() -> impl Strategy<Value = Expected> {
    prop_oneof![3 => Just(Expected::Absent), 4 => (1..4_u64).prop_map(Expected::Version)]
}

/// The version that a row has after it was `expected`.
fn after(expected: Expected) -> u64 {
    match expected {
        Expected::Absent => 1,
        Expected::Version(it) => it + 1,
    }
}

fn values() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-2..3_i64).prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (any::<f64>().prop_filter("a JSON number is finite", |it| it.is_finite())).prop_map(Value::from),
        "[a-c'\"\\\\ü\u{0}]{0,3}".prop_map(Value::from),
        vec(any::<i64>(), 0..3).prop_map(Value::from),
    ]
}

fn resources() -> impl Strategy<Value = Change> {
    let id = prop_oneof![Just("1"), Just("2"), Just("3"), Just("4")];
    let timer = option::of((0..100_u64).prop_map(|secs| Timer { due_at: at(secs), transition: "fail".parse().unwrap() }));
    (tenants(), id, expected(), 0..3_u64, (values(), values()), any::<bool>(), timer).prop_map(
        |(tenant, id, expected, made, (a, b), deleted, timer)| {
            let mut it = row(tenant.as_str(), id, after(expected));
            it.resource.created_at = at(made);
            it.resource.fields = fields(json!({"b": b, "a": a}));
            it.deleted = deleted;
            it.timer = timer;
            Change::Resource { row: Box::new(it), expected }
        },
    )
}

fn subscriptions() -> impl Strategy<Value = Change> {
    let skipped = vec((1..3_u32, 0..5_u64, 5..9_u64), 0..2).prop_map(|all| {
        all.into_iter().map(|(generation, from, to)| SkippedRange { generation, from, to, why: "x".into(), matched: 0 }).collect::<Vec<_>>()
    });
    (1..3_u32, 1..3_u32, expected(), option::of(0..10_u64), skipped, (1..3_u32, scopes())).prop_map(
        |(no, name, expected, cursor, skipped, (generation, scope))| {
            let it = Subscription { id: subscription(name).id, version: after(expected), generation, scope, ..subscription(no) };
            Change::Subscription { subscription: Box::new(it), expected, cursor, skipped }
        },
    )
}

fn changes() -> impl Strategy<Value = Change> {
    let names = || prop_oneof![Just("payment"), Just("refund")];
    prop_oneof![
        6 => resources(),
        4 => subscriptions(),
        1 => (1..3_u32, expected()).prop_map(|(no, expected)| Change::SubscriptionDelete { no, expected }),
        1 => (tenants(), expected()).prop_map(|(id, expected)| {
            Change::Tenant { tenant: Box::new(tenant_row(id.as_str(), after(expected))), expected }
        }),
        1 => (1..3_u128).prop_map(|n| Change::Key { key: Box::new(key(n)) }),
        1 => (1..3_u128).prop_map(|n| Change::KeyDelete { id: key(n).id }),
        1 => (names(), expected()).prop_map(|(name, expected)| {
            Change::Type { stored: Box::new(stored_type(name, after(expected))), expected }
        }),
        1 => (names(), expected()).prop_map(|(name, expected)| Change::TypeDelete { name: type_name(name), expected }),
    ]
}

fn drafts() -> impl Strategy<Value = EventDraft> {
    let key = option::weighted(0.3, prop_oneof![Just("a"), Just("b"), Just("c"), Just("d"), Just("e")]);
    let of = option::of((1..4_u64, any::<bool>()));
    (1..400_u64, key, option::of(prop_oneof![Just("/payment/1"), Just("/payment/2")]), of, values()).prop_map(
        |(n, key, about, of, data)| EventDraft {
            key: key.map(Into::into),
            subject: about.map(subject),
            data: Bytes::from(data.to_string()),
            audience: if n % 3 == 0 { Authority::Operator } else { Authority::Tenant },
            event_type: event_type(if n % 2 == 0 { "note.made" } else { "payment.updated" }),
            of: of.map(|(version, deleted)| OfResource {
                type_name: TypeName::parse("payment").unwrap(),
                id: resource_id("1"),
                version,
                entered: deleted.then(|| "done".parse().unwrap()),
                deleted,
            }),
            ..draft(n)
        },
    )
}

fn sets() -> impl Strategy<Value = Set> {
    let answer = option::weighted(0.3, (0..3_u8, 0..100_u64));
    (tenants(), 0..100_u64, vec(changes(), 0..3), vec(drafts(), 0..4), answer, any::<bool>())
        .prop_map(|(tenant, at, changes, events, answer, audited)| Set { tenant, at, changes, events, answer, audited })
}

fn settlements() -> impl Strategy<Value = Settlement> {
    let tries = (1..12_u64, 1..4_u32, 1..3_u32, any::<bool>()).prop_map(|(place, n, generation, good)| Attempt {
        id: AttemptId::from_bits(u128::from(place) * 100 + u128::from(n)),
        generation,
        outcome: if good { "delivered" } else { "failed" }.into(),
        ..attempt(place, place, n)
    });
    let exceptions = (1..12_u64, 0..3_u8).prop_map(|(place, state)| Exception {
        state: match state {
            0 => ExceptionState::Held,
            1 => ExceptionState::Retrying { due_at: at(place) },
            _ => ExceptionState::Parked { reason: "gone".into(), at: at(place) },
        },
        expires_at: (place % 2 == 0).then(|| at(place + 9)),
        ..exception(place)
    });
    (1..3_u32, 1..3_u32, 0..12_u64, vec(tries, 0..4), vec(exceptions, 0..3), vec(1..12_u64, 0..3)).prop_map(
        |(subscription, generation, cursor, attempts, exceptions, removed)| Settlement {
            subscription,
            generation,
            cursor,
            attempts,
            exceptions,
            removed,
            ..Settlement::default()
        },
    )
}

fn queries() -> impl Strategy<Value = ResourceQuery> {
    let name = prop_oneof![Just("a"), Just("b"), Just("status")];
    let wanted = prop_oneof![
        2 => (-2..3_i64).prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        2 => "[a-c'\"\\\\ü\u{0}]{0,1}".prop_map(Value::from),
        1 => Just(json!("created")),
    ];
    let equal = vec((name.prop_map(str::to_owned), wanted), 0..2);
    let after = option::of((0..3_u64, prop_oneof![Just("1"), Just("2"), Just("3")]))
        .prop_map(|it| it.map(|(secs, id)| (at(secs), resource_id(id))));
    let bound = || option::weighted(0.3, (0..3_u64).prop_map(at));
    (tenants(), equal, after, 0..4_usize, (bound(), bound()), any::<bool>()).prop_map(
        |(tenant, equal, after, limit, created, oldest_first)| ResourceQuery {
            equal,
            created,
            oldest_first,
            after,
            limit,
            ..payments(tenant.as_str())
        },
    )
}

fn ops() -> impl Strategy<Value = Op> {
    let member = || prop_oneof![Just("a"), Just("b"), Just("status"), Just("created_at")].prop_map(str::to_owned);
    prop_oneof![
        8 => sets().prop_map(Op::Commit),
        4 => settlements().prop_map(Op::Settle),
        1 => (0..100_u64, 0..3_usize).prop_map(|(secs, limit)| Op::Prune(secs, limit)),
        2 => (scopes(), 0..8_u64, 0..4_usize, 0..800_usize)
            .prop_map(|(scope, after, events_max, bytes_max)| Op::Read { scope, after, events_max, bytes_max }),
        2 => queries().prop_map(Op::List),
        1 => vec(vec(member(), 1..3), 0..3).prop_map(Op::Index),
    ]
}

/// What an error says besides its words.
fn plain(error: CommitError) -> String {
    match error {
        CommitError::Store(StoreError::Broken(_)) => "broken".into(),
        other => format!("{other:?}"),
    }
}

/// Does it and tells everything that came back.
async fn act<S: Store>(store: &Arc<S>, op: &Op) -> String {
    match op {
        Op::Commit(set) => match store.commit(set.make()).await {
            Ok(done) => format!("{done:?}"),
            Err(error) => plain(error),
        },
        Op::Settle(it) => format!("{:?}", store.settle(it.clone()).await),
        Op::Prune(secs, limit) => format!("{:?}", store.prune_answers(at(*secs), *limit).await),
        Op::Read { scope, after, events_max, bytes_max } => {
            let slice = Slice { events_max: *events_max, bytes_max: *bytes_max };
            let about = subject("/payment/1");
            let n = u128::from(*after);
            format!(
                "{:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
                store.events_after(scope, *after, slice).await,
                store.events_before(scope, *after, *events_max).await,
                store.events_of_subject(scope, &about, *after, slice).await,
                store.event_at(scope, *after).await,
                store.event(scope, EventId::from_bits(n)).await,
                store.event_by_key(&tenant("acme"), "a").await,
                store.event_of_version(&tenant("acme"), &about, *after).await,
                store.attempt_summaries(1, *after, 9).await,
            )
        }
        Op::List(query) => format!("{:?}", store.resources(query.clone()).await),
        Op::Index(indexes) => format!("{:?}", store.declare_indexes(&type_name("payment"), indexes).await),
    }
}

/// How many change sets were stored over all cases: a run in which everything is refused proves nothing.
static STORED: AtomicU64 = AtomicU64::new(0);

fn agree(ops: &[Op]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let sqlite = Arc::new(SqliteStore::open(dir.path(), Options { readers: 1, ..Options::default() }).unwrap());
        let memory = Arc::new(MemoryStore::new());
        for op in ops {
            let said = act(&memory, op).await;
            STORED.fetch_add(u64::from(matches!(op, Op::Commit(_)) && said.starts_with("Committed")), Ordering::Relaxed);
            prop_assert_eq!(act(&sqlite, op).await, said, "{:?}", op);
        }
        let held = image(&memory).await;
        prop_assert_eq!(&image(&sqlite).await, &held);
        // What the writer knew by heart, the next one finds in the tables.
        drop(sqlite);
        let again = Arc::new(SqliteStore::open(dir.path(), Options { readers: 1, ..Options::default() }).unwrap());
        prop_assert_eq!(&image(&again).await, &held);
        Ok(())
    })
}

#[test]
fn they_say_and_hold_the_same() {
    let config = ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(ops in vec(ops(), 1..40))| { agree(&ops)? });
    assert!(STORED.load(Ordering::Relaxed) > 100, "hardly anything was stored: {STORED:?}");
}
