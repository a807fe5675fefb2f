//! Tables of list parameters, and the law that a plan loses no match.

use super::*;
use ringback_model::{TenantId, Timestamp};
use serde_json::json;
use std::sync::LazyLock;

static PAYMENT: LazyLock<CompiledType> = LazyLock::new(|| {
    let source: Value = serde_saphyr::from_str(include_str!("../../../../examples/types/payment.yaml")).unwrap();
    CompiledType::load(&source).unwrap()
});

static EVENT: LazyLock<CompiledType> = LazyLock::new(|| {
    CompiledType::load(&json!({
        "type": "visit",
        "lifecycle": "planned -> over",
        "schema": { "properties": {
            "at": { "type": "string", "format": "date-time" },
            "score": { "type": "number" },
            "paid": { "type": "boolean" },
            "kind": { "enum": ["a", "b"] },
            "who": { "$ref": "#/$defs/who" },
            "note": { "type": ["string", "null"] },
            "limit": { "type": "integer" }
        }, "$defs": { "who": { "type": "object", "properties": { "name": { "type": "string" }, "age": { "type": "integer" } } } } },
        "indexes": [["kind", "paid"], ["kind"]]
    }))
    .unwrap()
});

static OPEN: LazyLock<CompiledType> = LazyLock::new(|| CompiledType::load(&json!({"type": "order", "lifecycle": "a -> b"})).unwrap());

fn ask(ty: &CompiledType, query: &str) -> Result<Expr, ListProblem> {
    let params: Vec<(String, String)> = query
        .split('&')
        .filter(|it| !it.is_empty())
        .map(|it| it.split_once('=').unwrap())
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .collect();
    let (filter, params): (Vec<_>, Vec<_>) = params.into_iter().partition(|it| it.0 == "filter");
    conditions(ty, filter.first().map(|it| it.1.as_str()), &params)
}

#[track_caller]
fn refused(ty: &CompiledType, query: &str, parameter: &str, detail: &str) {
    let it = ask(ty, query).expect_err("it should be refused");
    assert_eq!(it, ListProblem::Parameter { parameter: parameter.into(), detail: detail.into() });
}

fn row(fields: Value) -> Resource {
    let at = Timestamp::from_secs(1_000);
    Resource {
        id: "123".parse().unwrap(),
        type_name: "payment".parse().unwrap(),
        tenant: TenantId::default_tenant(),
        status: "completed".parse().unwrap(),
        version: 3,
        created_at: at,
        updated_at: at,
        since: at,
        fields: fields.as_object().unwrap().clone(),
    }
}

#[track_caller]
fn judged(ty: &CompiledType, query: &str, fields: Value, want: bool) {
    assert_eq!(matches(&ask(ty, query).unwrap(), &row(fields.clone())), want, "{query} on {fields}");
}

#[test]
fn unknown_and_unfit_parameters_are_refused() {
    refused(&PAYMENT, "amuont=1", "amuont", "`amuont` is neither a parameter here nor a field of payment; did you mean `amount`?");
    refused(&PAYMENT, "stauts=x", "stauts", "`stauts` is neither a parameter here nor a field of payment; did you mean `status`?");
    refused(&PAYMENT, "sort=-amount", "sort", "`sort` can't be asked for here; use `filter`");
    refused(&EVENT, "limit[gt]=1", "limit[gt]", "`limit` can't be asked for here; use `filter`");
    refused(&PAYMENT, "amount[ge]=1", "amount[ge]", "there is no operator `ge`; there are eq, ne, gt, gte, lt, lte, in and exists");
    refused(&PAYMENT, "amount=x", "amount", "`x` is not an integer between -2^63 and 2^64-1");
    refused(&PAYMENT, "amount[gte=1", "amount[gte", "a condition is written `field=value` or `field[op]=value`");
    refused(&PAYMENT, "metadata=x", "metadata", "`eq` can't be asked of an object or a list; ask `exists`");
    refused(&PAYMENT, "created_at[gt]=today", "created_at[gt]", "`today` is not an RFC 3339 time such as 2026-11-23T18:24:44Z");
    refused(&PAYMENT, "version=x", "version", "`x` is not an integer between -2^63 and 2^64-1");
    refused(&PAYMENT, "id.x=1", "id.x", "`id` has no members");
    refused(&PAYMENT, "customer.x=1", "customer.x", "`customer.x` is neither a parameter here nor a field of payment");
    refused(&EVENT, "who.nmae=1", "who.nmae", "`who.nmae` is neither a parameter here nor a field of visit; did you mean `who.name`?");
    let statuses = "its statuses are created, processing, completed, failed, partially_refunded, refunded";
    refused(&PAYMENT, "status=complete", "status", &format!("a payment is never `complete`; {statuses}; did you mean `completed`?"));
    refused(&PAYMENT, "status[in]=failed,x", "status[in]", &format!("a payment is never `x`; {statuses}"));
    refused(&EVENT, "paid=yes", "paid", "`yes` is not `true` or `false`");
    let many = vec!["status=failed"; limits::FILTER_TERMS_MAX + 1].join("&");
    refused(&PAYMENT, &many, "status", "a list takes at most 20 conditions");
}

