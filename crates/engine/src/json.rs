//! Strict ingest of JSON text.
//!
//! One pass over the bytes with a stack of its own: it refuses what RFC 8259
//! refuses, and beyond that duplicate member names (two readers would disagree
//! about which counts) and nesting deeper than `limits::JSON_DEPTH_MAX`. What
//! it keeps, it keeps verbatim: number literals, key order, escapes, strings;
//! only white space outside strings is dropped.
//!
//! An escaped lone surrogate (`"\ud800"`) is well-formed by the grammar, so
//! `compact` and `split` keep it; it stands for no text and `1e999` for no
//! number, so `parse_value` refuses both.
//!
//! Not here: what the members mean (`ringback-wire`, `engine::patch`).

use bytes::Bytes;
use core::{cmp::Ordering, fmt, ops::Range};
use ringback_model::limits;
use serde_json::Value;

/// Why a text is not JSON that we take, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct JsonProblem {
    /// Bytes before the place of trouble.
    pub offset: usize,
    /// From 1.
    pub line: usize,
    /// Characters, from 1.
    pub column: usize,
    /// What is wrong there.
    pub reason: JsonFault,
}

/// What is wrong with a text, apart from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonFault {
    /// Not UTF-8.
    NotUtf8,
    /// Nothing but white space.
    Empty,
    /// The text ends inside a value.
    UnexpectedEnd,
    /// Something else should stand here.
    Expected(&'static str),
    /// There is more after the value.
    Trailing,
    /// A member name that its object has already (its beginning).
    DuplicateKey(String),
    /// Deeper than `limits::JSON_DEPTH_MAX`.
    TooDeep,
    /// An unescaped control character in a string.
    ControlCharacter,
    /// A backslash that begins no escape.
    BadEscape,
    /// A number that the grammar does not allow, such as `01`, `1.` or `NaN`.
    BadNumber,
    /// Only for values: a surrogate without its other half.
    LoneSurrogate,
    /// Only for values: an integer beyond −2⁶³…2⁶⁴−1, or a number that no finite double is near.
    NumberRange,
}

impl fmt::Display for JsonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotUtf8 => f.write_str("the bytes are not UTF-8"),
            Self::Empty => f.write_str("there is no value"),
            Self::UnexpectedEnd => f.write_str("the text ends in the middle of a value"),
            Self::Expected(what) => write!(f, "expected {what}"),
            Self::Trailing => f.write_str("there is something after the value"),
            Self::DuplicateKey(name) => write!(f, "`{name}` is in this object twice"),
            Self::TooDeep => write!(f, "nested more than {} levels deep", limits::JSON_DEPTH_MAX),
            Self::ControlCharacter => f.write_str("a control character in a string must be escaped"),
            Self::BadEscape => f.write_str("a backslash that begins no escape"),
            Self::BadNumber => f.write_str("not a number of JSON"),
            Self::LoneSurrogate => f.write_str("an escaped surrogate without its other half stands for no character"),
            Self::NumberRange => {
                f.write_str("a number out of range: integers go from -2^63 to 2^64-1, other numbers must be finite doubles")
            }
        }
    }
}

/// Checks `bytes` and drops white space outside strings; everything else stays verbatim.
///
/// # Errors
/// When `bytes` are not one JSON value, have a duplicate member name, or are nested too deep.
pub fn compact(bytes: &[u8]) -> Result<Bytes, JsonProblem> {
    let mut scan = Scan::new(bytes, false)?;
    scan.run()?;
    Ok(scan.finish())
}

/// Checks `bytes` as `compact` does and reads the value.
///
/// # Errors
/// As `compact`; also for text and numbers that no value stands for.
pub fn parse_value(bytes: &[u8]) -> Result<Value, JsonProblem> {
    let mut scan = Scan::new(bytes, false)?;
    scan.run()?;
    if let Some((at, reason)) = scan.no_value.take() {
        return Err(problem(bytes, at, reason));
    }
    // After the scan, what is left to refuse is a number beyond the doubles.
    serde_json::from_slice(bytes).map_err(|it| problem(bytes, offset_of(bytes, it.line(), it.column()), JsonFault::NumberRange))
}

