//! JSON that is well-formed and yet stands for no value: an escaped surrogate
//! without its other half (`"\ud800"`), a number that no double is near (`1e999`).
//!
//! Published `data` is kept byte for byte, so such leaves are in the log, and who
//! reads values must not stumble over the whole text because of one of them.
//! Here the text is read all the same, in one pass, with something else in the
//! place of each such leaf: for conditions something that is there and equals
//! nothing, for people a text that looks like it.
//!
//! A member's name may be odd, too. It reads as U+FFFD and the four digits of the
//! escape, so that different names stay different.
//!
//! Not here: whether a text is JSON that we take (`engine::json`).

use alloc::{borrow::Cow, string::String};
use serde_json::{Number, Value};

/// A leaf that stands for no value, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Odd<'a> {
    /// A number.
    Number(&'a str),
    /// A string, its quotes included.
    Text(&'a str),
    /// The name of a member, its quotes included.
    Name(&'a str),
}

/// The value to compare with: a leaf that stands for none is an empty list, which is
/// there, and neither equal to, less nor greater than anything that a condition can name.
/// `None` when `bytes` are not JSON.
#[must_use]
pub fn comparable(bytes: &[u8]) -> Option<Value> {
    read(bytes, |odd, out| match odd {
        Odd::Number(_) | Odd::Text(_) => out.push_str("[]"),
        Odd::Name(name) => push_whole(name, true, out),
    })
}

/// The value to show to people: of a number that stands for none its literal as a text, and
/// U+FFFD for a lone surrogate. `None` when `bytes` are not JSON.
#[must_use]
pub fn shown(bytes: &[u8]) -> Option<Value> {
    read(bytes, |odd, out| match odd {
        Odd::Number(literal) => {
            out.push('"');
            out.push_str(literal);
            out.push('"');
        }
        Odd::Text(text) => push_whole(text, false, out),
        Odd::Name(name) => push_whole(name, true, out),
    })
}

/// Whether something in this JSON stands for no value.
#[must_use]
pub fn is_odd(text: &str) -> bool {
    matches!(replaced(text, &|_, _| {}), Cow::Owned(_))
}

fn read(bytes: &[u8], replace: impl Fn(Odd<'_>, &mut String)) -> Option<Value> {
    // Hardly anything is odd.
    if let Ok(value) = serde_json::from_slice(bytes) {
        return Some(value);
    }
    serde_json::from_str(&replaced(core::str::from_utf8(bytes).ok()?, &replace)).ok()
}

/// The text with something else for what is odd in it. Of what is not JSON, some text that isn't either.
fn replaced<'a>(text: &'a str, replace: &dyn Fn(Odd<'_>, &mut String)) -> Cow<'a, str> {
    let bytes = text.as_bytes();
    let (mut out, mut kept_from, mut at) = (String::new(), 0, 0);
    let mut any = false;
    while let Some(byte) = bytes.get(at) {
        let begin = at;
        let odd = match byte {
            b'"' => {
                let Some(end) = end_of_string(bytes, at) else { break };
                at = end;
                let token = text.get(begin..at).unwrap_or_default();
                has_lone(token).then(|| if is_name(bytes, at) { Odd::Name(token) } else { Odd::Text(token) })
            }
            b'-' | b'0'..=b'9' => {
                let rest = bytes.get(at..).unwrap_or_default();
                at += rest.iter().take_while(|it| matches!(it, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')).count();
                let token = text.get(begin..at).unwrap_or_default();
                has_no_double(token).then_some(Odd::Number(token))
            }
            _ => {
                at += 1;
                None
            }
        };
        if let Some(odd) = odd {
            any = true;
            out.push_str(text.get(kept_from..begin).unwrap_or_default());
            replace(odd, &mut out);
            kept_from = at;
        }
    }
    if !any {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(kept_from..).unwrap_or_default());
    Cow::Owned(out)
}

/// After the quote that ends the string which begins at `at`, if anything does.
fn end_of_string(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at + 1),
            // What is escaped is never the end, and of `\u` the digits aren't either.
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

fn is_name(bytes: &[u8], end: usize) -> bool {
    let rest = bytes.get(end..).unwrap_or_default();
    rest.iter().find(|it| !it.is_ascii_whitespace()) == Some(&b':')
}

/// Whether no double is near this number; short ones without an exponent have one.
fn has_no_double(token: &str) -> bool {
    (token.len() > 18 || token.contains(['e', 'E'])) && serde_json::from_str::<Number>(token).is_err()
}

fn has_lone(token: &str) -> bool {
    token.contains("\\u") && escapes(token).any(|it| it.1)
}

/// The escapes of a string that begin with `\u`: where each begins, and whether it is half of a pair whose other half is missing.
fn escapes(token: &str) -> impl Iterator<Item = (usize, bool)> + '_ {
    let bytes = token.as_bytes();
    let mut at = 0;
    core::iter::from_fn(move || {
        loop {
            let begin = at;
            match (bytes.get(at)?, bytes.get(at + 1)) {
                (b'\\', Some(b'u')) => {
                    let low = unit(token, at + 6).filter(|it| (0xdc00..=0xdfff).contains(it));
                    at += 6;
                    let lone = match (unit(token, begin), low) {
                        (Some(0xd800..=0xdbff), Some(_)) => {
                            at += 6;
                            false
                        }
                        (Some(0xd800..=0xdfff), _) => true,
                        _ => false,
                    };
                    return Some((begin, lone));
                }
                (b'\\', _) => at += 2,
                _ => at += 1,
            }
        }
    })
}

/// The number that is escaped at `at`, if `\u` and four digits are there.
fn unit(token: &str, at: usize) -> Option<u32> {
    let digits = token.get(at..at.checked_add(6)?)?.strip_prefix("\\u")?;
    u32::from_str_radix(digits, 16).ok()
}

/// The string with U+FFFD for each lone surrogate, on request with the digits of its escape.
fn push_whole(token: &str, digits: bool, out: &mut String) {
    let mut kept_from = 0;
    for (at, _) in escapes(token).filter(|it| it.1) {
        out.push_str(token.get(kept_from..at).unwrap_or_default());
        out.push('\u{fffd}');
        if digits {
            out.push_str(token.get(at + 2..at + 6).unwrap_or_default());
        }
        kept_from = at + 6;
    }
    out.push_str(token.get(kept_from..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, string::ToString, vec, vec::Vec};
    use proptest::prelude::*;
    use serde_json::{Map, json};

    #[track_caller]
    fn check(text: &str, compared: &Value, people: &Value) {
        assert_eq!(comparable(text.as_bytes()).as_ref(), Some(compared), "{text}");
        assert_eq!(shown(text.as_bytes()).as_ref(), Some(people), "{text}");
    }

    #[test]
    fn what_is_odd_is_replaced_and_nothing_else() {
        check(r#"{"a":"\ud800","b":1}"#, &json!({ "a": [], "b": 1 }), &json!({ "a": "\u{fffd}", "b": 1 }));
        check(r#"{"a":"x\udc00\n","b":1}"#, &json!({ "a": [], "b": 1 }), &json!({ "a": "x\u{fffd}\n", "b": 1 }));
        check("[1e999,-1e999,1]", &json!([[], [], 1]), &json!(["1e999", "-1e999", 1]));
        let long = "9".repeat(400);
        check(&format!("[{long}]"), &json!([[]]), &json!([long]));
        check(r#"["\ud83d\ude00","\\ud800","\"\\"]"#, &json!(["😀", "\\ud800", "\"\\"]), &json!(["😀", "\\ud800", "\"\\"]));
        check(r#"["\ud800\ud83d\ude00",1e999]"#, &json!([[], []]), &json!(["\u{fffd}😀", "1e999"]));
        check(
            r#"{"\ud800":1,"\ud801" : 2}"#,
            &json!({ "\u{fffd}d800": 1, "\u{fffd}d801": 2 }),
            &json!({ "\u{fffd}d800": 1, "\u{fffd}d801": 2 }),
        );
        check(
            "[1e308,123456789012345678901,1.50]",
            &json!([1e308, 123_456_789_012_345_678_901_f64, 1.5]),
            &json!([1e308, 123_456_789_012_345_678_901_f64, 1.5]),
        );
        for text in ["", "[", "[1e999", "\"\\ud800", "{\"\\ud800\"}", "\"\\u\"", "1e999 1", "nul"] {
            assert_eq!((comparable(text.as_bytes()), shown(text.as_bytes())), (None, None), "{text}");
        }
        assert_eq!(comparable(b"[1e999,\"\xff\"]"), None);
    }

    #[test]
    fn whether_anything_is() {
        assert!(is_odd(r#"["\ud800"]"#) && is_odd("1e999") && is_odd(r#"{"\ud800":1}"#));
        assert!(!is_odd(r#"["\ud83d\ude00",1.5,"1e999"]"#));
    }

    fn leaf() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            ".{0,6}".prop_map(Value::from)
        ]
    }

    proptest! {
        /// Odd leaves put in anywhere change nothing of what is beside them.
        #[test]
        fn the_rest_is_read_as_without_them(
            rest in proptest::collection::btree_map("[a-z]{1,3}", leaf(), 0..6),
            odd in prop::sample::select(vec![r#""\ud800""#, r#""x\udfffy""#, "1e999", "-1e400", r#"{"\udbff":[1e999]}"#]),
            at: prop::sample::Index,
        ) {
            let mut parts: Vec<String> = rest.iter().map(|(name, it)| format!("{}:{it}", Value::from(name.as_str()))).collect();
            parts.insert(at.index(parts.len() + 1), format!("\"ODD\":{odd}"));
            let text = format!("{{{}}}", parts.join(","));
            let without: Map<String, Value> = rest.into_iter().collect();
            for read in [comparable(text.as_bytes()), shown(text.as_bytes())] {
                let Some(Value::Object(mut read)) = read else { return Err(TestCaseError::fail(text)) };
                prop_assert!(read.remove("ODD").is_some());
                prop_assert_eq!(Value::Object(read).to_string().len(), Value::Object(without.clone()).to_string().len());
                let again = comparable(text.as_bytes()).and_then(|it| if let Value::Object(it) = it { Some(it) } else { None }).unwrap_or_default();
                for (name, value) in &without {
                    prop_assert_eq!(again.get(name), Some(value));
                }
            }
        }

        #[test]
        fn whatever_comes_is_read_or_not(text in ".*") {
            let _ = (comparable(text.as_bytes()), shown(text.as_bytes()), is_odd(&text));
        }
    }
}
