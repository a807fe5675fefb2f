//! Values for cases: small, plain, and the same every time.

use crate::{
    Store,
    store::{
        AttemptSummary, Change, ChangeSet, Committed, Expected, NewAnswer, ReaderState, ResourceQuery, ResourceRow, Slice, StoredType,
    },
};
use bytes::Bytes;
use core::fmt::Write;
use ringback_model::{
    AttemptId, ErasureId, EventId, EventType, KeyId, ResourceId, Subject, SubscriptionId, TenantId, Timestamp, TypeName,
    delivery::{Attempt, Exception, ExceptionState, Timings, Via},
    erasure::{Erasure, Target},
    event::{Event, EventDraft, OfResource, PayloadForm, Place, Scope},
    key::{Authority, Key, Role, Scopes},
    resource::{Resource, Version},
    subscription::{Order, Push, Revision, SealedSecret, State, Subscription},
    tenant::Tenant,
};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Room for everything that a case writes.
pub const ALL: Slice = Slice { events_max: usize::MAX, bytes_max: usize::MAX };

/// `secs` seconds after the beginning of every case.
#[must_use]
pub fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000) + Duration::from_secs(secs)
}

/// A tenant's id.
#[must_use]
pub fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).unwrap()
}

/// A tenant's scope.
#[must_use]
pub fn scope(id: &str) -> Scope {
    Scope::Tenant(tenant(id))
}

/// A type's name.
#[must_use]
pub fn type_name(name: &str) -> TypeName {
    TypeName::parse(name).unwrap()
}

/// A resource's id.
#[must_use]
pub fn resource_id(id: &str) -> ResourceId {
    ResourceId::parse(id).unwrap()
}

/// A subject.
#[must_use]
pub fn subject(text: &str) -> Subject {
    Subject::parse(text).unwrap()
}

/// An event's type.
#[must_use]
pub fn event_type(text: &str) -> EventType {
    EventType::parse(text).unwrap()
}

/// Event number `n` of a case, published, with nothing that is optional.
#[must_use]
pub fn draft(n: u64) -> EventDraft {
    EventDraft {
        id: EventId::from_bits(u128::from(n)),
        event_type: event_type("note.made"),
        timestamp: at(0),
        subject: None,
        data: Bytes::from(format!("{{\"n\":{n}}}")),
        previous: None,
        occurred_at: None,
        expires_at: None,
        key: None,
        audience: Authority::Tenant,
        of: None,
    }
}

/// The id of event number `n`.
#[must_use]
pub const fn event_id(n: u64) -> EventId {
    EventId::from_bits(n as u128)
}

/// Erasure number `n` of a tenant.
#[must_use]
pub fn erasure(n: u64, id: &str, target: Option<Target>) -> Erasure {
    Erasure { id: ErasureId::from_bits(u128::from(n)), tenant: tenant(id), target, created_at: at(7), erased: 0 }
}

/// The same with a publisher's key.
#[must_use]
pub fn keyed(n: u64, key: &str) -> EventDraft {
    EventDraft { key: Some(key.into()), ..draft(n) }
}

/// The same about something.
#[must_use]
pub fn about(n: u64, text: &str) -> EventDraft {
    EventDraft { subject: Some(subject(text)), ..draft(n) }
}

/// Event number `n`, which made version `version` of `/payment/{id}`.
#[must_use]
pub fn of_version(n: u64, id: &str, version: Version) -> EventDraft {
    let of = OfResource { type_name: type_name("payment"), id: resource_id(id), version, entered: None, deleted: false };
    EventDraft { event_type: event_type("payment.updated"), of: Some(of), ..about(n, &format!("/payment/{id}")) }
}

/// A change set that publishes.
#[must_use]
pub fn publish(id: &str, events: impl IntoIterator<Item = EventDraft>) -> ChangeSet {
    ChangeSet { events: events.into_iter().collect(), ..ChangeSet::new(tenant(id), at(0)) }
}

/// A change set that changes rows.
#[must_use]
pub fn change(id: &str, changes: impl IntoIterator<Item = Change>) -> ChangeSet {
    ChangeSet { changes: changes.into_iter().collect(), ..ChangeSet::new(tenant(id), at(0)) }
}

/// An answer to keep under the scope of 32 times `scope`, for 100 seconds.
#[must_use]
pub fn answer(scope: u8, bytes: &'static [u8]) -> NewAnswer {
    NewAnswer { scope: [scope; 32], fingerprint: [1; 32], expires_at: at(100), answer: Box::new(move |_| bytes.to_vec()) }
}

