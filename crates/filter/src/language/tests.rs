//! The language: tables, and laws.

use super::*;
use crate::eval::Fields;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

/// Declares a few members; everything below `data` is open.
struct Declared;

impl Schema for Declared {
    fn kind(&self, path: &[String]) -> Result<Kind, String> {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        Ok(match path.as_slice() {
            ["status" | "customer"] => Kind::Text,
            ["amount"] => Kind::Integer,
            ["price"] => Kind::Number,
            ["paid"] => Kind::Boolean,
            ["created_at"] => Kind::Instant,
            ["failure"] => Kind::Composite,
            ["data" | "in" | "AND", ..] => Kind::Any,
            [other, ..] => return Err(format!("there is no field `{other}`")),
            [] => Kind::Any,
        })
    }
}

fn read(text: &str) -> Result<Expr, FilterError> {
    parse(text)?.check(&Declared)
}

#[track_caller]
fn check(text: &str, want: &str) {
    let got = match read(text) {
        Ok(it) => it.to_string(),
        Err(it @ FilterError::Syntax { .. }) => format!("syntax: {it}"),
        Err(it @ FilterError::Ambiguous { .. }) => format!("ambiguous: {it}"),
        Err(it @ FilterError::Invalid { .. }) => format!("invalid: {it}"),
    };
    assert_eq!(got, want, "{text}");
}

#[test]
fn expressions_have_one_spelling() {
    check("status = \"completed\"", "status = \"completed\"");
    check("  status=completed ", "status = \"completed\"");
    check("amount>=1000 AND status = \"x\"", "amount >= 1000 AND status = \"x\"");
    check("(amount < 5)", "amount < 5");
    check("NOT paid = true", "NOT paid = true");
    check("NOT (paid = true AND amount != 1)", "NOT (paid = true AND amount != 1)");
    check("a_b = 1", "invalid: at character 1: there is no field `a_b`");
    check("(amount = 1 OR amount = 2) AND paid = false", "(amount = 1 OR amount = 2) AND paid = false");
    check("amount IN (1, 2,3)", "amount IN (1, 2, 3)");
    check("status IN (\"a\",b)", "status IN (\"a\", \"b\")");
    check("customer:*", "customer:*");
    check("failure:* OR NOT customer:*", "failure:* OR NOT customer:*");
    check("customer = \"pre*\"", "customer = \"pre*\"");
    check("customer != \"pre*\"", "customer != \"pre*\"");
    check("customer = \"star\\*\"", "customer = \"star\\*\"");
    check("customer = \"a\\\"b\\\\\"", "customer = \"a\\\"b\\\\\"");
    check("data.a.\"b c\".\"AND\" = 7", "data.a.\"b c\".\"AND\" = 7");
    check("data.x = 7 AND data.y = \"7\" AND data.z = true", "data.x = 7 AND data.y = \"7\" AND data.z = true");
    check("created_at > 2026-11-23T20:24:44+02:00", "created_at > \"2026-11-23T18:24:44Z\"");
    check("created_at > \"2026-11-23T18:24:44.5Z\"", "created_at > \"2026-11-23T18:24:44.5Z\"");
    check("price = 1.50", "price = 1.5");
    check("amount < 1.5", "amount < 1.5");
    check("data.customer = cus_42/x@y", "data.customer = \"cus_42/x@y\"");
    check("in = 1", "in = 1");
    check("\"AND\" = 1", "\"AND\" = 1");
}

