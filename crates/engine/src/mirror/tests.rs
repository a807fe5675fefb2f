//! Tables of what a source may say, and the law that the order of its messages does not matter.

use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;
use serde_json::json;
use std::sync::LazyLock;

static INVOICE: LazyLock<CompiledType> = LazyLock::new(|| {
    let source = json!({
        "type": "invoice", "mirror": true, "lifecycle": "open -> paid | void",
        "schema": {
            "type": "object", "required": ["amount"], "additionalProperties": false,
            "properties": { "amount": { "type": "integer" }, "currency": { "type": "string", "default": "eur" } },
        },
        "examples": [{ "source_version": 1, "status": "open", "amount": 5 }],
    });
    CompiledType::load(&source).unwrap_or_else(|it| panic!("{it:#?}"))
});

const T0: Timestamp = Timestamp::from_secs(1_795_458_284);

/// What a store keeps of one resource, and the events of its life.
#[derive(Default)]
struct Row {
    stored: Option<(Resource, bool)>,
    events: Vec<String>,
}

impl Row {
    fn stored(&self) -> Option<Stored<'_>> {
        self.stored.as_ref().map(|(resource, deleted)| Stored { resource, deleted: *deleted })
    }

    fn put(&mut self, body: Value) -> Result<bool, Refusal> {
        let Value::Object(body) = body else { panic!("not a body") };
        let (tenant, id) = (TenantId::default_tenant(), ResourceId::parse("7").unwrap());
        let made = put(&INVOICE, tenant, id, self.stored(), body, T0, EventId::from_bits(1))?;
        Ok(self.apply(made))
    }

    fn delete(&mut self, source_version: u64) -> bool {
        let (tenant, id) = (TenantId::default_tenant(), ResourceId::parse("7").unwrap());
        let made = delete(&INVOICE, tenant, id, self.stored(), source_version, T0, EventId::from_bits(1));
        self.apply(made)
    }

    fn apply(&mut self, made: Mirrored) -> bool {
        let Mirrored::Applied(it) = made else { return false };
        let previous = it.event.previous.map_or_else(String::new, |it| format!(" {}", String::from_utf8_lossy(&it)));
        self.events.push(format!("{}{previous}", it.event.event_type));
        self.stored = Some((it.resource, it.deleted));
        true
    }

    fn show(&self) -> String {
        let (it, deleted) = self.stored.as_ref().expect("a row");
        let fields = Value::Object(it.fields.clone());
        format!("{} v{}{} {fields}", it.status, it.version, if *deleted { " deleted" } else { "" })
    }
}

