//! Expressions as people write them: `status = "completed" AND amount >= 1000`.
//!
//! The syntax is that of [AIP-160](https://google.aip.dev/160), without functions
//! and without conditions that are only put side by side:
//!
//! ```text
//! expression = factor { "AND" factor } | factor { "OR" factor }      one word at a time
//! factor     = [ "NOT" ] ( "(" expression ")" | condition )
//! condition  = path ( "=" | "!=" | "<" | "<=" | ">" | ">=" ) value
//!            | path ":*"
//!            | path "IN" "(" value { "," value } ")"
//! path       = name { "." name }                                      name: a word, or quoted
//! value      = quoted | word                                           "text*": begins with
//! ```
//!
//! AIP-160 lets OR bind closer than AND, most other languages do the opposite:
//! mixing them without parentheses is refused, as readers disagree on it.
//!
//! Reading has two steps: `parse` knows the syntax alone, `Syntax::check` what
//! the members hold.

use crate::{
    DEPTH_MAX, IN_VALUES_MAX, TERMS_MAX, TEXT_BYTES_MAX,
    ast::{Kind, Num, Operand, Term},
    expr::{Expr, is_plain},
    ops::Op,
    parse::{self, ParseError, operand},
};
use alloc::{
    borrow::ToOwned,
    boxed::Box,
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

/// Why a text is no expression. `at` counts characters from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// It can't be read.
    #[error("at character {at}: {detail}")]
    Syntax {
        /// Where.
        at: usize,
        /// What is wrong there.
        detail: String,
    },
    /// AND and OR side by side.
    #[error("at character {at}: AND and OR stand side by side: put parentheses around what belongs together")]
    Ambiguous {
        /// Where the second word stands.
        at: usize,
    },
    /// It can be read, and does not fit what the members hold.
    #[error("at character {at}: {detail}")]
    Invalid {
        /// Where the condition begins.
        at: usize,
        /// What does not fit.
        detail: String,
    },
}

/// What members hold.
pub trait Schema {
    /// The kind of the member at `path` (names from outside in, never empty).
    ///
    /// # Errors
    /// What is wrong with the path: that there is no such member, and which was meant.
    fn kind(&self, path: &[String]) -> Result<Kind, String>;

    /// Whether the member at `path` can ever equal `text`: asked of text that is
    /// compared with `=`, `!=` or `IN`. Without anything known, it can.
    ///
    /// # Errors
    /// That it can't, and which value was meant.
    fn possible(&self, _path: &[String], _text: &str) -> Result<(), String> {
        Ok(())
    }
}

/// An expression that was read and not yet checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Syntax(Node);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Condition { at: usize, path: Vec<String>, op: Op, values: Vec<Literal> },
    All(Vec<Node>),
    Any(Vec<Node>),
    Not(Box<Node>),
}

/// A value as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Literal {
    text: String,
    quoted: bool,
    /// It ended in a star: begins with.
    star: bool,
}

/// Reads an expression.
///
/// # Errors
/// `Syntax`, `Ambiguous`; `Invalid` when it has more conditions or nests deeper than the limits.
pub fn parse(text: &str) -> Result<Syntax, FilterError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(FilterError::Invalid { at: 1, detail: format!("a filter has at most {TEXT_BYTES_MAX} bytes") });
    }
    let mut reader = Reader { chars: text.chars().collect(), at: 0, depth: 0, terms: 0 };
    let node = reader.expression()?;
    match reader.peek() {
        None => Ok(Syntax(node)),
        Some(')') => Err(reader.wrong("this `)` closes nothing")),
        Some(_) => Err(reader.wrong("expected AND or OR between two conditions, or the end")),
    }
}

impl Syntax {
    /// Checks it against what members hold.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn check(&self, schema: &impl Schema) -> Result<Expr, FilterError> {
        check(&self.0, schema)
    }
}