/// A JSON text taken apart one level deep; the parts are slices of it, verbatim
/// but for white space around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parts<'a> {
    /// The members in their order; names are unescaped.
    Object(Vec<(String, &'a str)>),
    /// The elements.
    Array(Vec<&'a str>),
    /// A string, number or literal.
    Other(&'a str),
}

/// Checks `bytes` as `compact` does and takes the value apart.
///
/// # Errors
/// As `compact`.
pub fn split(bytes: &[u8]) -> Result<Parts<'_>, JsonProblem> {
    let mut scan = Scan::new(bytes, true)?;
    scan.run()?;
    let text = scan.text;
    let slice = |range: Range<usize>| text.get(range).unwrap_or_default();
    let is = |first: char| text.trim_start().starts_with(first);
    let parts = scan.parts.into_iter();
    Ok(if is('{') {
        Parts::Object(parts.map(|(name, range)| (name.unwrap_or_default(), slice(range))).collect())
    } else if is('[') {
        Parts::Array(parts.map(|(_, range)| slice(range)).collect())
    } else {
        Parts::Other(text.trim_matches(WHITE))
    })
}

/// What RFC 8259 calls white space; fewer characters than Unicode does.
const WHITE: [char; 4] = [' ', '\t', '\n', '\r'];

fn problem(bytes: &[u8], offset: usize, reason: JsonFault) -> JsonProblem {
    let before = bytes.get(..offset).unwrap_or(bytes);
    let line_at = before.iter().rposition(|it| *it == b'\n').map_or(0, |it| it + 1);
    let on_line = String::from_utf8_lossy(before.get(line_at..).unwrap_or_default());
    JsonProblem { offset, line: before.iter().filter(|it| **it == b'\n').count() + 1, column: on_line.chars().count() + 1, reason }
}

/// The offset of a one-based line and of a column in bytes, as `serde_json` tells them.
fn offset_of(bytes: &[u8], line: usize, column: usize) -> usize {
    let line_at: usize = bytes.split_inclusive(|it| *it == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    (line_at + column.saturating_sub(1)).min(bytes.len())
}

/// A container that has not ended.
enum Open {
    Array,
    Object {
        /// How many names were known when it began.
        keys_before: usize,
    },
}

/// A member name of an object that has not ended.
struct Key {
    /// Of the text between the quotes.
    range: Range<usize>,
    /// Unescaped, where there was an escape; a lone surrogate as its three bytes.
    unescaped: Option<Vec<u8>>,
}

struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    stack: Vec<Open>,
    keys: Vec<Key>,
    /// What was kept before `kept_from`.
    out: Vec<u8>,
    /// The beginning of the run that is kept but not yet copied.
    kept_from: usize,
    /// The first place that has no value, though its text is fine.
    no_value: Option<(usize, JsonFault)>,
    split: bool,
    parts: Vec<(Option<String>, Range<usize>)>,
}

type Step = Result<(), JsonProblem>;

impl<'a> Scan<'a> {
    fn new(bytes: &'a [u8], split: bool) -> Result<Self, JsonProblem> {
        let text = core::str::from_utf8(bytes).map_err(|it| problem(bytes, it.valid_up_to(), JsonFault::NotUtf8))?;
        Ok(Self {
            text,
            bytes,
            at: 0,
            stack: Vec::new(),
            keys: Vec::new(),
            out: Vec::new(),
            kept_from: 0,
            no_value: None,
            split,
            parts: Vec::new(),
        })
    }

    fn finish(mut self) -> Bytes {
        let rest = self.bytes.get(self.kept_from..).unwrap_or_default();
        if self.out.is_empty() {
            return Bytes::copy_from_slice(rest);
        }
        self.out.extend_from_slice(rest);
        Bytes::from(self.out)
    }

    fn fail<T>(&self, reason: JsonFault) -> Result<T, JsonProblem> {
        let reason = match reason {
            JsonFault::Expected(_) | JsonFault::BadNumber | JsonFault::BadEscape if self.at >= self.bytes.len() => JsonFault::UnexpectedEnd,
            it => it,
        };
        Err(problem(self.bytes, self.at, reason))
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_white(&mut self) {
        let begin = self.at;
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        if self.at > begin {
            self.out.extend_from_slice(self.bytes.get(self.kept_from..begin).unwrap_or_default());
            self.kept_from = self.at;
        }
    }

    fn run(&mut self) -> Step {
        self.skip_white();
        if self.peek().is_none() {
            return self.fail(JsonFault::Empty);
        }
        loop {
            self.skip_white();
            if self.split
                && self.stack.len() == 1
                && let Some((_, range)) = self.parts.last_mut()
            {
                range.start = self.at;
            }
            if self.begin_value()? {
                continue;
            }
            if self.end_values()? {
                return Ok(());
            }
        }
    }

    /// Reads a scalar or an empty container, or opens one: then the next value follows (`true`).
    fn begin_value(&mut self) -> Result<bool, JsonProblem> {
        match self.peek() {
            Some(b'{') => {
                self.open(Open::Object { keys_before: self.keys.len() })?;
                if self.peek() == Some(b'}') {
                    self.close();
                    return Ok(false);
                }
                self.member_name("a member name in quotes, or `}`")?;
                Ok(true)
            }
            Some(b'[') => {
                self.open(Open::Array)?;
                if self.peek() == Some(b']') {
                    self.close();
                    return Ok(false);
                }
                self.element();
                Ok(true)
            }
            Some(b'"') => self.string().map(|_| false),
            Some(b'-' | b'0'..=b'9') => self.number().map(|()| false),
            Some(b't') => self.literal(b"true"),
            Some(b'f') => self.literal(b"false"),
            Some(b'n') => self.literal(b"null"),
            _ => self.fail(JsonFault::Expected("a value")),
        }
    }

    /// After a value: ends what ends here. `true` when the text is over, `false` when another value follows.
    fn end_values(&mut self) -> Result<bool, JsonProblem> {
        loop {
            if self.split
                && self.stack.len() == 1
                && let Some((_, range)) = self.parts.last_mut()
                && range.end == 0
            {
                range.end = self.at;
            }
            self.skip_white();
            match (self.stack.last(), self.peek()) {
                (None, None) => return Ok(true),
                (None, Some(_)) => return self.fail(JsonFault::Trailing),
                (Some(Open::Array), Some(b',')) => {
                    self.at += 1;
                    self.element();
                    return Ok(false);
                }
                (Some(Open::Object { .. }), Some(b',')) => {
                    self.at += 1;
                    self.skip_white();
                    self.member_name("a member name in quotes")?;
                    return Ok(false);
                }
                (Some(Open::Array), Some(b']')) => self.close(),
                (Some(Open::Object { keys_before }), Some(b'}')) => {
                    self.no_duplicates(*keys_before)?;
                    self.close();
                }
                (Some(Open::Array), _) => return self.fail(JsonFault::Expected("`,` or `]`")),
                (Some(Open::Object { .. }), _) => return self.fail(JsonFault::Expected("`,` or `}`")),
            }
        }
    }

    fn open(&mut self, open: Open) -> Step {
        if self.stack.len() >= limits::JSON_DEPTH_MAX {
            return self.fail(JsonFault::TooDeep);
        }
        self.stack.push(open);
        self.at += 1;
        self.skip_white();
        Ok(())
    }

    fn close(&mut self) {
        self.at += 1;
        if let Some(Open::Object { keys_before }) = self.stack.pop() {
            self.keys.truncate(keys_before);
        }
    }

    fn element(&mut self) {
        if self.split && self.stack.len() == 1 {
            self.parts.push((None, 0..0));
        }
    }

    fn member_name(&mut self, expected: &'static str) -> Step {
        if self.peek() != Some(b'"') {
            return self.fail(JsonFault::Expected(expected));
        }
        let start = self.at + 1;
        let escaped = self.string()?;
        let range = start..self.at.saturating_sub(1);
        let raw = self.bytes.get(range.clone()).unwrap_or_default();
        let key = Key { range, unescaped: escaped.then(|| unescape(raw)) };
        if self.split && self.stack.len() == 1 {
            let name = String::from_utf8_lossy(self.name_of(&key)).into_owned();
            self.parts.push((Some(name), 0..0));
        }
        self.keys.push(key);
        self.skip_white();
        if self.peek() != Some(b':') {
            return self.fail(JsonFault::Expected("`:`"));
        }
        self.at += 1;
        Ok(())
    }

    fn name_of<'k>(&'k self, key: &'k Key) -> &'k [u8] {
        key.unescaped.as_deref().unwrap_or_else(|| self.bytes.get(key.range.clone()).unwrap_or_default())
    }

    /// Checks the names of the object that ends here.
    fn no_duplicates(&self, keys_before: usize) -> Step {
        let keys = self.keys.get(keys_before..).unwrap_or_default();
        let twice = if keys.len() <= 12 {
            keys.iter().enumerate().find(|(at, it)| keys.iter().take(*at).any(|other| self.same(other, it))).map(|(_, it)| it)
        } else {
            // Sorting keeps an object of a hundred thousand members from costing their square.
            let mut sorted: Vec<&Key> = keys.iter().collect();
            sorted.sort_by(|a, b| match self.name_of(a).cmp(self.name_of(b)) {
                Ordering::Equal => a.range.start.cmp(&b.range.start),
                it => it,
            });
            sorted
                .iter()
                .zip(sorted.iter().skip(1))
                .filter(|(a, b)| self.same(a, b))
                .map(|(_, second)| *second)
                .min_by_key(|it| it.range.start)
        };
        match twice {
            None => Ok(()),
            Some(key) => {
                let name = ringback_model::names::excerpt(&String::from_utf8_lossy(self.name_of(key)), 80);
                Err(problem(self.bytes, key.range.start.saturating_sub(1), JsonFault::DuplicateKey(name)))
            }
        }
    }

    fn same(&self, a: &Key, b: &Key) -> bool {
        self.name_of(a) == self.name_of(b)
    }

    /// Reads a string, the quotes included; says whether it has escapes.
    fn string(&mut self) -> Result<bool, JsonProblem> {
        let mut escaped = false;
        self.at += 1;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let Some(plain) = rest.iter().position(|it| matches!(it, b'"' | b'\\' | 0..=0x1f)) else {
                self.at = self.bytes.len();
                return self.fail(JsonFault::UnexpectedEnd);
            };
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(escaped);
                }
                Some(b'\\') => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return self.fail(JsonFault::ControlCharacter),
            }
        }
    }

    fn escape(&mut self) -> Step {
        let begin = self.at;
        self.at += 1;
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                self.at += 1;
                Ok(())
            }
            Some(b'u') => {
                let Some(unit) = hex4(self.bytes, self.at + 1) else { return self.fail(JsonFault::BadEscape) };
                self.at += 5;
                let whole = match unit {
                    0xd800..=0xdbff => low_half(self.bytes, self.at).is_some(),
                    0xdc00..=0xdfff => false,
                    _ => return Ok(()),
                };
                if whole {
                    self.at += 6;
                } else {
                    self.no_value.get_or_insert((begin, JsonFault::LoneSurrogate));
                }
                Ok(())
            }
            _ => self.fail(JsonFault::BadEscape),
        }
    }

    fn digits(&mut self) -> Step {
        let begin = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == begin { self.fail(JsonFault::BadNumber) } else { Ok(()) }
    }

    fn number(&mut self) -> Step {
        let begin = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return self.fail(JsonFault::BadNumber);
            }
        } else {
            self.digits()?;
        }
        let mut integer = true;
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            integer = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        // 18 digits always fit; a longer integer must not turn into a double unseen.
        if integer && self.at - begin > 18 {
            let text = self.text.get(begin..self.at).unwrap_or_default();
            if text.parse::<i64>().is_err() && text.parse::<u64>().is_err() {
                self.no_value.get_or_insert((begin, JsonFault::NumberRange));
            }
        }
        Ok(())
    }

    fn literal(&mut self, word: &'static [u8]) -> Result<bool, JsonProblem> {
        for byte in word {
            if self.peek() != Some(*byte) {
                return self.fail(JsonFault::Expected("`true`, `false` or `null`"));
            }
            self.at += 1;
        }
        Ok(false)
    }
}

