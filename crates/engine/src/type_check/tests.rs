//! Tables of declarations that load, and of those that are refused with their reasons.

use super::*;
use serde_json::json;

const PAYMENT: &str = include_str!("../../../../examples/types/payment.yaml");
const MESSAGE: &str = include_str!("../../../../examples/types/message.yaml");
const DEPLOYMENT: &str = include_str!("../../../../examples/types/deployment.yaml");
const TABLE: &str = include_str!("../../../../examples/types/table.yaml");

#[track_caller]
fn yaml(text: &str) -> Value {
    // Only true and false are booleans: a country `no` and a status `on` stay what they are.
    serde_saphyr::from_str_with_options(text, serde_saphyr::options! { strict_booleans: true }).unwrap()
}

/// The declaration `text` is refused for exactly these reasons: (pointer, part of the reason).
#[track_caller]
fn refused(source: &Value, want: &[(&str, &str)]) {
    let got = check(source).expect_err("it should be refused");
    let shown: Vec<String> = got.iter().map(|it| format!("{}: {}", it.pointer, it.reason)).collect();
    assert_eq!(got.len(), want.len(), "{shown:#?}");
    for (pointer, reason) in want {
        assert!(
            got.iter().any(|it| it.pointer == *pointer && it.reason.contains(reason)),
            "no problem at {pointer} with {reason:?} in {shown:#?}"
        );
    }
}

/// The payment type with one place changed (`null` removes) is refused so.
#[track_caller]
fn payment_with(pointer: &str, value: Value, want: &[(&str, &str)]) {
    refused(&changed(pointer, value), want);
}

fn changed(pointer: &str, value: Value) -> Value {
    let mut source = yaml(PAYMENT);
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    match source.pointer_mut(parent).unwrap() {
        Value::Object(it) if value.is_null() => drop(it.shift_remove(name)),
        Value::Object(it) => drop(it.insert(name.to_owned(), value)),
        Value::Array(it) => it[name.parse::<usize>().unwrap()] = value,
        _ => panic!("{parent} has no members"),
    }
    source
}

#[test]
fn yaml_is_read_as_people_write_it() {
    let it = yaml("a: { b: 15m, c: [1, -2, 1.5, true, null], d: {} }\ne:\nf: 'x'\ng: \"^[a-z]{3}$\"\nh: 2026-11-23\ni: no\n");
    assert_eq!(it, json!({"a":{"b":"15m","c":[1,-2,1.5,true,null],"d":{}},"e":null,"f":"x","g":"^[a-z]{3}$","h":"2026-11-23","i":"no"}));
    assert!(serde_saphyr::from_str::<Value>("a: 1\na: 2").is_err(), "a name that stands twice is refused");
}

#[test]
fn the_shipped_types_load() {
    for (text, name, path, prefix) in [
        (PAYMENT, "payment", "/payment", "pay_"),
        (MESSAGE, "message", "/message", "msg_"),
        (DEPLOYMENT, "deployment", "/deployment", "dep_"),
        (TABLE, "table", "/table", "tbl_"),
    ] {
        let decl = check(&yaml(text)).unwrap_or_else(|it| panic!("{name}: {it:#?}"));
        assert_eq!((decl.name.as_str(), decl.path.as_str(), decl.id_prefix.as_str()), (name, path, prefix));
        assert!(!decl.examples.is_empty());
    }
    let all: Vec<TypeDecl> = [PAYMENT, MESSAGE, DEPLOYMENT, TABLE].iter().map(|it| check(&yaml(it)).unwrap()).collect();
    assert_eq!(check_all(&all.iter().collect::<Vec<_>>()), []);
}

#[test]
fn the_full_form_is_read_whole() {
    let source = yaml(PAYMENT);
    let it = check(&source).unwrap();
    assert_eq!(it.source, source);
    assert_eq!(it.immutable, ["amount", "currency"]);
    assert_eq!(it.read_only, ["refunded", "failure"]);
    assert_eq!(it.defaults, [("refunded".to_owned(), json!(0))]);
    assert_eq!(it.lifecycle.initial.as_str(), "created");
    assert_eq!(it.lifecycle.statuses.iter().filter(|it| it.done).count(), 4);
    let timeout = it.status(&"processing".parse().unwrap()).unwrap().timeout.clone().unwrap();
    assert_eq!(
        (timeout.after, timeout.transition.as_str(), timeout.input),
        (Duration::from_secs(900), "fail", Some(json!({"code":"timeout"})))
    );
    let refund = it.transition("refund").unwrap();
    assert_eq!(refund.by, Authority::Tenant);
    assert_eq!(refund.to.len(), 2);
    assert_eq!(refund.set, [("refunded".to_owned(), "self.refunded + input.amount".to_owned())]);
    assert_eq!(it.indexes, [["status", "created_at"], ["customer", "created_at"]]);
    assert_eq!(it.poll, Poll { min: Duration::from_secs(1), max: Duration::from_secs(60) });
}

