//! Reads a value strictly, collecting everything that is wrong.
//!
//! A `Reader` stands at one place of the declaration and knows its pointer. A
//! method answers `None` after it has told the problem, so that reading goes on.

use super::{TypeProblem, known_members, problem};
use crate::schema::join;
use core::{cell::RefCell, str::FromStr, time::Duration};
use ringback_model::{key::Authority, names::NameError};
use serde_json::{Map, Value};

/// What is wrong so far.
#[derive(Debug, Default)]
pub(super) struct Problems(RefCell<Vec<TypeProblem>>);

impl Problems {
    pub(super) fn add(&self, pointer: impl Into<String>, reason: impl Into<String>) {
        self.0.borrow_mut().push(problem(pointer, reason));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.borrow().is_empty()
    }

    /// All of them; this one if there is none.
    pub(super) fn or(self, pointer: &str, reason: &str) -> Vec<TypeProblem> {
        let all = self.0.into_inner();
        if all.is_empty() { vec![problem(pointer, reason)] } else { all }
    }
}

/// A place in the declaration.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    value: &'a Value,
    pointer: String,
    problems: &'a Problems,
}

/// A map, of which only known members may be given.
#[derive(Debug)]
pub(super) struct Members<'a> {
    map: &'a Map<String, Value>,
    pointer: String,
    problems: &'a Problems,
}

impl<'a> Reader<'a> {
    pub(super) fn new(value: &'a Value, problems: &'a Problems) -> Self {
        Self { value, pointer: String::new(), problems }
    }

    pub(super) fn value(&self) -> &'a Value {
        self.value
    }

    pub(super) fn wrong(&self, reason: impl Into<String>) {
        self.problems.add(self.pointer.clone(), reason);
    }

    /// A map with these members and no others.
    pub(super) fn members(&self, known: &[&str]) -> Option<Members<'a>> {
        let map = self.map()?;
        for name in map.keys().filter(|it| !known.contains(&it.as_str())) {
            self.problems.add(join(&self.pointer, name), format!("there is no `{name}` here{}", known_members(name, known)));
        }
        Some(Members { map, pointer: self.pointer.clone(), problems: self.problems })
    }

    /// A map whose names the declaration chooses; at most `max`.
    pub(super) fn entries(&self, max: usize, what: &str) -> Option<Vec<(&'a str, Self)>> {
        let map = self.map()?;
        if map.len() > max {
            self.wrong(format!("there are {} {what}; at most {max} are taken", map.len()));
            return None;
        }
        Some(map.iter().map(|(name, value)| (name.as_str(), self.at(join(&self.pointer, name), value))).collect())
    }

    fn map(&self) -> Option<&'a Map<String, Value>> {
        let it = self.value.as_object();
        if it.is_none() {
            self.wrong(format!("expected a map, found {}", describe(self.value)));
        }
        it
    }

    /// A list of at most `max`.
    pub(super) fn items(&self, max: usize, what: &str) -> Vec<Self> {
        match self.value.as_array() {
            Some(all) if all.len() <= max => all.iter().enumerate().map(|(no, it)| self.at(format!("{}/{no}", self.pointer), it)).collect(),
            Some(all) => {
                self.wrong(format!("there are {} {what}; at most {max} are taken", all.len()));
                Vec::new()
            }
            None => {
                self.wrong(format!("expected a list of {what}, found {}", describe(self.value)));
                Vec::new()
            }
        }
    }

    fn at(&self, pointer: String, value: &'a Value) -> Self {
        Self { value, pointer, problems: self.problems }
    }

    pub(super) fn text(&self) -> Option<String> {
        let it = self.value.as_str();
        if it.is_none() {
            self.wrong(format!("expected text, found {}", describe(self.value)));
        }
        it.map(str::to_owned)
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        let it = self.value.as_bool();
        if it.is_none() {
            self.wrong(format!("expected true or false, found {}", describe(self.value)));
        }
        it
    }

    pub(super) fn name<T: FromStr<Err = NameError>>(&self) -> Option<T> {
        self.text()?.parse().map_err(|it: NameError| self.wrong(it.to_string())).ok()
    }

    pub(super) fn authority(&self) -> Option<Authority> {
        match self.text()?.as_str() {
            "tenant" => Some(Authority::Tenant),
            "operator" => Some(Authority::Operator),
            other => {
                self.wrong(format!("`{other}` is neither `tenant` nor `operator`"));
                None
            }
        }
    }

    /// `15m`, `1s`, `2h`, `7d`, or a whole number of seconds: 1 s to `secs_max`.
    pub(super) fn duration(&self, secs_max: u64) -> Option<Duration> {
        let secs = match self.value {
            Value::Number(it) => it.as_u64(),
            Value::String(it) => seconds(it),
            _ => None,
        };
        let good = secs.filter(|it| (1..=secs_max).contains(it));
        if good.is_none() {
            self.wrong(format!("expected a duration such as 30s, 15m, 2h or 7d, from 1 s to {secs_max} s"));
        }
        good.map(Duration::from_secs)
    }
}

impl<'a> Members<'a> {
    /// The member, when it is given and not null.
    pub(super) fn optional(&self, name: &str) -> Option<Reader<'a>> {
        let value = self.map.get(name).filter(|it| !it.is_null())?;
        Some(Reader { value, pointer: join(&self.pointer, name), problems: self.problems })
    }

    /// The member, which must be given.
    pub(super) fn required(&self, name: &str, what: &str) -> Option<Reader<'a>> {
        let it = self.optional(name);
        if it.is_none() {
            self.problems.add(join(&self.pointer, name), format!("`{name}` is missing: {what}"));
        }
        it
    }
}

fn seconds(text: &str) -> Option<u64> {
    let unit = text.chars().last()?;
    let (digits, factor) = match unit {
        's' => (text.strip_suffix('s')?, 1),
        'm' => (text.strip_suffix('m')?, 60),
        'h' => (text.strip_suffix('h')?, 3_600),
        'd' => (text.strip_suffix('d')?, 86_400),
        _ => (text, 1),
    };
    if digits.is_empty() || !digits.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, want) in [
            ("15m", Some(900)),
            ("1s", Some(1)),
            ("2h", Some(7_200)),
            ("7d", Some(604_800)),
            ("30", Some(30)),
            ("", None),
            ("m", None),
            ("1.5h", None),
            ("-1s", None),
            ("1 m", None),
            ("1w", None),
            ("15ä", None),
            ("99999999999999999999d", None),
            ("9999999999999999999d", None),
        ] {
            assert_eq!(seconds(text), want, "{text}");
        }
    }
}