#[test]
fn what_cannot_be_read() {
    check("", "syntax: at character 1: expected a condition, such as `status = \"completed\"`");
    check("status", "syntax: at character 7: the condition has no end: a comparison is missing, such as `= \"completed\"`");
    check("status =", "syntax: at character 9: a value is missing");
    check("status = AND x = 1", "syntax: at character 10: a value is missing before AND; if you mean the text, put it in double quotes");
    check("status == \"x\"", "syntax: at character 8: there is no `==`: use = != < <= > >= or IN");
    check("status <> \"x\"", "syntax: at character 8: there is no `<>`: use = != < <= > >= or IN");
    check("status = 'x'", "syntax: at character 10: use double quotes");
    check("status = \"x", "syntax: at character 10: this `\"` is not closed");
    check("status = \"x*y\"", "syntax: at character 12: `*` may only stand at the end; for a star itself write \\*");
    check("status = \"x\\n\"", "syntax: at character 12: after `\\` comes `\"`, `\\` or `*`");
    check("status = pre*", "syntax: at character 13: a value with a star stands in double quotes: \"pre*\"");
    check(
        "status:x",
        "syntax: at character 8: `:` is followed by `*`, which asks whether there is a value; to compare use = != < <= > >= or IN",
    );
    check("amount = 1 paid = true", "syntax: at character 12: expected AND or OR between two conditions, or the end");
    check("amount = 1)", "syntax: at character 11: this `)` closes nothing");
    check("(amount = 1", "syntax: at character 12: a `)` is missing at the end");
    check("(amount = 1 paid", "syntax: at character 13: expected AND, OR or `)`");
    check("amount = 1 and paid = true", "syntax: at character 12: write AND in capitals");
    check("amount in (1)", "syntax: at character 8: write IN in capitals");
    check("amount IN 1", "syntax: at character 11: IN is followed by values in parentheses, such as `IN (\"paid\", \"shipped\")`");
    check("amount IN (1", "syntax: at character 13: expected `,` or `)`");
    check("amount IN ()", "syntax: at character 12: a value is missing");
    check("= 1", "syntax: at character 1: expected a field, such as `status` or `data.amount`");
    check("NOT", "syntax: at character 4: expected a condition, such as `status = \"completed\"`");
    check("AND = 1", "syntax: at character 1: expected a field; to ask for one that is called AND, put it in double quotes");
    check("data. = 1", "syntax: at character 7: expected a field, such as `status` or `data.amount`");
    check("a OR", "syntax: at character 3: expected a comparison: = != < <= > >= IN or `:*`");
}

#[test]
fn what_readers_disagree_on() {
    let side_by_side = "AND and OR stand side by side: put parentheses around what belongs together";
    check("amount = 1 AND amount = 2 OR amount = 3", &format!("ambiguous: at character 27: {side_by_side}"));
    check("paid = true OR (amount = 2) AND amount = 3", &format!("ambiguous: at character 29: {side_by_side}"));
}

#[test]
fn what_does_not_fit() {
    check("amout = 1", "invalid: at character 1: there is no field `amout`");
    check("amount = \"1\"", "invalid: at character 1: `amount` is a number: write 1 without quotes");
    check("amount = x", "invalid: at character 1: `amount` is an integer: `x` is none");
    check("paid = 1", "invalid: at character 1: `paid`: `1` is not `true` or `false`");
    check("paid = \"true\"", "invalid: at character 1: `paid` is a boolean: write true without quotes");
    check("paid > false", "invalid: at character 1: `paid` is a boolean: it can't be compared by order");
    check("failure = 1", "invalid: at character 1: `failure` is an object or a list: only `failure:*` can be asked of it");
    check("customer = null", "invalid: at character 1: null is the same as missing: write `NOT customer:*`");
    check(
        "customer > \"a*\"",
        "invalid: at character 1: \"a*\" means `begins with`, which only = and != can ask; for a star itself write \\*",
    );
    check(
        "customer IN (\"a*\", b)",
        "invalid: at character 1: \"a*\" means `begins with`, which IN can't ask; for a star itself write \\*",
    );
    check("amount = \"1*\"", "invalid: at character 1: `amount` is not text: it has no beginning to compare");
    check(
        "paid = true AND created_at > today",
        "invalid: at character 17: `created_at`: `today` is not an RFC 3339 time such as 2026-11-23T18:24:44Z",
    );
}