#[test]
fn two_lines_suffice() {
    let it = check(&yaml("type: order\nlifecycle: created -> paid -> shipped | cancelled\n")).unwrap();
    assert_eq!((it.path.as_str(), it.id_prefix.as_str()), ("/order", "ord_"));
    assert_eq!(it.schema, json!({"type":"object"}));
    assert_eq!(it.events.updated.as_str(), "order.updated");
    assert_eq!(
        it.access,
        Access { read: Authority::Tenant, create: Authority::Operator, update: Authority::Operator, delete: Authority::Operator }
    );
    assert!(!it.require_if_match);
    let statuses: Vec<(&str, bool)> = it.lifecycle.statuses.iter().map(|it| (it.name.as_str(), it.done)).collect();
    assert_eq!(statuses, [("created", false), ("paid", false), ("shipped", true), ("cancelled", true)]);
    let steps: Vec<String> = it
        .lifecycle
        .transitions
        .iter()
        .map(|it| format!("{} {:?} {:?} {} {:?}", it.name, it.from, it.to[0].status, it.event, it.by))
        .collect();
    assert_eq!(
        steps,
        [
            "paid [\"created\"] \"paid\" order.paid Operator",
            "shipped [\"paid\"] \"shipped\" order.shipped Operator",
            "cancelled [\"paid\"] \"cancelled\" order.cancelled Operator"
        ]
    );
    let lone = check(&json!({"type":"Go","lifecycle":"on","require_if_match":true})).unwrap();
    assert_eq!((lone.id_prefix.as_str(), lone.require_if_match, lone.lifecycle.transitions.len()), ("go_", true, 0));
}

#[test]
fn the_full_form_has_defaults() {
    let it = check(&json!({
        "type": "job",
        "lifecycle": {
            "statuses": { "open": null, "closed": { "done": true }, "lost": { "done": true } },
            "transitions": {
                "close": { "from": ["open"], "to": "closed" },
                "check": { "from": ["open"], "to": [{ "when": "self.x == 1", "status": "lost" }, { "status": "open" }] }
            }
        },
        "poll": { "min": "5s" },
        "access": { "create": "tenant" }
    }))
    .unwrap();
    assert_eq!(it.lifecycle.initial.as_str(), "open");
    assert_eq!(it.transition("close").unwrap().event.as_str(), "job.closed");
    assert_eq!(it.transition("check").unwrap().event.as_str(), "job.check");
    assert_eq!(it.transition("check").unwrap().by, Authority::Operator);
    assert_eq!(it.poll.min, Duration::from_secs(5));
    assert_eq!(it.access.create, Authority::Tenant);
}

#[test]
fn what_is_not_a_declaration_is_refused() {
    refused(&json!([]), &[("", "expected a map, found a list")]);
    refused(&json!(null), &[("", "expected a map, found nothing")]);
    refused(&json!({}), &[("/type", "`type` is missing"), ("/lifecycle", "`lifecycle` is missing")]);
    refused(&json!({"type":"a b","lifecycle":"x"}), &[("/type", "is not a type name")]);
    refused(&json!({"type":7,"lifecycle":"x"}), &[("/type", "expected text, found a number")]);
    refused(&json!({"type":"ringback","lifecycle":"x"}), &[("/type", "the server's own")]);
    refused(&json!({"type":"docs","lifecycle":"x"}), &[("/type", "its path would be `/docs`")]);
    let long = "x".repeat(limits::TYPE_FILE_BYTES_MAX);
    refused(&json!({"type":"a","lifecycle":"x","examples":[long]}), &[("", "at most 262144")]);
}

