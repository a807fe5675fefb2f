//! Cases of `Control`.

use super::make::{at, change, commit, key, stored_type, tenant, tenant_row, type_name};
use crate::{
    Store,
    store::{Change, Expected, StoredType},
};
use ringback_model::{
    key::{Key, Role, Scope, Scopes},
    tenant::Tenant,
};
use serde_json::json;
use std::sync::Arc;

pub async fn tenants_come_in_order_of_id<S: Store>(store: &Arc<S>) {
    let write = |it: &Tenant, expected| Change::Tenant { tenant: Box::new(it.clone()), expected };
    let (mut b, a) = (tenant_row("b", 1), tenant_row("a", 1));
    commit(store, change("default", [write(&b, Expected::Absent), write(&a, Expected::Absent)])).await;
    b.name = "another".into();
    b.version = 2;
    commit(store, change("default", [write(&b, Expected::Version(1))])).await;
    assert_eq!(store.tenants().await, Ok(vec![a, b]));
}

pub async fn keys_come_in_order_of_id<S: Store>(store: &Arc<S>) {
    let write = |it: &Key| Change::Key { key: Box::new(it.clone()) };
    let one = Key {
        role: Role::Tenant,
        tenant: Some(tenant("acme")),
        scopes: Scopes::collect([Scope::EventsRead, Scope::DeliveriesRetry]),
        expires_at: Some(at(7)),
        ..key(1)
    };
    let mut last = key(u128::MAX);
    commit(store, change("acme", [write(&last), write(&one), write(&key(2))])).await;
    last.description = "written over".into();
    last.scopes = Scopes::collect([]);
    commit(store, change("acme", [write(&last), Change::KeyDelete { id: key(2).id }])).await;
    assert_eq!(store.keys().await, Ok(vec![one, last]));
}

pub async fn types_come_in_order_of_name<S: Store>(store: &Arc<S>) {
    let write = |it: &StoredType, expected| Change::Type { stored: Box::new(it.clone()), expected };
    let (z, a, gone) = (stored_type("z", 1), stored_type("a", 1), stored_type("gone", 1));
    commit(store, change("default", [&z, &a, &gone].map(|it| write(it, Expected::Absent)))).await;
    let z = StoredType { source: json!({"type": "z", "schema": {"é": null}}), ..stored_type("z", 2) };
    let delete = Change::TypeDelete { name: gone.name, expected: Expected::Version(1) };
    commit(store, change("default", [write(&z, Expected::Version(1)), delete])).await;
    assert_eq!(store.types().await, Ok(vec![a, z]));
}

pub async fn meta_keeps_the_first_value<S: Store>(store: &Arc<S>) {
    assert_eq!(store.meta("pepper").await, Ok(None));
    assert_eq!(store.meta_once("pepper", vec![1, 0]).await, Ok(vec![1, 0]));
    assert_eq!(store.meta_once("pepper", vec![2]).await, Ok(vec![1, 0]));
    assert_eq!(store.meta("pepper").await, Ok(Some(vec![1, 0])));
    assert_eq!(store.meta("Pepper").await, Ok(None));
}

pub async fn deliveries_are_held_until_they_are_let_go<S: Store>(store: &Arc<S>) {
    assert_eq!(store.deliveries_held().await, Ok(false));
    for held in [true, true, false, false, true] {
        commit(store, change("acme", [Change::Hold { held }])).await;
        assert_eq!(store.deliveries_held().await, Ok(held));
    }
    // In a set that is refused it is not done.
    let missing = Change::TypeDelete { name: type_name("none"), expected: Expected::Version(1) };
    assert!(store.commit(change("acme", [Change::Hold { held: false }, missing])).await.is_err());
    assert_eq!(store.deliveries_held().await, Ok(true));
}
