//! Filters: what is taken has one spelling, which means the same; and what an
//! index may leave out never matches.

use ringback_engine::{list, types::CompiledType};
use ringback_model::{Timestamp, resource::Resource};
use serde_json::{Map, Value, json};
use std::sync::LazyLock;

static TYPE: LazyLock<CompiledType> = LazyLock::new(|| {
    let source = json!({
        "type": "payment", "lifecycle": "created -> completed | failed",
        "schema": { "type": "object", "properties": {
            "amount": { "type": "integer" }, "rate": { "type": "number" }, "customer": { "type": "string" },
            "paid": { "type": "boolean" }, "at": { "type": "string", "format": "date-time" },
            "who": { "type": "object", "properties": { "name": { "type": "string" } } },
        } },
        "indexes": [["status", "created_at"], ["customer", "paid", "created_at"]],
    });
    CompiledType::load(&source).expect("a good type")
});

static RESOURCES: LazyLock<Vec<Resource>> = LazyLock::new(|| {
    let all = [
        json!({}),
        json!({ "amount": 1000, "rate": 0.5, "customer": "ada", "paid": true, "at": "2026-11-23T18:24:44Z", "who": { "name": "x" } }),
        json!({ "amount": -1, "rate": 1e300, "customer": "", "paid": false, "at": "2026-11-23T19:24:44+01:00", "who": {} }),
        json!({ "amount": 9_007_199_254_740_993_i64, "customer": "a\"b\\c*", "who": { "name": null } }),
        json!({ "amount": null, "customer": "ÄDA", "extra": [1, 2, { "x": 1 }] }),
    ];
    let made = |(n, fields): (usize, Value)| Resource {
        id: format!("r{n}").parse().expect("an id"),
        type_name: TYPE.decl.name.clone(),
        tenant: "default".parse().expect("a tenant"),
        status: ["created", "completed", "failed"][n % 3].parse().expect("a status"),
        version: 1,
        created_at: Timestamp::from_secs(1_795_458_284 + n as i64),
        updated_at: Timestamp::from_secs(1_795_458_284),
        since: Timestamp::from_secs(1_795_458_284),
        fields: fields.as_object().cloned().unwrap_or_else(Map::new),
    };
    all.into_iter().enumerate().map(made).collect()
});

/// See the module.
pub fn run(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    if let Ok(filter) = list::conditions(&TYPE, Some(text), &[]) {
        judge(text, &filter);
        let spelled = filter.to_string();
        if !filter.is_everything() {
            let again = list::conditions(&TYPE, Some(&spelled), &[]).unwrap_or_else(|it| panic!("{text:?} is spelled {spelled:?}: {it:?}"));
            assert_eq!(again.to_string(), spelled, "one spelling");
            for it in &*RESOURCES {
                assert_eq!(list::matches(&filter, it), list::matches(&again, it), "{text:?} is spelled {spelled:?}");
            }
        }
    }
    // The same as parameters of a query.
    let params: Vec<(String, String)> =
        text.split('&').filter_map(|it| it.split_once('=')).map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    if let Ok(filter) = list::conditions(&TYPE, None, &params) {
        judge(text, &filter);
    }
}

fn judge(text: &str, filter: &ringback_filter::Expr) {
    let plan = list::plan(&TYPE.decl, filter, &[]);
    for it in RESOURCES.iter().filter(|it| list::matches(filter, it)) {
        for (name, wanted) in &plan.equal {
            let found = if name == "status" { Some(Value::from(it.status.as_str())) } else { it.fields.get(name).cloned() };
            assert!(found.is_some_and(|it| ringback_filter::same(&it, wanted)), "{text:?}: the plan loses {}", it.id);
        }
        let (from, to) = plan.created;
        assert!(from.is_none_or(|at| it.created_at >= at) && to.is_none_or(|at| it.created_at <= at), "{text:?}: the span loses {}", it.id);
    }
}