#[test]
fn a_mirror_makes_no_choice_of_its_own() {
    payment_with(
        "/mirror",
        json!(true),
        &[
            ("/lifecycle/transitions", "its status comes with each PUT"),
            ("/lifecycle/statuses/processing/timeout", "leave the timeout to the source"),
            ("/events/created", "leave `created` out"),
            ("/schema/x-immutable", "takes what its source says"),
        ],
    );
    let mirror = |more: Value| {
        let mut source = json!({"type":"invoice","mirror":true,"lifecycle":{"statuses":{"open":{},"paid":{"done":true}}}});
        source.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        source
    };
    // No status has to be reachable, and none is a dead end.
    let it = check(&mirror(json!({}))).unwrap();
    assert!(it.mirror && it.lifecycle.transitions.is_empty());
    assert_eq!(
        it.event_types().iter().map(|it| it.as_str()).collect::<Vec<_>>(),
        ["invoice.open", "invoice.paid", "invoice.updated", "invoice.deleted"]
    );
    assert_eq!(it.source, mirror(json!({})), "shown as it was written");
    check(&mirror(json!({"indexes":[["source_version"]]}))).unwrap();
    refused(&mirror(json!({"require_if_match":true})), &[("/require_if_match", "guarded by `source_version`")]);
    refused(
        &mirror(json!({"schema":{"properties":{"source_version":{"type":"integer"}}}})),
        &[("/schema/properties/source_version", "has `source_version` already")],
    );
    refused(&mirror(json!({"schema":{"required":["a"]},"examples":[{"status":"open"}]})), &[("/examples/0/source_version", "is required")]);
}

#[test]
fn unknown_members_are_refused_with_a_suggestion() {
    payment_with("/lifecicle", json!({}), &[("/lifecicle", "there is no `lifecicle` here; did you mean `lifecycle`?")]);
    payment_with("/zzz", json!(1), &[("/zzz", "here may stand type, path")]);
    payment_with("/id/prefx", json!("x"), &[("/id/prefx", "did you mean `prefix`?")]);
    payment_with("/lifecycle/start", json!("x"), &[("/lifecycle/start", "there is no `start` here")]);
    payment_with("/lifecycle/statuses/created", json!({"don":true}), &[("/lifecycle/statuses/created/don", "did you mean `done`?")]);
    payment_with("/lifecycle/transitions/refund/gaurd", json!("true"), &[("/lifecycle/transitions/refund/gaurd", "did you mean `guard`?")]);
    payment_with(
        "/lifecycle/statuses/processing/timeout/in",
        json!(1),
        &[("/lifecycle/statuses/processing/timeout/in", "there is no `in`")],
    );
    payment_with("/events/create", json!("payment.x"), &[("/events/create", "did you mean `created`?")]);
    payment_with("/access/reed", json!("tenant"), &[("/access/reed", "did you mean `read`?")]);
    payment_with("/poll/every", json!("1s"), &[("/poll/every", "there is no `every`")]);
}

#[test]
fn paths_are_checked() {
    for (path, why) in [
        ("payment", "1 to 3 segments"),
        ("/", "1 to 3 segments"),
        ("/a/", "1 to 3 segments"),
        ("/a/b/c/d", "1 to 3 segments"),
        ("/a b", "1 to 3 segments"),
        ("/a/..", "1 to 3 segments"),
        ("/ä", "1 to 3 segments"),
        ("/v1/payment", "`/v1` is the server's own"),
        ("/in", "the server's own"),
        ("/livez", "the server's own"),
        ("/readyz/x", "the server's own"),
        ("/metrics", "the server's own"),
        ("/docs", "the server's own"),
        ("/console", "the server's own"),
        ("/errors", "the server's own"),
        ("/openapi.json", "the server's own"),
        ("/.well-known/x", "the server's own"),
        (&format!("/{}", "a".repeat(200)), "at most 128 bytes"),
    ] {
        payment_with("/path", json!(path), &[("/path", why)]);
    }
    assert!(check(&changed("/path", json!("/shop/v1/payments"))).is_ok());
    payment_with("/id/prefix", json!("a/b"), &[("/id/prefix", "a prefix has 1 to 32")]);
    payment_with("/id", json!({}), &[("/id/prefix", "`prefix` is missing")]);
}