/// The four hexadecimal digits at `at`.
fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at.checked_add(4)?)?.iter().try_fold(0, |unit, it| Some(unit * 16 + char::from(*it).to_digit(16)?))
}

/// The second half of a surrogate pair, if one is escaped at `at`.
fn low_half(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.starts_with(b"\\u").then(|| hex4(bytes, at + 2))?.filter(|it| (0xdc00..=0xdfff).contains(it))
}

/// The text of a scanned string, as UTF-8 in which a lone surrogate has the three
/// bytes that its number would have: only compared, never shown.
fn unescape(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(byte) = raw.get(at).copied() {
        at += 1;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let escape = raw.get(at).copied().unwrap_or(b'\\');
        at += 1;
        match escape {
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let mut unit = hex4(raw, at).unwrap_or_default();
                at += 4;
                if (0xd800..=0xdbff).contains(&unit)
                    && let Some(low) = low_half(raw, at)
                {
                    at += 6;
                    unit = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                }
                match char::from_u32(unit) {
                    Some(it) => out.extend_from_slice(it.encode_utf8(&mut [0; 4]).as_bytes()),
                    None => out.extend([0xe0 | (unit >> 12), 0x80 | (unit >> 6 & 0x3f), 0x80 | (unit & 0x3f)].map(|it| it as u8)),
                }
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests;