#[test]
fn a_source_speaks_in_order() {
    let mut row = Row::default();
    assert!(row.put(json!({ "source_version": 3, "status": "open", "amount": 5 })).unwrap());
    assert!(row.put(json!({ "source_version": 4, "status": "open", "amount": 6, "currency": "usd" })).unwrap());
    assert!(row.put(json!({ "source_version": 9, "id": 7, "status": "paid", "amount": 6, "currency": "usd" })).unwrap());
    assert!(row.put(json!({ "source_version": 10, "status": "paid", "amount": 6, "currency": "usd" })).unwrap());
    // There and back: no lifecycle stands in the way of the truth.
    assert!(row.put(json!({ "source_version": 11, "status": "open", "amount": 6, "currency": "usd" })).unwrap());
    assert!(row.delete(12));
    expect![[r#"
        invoice.open
        invoice.updated {"source_version":3,"amount":5,"currency":"eur"}
        invoice.paid {"status":"open","source_version":4}
        invoice.updated {"source_version":9}
        invoice.open {"status":"paid","source_version":10}
        invoice.deleted"#]]
    .assert_eq(&row.events.join("\n"));
    expect![[r#"open v6 deleted {"source_version":12,"amount":6,"currency":"usd"}"#]].assert_eq(&row.show());
}

#[test]
fn old_news_is_no_news() {
    let mut row = Row::default();
    row.put(json!({ "source_version": 3, "status": "paid", "amount": 5 })).unwrap();
    for stale in [0, 1, 2, 3] {
        // Not even looked at: it may be of a time when the type was another.
        assert!(!row.put(json!({ "source_version": stale, "status": "nonsense" })).unwrap());
        assert!(!row.delete(stale));
    }
    assert_eq!(row.events.len(), 1);
}

#[test]
fn a_deletion_stays_until_the_source_has_it_again() {
    let mut row = Row::default();
    assert!(row.delete(8), "one that was never seen");
    assert!(!row.put(json!({ "source_version": 7, "status": "open", "amount": 5 })).unwrap(), "the deletion has overtaken it");
    assert!(row.put(json!({ "source_version": 9, "status": "paid", "amount": 5 })).unwrap());
    expect![[r#"paid v2 {"source_version":9,"amount":5,"currency":"eur"}"#]].assert_eq(&row.show());
    assert_eq!(row.events, ["invoice.deleted", "invoice.paid"], "it begins anew, so nothing was before");
}

#[track_caller]
fn refused(body: Value, want: Expect) {
    let text = match Row::default().put(body).expect_err("it should be refused") {
        Refusal::Invalid(all) => all.iter().map(|it| format!("{} [{}] {}", it.pointer, it.code, it.detail)).collect::<Vec<_>>().join("\n"),
        other => format!("{other:?}"),
    };
    want.assert_eq(&text);
}

#[test]
fn what_a_source_may_not_say() {
    refused(
        json!({ "status": "open", "amount": 5 }),
        expect!["/source_version [required] `source_version` is required: a number that your database raises with each change of the row"],
    );
    for bad in [json!(-1), json!(1.5), json!("7"), json!(null), json!(9_223_372_036_854_775_808_u64)] {
        refused(
            json!({ "source_version": bad, "status": "open", "amount": 5 }),
            expect!["/source_version [type] a source_version is a whole number from 0 to 9223372036854775807"],
        );
    }
    refused(json!({ "source_version": 1, "amount": 5 }), expect!["/status [required] `status` is required: one of open, paid, void"]);
    refused(
        json!({ "source_version": 1, "status": "payd", "amount": 5 }),
        expect!["/status [enum] `payd` is none of open, paid, void. Did you mean `paid`?"],
    );
    refused(
        json!({ "source_version": 1, "status": "open", "amount": 5, "id": "8" }),
        expect!["/id [const] the path names `7`; send that id, or none"],
    );
    refused(
        json!({ "source_version": 1, "status": "open", "amuont": 5 }),
        expect![[r#"
        /amount [required] `amount` is required
        /amuont [additionalProperties] `amuont` is not declared; did you mean `amount`?"#]],
    );
    refused(
        json!({ "source_version": 1, "status": "open", "amount": 5, "version": 3 }),
        expect![[r#"ReadOnly { pointer: "/version", detail: "`version` is kept by the server; leave it out" }"#]],
    );
}

#[derive(Clone, Debug)]
enum Said {
    Is { at: u64, status: &'static str, amount: i64 },
    Gone { at: u64 },
}

/// The life of one row at its source: one change each number.
fn life() -> impl Strategy<Value = Vec<Said>> {
    let one = (any::<bool>(), prop::sample::select(vec!["open", "paid", "void"]), 0..9_i64);
    prop::collection::vec(one, 1..8).prop_map(|all| {
        let said = |(at, (gone, status, amount))| if gone { Said::Gone { at } } else { Said::Is { at, status, amount } };
        (1..).zip(all).map(said).collect()
    })
}

fn hear(row: &mut Row, said: &Said) {
    match said {
        Said::Is { at, status, amount } => {
            row.put(json!({ "source_version": at, "status": status, "amount": amount })).unwrap();
        }
        Said::Gone { at } => {
            row.delete(*at);
        }
    }
}

proptest! {
    /// Relays that overtake each other and send again end where the source is.
    #[test]
    fn any_order_and_any_repeats_end_in_the_same_image(life in life(), order in prop::collection::vec(any::<prop::sample::Index>(), 0..20)) {
        let mut straight = Row::default();
        life.iter().for_each(|it| hear(&mut straight, it));
        let mut shuffled = Row::default();
        order.iter().for_each(|it| hear(&mut shuffled, it.get(&life)));
        // Each at least once, last one first.
        life.iter().rev().for_each(|it| hear(&mut shuffled, it));
        let (want, got) = (straight.stored.unwrap(), shuffled.stored.unwrap());
        prop_assert_eq!(want.1, got.1);
        prop_assert_eq!(want.0.fields.get(SOURCE_VERSION), got.0.fields.get(SOURCE_VERSION));
        if !want.1 {
            prop_assert_eq!((want.0.status, want.0.fields), (got.0.status, got.0.fields));
        }
    }
}
