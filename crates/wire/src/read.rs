//! Reading bodies: takes a JSON value apart and notes everything that is wrong
//! with it, each with a pointer, instead of stopping at the first.
//!
//! Readers answer `None` both for what is not there and for what is wrong; in
//! the second case they have noted a problem, and `Problems::finish` refuses
//! the whole body at the end. `null` counts as absent, so that what was read
//! can be sent back; where it has a meaning (merge-patch) ask `given`.
//!
//! Not here: JSON itself (`engine::json`), the sentences (`sentences::fields`).

use crate::{FieldProblem, Problem, sentences, sentences::fields, suggest::suggest};
use core::fmt::Display;
use ringback_model::{Timestamp, limits, tenant::Metadata};
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Problems of one body that are listed at most; a body can have a million.
const PROBLEMS_MAX: usize = 50;

/// What is wrong with a body so far.
#[derive(Debug, Default)]
pub struct Problems(Vec<FieldProblem>);

impl Problems {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes one; beyond fifty they are dropped.
    pub fn note(&mut self, problem: FieldProblem) {
        if self.0.len() < PROBLEMS_MAX {
            self.0.push(problem);
        }
    }

    /// What was read, if nothing is wrong with the body.
    ///
    /// # Errors
    /// The problem that lists all that was noted.
    pub fn finish<T>(self, read: Option<T>) -> Result<T, Problem> {
        match read {
            Some(it) if self.0.is_empty() => Ok(it),
            _ => Err(sentences::fields_refused(self.0)),
        }
    }
}

/// What a kind of object may have in it.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Its members.
    pub members: &'static [&'static str],
    /// Members that are shown but not set, each with what to do instead.
    pub read_only: &'static [(&'static str, &'static str)],
    /// Dotted paths of the whole body, for "did you mean".
    pub paths: &'static [&'static str],
}

/// What a member says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Given<'v> {
    /// It is not there.
    Absent,
    /// `null`.
    Null,
    /// Anything else.
    Value(&'v Value),
}

/// An object that is being read.
#[derive(Clone, Debug)]
pub struct Object<'v> {
    at: String,
    members: &'v Map<String, Value>,
}

/// `name` as it stands in a JSON pointer (RFC 6901).
fn token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// What kind of value it is, with its article.
#[must_use]
pub const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Which member an unknown one meant: the same name elsewhere in the body, or one that is spelled alike.
fn meant<'a>(at: &str, name: &str, shape: &Shape) -> Option<&'a str> {
    let here = at.trim_start_matches('/').replace('/', ".");
    let last = |path: &'static str| path.rsplit('.').next().unwrap_or(path);
    let beside = |path: &&'static str| path.rsplit_once('.').map_or("", |(before, _)| before) == here;
    let paths = || shape.paths.iter().copied();
    paths()
        .find(|it| last(it) == name || *it == name)
        .or_else(|| {
            let near = suggest(name, paths().filter(beside).map(last))?;
            paths().filter(beside).find(|it| last(it) == near)
        })
        .or_else(|| {
            let near = suggest(name, paths().map(last))?;
            paths().find(|it| last(it) == near)
        })
}

impl<'v> Object<'v> {
    /// Begins to read `value`, which stands at the pointer `at`, and notes members that `shape` has not.
    pub fn open(value: &'v Value, at: &str, shape: &Shape, problems: &mut Problems) -> Option<Self> {
        let Value::Object(members) = value else {
            problems.note(fields::wrong_type(at, "an object", kind(value)));
            return None;
        };
        let object = Self { at: at.to_owned(), members };
        for name in members.keys().filter(|it| !shape.members.contains(&it.as_str())) {
            let pointer = object.pointer(name);
            problems.note(match shape.read_only.iter().find(|(it, _)| it == name) {
                Some((_, next)) => fields::read_only(&pointer, next),
                None => fields::unknown_field(&pointer, meant(at, name, shape)),
            });
        }
        Some(object)
    }

    /// The pointer to a member.
    #[must_use]
    pub fn pointer(&self, name: &str) -> String {
        format!("{}/{}", self.at, token(name))
    }