#[test]
fn types_are_checked_beside_each_other() {
    let decl = |name: &str, path: &str| check(&json!({"type":name,"path":path,"lifecycle":"x"})).unwrap();
    #[track_caller]
    fn problems(types: &[TypeDecl], want: &[(&str, &str)]) {
        let got = check_all(&types.iter().collect::<Vec<_>>());
        assert_eq!(got.len(), want.len(), "{got:#?}");
        for ((pointer, reason), got) in want.iter().zip(&got) {
            assert!(got.pointer == *pointer && got.reason.contains(reason), "{got:?}");
        }
    }
    problems(&[decl("a", "/a"), decl("b", "/ab"), decl("c", "/c/a")], &[]);
    problems(&[decl("a", "/a"), decl("a", "/b")], &[("/a/type", "another type is named `a`")]);
    problems(&[decl("a", "/x"), decl("b", "/x")], &[("/b/path", "the path of `a` as well")]);
    problems(&[decl("a", "/x"), decl("b", "/x/y")], &[("/b/path", "one begins with the other")]);
    problems(&[decl("a", "/x/y/z"), decl("b", "/x")], &[("/b/path", "one begins with the other")]);
    let many: Vec<TypeDecl> = (0..=limits::TYPES_MAX).map(|it| decl(&format!("t{it}"), &format!("/t{it}"))).collect();
    problems(&many, &[("", "a server has at most 500")]);
}

#[test]
fn lifecycles_in_one_line_are_checked() {
    for (line, why) in [
        ("", "a status is missing"),
        ("a ->", "a status is missing"),
        ("a -> b || c", "a status is missing"),
        ("a | b -> c", "begins with one status"),
        ("a -> b -> a", "stands here twice"),
        ("a -> b | b", "stands here twice"),
        ("a -> 1b", "is not a status"),
        ("a > b", "is not a status"),
    ] {
        refused(&json!({"type":"order","lifecycle":line}), &[("/lifecycle", why)]);
    }
    refused(
        &json!({"type":"order","lifecycle":"created -> events"}),
        &[("/lifecycle/transitions/events", "`/order/{id}/events` is a route of the server's own")],
    );
    let many = (0..=limits::STATUSES_MAX).map(|it| format!("s{it}")).collect::<Vec<_>>().join(" -> ");
    refused(&json!({"type":"order","lifecycle":many}), &[("/lifecycle", "at most 100 statuses")]);
}

#[test]
fn statuses_must_be_reached_and_left() {
    payment_with(
        "/lifecycle/statuses/lost",
        json!({"done":true}),
        &[("/lifecycle/statuses/lost", "no way leads from `created` to `lost`")],
    );
    payment_with("/lifecycle/statuses/failed", json!({}), &[("/lifecycle/statuses/failed", "nothing leads away from `failed`")]);
    payment_with(
        "/lifecycle/initial",
        json!("craeted"),
        &[("/lifecycle/initial", "there is no status `craeted`; did you mean `created`?")],
    );
    refused(&json!({"type":"a","lifecycle":{"statuses":{}}}), &[("/lifecycle/statuses", "declare at least one")]);
    refused(&json!({"type":"a","lifecycle":{}}), &[("/lifecycle/statuses", "`statuses` is missing")]);
    refused(&json!({"type":"a","lifecycle":{"statuses":{"9":{}}}}), &[("/lifecycle/statuses/9", "is not a status")]);
    refused(&json!({"type":"a","lifecycle":{"statuses":["x"]}}), &[("/lifecycle/statuses", "expected a map, found a list")]);
    let many: serde_json::Map<String, Value> = (0..=limits::STATUSES_MAX).map(|it| (format!("s{it}"), json!({"done":true}))).collect();
    refused(&json!({"type":"a","lifecycle":{"statuses":many}}), &[("/lifecycle/statuses", "at most 100")]);
}