/// Commits what has to succeed.
pub async fn commit<S: Store>(store: &Arc<S>, set: ChangeSet) -> Committed {
    store.commit(set).await.expect("nothing refuses this change set")
}

/// A payment.
#[must_use]
pub fn row(tenant_id: &str, id: &str, version: Version) -> ResourceRow {
    ResourceRow {
        resource: Resource {
            id: resource_id(id),
            type_name: type_name("payment"),
            tenant: tenant(tenant_id),
            status: "created".parse().unwrap(),
            version,
            created_at: at(0),
            updated_at: at(version),
            since: at(0),
            fields: fields(json!({"amount": 1999, "currency": "eur"})),
        },
        deleted: false,
        timer: None,
    }
}

/// The members of an object.
#[must_use]
pub fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(it) => it,
        other => panic!("{other} is no object"),
    }
}

/// Writes a row that must not be there yet (version 1), or must be of the version before.
#[must_use]
pub fn put(row: ResourceRow) -> Change {
    let expected = before(row.resource.version);
    Change::Resource { row: Box::new(row), expected }
}

/// What a change to `version` expects.
#[must_use]
pub fn before(version: Version) -> Expected {
    if version == 1 { Expected::Absent } else { Expected::Version(version - 1) }
}

/// A tenant.
#[must_use]
pub fn tenant_row(id: &str, version: u64) -> Tenant {
    Tenant {
        id: tenant(id),
        name: format!("Tenant {id}"),
        metadata: BTreeMap::from([("plan".into(), "größer".into())]),
        created_at: at(1),
        version,
        data_key: vec![0, 255, 7],
    }
}

/// A key of the operator.
#[must_use]
pub fn key(n: u128) -> Key {
    Key {
        id: KeyId::from_bits(n),
        role: Role::Operator,
        tenant: None,
        scopes: Scopes::of_role(Role::Operator),
        description: format!("key {n}"),
        expires_at: None,
        created_at: at(2),
        rate_max_per_s: Some(7),
        digest: [9; 32],
    }
}

/// A stored type.
#[must_use]
pub fn stored_type(name: &str, version: u64) -> StoredType {
    StoredType {
        name: type_name(name),
        source: json!({"type": name, "z": 1, "a": [2.5]}),
        version,
        updated_at: at(version),
        from_file: version.is_multiple_of(2),
    }
}

/// Subscription number `no` of `acme`, named `s{no}`.
#[must_use]
pub fn subscription(no: u32) -> Subscription {
    Subscription {
        no,
        id: SubscriptionId::parse(&format!("s{no}")).unwrap(),
        tenant: tenant("acme"),
        scope: scope("acme"),
        authority: Authority::Tenant,
        description: String::new(),
        metadata: BTreeMap::new(),
        strict: true,
        subject: None,
        until: None,
        from: "now".into(),
        state: State::Active,
        push: Some(Push {
            url: "https://example.com/hook".into(),
            headers: Vec::new(),
            timeout_ms: 20_000,
            concurrency_max: 32,
            rate_max_per_s: None,
            delays: vec![5, 30],
            signing: Default::default(),
            access: Default::default(),
            secrets: vec![SealedSecret {
                id: "sec_1".into(),
                created_at: at(3),
                expires_at: None,
                public_key: None,
                sealed: vec![1, 2, 254],
            }],
        }),
        revisions: vec![Revision {
            no: 1,
            from: 0,
            types: Vec::new(),
            filter: None,
            payload: PayloadForm::Full,
            order: Order::None,
            public_url: "https://api.example.com".into(),
        }],
        generation: 1,
        created_at: at(3),
        updated_at: at(3),
        version: 1,
        failing: None,
    }
}

/// Writes a subscription that must not be there yet (version 1), or must be of the version before.
#[must_use]
pub fn subscribe(subscription: Subscription, cursor: Option<Place>) -> Change {
    let expected = before(subscription.version);
    Change::Subscription { subscription: Box::new(subscription), expected, cursor, skipped: Vec::new() }
}

