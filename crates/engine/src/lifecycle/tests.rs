//! Tables of changes on the shipped payment type, and the laws of its life.

use super::*;
use crate::type_check;
use core::time::Duration;
use expect_test::{Expect, expect};
use ringback_model::subscription::Until;
use serde_json::json;
use std::sync::LazyLock;

/// Read as the command line reads a type file.
pub(super) fn yaml(text: &str) -> Value {
    serde_saphyr::from_str_with_options(text, serde_saphyr::options! { strict_booleans: true }).unwrap()
}

static PAYMENT: LazyLock<CompiledType> =
    LazyLock::new(|| CompiledType::load(&yaml(include_str!("../../../../examples/types/payment.yaml"))).unwrap());

const T0: Timestamp = Timestamp::from_secs(1_795_458_284);

fn at(secs: i64) -> Timestamp {
    Timestamp::from_secs(T0.as_secs() + secs)
}

fn event_id(no: u128) -> EventId {
    EventId::from_bits(no)
}

fn ty(source: Value) -> CompiledType {
    CompiledType::load(&source).unwrap_or_else(|it| panic!("{it:#?}"))
}

fn made(ty: &CompiledType, body: Value) -> Result<Decided, Refusal> {
    let Value::Object(mut body) = body else { panic!("not a body") };
    let id = take_id(&mut body)?.unwrap_or_else(|| "123".parse().unwrap());
    create(ty, TenantId::default_tenant(), id, body, T0, event_id(1))
}

fn payment() -> Resource {
    made(&PAYMENT, json!({"amount": 1999, "currency": "eur"})).unwrap().resource
}

/// The payment after these operator steps, one second each.
fn after(steps: &[(&str, Value)]) -> Resource {
    let mut row = payment();
    for (no, (name, input)) in steps.iter().enumerate() {
        row = step(&row, name, input.clone(), no as i64 + 1).unwrap().resource;
    }
    row
}

fn step(row: &Resource, name: &str, input: Value, secs: i64) -> Result<Decided, Refusal> {
    transition(&PAYMENT, row, name, Some(input), Actor::Operator, at(secs), event_id(2))
}

fn patched(row: &Resource, patch: Value) -> Result<Option<Decided>, Refusal> {
    super::patch(&PAYMENT, row, None, patch, at(60), event_id(3))
}

fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).unwrap()
}

fn show(it: &Refusal) -> String {
    let list =
        |all: &[Violation]| all.iter().map(|it| format!("{} [{}] {}", it.pointer, it.code, it.detail)).collect::<Vec<_>>().join("\n");
    match it {
        Refusal::Invalid(all) => format!("invalid\n{}", list(all)),
        Refusal::InputInvalid(all) => format!("input invalid\n{}", list(all)),
        Refusal::ReadOnly { pointer, detail } => format!("read-only {pointer}: {detail}"),
        Refusal::NoSuchTransition { requested, suggestion } => format!("no such transition {requested}, meant {suggestion:?}"),
        Refusal::Forbidden { requested, needs } => format!("{requested} needs {needs:?}"),
        Refusal::NotAllowed { requested, current, from, allowed } => {
            format!("{requested} from {from:?}, is {current}, possible {allowed:?}")
        }
        Refusal::Guard { requested, expression, explanation } => format!("{requested}: {expression}: {explanation}"),
    }
}

#[track_caller]
fn refused<T: core::fmt::Debug>(it: Result<T, Refusal>, want: Expect) {
    want.assert_eq(&show(&it.expect_err("it should be refused")));
}