#[test]
fn transitions_are_checked() {
    let at = "/lifecycle/transitions/process";
    let process = |name: &str, value: Value, why: (&str, &str)| payment_with(&format!("{at}/{name}"), value, &[why]);
    process("from", json!([]), ("/lifecycle/transitions/process/from", "at least one status"));
    process("from", json!("created"), ("/lifecycle/transitions/process/from", "expected a list of statuses, found text"));
    process("from", json!(["created", "created"]), ("/lifecycle/transitions/process/from/1", "stands here twice"));
    process("from", json!(["creatd"]), ("/lifecycle/transitions/process/from/0", "did you mean `created`?"));
    process("from", Value::Null, ("/lifecycle/transitions/process/from", "`from` is missing"));
    process("to", json!("processed"), ("/lifecycle/transitions/process/to", "there is no status `processed`"));
    process("to", json!([]), ("/lifecycle/transitions/process/to", "at least one status"));
    process(
        "to",
        json!([{"status":"processing"},{"status":"failed"}]),
        ("/lifecycle/transitions/process/to/0", "without `when` always holds"),
    );
    process("to", json!([{"when":"true"}]), ("/lifecycle/transitions/process/to/0/status", "`status` is missing"));
    process("to", Value::Null, ("/lifecycle/transitions/process/to", "`to` is missing"));
    process("event", json!("order.done"), ("/lifecycle/transitions/process/event", "begin with `payment.`"));
    process("event", json!("a b"), ("/lifecycle/transitions/process/event", "is not a event type"));
    process("by", json!("system"), ("/lifecycle/transitions/process/by", "neither `tenant` nor `operator`"));
    process("input", json!({"type":"nothing"}), ("/lifecycle/transitions/process/input/type", ""));
    process("set", json!({"refunded":7}), ("/lifecycle/transitions/process/set/refunded", "expected text, found a number"));
    process("set", json!({"refundd":"1"}), ("/lifecycle/transitions/process/set/refundd", "did you mean `refunded`?"));
    process("set", json!({"status":"'x'"}), ("/lifecycle/transitions/process/set/status", "`to` says which status"));
    process("set", json!({"version":"1"}), ("/lifecycle/transitions/process/set/version", "kept by the server"));
    process("set", json!({"amount":"1"}), ("/lifecycle/transitions/process/set/amount", "`x-immutable`"));
    process("guard", json!("self.amuont > 1"), ("/lifecycle/transitions/process/guard", "did you mean `amount`?"));
    process("guard", json!("input.x > 1"), ("/lifecycle/transitions/process/guard", "declares no `input`"));
    process("guard", json!("self.amount >"), ("/lifecycle/transitions/process/guard", "not a CEL expression"));
    process("guard", json!(["x"]), ("/lifecycle/transitions/process/guard", "expected text, found a list"));
    process(
        "to",
        json!([{"when":"self.metadata.all(x, true)","status":"processing"}]),
        ("/lifecycle/transitions/process/to/0/when", "comprehensions"),
    );
    for name in RESERVED_TRANSITIONS {
        let pointer = format!("/lifecycle/transitions/{name}");
        payment_with(&pointer, json!({"from":["created"],"to":"failed"}), &[(&pointer, "a route of the server's own")]);
    }
    payment_with(
        "/lifecycle/transitions/a~1b",
        json!({"from":["created"],"to":"failed"}),
        &[("/lifecycle/transitions/a~01b", "is not a transition")],
    );
    payment_with("/events/updated", json!("updated"), &[("/events/updated", "belongs to somebody else")]);
}

#[test]
fn timeouts_must_be_possible() {
    let at = "/lifecycle/statuses/processing/timeout";
    let timeout = |name: &str, value: Value, why: (&str, &str)| payment_with(&format!("{at}/{name}"), value, &[why]);
    timeout("transition", json!("fial"), ("/lifecycle/statuses/processing/timeout/transition", "did you mean `fail`?"));
    payment_with(
        "/lifecycle/statuses/processing/timeout",
        json!({"after": "1s", "transition": "process"}),
        &[("/lifecycle/statuses/processing/timeout/transition", "not possible from `processing`")],
    );
    timeout("transition", json!("complete"), ("/lifecycle/statuses/processing/timeout/input", "takes no input"));
    timeout("input", Value::Null, ("/lifecycle/statuses/processing/timeout/input/code", "`code` is required"));
    timeout("input", json!({"code":7}), ("/lifecycle/statuses/processing/timeout/input/code", "is not of type"));
    for after in [json!("15 minutes"), json!("0s"), json!(0), json!(-1), json!(1.5), json!("367d"), json!(true)] {
        timeout("after", after, ("/lifecycle/statuses/processing/timeout/after", "expected a duration"));
    }
    timeout("after", Value::Null, ("/lifecycle/statuses/processing/timeout/after", "`after` is missing"));
    let whole = check(&changed(&format!("{at}/after"), json!(90))).unwrap();
    assert_eq!(whole.status(&"processing".parse().unwrap()).unwrap().timeout.as_ref().unwrap().after, Duration::from_secs(90));
}