    /// What a member says.
    #[must_use]
    pub fn given(&self, name: &str) -> Given<'v> {
        match self.members.get(name) {
            None => Given::Absent,
            Some(Value::Null) => Given::Null,
            Some(it) => Given::Value(it),
        }
    }

    /// A member that is there and not `null`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'v Value> {
        match self.given(name) {
            Given::Value(it) => Some(it),
            Given::Absent | Given::Null => None,
        }
    }

    /// Notes that a member is needed, if it is absent; `what` says what it is for.
    pub fn require(&self, name: &str, what: &str, problems: &mut Problems) {
        if self.get(name).is_none() {
            problems.note(fields::required(&self.pointer(name), what));
        }
    }

    /// An object in this one.
    pub fn object(&self, name: &str, shape: &Shape, problems: &mut Problems) -> Option<Self> {
        Self::open(self.get(name)?, &self.pointer(name), shape, problems)
    }

    /// A string.
    pub fn text(&self, name: &str, problems: &mut Problems) -> Option<&'v str> {
        text_at(self.get(name)?, &self.pointer(name), problems)
    }

    /// A string of `min` to `max` bytes.
    pub fn text_of(&self, name: &str, min: usize, max: usize, problems: &mut Problems) -> Option<&'v str> {
        let text = self.text(name, problems)?;
        if (min..=max).contains(&text.len()) {
            return Some(text);
        }
        problems.note(fields::wrong_length(&self.pointer(name), text.len(), min, max));
        None
    }

    /// A string that `parse` understands; its error completes "should be …".
    pub fn parsed<T, E: Display>(&self, name: &str, parse: impl FnOnce(&str) -> Result<T, E>, problems: &mut Problems) -> Option<T> {
        parsed_at(self.get(name)?, &self.pointer(name), parse, problems)
    }

    /// A string that is one of `known`.
    pub fn one_of<T: Copy>(&self, name: &str, known: &[(&str, T)], problems: &mut Problems) -> Option<T> {
        let text = self.text(name, problems)?;
        let found = known.iter().find(|(it, _)| *it == text).map(|(_, it)| *it);
        if found.is_none() {
            let words: Vec<_> = known.iter().map(|(it, _)| *it).collect();
            problems.note(fields::not_one_of(&self.pointer(name), text, &words));
        }
        found
    }

    /// `true` or `false`.
    pub fn flag(&self, name: &str, problems: &mut Problems) -> Option<bool> {
        let value = self.get(name)?;
        if value.as_bool().is_none() {
            problems.note(fields::wrong_type(&self.pointer(name), "`true` or `false`", kind(value)));
        }
        value.as_bool()
    }

    /// A whole number from `min` to `max`.
    pub fn integer(&self, name: &str, min: u32, max: u32, problems: &mut Problems) -> Option<u32> {
        integer_at(self.get(name)?, &self.pointer(name), min, max, problems)
    }

    /// A list of `min` to `max` entries, each read by `read` from its value and pointer.
    pub fn list<T>(
        &self,
        name: &str,
        what: &str,
        (min, max): (usize, usize),
        mut read: impl FnMut(&'v Value, &str, &mut Problems) -> Option<T>,
        problems: &mut Problems,
    ) -> Option<Vec<T>> {
        let value = self.get(name)?;
        let pointer = self.pointer(name);
        let Value::Array(entries) = value else {
            problems.note(fields::wrong_type(&pointer, what, kind(value)));
            return None;
        };
        if !(min..=max).contains(&entries.len()) {
            problems.note(fields::wrong_count(&pointer, entries.len(), min, max));
            return None;
        }
        let mut out = Vec::with_capacity(entries.len());
        for (at, entry) in entries.iter().enumerate() {
            out.extend(read(entry, &format!("{pointer}/{at}"), problems));
        }
        // With an entry missing, a problem has been noted.
        Some(out)
    }

    /// A map, as (name, value, pointer) in the order of the body.
    pub fn entries(&self, name: &str, what: &str, problems: &mut Problems) -> Option<Vec<(&'v str, &'v Value, String)>> {
        let value = self.get(name)?;
        let pointer = self.pointer(name);
        let Value::Object(members) = value else {
            problems.note(fields::wrong_type(&pointer, what, kind(value)));
            return None;
        };
        Some(members.iter().map(|(name, it)| (name.as_str(), it, format!("{pointer}/{}", token(name)))).collect())
    }

    /// A time.
    pub fn time(&self, name: &str, problems: &mut Problems) -> Option<Timestamp> {
        self.parsed(name, parse_time, problems)
    }

    /// `metadata`: at most 50 names and texts of at most 500 bytes each.
    pub fn metadata(&self, name: &str, problems: &mut Problems) -> Option<Metadata> {
        let patch = self.metadata_patch(name, problems)?;
        let kept: Metadata = patch.into_iter().filter_map(|(name, it)| Some((name, it?))).collect();
        check_count(&self.pointer(name), kept.len(), limits::METADATA_ENTRIES_MAX, problems)?;
        Some(kept)
    }

    /// Changes of `metadata`: a text sets an entry, `null` removes it.
    pub fn metadata_patch(&self, name: &str, problems: &mut Problems) -> Option<BTreeMap<String, Option<String>>> {
        let entries = self.entries(name, "an object of texts", problems)?;
        // A patch may remove as many as there can be, and set as many.
        check_count(&self.pointer(name), entries.len(), 2 * limits::METADATA_ENTRIES_MAX, problems)?;
        let mut out = BTreeMap::new();
        for (name, value, pointer) in entries {
            let max = limits::METADATA_ENTRY_BYTES_MAX;
            if name.is_empty() || name.len() > max {
                problems.note(fields::invalid(
                    &pointer,
                    &format!("A name in `metadata` should have 1 to {max} bytes, and has {}.", name.len()),
                ));
                continue;
            }
            match value {
                Value::Null => {
                    out.insert(name.to_owned(), None);
                }
                Value::String(text) if text.len() <= max => {
                    out.insert(name.to_owned(), Some(text.clone()));
                }
                Value::String(text) => problems.note(fields::wrong_length(&pointer, text.len(), 0, max)),
                other => problems.note(fields::wrong_type(&pointer, "a string", kind(other))),
            }
        }
        Some(out)
    }
}

