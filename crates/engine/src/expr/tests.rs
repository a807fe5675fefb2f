//! Tables of expressions and their values, and what is refused.

use super::*;
use proptest::prelude::*;
use serde_json::json;
use std::sync::LazyLock;

static THIS: LazyLock<Value> = LazyLock::new(|| {
    json!({ "properties": {
        "amount": { "type": "integer" }, "price": { "type": "number" }, "name": { "type": "string" },
        "tags": { "type": "array", "items": { "type": "string" } },
        "failure": { "type": "object" },
        "address": { "type": "object", "properties": { "city": { "type": "string" } } },
        "metadata": { "type": "object", "additionalProperties": { "type": "string" } }
    } })
});

static INPUT: LazyLock<Value> = LazyLock::new(|| json!({ "properties": { "amount": { "type": "integer" }, "odd name": {} } }));

fn scope() -> Scope<'static> {
    Scope { this: &THIS, input: Some(&INPUT) }
}

fn given() -> Given {
    let this = json!({
        "id": "123", "amount": 1999, "price": 2, "name": "Ada \u{1f600}", "tags": ["a", "b"],
        "failure": { "b": 1, "a": { "z": [1.5, null] } }, "address": { "city": "Berlin" }, "metadata": { "k": "v" }
    });
    let Value::Object(this) = this else { unreachable!() };
    Given::new(scope(), this, Some(json!({ "amount": 1, "odd name": true })))
}

#[track_caller]
fn check(source: &str, want: Value) {
    let it = Expr::compile(source, scope()).unwrap_or_else(|why| panic!("{source}: {why}"));
    assert_eq!(it.value(&given()).unwrap_or_else(|why| panic!("{source}: {why}")).to_string(), want.to_string(), "{source}");
}

#[track_caller]
fn refused(source: &str, want: &str) {
    let why = Expr::compile(source, scope()).expect_err(source);
    assert!(why.contains(want), "{source}: {why}");
}

#[track_caller]
fn fails(source: &str, want: &str) {
    let it = Expr::compile(source, scope()).unwrap_or_else(|why| panic!("{source}: {why}"));
    assert_eq!(it.value(&given()).expect_err(source).to_string(), want, "{source}");
}

#[test]
fn expressions_have_values() {
    check("self.amount + input.amount", json!(2000));
    check("self.amount - 2000", json!(-1));
    check("9223372036854775806 + 1", json!(i64::MAX));
    check("18446744073709551615u", json!(u64::MAX));
    check("self.price * 1.5", json!(3.0));
    check("double(self.amount) * self.price", json!(3998.0));
    check("self.amount > 1 && self.name.startsWith('Ada') || false", json!(true));
    check("size(self.name)", json!(5));
    check("size(self.tags) == 2 && 'a' in self.tags", json!(true));
    check("self.tags[1]", json!("b"));
    check("self.metadata['k'] + self.metadata.k", json!("vv"));
    check("input['odd name']", json!(true));
    check("has(self.address.city) && !has(self.metadata.other)", json!(true));
    check("self.amount > 5 ? 'much' : 'little'", json!("much"));
    check("{'b': 1, 'a': [input.amount, null]}", json!({"a": [1, null], "b": 1}));
    check("self.failure", json!({"b": 1, "a": {"z": [1.5, null]}}));
    check("self.failure.a.z", json!([1.5, null]));
    check("input", json!({"amount": 1, "odd name": true}));
    check("self.id == '123' && self.failure.b == 1", json!(true));
    check("string(self.amount) + '%'", json!("1999%"));
}

#[test]
fn what_has_no_value_says_why() {
    fails("self.metadata.other", "`self.metadata.other` is not there");
    fails("self.metadata.other + 'x'", "`self.metadata.other` is not there");
    fails("self.status == 'x'", "`self.status` is not there");
    fails("self.amount + 9223372036854775807", "a number leaves the range of 64-bit integers");
    fails("-9223372036854775807 - self.amount", "a number leaves the range of 64-bit integers");
    fails("self.amount * 9223372036854775807", "a number leaves the range of 64-bit integers");
    fails("self.amount / (input.amount - 1)", "it divides by zero");
    fails("self.amount % (input.amount - 1)", "it divides by zero");
    fails("self.tags[7]", "it asks for an element that is not in the list");
    fails("self.amount + self.name", "int and string do not go together");
    fails("{1: 2}", "the result is not a JSON value");
    fails("self.price / 0.0", "the result is not a JSON value");
}