#[test]
fn limits_at_and_beyond() {
    let terms = |n: usize| vec!["amount = 1"; n].join(" AND ");
    assert!(read(&terms(TERMS_MAX)).is_ok());
    let beyond = |it: Result<Expr, FilterError>, what: &str| match it {
        Err(FilterError::Invalid { detail, .. }) => assert!(detail.contains(what), "{detail}"),
        other => panic!("{other:?}"),
    };
    beyond(read(&terms(TERMS_MAX + 1)), "at most 20 conditions");
    let nested = |n: usize| format!("{}amount = 1{}", "(".repeat(n), ")".repeat(n));
    assert!(read(&nested(DEPTH_MAX - 1)).is_ok());
    beyond(read(&nested(DEPTH_MAX)), "at most 20 deep");
    beyond(read(&"(".repeat(4_000)), "at most 20 deep");
    beyond(read(&"NOT ".repeat(1_000)), "at most 20 deep");
    let values = |n: usize| format!("amount IN ({})", vec!["1"; n].join(","));
    assert!(read(&values(IN_VALUES_MAX)).is_ok());
    beyond(read(&values(IN_VALUES_MAX + 1)), "at most 100 values");
    let text = |n: usize| format!("customer = \"{}\"", "x".repeat(n - 13));
    assert!(read(&text(TEXT_BYTES_MAX)).is_ok());
    beyond(read(&text(TEXT_BYTES_MAX + 1)), "at most 4096 bytes");
}

#[test]
fn missing_members_and_not() {
    let row = json!({ "amount": 5, "customer": "cus_1", "data": { "a": null, "s": "x" } });
    let judge = |text: &str| read(text).unwrap().matches(row.as_object().unwrap());
    for (text, want) in [
        ("paid = true", false),
        ("paid != true", false),
        ("NOT paid = true", true),
        ("NOT paid != true", true),
        ("NOT paid:*", true),
        ("data.a:*", false),
        ("data.a != 1", false),
        ("data.s != 1", true),
        ("customer = \"cus_*\"", true),
        ("customer != \"cus_*\"", false),
        ("status != \"x*\"", false),
        ("data.s != \"y*\"", true),
        ("amount IN (4, 5) AND customer IN (cus_1)", true),
        ("amount < 5.5 AND amount > 4.5", true),
        ("(amount = 4 OR amount = 5) AND NOT customer = \"x\"", true),
    ] {
        assert_eq!(judge(text), want, "{text}");
    }
}

#[test]
fn each_clause_says_why() {
    let row = json!({ "amount": 500, "data": { "long": "x".repeat(200) } });
    let told: Vec<_> = read("amount >= 1000 AND (NOT customer = \"a\" OR data.long:*)").unwrap().explain(row.as_object().unwrap());
    let told: Vec<_> = told.iter().map(|it| (it.clause.as_str(), it.matched, it.why.as_str())).collect();
    let long = format!("`data.long` is \"{}…", "x".repeat(79));
    assert_eq!(
        told,
        [
            ("amount >= 1000", false, "`amount` is 500"),
            ("customer = \"a\"", false, "`customer` is missing"),
            ("data.long:*", true, long.as_str())
        ]
    );
}

/// Members that any filter may ask for.
fn any_path() -> impl Strategy<Value = Vec<String>> {
    prop_oneof![
        Just(vec!["amount".to_owned()]),
        Just(vec!["status".to_owned()]),
        Just(vec!["data".to_owned(), "x".to_owned()]),
        "\\PC{1,6}".prop_map(|name| vec!["data".to_owned(), name]),
    ]
}

fn any_operand() -> impl Strategy<Value = Operand> {
    prop_oneof![
        "\\PC{0,6}".prop_map(Operand::Text),
        any::<i64>().prop_map(|it| Operand::Number(Num::Integer(i128::from(it)))),
        any::<f64>().prop_filter("finite", |it| it.is_finite()).prop_map(|it| Operand::Number(Num::Double(it))),
        any::<bool>().prop_map(Operand::Boolean),
    ]
}

