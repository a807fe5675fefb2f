//! Standard output: the API's JSON for programs, tables and `key: value` lines for people.
//!
//! Talk (hints, progress, errors) goes to standard error through [`say`]. Text
//! that came from somewhere else is stripped of control characters: an event's
//! subject must not be able to repaint a terminal.

use crate::exit::{Failure, Outcome};
use comfy_table::{Table, presets};
use serde_json::Value;
use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

/// A column of a table: its heading, and the path of dots to its value.
pub(crate) type Column<'a> = (&'a str, &'a str);

/// Writes one piece of data and ends its line.
///
/// # Errors
/// When standard output can't be written.
pub(crate) fn put(text: &str) -> Outcome {
    if cfg!(test) {
        // This one is captured with the test's own output.
        println!("{text}");
        return Ok(());
    }
    let mut out = io::stdout().lock();
    let end: &[u8] = if text.ends_with('\n') { b"" } else { b"\n" };
    out.write_all(text.as_bytes()).and_then(|()| out.write_all(end)).and_then(|()| out.flush()).map_err(|it| Failure::of_stdout(&it))
}

/// Says something to the person at the terminal.
pub(crate) fn say(text: &str) {
    // Nobody is left to be told when standard error is closed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Rows under headings. Columns that no row has a value for are left out.
pub(crate) fn table(rows: &[Value], columns: &[Column<'_>]) -> String {
    let used: Vec<&Column<'_>> = columns.iter().filter(|(_, path)| rows.iter().any(|it| at(it, path).is_some())).collect();
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(used.iter().map(|(heading, _)| *heading));
    for row in rows {
        table.add_row(used.iter().map(|(_, path)| at(row, path).map(inline).unwrap_or_default()));
    }
    // The preset pads every cell; a line that ends in blanks is awkward to compare and to paste.
    table.to_string().lines().map(|it| it.strip_prefix(' ').unwrap_or(it).trim_end().to_owned() + "\n").collect()
}

/// One object as `key: value` lines; members of objects inside are named by dots.
pub(crate) fn record(value: &Value) -> String {
    let mut lines = Vec::new();
    flatten("", value, &mut lines);
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0).min(28);
    let mut out = String::new();
    for (name, text) in lines {
        let pad = width.saturating_sub(name.chars().count());
        // Writing to a String can't fail.
        let _ = writeln!(out, "{}", format!("{name}:{:pad$} {text}", "").trim_end());
    }
    out
}

/// A value on one line: text as it is, everything else as JSON.
pub(crate) fn inline(value: &Value) -> String {
    match value {
        Value::String(it) => clean(it),
        Value::Array(it) if !it.is_empty() && it.iter().all(Value::is_string) => it.iter().map(inline).collect::<Vec<_>>().join(", "),
        other => clean(&other.to_string()),
    }
}

/// Text without control characters, those that reorder text included.
pub(crate) fn clean(text: &str) -> String {
    let bad = |it: char| it.is_control() || matches!(it, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if text.contains(bad) {
        text.chars().map(|it| if bad(it) { it.escape_default().to_string() } else { it.to_string() }).collect()
    } else {
        text.to_owned()
    }
}

/// The value at a path of dots; `None` for null.
pub(crate) fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |it, name| it.get(name)).filter(|it| !it.is_null())
}

fn flatten(prefix: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, member) in members {
                let name = clean(name);
                let name = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
                flatten(&name, member, lines);
            }
        }
        Value::Null => {}
        other => lines.push((prefix.to_owned(), inline(other))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use serde_json::json;

    #[test]
    fn a_table_has_only_the_columns_that_say_something() {
        let rows = [
            json!({"id": "sub_1", "types": ["payment.*", "a.b"], "push": {"url": "https://example.com"}, "why": null}),
            json!({"id": "subscription-2", "types": [], "push": {}}),
        ];
        let columns = [("ID", "id"), ("TYPES", "types"), ("URL", "push.url"), ("WHY", "why")];
        expect![[r#"
            ID              TYPES           URL
            sub_1           payment.*, a.b  https://example.com
            subscription-2  []
        "#]]
        .assert_eq(&table(&rows, &columns));
    }

    #[test]
    fn a_record_is_lines() {
        expect![[r#"
            id:       123
            amount:   1999
            push.url: https://example.com
            next:     complete, fail
            empty:    {}
        "#]]
        .assert_eq(&record(
            &json!({"id": "123", "amount": 1999, "gone": null, "push": {"url": "https://example.com"}, "next": ["complete", "fail"], "empty": {}}),
        ));
    }

    #[test]
    fn nothing_from_outside_repaints_the_terminal() {
        let evil = json!({"id": "a\u{1b}[2J\u{202e}b\nc"});
        for text in [record(&evil), table(std::slice::from_ref(&evil), &[("ID", "id")])] {
            assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}') && text.contains("b\\nc"), "{text:?}");
        }
    }
}