fn check(node: &Node, schema: &impl Schema) -> Result<Expr, FilterError> {
    let each = |all: &[Node]| all.iter().map(|it| check(it, schema)).collect::<Result<Vec<_>, _>>();
    Ok(match node {
        Node::All(all) => Expr::All(each(all)?),
        Node::Any(all) => Expr::Any(each(all)?),
        Node::Not(it) => Expr::Not(Box::new(check(it, schema)?)),
        Node::Condition { at, path, op, values } => {
            let invalid = |detail: String| FilterError::Invalid { at: *at, detail };
            let kind = schema.kind(path).map_err(invalid)?;
            let term = condition(path, *op, kind, values).map_err(invalid)?;
            possible(&term, schema).map_err(invalid)?;
            Expr::Term(term)
        }
    })
}

/// Refuses a condition on a value that a member never has: nobody asks for nothing on purpose.
///
/// # Errors
/// As `Schema::possible`.
pub fn possible(term: &Term, schema: &impl Schema) -> Result<(), String> {
    if !matches!(term.op, Op::Eq | Op::Ne | Op::In) {
        return Ok(());
    }
    term.operands.iter().try_for_each(|it| match it {
        Operand::Text(text) => schema.possible(&term.path, text),
        _ => Ok(()),
    })
}

fn condition(path: &[String], op: Op, kind: Kind, values: &[Literal]) -> Result<Term, String> {
    let field = path.join(".");
    let term = |op, operands| Ok(Term { path: path.to_vec(), op, operands });
    if op == Op::Exists {
        return term(op, vec![Operand::Boolean(true)]);
    }
    if kind == Kind::Composite {
        return Err(format!("`{field}` is an object or a list: only `{field}:*` can be asked of it"));
    }
    if op.orders() && kind == Kind::Boolean {
        return Err(format!("`{field}` is a boolean: it can't be compared by order"));
    }
    if let [Literal { text, star: true, .. }] = values {
        let op = match op {
            Op::Eq => Op::Prefix,
            Op::Ne => Op::NotPrefix,
            _ => return Err(format!("\"{text}*\" means `begins with`, which only = and != can ask; for a star itself write \\*")),
        };
        if !matches!(kind, Kind::Text | Kind::Any) {
            return Err(format!("`{field}` is not text: it has no beginning to compare"));
        }
        return term(op, vec![Operand::Text(text.clone())]);
    }
    let operands = values.iter().map(|it| value(&field, op, kind, it)).collect::<Result<_, _>>()?;
    term(op, operands)
}

fn value(field: &str, op: Op, kind: Kind, it: &Literal) -> Result<Operand, String> {
    if it.star {
        return Err(format!("\"{}*\" means `begins with`, which IN can't ask; for a star itself write \\*", it.text));
    }
    if !it.quoted && it.text == "null" {
        return Err(format!("null is the same as missing: write `NOT {field}:*`"));
    }
    let quoted_for_nothing = |what: &str| Err(format!("`{field}` is {what}: write {} without quotes", it.text));
    match kind {
        Kind::Integer | Kind::Number if it.quoted && parse::number(&it.text).is_some() => return quoted_for_nothing("a number"),
        Kind::Boolean if it.quoted && parse::boolean(&it.text).is_some() => return quoted_for_nothing("a boolean"),
        Kind::Any if it.quoted => return Ok(Operand::Text(it.text.clone())),
        // Nothing is declared: a word is what it looks like.
        Kind::Any => {
            return Ok(match (parse::number(&it.text), parse::boolean(&it.text)) {
                (Some(number), _) => Operand::Number(number),
                (_, Some(_)) if op.orders() => return Err(format!("`{}` is a boolean: it can't be compared by order", it.text)),
                (_, Some(boolean)) => Operand::Boolean(boolean),
                _ => Operand::Text(it.text.clone()),
            });
        }
        _ => {}
    }
    match operand(kind, &it.text) {
        // Integers compare with any number; 1.5 is between two of them.
        Err(ParseError::Unfit { .. }) if kind == Kind::Integer => match parse::number(&it.text) {
            Some(number @ Num::Double(_)) => Ok(Operand::Number(number)),
            _ => Err(format!("`{field}` is an integer: `{}` is none", excerpt(&it.text))),
        },
        Err(it) => Err(format!("`{field}`: {it}")),
        Ok(it) => Ok(it),
    }
}

fn excerpt(text: &str) -> String {
    text.chars().take(60).collect()
}

struct Reader {
    chars: Vec<char>,
    at: usize,
    depth: usize,
    terms: usize,
}