#[test]
fn a_creation_is_one_event() {
    let it = made(&PAYMENT, json!({"id": "123", "amount": 1999, "currency": "eur"})).unwrap();
    assert_eq!(
        text(&it.event.data),
        r#"{"id":"123","type":"payment","tenant":"default","status":"created","version":1,"created_at":"2026-11-23T18:24:44.000000Z","updated_at":"2026-11-23T18:24:44.000000Z","amount":1999,"currency":"eur","refunded":0}"#
    );
    assert_eq!(it.event.data, it.resource.encode());
    assert_eq!((it.event.event_type.as_str(), it.event.subject.as_ref().unwrap().as_str()), ("payment.created", "/payment/123"));
    assert_eq!(
        (it.event.previous, it.event.audience, it.event.timestamp, it.timer, it.deleted),
        (None, Authority::Tenant, T0, None, false)
    );
    let of = it.event.of.unwrap();
    assert_eq!((of.version, of.entered.unwrap().as_str(), of.deleted), (1, "created", false));
}

#[test]
fn creations_that_are_refused() {
    refused(
        made(&PAYMENT, json!({"amount": "x"})),
        expect![[r#"
        invalid
        /currency [required] `currency` is required
        /amount [type] "x" is not of type "integer""#]],
    );
    refused(
        made(&PAYMENT, json!({"amuont": 1, "amount": 1, "currency": "eur"})),
        expect![[r#"
        invalid
        /amuont [additionalProperties] `amuont` is not declared; did you mean `amount`?"#]],
    );
    refused(
        made(&PAYMENT, json!({"amount": 0, "currency": "EUR", "metadata": {"a/b": 1}})),
        expect![[r#"
        invalid
        /amount [minimum] 0 is less than the minimum of 1
        /currency [pattern] "EUR" does not match "^[a-z]{3}$"
        /metadata/a~1b [type] 1 is not of type "string""#]],
    );
    refused(
        made(&PAYMENT, json!({"amount": 1e20, "currency": "eur"})),
        expect![[r#"
        invalid
        /amount [type] 1e20 is beyond what an integer can be: -2^63 to 2^64-1"#]],
    );
    refused(
        made(&PAYMENT, json!({"amount": 1, "currency": "eur", "customer": null})),
        expect![[r#"
        invalid
        /customer [type] null is not of type "string""#]],
    );
    refused(
        made(&PAYMENT, json!({"id": "a/b", "amount": 1, "currency": "eur"})),
        expect![[r#"
        invalid
        /id [format] `a/b` is not a resource id: 1 to 128 of A-Z a-z 0-9 . _ ~ -, and not `.` or `..`"#]],
    );
    refused(
        made(&PAYMENT, json!({"id": 7})),
        expect![[r#"
        invalid
        /id [type] an id is a string, such as `"123"`"#]],
    );
    refused(
        made(&PAYMENT, json!({"amount": 1, "currency": "eur", "status": "completed"})),
        expect!["read-only /status: a new payment is `created`; transitions change its status"],
    );
    refused(
        made(&PAYMENT, json!({"amount": 1, "currency": "eur", "version": 7})),
        expect!["read-only /version: `version` is given by the server; leave it out"],
    );
    refused(
        made(&PAYMENT, json!({"amount": 1, "currency": "eur", "refunded": 1})),
        expect!["read-only /refunded: `refunded` is read-only: only `refund` can set it"],
    );
}

#[test]
fn whole_doubles_are_integers_where_an_integer_is_declared() {
    let it = made(&PAYMENT, json!({"amount": 5.0, "currency": "eur"})).unwrap();
    assert!(text(&it.event.data).contains(r#""amount":5,"#), "{}", text(&it.event.data));
    refused(
        made(&PAYMENT, json!({"amount": 5.5, "currency": "eur"})),
        expect![[r#"
        invalid
        /amount [type] 5.5 is not of type "integer""#]],
    );
}

#[test]
fn a_transition_enters_a_status() {
    let row = payment();
    let it = step(&row, "process", json!(null), 5).unwrap();
    assert_eq!(
        (it.resource.status.as_str(), it.resource.version, it.resource.since, it.resource.updated_at),
        ("processing", 2, at(5), at(5))
    );
    assert_eq!(it.resource.created_at, T0);
    assert_eq!(text(it.event.previous.as_ref().unwrap()), r#"{"status":"created"}"#);
    assert_eq!(it.event.event_type.as_str(), "payment.processing");
    assert_eq!(it.event.of.as_ref().unwrap().entered.as_ref().unwrap().as_str(), "processing");
    let (due_at, name) = it.timer.clone().unwrap();
    assert_eq!((due_at, name.as_str()), (at(5 + 900), "fail"));
    // The timer's transition, as the system takes it.
    let input = PAYMENT.decl.status(&it.resource.status).unwrap().timeout.as_ref().unwrap().input.clone();
    let late = transition(&PAYMENT, &it.resource, name.as_str(), input, Actor::System, due_at, event_id(4)).unwrap();
    assert_eq!((late.resource.status.as_str(), late.timer), ("failed", None));
    assert_eq!(text(late.event.previous.as_ref().unwrap()), r#"{"status":"processing","failure":null}"#);
    assert_eq!(late.resource.fields.get("failure"), Some(&json!({"code": "timeout"})));
}

#[test]
fn an_input_is_kept_as_it_was_sent() {
    let it = step(&payment(), "fail", json!({"message": "no", "code": "x", "more": [1.50, {"z": 1, "a": 2}]}), 1).unwrap();
    assert!(
        text(&it.event.data).ends_with(r#""failure":{"message":"no","code":"x","more":[1.5,{"z":1,"a":2}]}}"#),
        "{}",
        text(&it.event.data)
    );
}

#[test]
fn a_refund_leads_where_its_amount_says() {
    let row = after(&[("complete", json!({}))]);
    let part = transition(&PAYMENT, &row, "refund", Some(json!({"amount": 999})), Actor::Tenant, at(9), event_id(5)).unwrap();
    assert_eq!((part.resource.status.as_str(), part.resource.fields.get("refunded")), ("partially_refunded", Some(&json!(999))));
    assert_eq!(text(part.event.previous.as_ref().unwrap()), r#"{"status":"completed","refunded":0}"#);
    let more = step(&part.resource, "refund", json!({"amount": 1}), 10).unwrap();
    assert_eq!(text(more.event.previous.as_ref().unwrap()), r#"{"refunded":999}"#);
    assert_eq!(more.event.of.as_ref().unwrap().entered.as_ref().unwrap().as_str(), "partially_refunded", "entered anew");
    assert_eq!(more.resource.since, at(10));
    let rest = step(&more.resource, "refund", json!({"amount": 999}), 11).unwrap();
    assert_eq!(rest.resource.status.as_str(), "refunded");
}

#[test]
fn transitions_that_are_refused() {
    let row = after(&[("complete", json!({}))]);
    refused(
        step(&row, "complete", json!({}), 2),
        expect![[r#"complete from ["created", "processing"], is completed, possible ["refund"]"#]],
    );
    refused(step(&row, "refnud", json!({}), 2), expect![[r#"no such transition refnud, meant Some("refund")"#]]);
    refused(step(&row, "", json!({}), 2), expect![[r#"no such transition , meant None"#]]);
    refused(transition(&PAYMENT, &payment(), "complete", None, Actor::Tenant, at(1), event_id(2)), expect!["complete needs Operator"]);
    refused(
        step(&row, "refund", json!({"amount": 2000}), 2),
        expect!["refund: self.refunded + input.amount <= self.amount: self.amount is 1999, self.refunded is 0, input.amount is 2000"],
    );
    refused(
        step(&row, "refund", json!({"amount": i64::MAX}), 2),
        expect![
            "refund: self.refunded + input.amount <= self.amount: self.amount is 1999, self.refunded is 0, input.amount is 9223372036854775807"
        ],
    );
    let part = step(&row, "refund", json!({"amount": 1}), 2).unwrap().resource;
    refused(
        step(&part, "refund", json!({"amount": i64::MAX}), 3),
        expect!["refund: self.refunded + input.amount <= self.amount: a number leaves the range of 64-bit integers"],
    );
    refused(
        step(&part, "refund", json!({"amount": u64::MAX}), 3),
        expect!["refund: self.refunded + input.amount <= self.amount: a number leaves the range of 64-bit integers"],
    );
    refused(
        step(&row, "refund", json!(null), 2),
        expect![[r#"
        input invalid
        /amount [required] `amount` is required"#]],
    );
    refused(
        step(&row, "refund", json!({"amount": 1e30}), 2),
        expect![[r#"
        input invalid
        /amount [type] 1e30 is beyond what an integer can be: -2^63 to 2^64-1"#]],
    );
    refused(
        step(&row, "refund", json!([1]), 2),
        expect![[r#"
        input invalid
         [type] [1] is not of type "object""#]],
    );
    refused(
        step(&payment(), "process", json!({"x": 1}), 2),
        expect![[r#"
        input invalid
         [input] `process` takes no input; send no body"#]],
    );
}

#[test]
fn expressions_that_have_no_value_refuse() {
    let type_of = |guard: &str, set: &str| {
        ty(json!({
            "type": "job",
            "schema": { "properties": { "n": { "type": "integer" }, "price": { "type": "number" }, "note": { "type": ["string", "null"] }, "list": { "type": "array" } } },
            "lifecycle": {
                "statuses": { "open": {}, "closed": { "done": true } },
                "transitions": { "close": { "from": ["open"], "to": [{ "when": guard, "status": "closed" }], "set": { "n": set } } }
            }
        }))
    };
    let run = |guard: &str, set: &str, body: Value| {
        let ty = type_of(guard, set);
        let row = made(&ty, body)?.resource;
        transition(&ty, &row, "close", None, Actor::System, at(1), event_id(2))
    };
    refused(run("self.n > 1", "1", json!({})), expect!["close: self.n > 1: `self.n` is not there"]);
    refused(run("self.n > 1", "1", json!({"n": 1})), expect!["close: self.n > 1: no branch of `to` holds; self.n is 1"]);
    refused(run("self.n", "1", json!({"n": 1})), expect!["close: self.n: the result is not true or false"]);
    refused(run("10 / self.n > 1", "1", json!({"n": 0})), expect!["close: 10 / self.n > 1: it divides by zero"]);
    refused(
        run("self.list[3] == 1", "1", json!({"list": [1]})),
        expect!["close: self.list[3] == 1: it asks for an element that is not in the list"],
    );
    refused(run("true", "self.n + 1", json!({"n": i64::MAX})), expect!["close: self.n + 1: a number leaves the range of 64-bit integers"]);
    refused(
        run("true", "self.note", json!({"note": "x"})),
        expect![[r#"
        invalid
        /n [type] "x" is not of type "integer""#]],
    );
    refused(run("true", "self.price / 0.0", json!({"price": 1})), expect!["close: self.price / 0.0: the result is not a JSON value"]);
    let done = run("self.price * 2.0 == 6.0 && !has(self.note)", "self.n + 1", json!({"n": i64::MAX - 1, "price": 3})).unwrap();
    assert_eq!(done.resource.fields.get("n"), Some(&json!(i64::MAX)));
    let gone = run("true", "null", json!({"n": 1})).unwrap();
    assert_eq!(gone.resource.fields.get("n"), None);
    assert_eq!(text(gone.event.previous.as_ref().unwrap()), r#"{"status":"open","n":1}"#);
    let implicit =
        run("self.version == 1 && self.status == 'open' && self.id == '123' && self.created_at <= self.updated_at", "1", json!({}));
    assert!(implicit.is_ok());
}

#[test]
fn a_patch_changes_what_it_names() {
    let row = after(&[("process", json!({}))]);
    let timer = Some((at(900), "fail".parse().unwrap()));
    let it = super::patch(&PAYMENT, &row, timer.clone(), json!({"customer": "ada", "metadata": {"a": "1"}}), at(60), event_id(3))
        .unwrap()
        .unwrap();
    assert_eq!(
        (it.resource.version, it.resource.updated_at, it.resource.since, it.resource.status.as_str()),
        (3, at(60), at(1), "processing")
    );
    assert_eq!(text(it.event.previous.as_ref().unwrap()), r#"{"customer":null,"metadata":null}"#);
    assert_eq!((it.event.event_type.as_str(), it.timer), ("payment.updated", timer));
    assert_eq!(it.event.of.as_ref().unwrap().entered, None);
    let less = patched(&it.resource, json!({"customer": null, "metadata": {"a": null, "b": "2"}})).unwrap().unwrap();
    assert_eq!(text(less.event.previous.as_ref().unwrap()), r#"{"customer":"ada","metadata":{"a":"1"}}"#);
    assert_eq!(less.resource.fields.get("metadata"), Some(&json!({"b": "2"})));
}

#[test]
fn a_patch_that_changes_nothing_is_none() {
    let row = payment();
    for patch in [
        json!({}),
        json!({"amount": 1999}),
        json!({"amount": 1999.0, "refunded": 0}),
        json!({"customer": null, "failure": null}),
        json!({"id": "123", "type": "payment", "tenant": "default", "status": "created", "version": 1}),
        json!({"created_at": "2026-11-23T19:24:44+01:00", "updated_at": "2026-11-23T18:24:44Z"}),
    ] {
        assert_eq!(patched(&row, patch.clone()), Ok(None), "{patch}");
    }
    let all: Value = serde_json::from_slice(&row.encode()).unwrap();
    assert_eq!(patched(&row, all), Ok(None), "what was read can be sent back");
}

#[test]
fn patches_that_are_refused() {
    let row = payment();
    refused(patched(&row, json!({"amount": 5})), expect!["read-only /amount: `amount` keeps the value it was created with"]);
    refused(patched(&row, json!({"amount": null})), expect!["read-only /amount: `amount` keeps the value it was created with"]);
    refused(patched(&row, json!({"refunded": 5})), expect!["read-only /refunded: `refunded` is read-only: only `refund` can set it"]);
    refused(
        patched(&row, json!({"failure": {"code": "x"}})),
        expect!["read-only /failure: `failure` is read-only: only `fail` can set it"],
    );
    refused(
        patched(&row, json!({"status": "completed"})),
        expect!["read-only /status: transitions change the status; ask `status` for those that are possible now"],
    );
    refused(patched(&row, json!({"id": null})), expect!["read-only /id: `id` is kept by the server; leave it out"]);
    refused(patched(&row, json!({"version": 2})), expect!["read-only /version: `version` is kept by the server; leave it out"]);
    refused(
        patched(&row, json!({"customer": 7, "x": 1})),
        expect![[r#"
        invalid
        /customer [type] 7 is not of type "string"
        /x [additionalProperties] `x` is not declared"#]],
    );
    refused(
        patched(&row, json!([])),
        expect![[r#"
        invalid
         [type] a merge-patch is an object with the members to change"#]],
    );
}

#[test]
fn a_resource_can_not_grow_for_ever() {
    let open = ty(json!({"type": "note", "lifecycle": "on"}));
    let mut row = made(&open, json!({})).unwrap().resource;
    let mut refusal = None;
    for no in 0..4 {
        let patch = json!({ format!("m{no}"): "x".repeat(700 * 1024) });
        match super::patch(&open, &row, None, patch, at(1), event_id(2)) {
            Ok(it) => row = it.unwrap().resource,
            Err(it) => refusal = Some(show(&it)),
        }
    }
    expect![[r#"
        invalid
         [size] it would have 2150581 bytes; a resource has at most 2097152"#]]
    .assert_eq(&refusal.unwrap());
    let mut deep = json!(1);
    for _ in 0..limits::JSON_DEPTH_MAX {
        deep = json!([deep]);
    }
    refused(
        made(&open, json!({ "deep": deep })),
        expect![[r#"
        invalid
        /deep [depth] it would be nested more than 64 levels deep"#]],
    );
}

#[test]
fn a_deletion_carries_the_last_image() {
    let row = after(&[("process", json!({}))]);
    let it = delete(&PAYMENT, &row, at(99), event_id(7));
    assert_eq!((it.resource.version, it.resource.updated_at, it.timer, it.deleted), (3, at(99), None, true));
    assert_eq!(it.event.data, it.resource.encode());
    assert_eq!((it.event.event_type.as_str(), &it.event.previous), ("payment.deleted", &None));
    let of = it.event.of.unwrap();
    assert_eq!((of.version, of.entered, of.deleted), (3, None, true));
}

#[test]
fn what_is_possible_next() {
    let status = |it: &str| -> StatusName { it.parse().unwrap() };
    let next = |it: &str, actor| super::next(&PAYMENT, &status(it), actor).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(next("created", Actor::Operator), "process complete fail");
    assert_eq!(next("created", Actor::Tenant), "");
    assert_eq!(next("completed", Actor::Tenant), "refund");
    assert_eq!(next("processing", Actor::System), "complete fail");
    assert_eq!(next("refunded", Actor::Operator), "");
    let names = |all: Vec<EventType>| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    assert_eq!(names(next_events(&PAYMENT, &status("created"), Actor::Operator)), "payment.processing payment.completed payment.failed");
    assert_eq!(
        names(event_names(&PAYMENT)),
        "payment.created payment.processing payment.completed payment.failed payment.refunded payment.updated payment.deleted"
    );
    let reach = |from: &str, to: &[&str]| reachable(&PAYMENT, &status(from), &to.iter().map(|it| status(it)).collect::<Vec<_>>());
    assert!(reach("created", &["refunded"]));
    assert!(reach("completed", &["completed"]));
    assert!(!reach("completed", &["processing", "failed"]));
    assert!(!reach("failed", &["completed"]));
    assert!(!reach("created", &[]));
    let done = until_statuses(&PAYMENT, &Until::Done);
    assert_eq!(done.iter().map(StatusName::as_str).collect::<Vec<_>>(), ["completed", "failed", "partially_refunded", "refunded"]);
    assert_eq!(until_statuses(&PAYMENT, &Until::Statuses(vec![status("failed")])), [status("failed")]);
}

#[test]
fn patience_grows_with_the_wait() {
    for (secs, want) in [(0, 1), (9, 1), (25, 2), (300, 30), (3_600, 60), (-5, 1)] {
        assert_eq!(retry_after(&PAYMENT, T0, at(secs), None), Duration::from_secs(want), "{secs}");
    }
    for (usual, want) in [(0, 1_000), (999, 1_000), (7_300, 7_300), (60_000, 60_000), (3_600_000, 60_000)] {
        let learned = Some(Duration::from_millis(usual));
        assert_eq!(retry_after(&PAYMENT, T0, at(300), learned), Duration::from_millis(want), "what is known of others counts");
    }
}

#[test]
fn a_short_type_takes_any_field() {
    let order = ty(json!({"type": "order", "lifecycle": "created -> paid -> shipped | cancelled"}));
    let row = made(&order, json!({"b": [1, {"c": null}], "a": 1.5})).unwrap().resource;
    let paid = transition(&order, &row, "paid", None, Actor::Operator, at(1), event_id(2)).unwrap();
    assert_eq!(paid.event.event_type.as_str(), "order.paid");
    assert!(text(&paid.event.data).ends_with(r#""b":[1,{"c":null}],"a":1.5}"#));
}

#[test]
fn what_is_read_with_less_authority_is_seen_by_less() {
    let it = ty(json!({"type": "note", "lifecycle": "on", "access": {"read": "operator"}}));
    assert_eq!(made(&it, json!({})).unwrap().event.audience, Authority::Operator);
}

#[test]
fn compiled_types_are_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&*PAYMENT);
    assert!(type_check::check(&PAYMENT.decl.source).is_ok(), "a type can be loaded again from its source");
}

mod walks {
    use super::*;
    use proptest::{collection::vec, prelude::*};

    #[derive(Clone, Debug)]
    enum Act {
        Step(&'static str, Value, Actor),
        Patch(Value),
    }

    fn act() -> impl Strategy<Value = Act> {
        let amount = prop_oneof![4 => (-10i64..1_200).prop_map(Value::from), 1 => any::<i64>().prop_map(Value::from), 1 => any::<u64>().prop_map(Value::from), 1 => any::<f64>().prop_map(Value::from)];
        let actor = prop_oneof![Just(Actor::Tenant), Just(Actor::Operator), Just(Actor::System)];
        let name = prop_oneof![Just("process"), Just("complete"), Just("fail"), Just("refund"), Just("refund"), Just("none")];
        let input = prop_oneof![
            4 => amount.prop_map(|it| json!({"amount": it, "code": "x"})),
            1 => Just(Value::Null),
            1 => Just(json!({"code": 1})),
            1 => Just(json!("x")),
        ];
        let patch = (
            prop::option::of("[ab]{0,2}"),
            prop::option::of("[xy]"),
            prop_oneof![Just("customer"), Just("metadata"), Just("amount"), Just("status"), Just("refunded")],
        )
            .prop_map(|(value, inner, name)| match inner {
                Some(inner) => json!({ name: { inner: value } }),
                None => json!({ name: value }),
            });
        prop_oneof![3 => (name, input, actor).prop_map(|(a, b, c)| Act::Step(a, b, c)), 1 => patch.prop_map(Act::Patch)]
    }

    fn object(bytes: &[u8]) -> Map<String, Value> {
        serde_json::from_slice(bytes).unwrap()
    }

    proptest! {
        #[test]
        fn of_a_payment(acts in vec(act(), 0..40)) {
            let mut row = payment();
            let mut timer = None;
            for (no, act) in acts.into_iter().enumerate() {
                let now = at(no as i64 + 1);
                let decided = match act {
                    Act::Step(name, input, actor) => transition(&PAYMENT, &row, name, Some(input), actor, now, event_id(9)).ok(),
                    Act::Patch(patch) => {
                        let decided = super::super::patch(&PAYMENT, &row, timer.clone(), patch.clone(), now, event_id(9)).ok().flatten();
                        if let Some(it) = &decided {
                            let again = super::super::patch(&PAYMENT, &it.resource, timer.clone(), patch, now, event_id(9));
                            prop_assert_eq!(again, Ok(None), "a patch has nothing to do a second time");
                            prop_assert_eq!(&it.timer, &timer);
                        }
                        decided
                    }
                };
                let Some(it) = decided else { continue };
                prop_assert_eq!(it.resource.version, row.version + 1);
                prop_assert_eq!(&it.event.data, &it.resource.encode());
                let entered = it.event.of.as_ref().unwrap().entered.clone();
                prop_assert_eq!(it.resource.since, if entered.is_some() { now } else { row.since });
                prop_assert_eq!(entered.unwrap_or_else(|| row.status.clone()), it.resource.status.clone());
                prop_assert_eq!(it.timer.is_some(), it.resource.status.as_str() == "processing");
                let number = |name: &str| it.resource.fields.get(name).and_then(Value::as_i64).unwrap();
                prop_assert!((0..=number("amount")).contains(&number("refunded")));

                // The new image with `previous` over it is the old one, but for version and time.
                let mut back = object(&it.event.data);
                for (name, was) in object(it.event.previous.as_ref().unwrap()) {
                    if was.is_null() { back.remove(&name); } else { back.insert(name, was); }
                }
                let mut old = object(&row.encode());
                for name in ["version", "updated_at"] {
                    back.remove(name);
                    old.remove(name);
                }
                prop_assert_eq!(back, old);
                timer = it.timer;
                row = it.resource;
            }
        }
    }
}