#[test]
fn schemas_are_checked() {
    payment_with("/schema", json!(true), &[("/schema", "is a map")]);
    payment_with("/schema/type", json!("array"), &[("/schema/type", "a resource is an object")]);
    payment_with("/schema/properties/amount/type", json!("int"), &[("/schema/properties/amount/type", "")]);
    payment_with("/schema/properties/currency/pattern", json!("("), &[("/schema/properties/currency/pattern", "")]);
    payment_with("/schema/$schema", json!("http://json-schema.org/draft-07/schema#"), &[("/schema/$schema", "2020-12")]);
    payment_with("/schema/properties/status", json!({"type":"string"}), &[("/schema/properties/status", "already")]);
    payment_with("/schema/required", json!(["amount", "id"]), &[("/schema/required/1", "always there")]);
    payment_with("/schema/required", json!(["amount", "failure"]), &[("/schema/properties/failure", "nothing could be created")]);
    payment_with("/schema/x-immutable", json!(["amout"]), &[("/schema/x-immutable/0", "did you mean `amount`?")]);
    payment_with("/schema/x-immutable", json!("amount"), &[("/schema/x-immutable", "expected a list")]);
    payment_with("/schema/properties/refunded/default", json!(-1), &[("/schema/properties/refunded/default", "less than the minimum")]);
    payment_with(
        "/schema/properties/metadata/properties",
        json!({"a":{"readOnly":true}}),
        &[("/schema/properties/metadata/properties/a/readOnly", "only whole fields")],
    );
    let got = check(&changed("/schema/properties/customer", json!({"$ref":"https://example.com/x.json"}))).unwrap_err();
    assert!(got[0].pointer.starts_with("/schema"), "nothing is fetched: {got:?}");
}

#[test]
fn indexes_access_poll_and_examples_are_checked() {
    payment_with("/indexes", json!([["custmer"]]), &[("/indexes/0/0", "did you mean `customer`?")]);
    payment_with("/indexes", json!([["created_at", "status"]]), &[("/indexes/0/0", "`created_at` comes last")]);
    payment_with("/indexes", json!([["version"]]), &[("/indexes/0/0", "can't be indexed")]);
    payment_with("/indexes", json!([["metadata"]]), &[("/indexes/0/0", "an object or a list")]);
    payment_with("/indexes", json!([["status", "status"]]), &[("/indexes/0/1", "stands here twice")]);
    payment_with("/indexes", json!([["status"], ["status"]]), &[("/indexes/1", "declared twice")]);
    payment_with("/indexes", json!([[]]), &[("/indexes/0", "a list of fields")]);
    payment_with(
        "/indexes",
        json!(["status"]),
        &[("/indexes/0", "expected a list of fields, found text"), ("/indexes/0", "a list of fields, such as")],
    );
    payment_with("/indexes", json!(vec![["status"]; 17]), &[("/indexes", "at most 16")]);
    payment_with("/access/create", json!("everybody"), &[("/access/create", "neither `tenant` nor `operator`")]);
    payment_with("/poll", json!({"min":"2m"}), &[("/poll", "is above `max`")]);
    payment_with("/poll/min", json!("0s"), &[("/poll/min", "expected a duration")]);
    payment_with("/require_if_match", json!("yes"), &[("/require_if_match", "expected true or false")]);
    payment_with("/examples", json!([{"amount":"x","currency":"eur"}]), &[("/examples/0/amount", "is not of type")]);
    payment_with("/examples", json!([{"amount":1,"currency":"eur","status":"failed"}]), &[("/examples/0/status", "transitions change")]);
    payment_with("/examples", json!([{"amount":1}]), &[("/examples/0/currency", "`currency` is required")]);
    payment_with("/examples", json!(["x"]), &[("/examples/0", "a map of fields")]);
    assert!(check(&changed("/examples", json!([{"id":"x","amount":1,"currency":"eur"}]))).is_ok());
}

mod chance {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Whatever a declaration is made of, it is read or refused.
        #[test]
        fn nothing_panics(at in 0usize..40, text in ".{0,12}", number: i64, which in 0usize..6) {
            let mut source = yaml(PAYMENT);
            let mut pointers = Vec::new();
            collect(&source, String::new(), &mut pointers);
            let pointer = pointers[at * pointers.len() / 40].clone();
            let value = [json!(text), json!(number), json!(null), json!([text]), json!({ text.clone(): number }), json!(true)][which].clone();
            *source.pointer_mut(&pointer).unwrap() = value;
            if let Err(all) = check(&source) {
                prop_assert!(!all.is_empty());
            }
        }
    }

    fn collect(value: &Value, at: String, out: &mut Vec<String>) {
        match value {
            Value::Object(all) => all.iter().for_each(|(name, it)| collect(it, join(&at, name), out)),
            Value::Array(all) => all.iter().enumerate().for_each(|(no, it)| collect(it, format!("{at}/{no}"), out)),
            _ => {}
        }
        out.push(at);
    }

    use crate::schema::join;
}