impl Reader {
    /// The next character that is no white space.
    fn peek(&mut self) -> Option<char> {
        while self.chars.get(self.at).is_some_and(|it| it.is_whitespace()) {
            self.at += 1;
        }
        self.chars.get(self.at).copied()
    }

    fn wrong(&self, detail: &str) -> FilterError {
        FilterError::Syntax { at: self.at + 1, detail: detail.to_owned() }
    }

    fn eat(&mut self, wanted: char) -> bool {
        let there = self.peek() == Some(wanted);
        self.at += usize::from(there);
        there
    }

    /// The word that begins here, without taking it.
    fn word(&mut self) -> String {
        self.peek();
        let rest = self.chars.get(self.at..).unwrap_or_default();
        rest.iter().take_while(|it| it.is_alphanumeric() || matches!(it, '_' | '$' | '-')).collect()
    }

    fn eat_word(&mut self, wanted: &str) -> bool {
        let there = self.word() == wanted;
        self.at += if there { wanted.len() } else { 0 };
        there
    }

    fn expression(&mut self) -> Result<Node, FilterError> {
        let first = self.factor()?;
        let mut all = vec![first];
        let mut joined_by = None;
        loop {
            let word = self.word();
            match word.as_str() {
                "AND" | "OR" => {
                    if joined_by.as_ref().is_some_and(|it| *it != word) {
                        return Err(FilterError::Ambiguous { at: self.at + 1 });
                    }
                    self.at += word.len();
                    joined_by = Some(word);
                    all.push(self.factor()?);
                }
                "and" | "or" | "And" | "Or" => return Err(self.wrong(&format!("write {} in capitals", word.to_uppercase()))),
                _ => break,
            }
        }
        Ok(match joined_by.as_deref() {
            Some("OR") => Node::Any(all),
            Some(_) => Node::All(all),
            None => all.pop().ok_or_else(|| self.wrong("expected a condition"))?,
        })
    }

