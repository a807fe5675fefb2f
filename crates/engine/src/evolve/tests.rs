//! Tables of changes that only add, and of those that take something away.

use super::*;
use ringback_model::{EventId, ResourceId, TenantId, Timestamp};
use serde_json::json;

fn order() -> Value {
    json!({
        "type": "order",
        "schema": {
            "type": "object", "required": ["amount"], "additionalProperties": false,
            "properties": { "amount": { "type": "integer", "minimum": 1 }, "note": { "type": "string" } },
        },
        "lifecycle": {
            "statuses": { "created": { "timeout": { "after": "1h", "transition": "expire" } }, "paid": { "done": true }, "expired": { "done": true } },
            "transitions": { "pay": { "from": ["created"], "to": "paid" }, "expire": { "from": ["created"], "to": "expired" } },
        },
    })
}

fn load(source: &Value) -> CompiledType {
    CompiledType::load(source).unwrap_or_else(|it| panic!("{it:#?}"))
}

/// The order with one place changed (`null` removes) takes away exactly this.
#[track_caller]
fn check(pointer: &str, value: Value, want: &[&str]) {
    changed(&order(), pointer, value, want);
}

#[track_caller]
fn changed(before: &Value, pointer: &str, value: Value, want: &[&str]) {
    let mut after = before.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match after.pointer_mut(parent).unwrap() {
        Value::Object(it) if value.is_null() => drop(it.shift_remove(name)),
        Value::Object(it) => drop(it.insert(name.to_owned(), value)),
        _ => panic!("{parent} has no members"),
    }
    let got = narrowings(&load(before).decl, &load(&after).decl);
    let shown: Vec<_> = got.iter().map(|it| format!("{}: {}", it.pointer, it.reason)).collect();
    assert_eq!(shown, want);
}

#[test]
fn additions_take_nothing_away() {
    check("/schema/properties/customer", json!({ "type": "string" }), &[]);
    check("/schema/required", json!([]), &[]);
    check("/schema/additionalProperties", json!(true), &[]);
    check("/schema/properties/amount", json!({ "type": "integer", "minimum": 1, "description": "minor units", "default": 1 }), &[]);
    check("/lifecycle/transitions/refund", json!({ "from": ["paid"], "to": "expired" }), &[]);
    let line = json!({ "type": "order", "lifecycle": "created -> paid" });
    changed(&line, "/lifecycle", json!("created -> paid -> sent | lost"), &[]);
    check("/indexes", json!([["amount"]]), &[]);
    check("/lifecycle/transitions/pay", json!({ "from": ["created"], "to": "paid", "by": "tenant" }), &[]);
}

#[test]
fn what_is_taken_away_is_named() {
    check("/path", json!("/orders"), &["/path: its path changes from `/order` to `/orders`, which is part of every event"]);
    check("/schema/properties/note", json!(null), &["/schema/properties/note: `note` is not declared any more"]);
    check(
        "/schema/properties/amount",
        json!({ "type": "integer", "minimum": 5 }),
        &["/schema/properties/amount: `amount` is declared in another way"],
    );
    check("/schema/required", json!(["amount", "note"]), &["/schema/required: `note` is required now"]);
    check("/schema/maxProperties", json!(1), &["/schema: the rules for all of it are others"]);
    let open = json!({ "type": "order", "lifecycle": "created -> paid" });
    changed(
        &open,
        "/schema",
        json!({ "properties": { "amount": { "type": "integer" } } }),
        &["/schema/properties/amount: `amount` is declared now, and could hold anything before"],
    );
    changed(&open, "/schema", json!({ "additionalProperties": false }), &["/schema: the rules for all of it are others"]);
    changed(&open, "/lifecycle", json!("created -> done"), &["/lifecycle/statuses/paid: the status `paid` is gone"]);
    changed(
        &open,
        "/mirror",
        json!(true),
        &[
            "/mirror: it becomes a mirror, whose resources have a `source_version`",
            "/schema/properties/source_version: `source_version` is declared now, and could hold anything before",
            "/schema/required: `source_version` is required now",
        ],
    );
}

#[test]
fn rows_are_counted_by_what_they_break_without_what_they_hold() {
    let old = load(&order());
    let row = |amount: u64, note: Option<&str>| {
        let mut body = Map::from_iter([("amount".to_owned(), json!(amount))]);
        body.extend(note.map(|it| ("note".to_owned(), json!(it))));
        let (tenant, id) = (TenantId::default_tenant(), ResourceId::parse("1").unwrap());
        crate::lifecycle::create(&old, tenant, id, body, Timestamp::from_secs(0), EventId::from_bits(1)).unwrap()
    };
    let new = load(&json!({
        "type": "order", "lifecycle": "new -> paid",
        "schema": { "properties": { "amount": { "minimum": 5 } }, "required": ["amount", "note"] },
    }));
    let mut tally = Tally::default();
    for made in [row(1, None), row(7, Some("secret"))] {
        tally.add(misfits(&new, &made.resource, made.timer.as_ref().map(|it| &it.1)));
        tally.add(misfits(&old, &made.resource, made.timer.as_ref().map(|it| &it.1)));
    }
    assert_eq!(tally.rows(), 2);
    assert_eq!(
        tally.reasons(),
        "the status `created` is gone (2), the transition `expire`, which a running timeout will take, is gone (2), `/note` breaks `required` (1), `/amount` breaks `minimum` (1)"
    );
}

#[test]
fn a_resource_as_it_is_shown_fits_the_schema_that_is_shown() {
    let ty = load(&order());
    let body = Map::from_iter([("amount".to_owned(), json!(5))]);
    let (tenant, id) = (TenantId::default_tenant(), ResourceId::parse("1").unwrap());
    let made = crate::lifecycle::create(&ty, tenant, id, body, Timestamp::from_secs(0), EventId::from_bits(1)).unwrap();
    let validator = crate::schema::compile(&shown_schema(&ty.decl)).unwrap();
    let shown: Value = serde_json::from_slice(&made.event.data).unwrap();
    assert_eq!(crate::schema::violations(&validator, &shown, ""), []);
}
