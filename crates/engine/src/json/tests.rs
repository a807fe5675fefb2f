//! Tables of JSON that is kept or refused, and laws against another parser.

use super::*;
use expect_test::{Expect, expect};
use proptest::{
    collection::{btree_set, vec},
    prelude::*,
    sample::Index,
};
use serde_json::value::RawValue;

fn show<T>(made: Result<T, JsonProblem>, ok: impl FnOnce(T) -> String) -> String {
    made.map_or_else(|it| it.to_string(), ok)
}

#[track_caller]
fn check(text: &str, want: Expect) {
    want.assert_eq(&show(compact(text.as_bytes()), |it| String::from_utf8_lossy(&it).into_owned()));
}

#[test]
fn what_is_kept_is_kept_verbatim() {
    check(" { \"b\" : 1.50 , \"a\":\t[ 1e5,\n-0 , \"\\u00e4 x\" ] }\r\n", expect![[r#"{"b":1.50,"a":[1e5,-0,"\u00e4 x"]}"#]]);
    check("\"\\ud800\"", expect![[r#""\ud800""#]]);
    check("1e999", expect!["1e999"]);
    check("123456789012345678901234567890", expect!["123456789012345678901234567890"]);
    check("[]", expect!["[]"]);
    check("[ ]", expect!["[]"]);
    check("{ }", expect!["{}"]);
    check(" null ", expect!["null"]);
    check("{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":1}]}", expect![[r#"{"a":{"a":1},"b":[{"a":1},{"a":1}]}"#]]);
}

#[test]
fn what_is_not_json_is_told_where() {
    check("", expect!["line 1, column 1: there is no value"]);
    check(" \n ", expect!["line 2, column 2: there is no value"]);
    check("{\"a\":1", expect!["line 1, column 7: the text ends in the middle of a value"]);
    check("{\"a\":1,}", expect!["line 1, column 8: expected a member name in quotes"]);
    check("{a:1}", expect!["line 1, column 2: expected a member name in quotes, or `}`"]);
    check("{\"a\" 1}", expect!["line 1, column 6: expected `:`"]);
    check("{\"a\":}", expect!["line 1, column 6: expected a value"]);
    check("[1 2]", expect!["line 1, column 4: expected `,` or `]`"]);
    check("[1,]", expect!["line 1, column 4: expected a value"]);
    check("{\n  \"ä\": 1,\n  \"ö\" = 2\n}", expect!["line 3, column 7: expected `:`"]);
    check("1 2", expect!["line 1, column 3: there is something after the value"]);
    check("{}}", expect!["line 1, column 3: there is something after the value"]);
    check("01", expect!["line 1, column 2: not a number of JSON"]);
    check("1.", expect!["line 1, column 3: the text ends in the middle of a value"]);
    check("[1.]", expect!["line 1, column 4: not a number of JSON"]);
    check("NaN", expect!["line 1, column 1: expected a value"]);
    check("nul", expect!["line 1, column 4: the text ends in the middle of a value"]);
    check("+1", expect!["line 1, column 1: expected a value"]);
    check("'a'", expect!["line 1, column 1: expected a value"]);
    check("\"a\nb\"", expect!["line 1, column 3: a control character in a string must be escaped"]);
    check("\"\\x\"", expect!["line 1, column 3: a backslash that begins no escape"]);
    check("\"\\u12g4\"", expect!["line 1, column 3: a backslash that begins no escape"]);
    check("\"abc", expect!["line 1, column 5: the text ends in the middle of a value"]);
    check("\u{feff}{}", expect!["line 1, column 1: expected a value"]);
    check("/* */ 1", expect!["line 1, column 1: expected a value"]);
    assert_eq!(compact(b"\"\xff\"").map_err(|it| (it.offset, it.reason)), Err((1, JsonFault::NotUtf8)));
}

#[test]
fn a_name_may_be_used_once() {
    check("{\"a\":1,\"b\":2,\"a\":3}", expect!["line 1, column 14: `a` is in this object twice"]);
    check("{\"a\":1,\"\\u0061\":3}", expect!["line 1, column 8: `a` is in this object twice"]);
    check("{\"\\ud83d\\ude00\":1,\"😀\":3}", expect!["line 1, column 19: `😀` is in this object twice"]);
    check("[{\"x\":{\"k\":1,\"k\":1}}]", expect!["line 1, column 14: `k` is in this object twice"]);
    check("{\"\\ud800\":1,\"\\ud801\":1}", expect![[r#"{"\ud800":1,"\ud801":1}"#]]);
    let many: Vec<_> = (0..20_000).map(|it| format!("\"{it}\":0")).collect();
    assert!(compact(format!("{{{}}}", many.join(",")).as_bytes()).is_ok());
    let again = format!("{{{},\"77\":1}}", many.join(","));
    assert_eq!(compact(again.as_bytes()).map_err(|it| it.reason), Err(JsonFault::DuplicateKey("77".into())));
}

#[test]
fn depth_has_a_limit_and_costs_no_stack() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(compact(nested(limits::JSON_DEPTH_MAX).as_bytes()).is_ok());
    assert_eq!(compact(nested(limits::JSON_DEPTH_MAX + 1).as_bytes()).map_err(|it| it.reason), Err(JsonFault::TooDeep));
    assert_eq!(compact("{\"a\":".repeat(1_000_000).as_bytes()).map_err(|it| it.reason), Err(JsonFault::TooDeep));
}

#[test]
fn values_must_be_values() {
    let check = |text: &str, want: Expect| want.assert_eq(&show(parse_value(text.as_bytes()), |it| it.to_string()));
    check("[\n \"a\\ud800\"]", expect!["line 2, column 4: an escaped surrogate without its other half stands for no character"]);
    check("\"\\ude00\\ud83d\"", expect!["line 1, column 2: an escaped surrogate without its other half stands for no character"]);
    check("\"\\ud83d\\ude00\"", expect![[r#""😀""#]]);
    check("18446744073709551615", expect!["18446744073709551615"]);
    check("-9223372036854775808", expect!["-9223372036854775808"]);
    check(
        "[1,18446744073709551616]",
        expect!["line 1, column 4: a number out of range: integers go from -2^63 to 2^64-1, other numbers must be finite doubles"],
    );
    assert_eq!(parse_value(b"{\"a\":1e999}").map_err(|it| it.reason), Err(JsonFault::NumberRange));
    check("{\"b\":1,\"a\":2.50}", expect![[r#"{"b":1,"a":2.5}"#]]);
}

#[test]
fn parts_are_slices_of_the_text() {
    assert_eq!(
        split(b" { \"type\" : \"a.b\" , \"\\u0064ata\": { \"x\": [1, 2.0] } , \"e\":[] } "),
        Ok(Parts::Object(vec![("type".into(), "\"a.b\""), ("data".into(), "{ \"x\": [1, 2.0] }"), ("e".into(), "[]")]))
    );
    assert_eq!(split(b"[ {\"a\": [1]} ,2, \"x\" ]"), Ok(Parts::Array(vec!["{\"a\": [1]}", "2", "\"x\""])));
    assert_eq!(split(b"[[],[[]]]"), Ok(Parts::Array(vec!["[]", "[[]]"])));
    assert_eq!(split(b"{}"), Ok(Parts::Object(vec![])));
    assert_eq!(split(b"[ ]"), Ok(Parts::Array(vec![])));
    assert_eq!(split(b" -1 "), Ok(Parts::Other("-1")));
    assert!(split(b"{\"a\":1,\"a\":1}").is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9f64).prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec(("[a-z\"\\\\\n😀]{0,3}", inner), 0..6).prop_map(|it| Value::Object(it.into_iter().collect())),
        ]
    })
}

/// Text that is nearly JSON: pieces of it in any order.
fn nearly_json() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("{"),
        Just("}"),
        Just("["),
        Just("]"),
        Just(","),
        Just(":"),
        Just(" "),
        Just("\n"),
        Just("\"a\""),
        Just("\"b\\u00e4\""),
        Just("\"\\ud800\""),
        Just("1"),
        Just("-0"),
        Just("0"),
        Just("1.5"),
        Just("e3"),
        Just("-"),
        Just("true"),
        Just("null"),
        Just("\""),
        Just("\\"),
        Just("{\"k\":"),
        Just("\"z\":"),
    ];
    vec(piece, 0..12).prop_map(|it| it.concat())
}

proptest! {
    #[test]
    fn accepts_what_serde_json_accepts(text in prop_oneof![nearly_json(), ".{0,20}", any_json().prop_map(|it| it.to_string())]) {
        let theirs = serde_json::from_str::<&RawValue>(&text);
        match compact(text.as_bytes()) {
            Ok(_) => prop_assert!(theirs.is_ok(), "only we accept {text:?}"),
            // Judged apart, below: serde_json has no opinion.
            Err(it) if matches!(it.reason, JsonFault::DuplicateKey(_)) => {}
            Err(it) => prop_assert!(theirs.is_err(), "only we refuse {text:?}: {it}"),
        }
    }

    #[test]
    fn compact_text_means_the_same_and_stays(value in any_json()) {
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        let compacted = compact(pretty.as_bytes()).unwrap();
        prop_assert_eq!(String::from_utf8_lossy(&compacted).into_owned(), value.to_string());
        prop_assert_eq!(compact(&compacted).unwrap(), compacted);
        prop_assert_eq!(parse_value(pretty.as_bytes()).unwrap(), value);
    }

    #[test]
    fn a_repeated_name_is_found_wherever_it_stands(names in btree_set("[a-z\\n😀]{0,3}", 1..30), which: Index, to: Index) {
        let mut names: Vec<_> = names.into_iter().collect();
        let again = names[which.index(names.len())].clone();
        let object = |names: &[String]| format!("[{{{}}}]", names.iter().map(|it| format!("{}:0", Value::from(it.as_str()))).collect::<Vec<_>>().join(","));
        prop_assert!(compact(object(&names).as_bytes()).is_ok());
        names.insert(to.index(names.len() + 1), again.clone());
        prop_assert_eq!(compact(object(&names).as_bytes()).map_err(|it| it.reason), Err(JsonFault::DuplicateKey(again)));
    }

    #[test]
    fn parts_join_to_the_whole(value in any_json()) {
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        let again = match split(pretty.as_bytes()).unwrap() {
            Parts::Object(members) => Value::Object(members.into_iter().map(|(name, it)| (name, serde_json::from_str(it).unwrap())).collect()),
            Parts::Array(elements) => elements.into_iter().map(|it| serde_json::from_str::<Value>(it).unwrap()).collect(),
            Parts::Other(it) => serde_json::from_str(it).unwrap(),
        };
        prop_assert_eq!(again, value);
    }

    #[test]
    fn any_bytes_end_without_a_panic(bytes in vec(any::<u8>(), 0..40)) {
        let _ = (compact(&bytes), parse_value(&bytes), split(&bytes));
    }
}