/// Try `n` of the event with number `event`, which stands at `place`: it failed with 500.
#[must_use]
pub fn attempt(place: Place, event: u64, n: u32) -> Attempt {
    Attempt {
        id: AttemptId::from_bits(u128::from(place) << 32 | u128::from(n)),
        event: EventId::from_bits(u128::from(event)),
        place,
        generation: 1,
        n,
        at: at(u64::from(n)),
        via: Via::Schedule,
        outcome: "failed".into(),
        reason: Some("status".into()),
        status_code: Some(500),
        timings: Timings { dns: Some(1), connect: None, tls: None, first_byte: Some(4), total: 5 },
        peer: Some("192.0.2.1:443".into()),
        response: None,
    }
}

/// The same, but it succeeded.
#[must_use]
pub fn success(place: Place, event: u64, n: u32) -> Attempt {
    Attempt { outcome: "delivered".into(), reason: None, status_code: Some(204), ..attempt(place, event, n) }
}

/// An exception at `place`, to be tried again.
#[must_use]
pub fn exception(place: Place) -> Exception {
    Exception {
        place,
        event: EventId::from_bits(u128::from(place)),
        subject: Some(subject("/payment/1")),
        revision: 1,
        generation: 1,
        tries: 1,
        state: ExceptionState::Retrying { due_at: at(5) },
        created_at: at(1),
        expires_at: None,
    }
}

/// A list of all payments of a tenant.
#[must_use]
pub fn payments(id: &str) -> ResourceQuery {
    ResourceQuery {
        tenant: tenant(id),
        type_name: type_name("payment"),
        equal: Vec::new(),
        created: (None, None),
        oldest_first: false,
        after: None,
        limit: 10_000,
    }
}

/// All events of a scope.
pub async fn events<S: Store>(store: &Arc<S>, scope: &Scope) -> Vec<Arc<Event>> {
    store.events_after(scope, 0, ALL).await.unwrap()
}

/// Everything that can be seen of a store from outside, as text: two stores with the same text hold the same.
///
/// Looks for payments, for answers under the scopes of `answer(0..8, …)`, and for what belongs to the tenants
/// `acme`, `beta` and `default`.
pub async fn image<S: Store>(store: &Arc<S>) -> String {
    let mut out = String::new();
    let mut scopes = vec![Scope::All];
    scopes.extend(["acme", "beta", "default"].map(scope));
    for scope in &scopes {
        writeln!(out, "{scope:?} {:?}", store.bounds(scope).await.unwrap()).unwrap();
        for event in events(store, scope).await {
            writeln!(out, "  {event:?}").unwrap();
        }
        for secs in [0, 1, 2, 5, 10, 20, 50, 100] {
            write!(out, " <{secs}: {}", store.place_before(scope, at(secs)).await.unwrap()).unwrap();
        }
        for name in ["note.made", "payment.updated"] {
            writeln!(out, " {name} {}", store.event_type_seen(scope, &event_type(name)).await.unwrap()).unwrap();
        }
    }
    for name in ["acme", "beta", "default"] {
        for row in store.resources(payments(name)).await.unwrap() {
            writeln!(out, "{row:?}").unwrap();
        }
        for id in ["1", "2", "3", "4"] {
            let found = store.resource(&tenant(name), &type_name("payment"), &resource_id(id)).await.unwrap();
            writeln!(out, "{name} {id} {found:?}").unwrap();
        }
    }
    writeln!(out, "count {}", store.resource_count(&type_name("payment")).await.unwrap()).unwrap();
    writeln!(out, "timers {:?} {:?}", store.next_timer().await.unwrap(), store.due_timers(at(1_000), 100).await.unwrap()).unwrap();
    writeln!(out, "tenants {:?}", store.tenants().await.unwrap()).unwrap();
    writeln!(out, "keys {:?}", store.keys().await.unwrap()).unwrap();
    writeln!(out, "types {:?}", store.types().await.unwrap()).unwrap();
    for scope in 0..8 {
        writeln!(out, "answer {scope} {:?}", store.answer(&[scope; 32], at(0)).await.unwrap()).unwrap();
    }
    for it in store.subscriptions().await.unwrap() {
        let state: Option<ReaderState> = store.reader(it.no).await.unwrap();
        let tried: Vec<AttemptSummary> = store.attempt_summaries(it.no, 0, Place::MAX).await.unwrap();
        writeln!(out, "{it:?}\n  {state:?}\n  {tried:?}").unwrap();
        for sum in tried {
            writeln!(out, "  {:?}", store.attempts(it.no, sum.last.event).await.unwrap()).unwrap();
        }
    }
    out
}