#[test]
fn what_is_not_declared_is_refused() {
    refused("self.amuont > 1", "`self.amuont`: `amuont` is not declared; did you mean `amount`?");
    refused("self.stauts == 'x'", "did you mean `status`?");
    refused("has(self.amuont)", "did you mean `amount`?");
    refused("self['amuont'] > 1", "did you mean `amount`?");
    refused("self.address.ctiy == 'x'", "`self.address.ctiy`: `ctiy` is not declared; did you mean `city`?");
    refused("self.name.first == 'x'", "`first` is not declared");
    refused("self.id.x == 'x'", "`id` has no members");
    refused("input.amuont", "did you mean `amount`?");
    refused("self[input.amount] == 1", "name members of `self` and `input` directly");
    refused("amount > 1", "there is no `amount`; an expression knows `self` and `input`");
    refused("resource.amount > 1", "there is no `resource`");
    refused("sizee(self.tags) > 1", "there is no function `sizee`; did you mean `size`?");
    refused("self.name.matches('a+')", "there is no function `matches`");
    refused("now() > 1", "there is no function `now`");
    let none = Expr::compile("input.amount", Scope { this: &THIS, input: None }).unwrap_err();
    assert!(none.contains("declares no `input`"), "{none}");
    let open = json!({ "type": "object" });
    assert!(Expr::compile("self.anything.at.all == 1", Scope { this: &open, input: Some(&open) }).is_ok());
}

#[test]
fn comprehensions_are_refused() {
    for source in [
        "self.tags.all(x, x == 'a')",
        "self.tags.exists(x, x == 'a')",
        "self.tags.exists_one(x, x == 'a')",
        "self.tags.existsOne(x, x == 'a')",
        "self.tags.map(x, x + 'a') == []",
        "self.tags.map(x, x == 'a', x) == []",
        "size(self.tags.filter(x, x == 'a')) == 1",
        "true || (false ? true : self.tags.all(x, true))",
        "[[1].all(x, true)]",
        "{'a': [1].all(x, true)}",
    ] {
        refused(source, "comprehensions");
    }
}

#[test]
fn what_is_no_expression_is_refused() {
    for source in ["", "self.amount >", "self.", "1 +", "self.amount = 1", "\"", "(1", "self.?amount", "a b", "`x`", "\u{0}", "//"] {
        refused(source, "not a CEL expression");
    }
    refused("Message{a: 1}", "messages can't be made");
}

/// The parser, the check, the evaluator and the destructor all walk the tree:
/// none may run out of stack, however an expression is shaped.
#[test]
fn the_size_is_bounded() {
    refused(&format!("{}1", "1 + ".repeat(limits::EXPRESSION_BYTES_MAX)), "at most 2000 bytes");
    refused(&format!("1{}", "+1".repeat(900)), "too many operators");
    refused(&format!("{}true", "!".repeat(1_900)), "too many operators");
    refused(&format!("self{}", ".a".repeat(900)), "too many operators");
    refused(&format!("{}1{}", "(".repeat(900), ")".repeat(900)), "brackets deep");
    refused(&format!("{}1{}", "[".repeat(900), "]".repeat(900)), "brackets deep");
    refused(&format!("{}1", "(".repeat(900)), "brackets deep");
    refused(&format!("1{}", "+1".repeat(150)), "nested more than 48 deep");
    // Just below the limits, through all of the parser.
    refused(&format!("self.failure{} == 1", ".a".repeat(195)), "a name has at most 48 parts");
    for source in [
        format!("{}1", "true ? 1 : ".repeat(199)),
        format!("{}1", "-".repeat(199)),
        format!("{}true", "!".repeat(199)),
        format!("true{}", " && true".repeat(99)),
        format!("true{}", " || true && false".repeat(49)),
        format!("[1]{}", "[0]".repeat(300)),
        format!("size({}1{})", "size(".repeat(22), ")".repeat(22)),
        format!("[{}]", "1,".repeat(900)),
    ] {
        let _ = Expr::compile(&source, scope()).map(|it| it.value(&given()));
    }
    let long = format!("self.amount{}", " + 1".repeat(40));
    check(&long, json!(2039));
    let deep = format!("{}1{}", "(".repeat(DEPTH_MAX / 2), ")".repeat(DEPTH_MAX / 2));
    check(&deep, json!(1));
    check(&format!("'{}' == ''", "(+".repeat(400)), json!(false));
}

proptest! {
    #[test]
    fn nothing_panics(source in "([a-z+*/%<>=&|!?:.,()\\[\\]{}' 0-9-]|self|input|amount|has|size|true){0,40}") {
        if let Ok(it) = Expr::compile(&source, scope()) {
            let _ = it.value(&given());
            let _ = it.holds(&given());
            let _ = it.explain(&given());
        }
    }

    #[test]
    fn sums_are_exact_or_refused(a: i64, b: i64) {
        let it = Expr::compile("self.a + input.b", Scope { this: &json!({}), input: Some(&json!({})) }).unwrap();
        let (open, this) = (json!({}), json!({ "a": a }));
        let given = Given::new(Scope { this: &open, input: Some(&open) }, this.as_object().unwrap().clone(), Some(json!({ "b": b })));
        prop_assert_eq!(it.value(&given).ok(), a.checked_add(b).map(Value::from));
    }
}