fn check_count(pointer: &str, count: usize, max: usize, problems: &mut Problems) -> Option<()> {
    if count <= max {
        return Some(());
    }
    problems.note(fields::wrong_count(pointer, count, 0, max));
    None
}

/// A string at `pointer`.
pub fn text_at<'v>(value: &'v Value, pointer: &str, problems: &mut Problems) -> Option<&'v str> {
    if value.as_str().is_none() {
        problems.note(fields::wrong_type(pointer, "a string", kind(value)));
    }
    value.as_str()
}

/// A string at `pointer` that `parse` understands; its error completes "should be …".
pub fn parsed_at<T, E: Display>(
    value: &Value,
    pointer: &str,
    parse: impl FnOnce(&str) -> Result<T, E>,
    problems: &mut Problems,
) -> Option<T> {
    let text = text_at(value, pointer, problems)?;
    match parse(text) {
        Ok(it) => Some(it),
        Err(rule) => {
            problems.note(fields::malformed(pointer, text, &rule.to_string()));
            None
        }
    }
}

/// A whole number from `min` to `max` at `pointer`. `5.0` is one, `"5"` is not.
pub fn integer_at(value: &Value, pointer: &str, min: u32, max: u32, problems: &mut Problems) -> Option<u32> {
    let Value::Number(number) = value else {
        problems.note(fields::wrong_type(pointer, &format!("a whole number from {min} to {max}"), kind(value)));
        return None;
    };
    let whole = number.as_u64().or_else(|| number.as_f64().filter(|it| it.fract() == 0.0 && (0.0..4e9).contains(it)).map(|it| it as u64));
    let fitting = whole.and_then(|it| u32::try_from(it).ok()).filter(|it| (min..=max).contains(it));
    if fitting.is_none() {
        problems.note(fields::out_of_range(pointer, &number.to_string(), min.into(), max.into()));
    }
    fitting
}