#[test]
fn conditions_are_judged() {
    let it = json!({"amount": 1999, "currency": "eur", "metadata": {"order": "7"}});
    for (query, want) in [
        ("", true),
        ("status=completed", true),
        ("status[ne]=completed", false),
        ("status[in]=failed,completed", true),
        ("amount[gte]=1000&amount[lt]=2000", true),
        ("amount[gte]=1000&amount[lt]=1999", false),
        ("customer=ada", false),
        ("customer[ne]=ada", false),
        ("customer[exists]=false", true),
        ("metadata[exists]=true", true),
        ("metadata.order=7", true),
        ("metadata.other[ne]=7", false),
        ("id=123", true),
        ("type=payment&tenant=default", true),
        ("version[gt]=2", true),
        ("created_at=1970-01-01T01:16:40%2B01:00", false),
        ("created_at[gte]=1970-01-01T00:16:40Z", true),
        ("updated_at[lt]=1970-01-01T00:16:40.000001Z", true),
    ] {
        if query.contains('%') {
            assert!(ask(&PAYMENT, query).is_err(), "parameters are decoded before");
        } else {
            judged(&PAYMENT, query, it.clone(), want);
        }
    }
    judged(&EVENT, "at=2026-11-23T20:24:44%2B02:00".replace("%2B", "+").as_str(), json!({"at": "2026-11-23T18:24:44.000Z"}), true);
    judged(&EVENT, "score[gt]=1.5", json!({"score": 2}), true);
    judged(&EVENT, "who.age=30", json!({"who": {"age": 30.0}}), true);
    judged(&EVENT, "note[ne]=x", json!({"note": null}), false);
    judged(&OPEN, "anything.at.all=7", json!({"anything": {"at": {"all": 7}}}), true);
}

#[test]
fn an_index_serves_what_it_binds_whole() {
    let plan = |ty: &CompiledType, query: &str| {
        plan(&ty.decl, &ask(ty, query).unwrap(), &[])
            .equal
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    for (query, want) in [
        ("", ""),
        ("status=completed", "status=\"completed\""),
        ("customer=ada&amount[gt]=1", "customer=\"ada\""),
        ("customer[ne]=ada", ""),
        ("customer[in]=ada", ""),
        ("amount=1", ""),
        ("metadata.customer=ada", ""),
        ("status=failed&customer=b", "status=\"failed\""),
    ] {
        assert_eq!(plan(&PAYMENT, query), want, "{query}");
    }
    assert_eq!(plan(&EVENT, "kind=a&paid=true"), "kind=\"a\" paid=true");
    assert_eq!(plan(&EVENT, "kind=a"), "kind=\"a\"");
    assert_eq!(plan(&EVENT, "paid=true"), "");
}

#[test]
fn an_index_that_is_not_filled_serves_nothing() {
    let conditions = ask(&PAYMENT, "status=completed&customer=ada").unwrap();
    let unfilled = |members: &[&str]| vec![members.iter().map(ToString::to_string).collect::<Vec<_>>()];
    let served = |unfilled: &[Vec<String>]| plan(&PAYMENT.decl, &conditions, unfilled).equal.into_iter().map(|it| it.0).collect::<Vec<_>>();
    assert_eq!((served(&[]), served(&unfilled(&["status"]))), (vec!["status".to_owned()], vec!["customer".to_owned()]));
    assert_eq!(index_to_come(&PAYMENT.decl, &conditions, &unfilled(&["status"])), None, "another one serves");
    let only = ask(&PAYMENT, "status=completed").unwrap();
    assert_eq!(plan(&PAYMENT.decl, &only, &unfilled(&["status"])).equal, []);
    assert_eq!(index_to_come(&PAYMENT.decl, &only, &unfilled(&["status"])).as_deref(), Some("[status, created_at]"));
    assert_eq!(index_to_come(&PAYMENT.decl, &only, &[]), None);
}

#[test]
fn what_would_help_is_said() {
    let missing = |ty: &CompiledType, query: &str| missing_index(&ty.decl, &ask(ty, query).unwrap());
    assert_eq!(missing(&PAYMENT, "currency=eur&amount[gt]=1"), "[currency, created_at]");
    assert_eq!(missing(&PAYMENT, "customer=ada&currency=eur"), "[customer, currency, created_at]");
    assert_eq!(missing(&EVENT, "paid=true&who.name=x"), "[paid, created_at]");
    let none = "none serves this: ask for one value of a field, such as `status=…`, or narrow it by more of them";
    assert_eq!(missing(&PAYMENT, "amount[gt]=1"), none);
    assert_eq!(missing(&PAYMENT, "status=completed&amount[gt]=1"), none);
}

/// What the store is asked for is never less than what belongs to the list.
#[test]
fn a_plan_never_loses_a_match() {
    let fields = [json!({"kind": "a", "paid": true}), json!({"kind": "a"}), json!({"kind": "b", "paid": false}), json!({})];
    for query in ["kind=a", "kind=a&paid=true", "kind=b&paid=false&score[gt]=1", "paid=true"] {
        let terms = ask(&EVENT, query).unwrap();
        let plan = plan(&EVENT.decl, &terms, &[]);
        for it in &fields {
            let narrowed = plan.equal.iter().all(|(name, value)| it.get(name) == Some(value));
            assert!(narrowed || !matches(&terms, &row(it.clone())), "{query} on {it}");
        }
    }
}