    fn factor(&mut self) -> Result<Node, FilterError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(FilterError::Invalid { at: self.at + 1, detail: format!("a filter nests at most {DEPTH_MAX} deep") });
        }
        let node = if self.eat_word("NOT") {
            Node::Not(Box::new(self.factor()?))
        } else if self.eat('(') {
            let inner = self.expression()?;
            if !self.eat(')') {
                let at_end = self.peek().is_none();
                return Err(self.wrong(if at_end { "a `)` is missing at the end" } else { "expected AND, OR or `)`" }));
            }
            inner
        } else {
            self.condition()?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn condition(&mut self) -> Result<Node, FilterError> {
        self.peek();
        let at = self.at + 1;
        self.terms += 1;
        if self.terms > TERMS_MAX {
            return Err(FilterError::Invalid { at, detail: format!("a filter has at most {TERMS_MAX} conditions") });
        }
        let path = self.path()?;
        if self.eat(':') {
            if !self.eat('*') {
                return Err(self.wrong("`:` is followed by `*`, which asks whether there is a value; to compare use = != < <= > >= or IN"));
            }
            return Ok(Node::Condition { at, path, op: Op::Exists, values: Vec::new() });
        }
        if self.eat_word("IN") {
            let values = self.values()?;
            return Ok(Node::Condition { at, path, op: Op::In, values });
        }
        let two: String = self.chars.get(self.at..).unwrap_or_default().iter().take(2).collect();
        let (op, length) = match (two.as_str(), two.chars().next()) {
            ("!=", _) => (Op::Ne, 2),
            (">=", _) => (Op::Gte, 2),
            ("<=", _) => (Op::Lte, 2),
            ("==" | "=~" | "<>" | "=>" | "=<", _) => return Err(self.wrong(&format!("there is no `{two}`: use = != < <= > >= or IN"))),
            (_, Some('=')) => (Op::Eq, 1),
            (_, Some('>')) => (Op::Gt, 1),
            (_, Some('<')) => (Op::Lt, 1),
            _ if self.word().eq_ignore_ascii_case("in") => return Err(self.wrong("write IN in capitals")),
            (_, None) => return Err(self.wrong("the condition has no end: a comparison is missing, such as `= \"completed\"`")),
            _ => return Err(self.wrong("expected a comparison: = != < <= > >= IN or `:*`")),
        };
        self.at += length;
        let value = self.value()?;
        Ok(Node::Condition { at, path, op, values: vec![value] })
    }

    fn path(&mut self) -> Result<Vec<String>, FilterError> {
        let mut path = Vec::new();
        loop {
            let name = match self.peek() {
                Some('"') => self.quoted()?.text,
                Some('\'') => return Err(self.wrong("use double quotes")),
                None => return Err(self.wrong("expected a condition, such as `status = \"completed\"`")),
                Some(_) => {
                    let word = self.word();
                    if matches!(word.as_str(), "AND" | "OR" | "NOT" | "IN") {
                        return Err(self.wrong(&format!("expected a field; to ask for one that is called {word}, put it in double quotes")));
                    }
                    if !is_plain(&word) {
                        return Err(self.wrong("expected a field, such as `status` or `data.amount`"));
                    }
                    self.at += word.chars().count();
                    word
                }
            };
            if name.is_empty() {
                return Err(self.wrong("a field has a name"));
            }
            path.push(name);
            // No white space on either side of a dot.
            if self.chars.get(self.at) != Some(&'.') {
                return Ok(path);
            }
            self.at += 1;
        }
    }

    fn values(&mut self) -> Result<Vec<Literal>, FilterError> {
        if !self.eat('(') {
            return Err(self.wrong("IN is followed by values in parentheses, such as `IN (\"paid\", \"shipped\")`"));
        }
        let mut values = vec![self.value()?];
        while self.eat(',') {
            if values.len() >= IN_VALUES_MAX {
                return Err(FilterError::Invalid { at: self.at + 1, detail: format!("IN takes at most {IN_VALUES_MAX} values") });
            }
            values.push(self.value()?);
        }
        if !self.eat(')') {
            return Err(self.wrong("expected `,` or `)`"));
        }
        Ok(values)
    }

    fn value(&mut self) -> Result<Literal, FilterError> {
        match self.peek() {
            Some('"') => self.quoted(),
            Some('\'') => Err(self.wrong("use double quotes")),
            None => Err(self.wrong("a value is missing")),
            Some(_) => {
                let rest = self.chars.get(self.at..).unwrap_or_default();
                let part = |it: &char| it.is_alphanumeric() || matches!(it, '_' | '-' | '+' | '.' | ':' | '/' | '@' | '~' | '$' | '%');
                let text: String = rest.iter().take_while(|it| part(it)).collect();
                if text.is_empty() {
                    return Err(self.wrong("a value is missing"));
                }
                if matches!(text.as_str(), "AND" | "OR" | "NOT" | "IN") {
                    return Err(self.wrong(&format!("a value is missing before {text}; if you mean the text, put it in double quotes")));
                }
                self.at += text.chars().count();
                if self.chars.get(self.at) == Some(&'*') {
                    return Err(self.wrong("a value with a star stands in double quotes: \"pre*\""));
                }
                Ok(Literal { text, quoted: false, star: false })
            }
        }
    }

    /// A text in double quotes; `\` makes the next character an ordinary one.
    fn quoted(&mut self) -> Result<Literal, FilterError> {
        let began = self.at;
        self.at += 1;
        let (mut text, mut star) = (String::new(), false);
        loop {
            let next = self.chars.get(self.at).copied();
            self.at += 1;
            match next {
                None => return Err(FilterError::Syntax { at: began + 1, detail: "this `\"` is not closed".into() }),
                Some('"') => return Ok(Literal { text, quoted: true, star }),
                _ if star => {
                    return Err(FilterError::Syntax {
                        at: self.at - 1,
                        detail: "`*` may only stand at the end; for a star itself write \\*".into(),
                    });
                }
                Some('*') => star = true,
                Some('\\') => match self.chars.get(self.at) {
                    Some(it @ ('"' | '\\' | '*')) => {
                        text.push(*it);
                        self.at += 1;
                    }
                    _ => {
                        let detail = "after `\\` comes `\"`, `\\` or `*`".to_string();
                        return Err(FilterError::Syntax { at: self.at, detail });
                    }
                },
                Some(it) => text.push(it),
            }
        }
    }
}

#[cfg(test)]
mod tests;