/// Reads an RFC 3339 time; the error completes "should be …".
///
/// # Errors
/// When it is none.
pub fn parse_time(text: &str) -> Result<Timestamp, &'static str> {
    text.parse().map_err(|_| "an RFC 3339 time such as 2026-11-23T18:24:44Z")
}

/// The rule of a name, for `parsed`: completes "should be …".
pub(crate) fn name<T>(parse: fn(&str) -> Result<T, ringback_model::names::NameError>) -> impl Fn(&str) -> Result<T, &'static str> {
    move |text| parse(text).map_err(|it| it.rule)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SHAPE: Shape = Shape {
        members: &["a", "types", "push"],
        read_only: &[("id", "It is in the path.")],
        paths: &["a", "types", "push.url", "push.timeout_ms", "push.retry.delays"],
    };

    fn unknown(value: Value, at: &str) -> Vec<String> {
        let mut problems = Problems::new();
        Object::open(&value, at, &SHAPE, &mut problems);
        problems.0.into_iter().map(|it| it.detail).collect()
    }

    #[test]
    fn unknown_members_meet_a_suggestion() {
        assert_eq!(unknown(json!({"url": 1}), ""), ["`/url`: no such field here; did you mean `push.url`?"]);
        assert_eq!(unknown(json!({"type": 1}), ""), ["`/type`: no such field here; did you mean `types`?"]);
        assert_eq!(unknown(json!({"timeoutms": 1}), "/push"), ["`/push/timeoutms`: no such field here; did you mean `push.timeout_ms`?"]);
        assert_eq!(unknown(json!({"delay": 1}), ""), ["`/delay`: no such field here; did you mean `push.retry.delays`?"]);
        assert_eq!(unknown(json!({"nothing/like~it": 1}), ""), ["`/nothing~1like~0it`: no such field here."]);
        assert_eq!(unknown(json!({"id": 1}), ""), ["`/id` can't be set here. It is in the path."]);
        assert_eq!(unknown(json!([1]), ""), ["The body should be an object, and is a list."]);
    }

    #[test]
    fn problems_are_listed_up_to_a_limit() {
        let many: Map<String, Value> = (0..1_000).map(|it| (format!("x{it}"), Value::Null)).collect();
        assert_eq!(unknown(Value::Object(many), "").len(), PROBLEMS_MAX);
    }

    #[test]
    fn whole_numbers_are_whole() {
        let check = |value: Value, want: Option<u32>| {
            let mut problems = Problems::new();
            assert_eq!(integer_at(&value, "/n", 1, 10, &mut problems), want, "{value}");
            assert_eq!(problems.0.is_empty(), want.is_some(), "{value}");
        };
        check(json!(1), Some(1));
        check(json!(10), Some(10));
        check(json!(5.0), Some(5));
        for bad in [json!(0), json!(11), json!(-1), json!(1.5), json!("5"), json!(u64::MAX), json!(1e300), json!(true), json!([])] {
            check(bad, None);
        }
    }

    #[test]
    fn metadata_has_limits() {
        let read = |value: Value| {
            let mut problems = Problems::new();
            let body = json!({ "metadata": value });
            let object = Object::open(&body, "", &Shape { members: &["metadata"], read_only: &[], paths: &[] }, &mut problems).unwrap();
            let metadata = object.metadata("metadata", &mut problems);
            problems.finish(metadata)
        };
        assert_eq!(read(json!({"a": "b", "c": null})).map(|it| it.len()), Ok(1));
        let entries = |count: usize| (0..count).map(|it| (it.to_string(), json!("x"))).collect::<Map<_, _>>();
        assert!(read(Value::Object(entries(50))).is_ok());
        assert!(read(Value::Object(entries(51))).is_err());
        assert!(read(json!({"a": "x".repeat(500)})).is_ok());
        for bad in [json!({"a": "x".repeat(501)}), json!({"": "x"}), json!({"x".repeat(501): "x"}), json!({"a": 1}), json!([]), json!("x")]
        {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