/// Expressions over `data`, where anything may be compared with anything.
fn any_expr() -> impl Strategy<Value = Expr> {
    let ops = prop_oneof![Just(Op::Eq), Just(Op::Ne), Just(Op::Gt), Just(Op::Gte), Just(Op::Lt), Just(Op::Lte)];
    let open = any_path().prop_map(|mut it| {
        it.insert(0, "data".to_owned());
        it
    });
    let term = (open, ops, any_operand(), 0..6_u8).prop_map(|(path, op, operand, shape)| {
        let text = |operand: &Operand| matches!(operand, Operand::Text(_));
        let orders_booleans = op.orders() && matches!(operand, Operand::Boolean(_));
        Expr::Term(match shape {
            0 => Term { path, op: Op::Exists, operands: vec![Operand::Boolean(true)] },
            1 => Term { path, op: Op::In, operands: vec![operand, Operand::Number(Num::Integer(1))] },
            2 if text(&operand) => Term { path, op: Op::Prefix, operands: vec![operand] },
            3 if text(&operand) => Term { path, op: Op::NotPrefix, operands: vec![operand] },
            _ if orders_booleans => Term { path, op: Op::Eq, operands: vec![operand] },
            _ => Term { path, op, operands: vec![operand] },
        })
    });
    term.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::All),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Expr::Any),
            inner.prop_map(|it| Expr::Not(Box::new(it))),
        ]
    })
}

/// The verdict, said in another way: by truth tables over what each condition says.
fn oracle(expr: &Expr, row: &Map<String, Value>) -> bool {
    match expr {
        Expr::Term(it) => it.matches(row),
        Expr::All(all) => !all.iter().any(|it| !oracle(it, row)),
        Expr::Any(any) => any.iter().filter(|it| oracle(it, row)).count() > 0,
        Expr::Not(it) => !oracle(it, row),
    }
}

fn any_row() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,6}".prop_map(Value::from),
    ];
    (leaf.clone(), leaf.clone(), leaf)
        .prop_map(|(amount, status, x)| json!({ "data": { "amount": amount, "status": status, "data": { "x": x } } }))
}

proptest! {
    #[test]
    fn written_and_read_again_it_is_the_same(expr in any_expr()) {
        let text = expr.to_string();
        // More conditions than one filter takes are another table's matter.
        if expr.terms().len() <= TERMS_MAX && text.len() <= TEXT_BYTES_MAX {
            let again = read(&text);
            prop_assert_eq!(again, Ok(expr), "{}", text);
        }
    }

    #[test]
    fn the_evaluator_agrees_with_the_oracle(expr in any_expr(), row in any_row()) {
        let row = row.as_object().unwrap();
        prop_assert_eq!(expr.matches(row), oracle(&expr, row));
        prop_assert_eq!(Expr::Not(Box::new(expr.clone())).matches(row), !expr.matches(row));
    }

    #[test]
    fn nothing_panics(text in "\\PC{0,60}", wild in "[a-z. \"'*:()=!<>,0-9ANDORTI\\\\-]{0,60}") {
        for it in [text, wild] {
            if let Err(FilterError::Syntax { at, .. } | FilterError::Ambiguous { at } | FilterError::Invalid { at, .. }) = read(&it) {
                prop_assert!(at >= 1 && at <= it.chars().count() + 1, "{} of {:?}", at, it);
            }
        }
    }
}

#[test]
fn everything_is_met_by_everything() {
    assert!(Expr::everything().matches(&Map::new()) && Expr::everything().is_everything());
    let one = read("amount = 1").unwrap();
    assert_eq!(Expr::everything().and(one.clone()), one);
    assert_eq!(one.clone().and(one.clone()), Expr::All(vec![one.clone(), one.clone()]));
    assert_eq!(one.clone().and(one.clone()).conjuncts().count(), 2);
    assert_eq!(Expr::Not(Box::new(one)).conjuncts().count(), 0);
    let _: Option<crate::eval::Found<'_>> = Map::new().field(&["a".to_owned()]);
}
