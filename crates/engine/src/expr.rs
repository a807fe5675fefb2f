//! Expressions of type files: CEL over `self` and `input`, without comprehensions.
//!
//! An expression is checked when its type is loaded: its size and depth, the
//! functions that it calls, and that what it names is declared. So the cost of
//! one evaluation is bounded by its text, and a misspelt field is found by
//! whoever wrote the file, not by their customers. Integers are exact: a sum
//! beyond 64 bits is an error, never another number.
//!
//! Not here: when an expression is evaluated and what follows (`lifecycle`).

use crate::{
    schema::{self, Declared},
    suggest,
};
use cel::{
    Context, Env, ExecutionError, IdedExpr, Program,
    common::ast::{EntryExpr, Expr as Node, LiteralValue},
    objects::Key,
};
use core::fmt;
use ringback_filter::Kind;
use ringback_model::{limits, names::excerpt, resource::IMPLICIT};
use serde_json::{Map, Number, Value};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, LazyLock},
};

/// Nesting of an expression: parentheses, calls and chains of operators.
pub const DEPTH_MAX: usize = 48;

/// What may be called, operators apart; `has` is expanded while parsing.
const FUNCTIONS: [&str; 9] = ["size", "contains", "startsWith", "endsWith", "int", "uint", "double", "string", "bool"];

static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib().with_optional_support(false)));

/// What an expression may name.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The schema of the type's fields; the implicit members are known besides.
    pub this: &'a Value,
    /// The schema of the transition's input, if it takes any.
    pub input: Option<&'a Value>,
}

/// A compiled expression.
pub struct Expr {
    source: String,
    program: Program,
    names: Vec<Name>,
}

impl fmt::Debug for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expr").field(&self.source).finish()
    }
}

/// `self.a.b` or `input.a.b`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Name {
    root: Root,
    path: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Root {
    This,
    Input,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.root {
            Root::This => "self",
            Root::Input => "input",
        })?;
        self.path.iter().try_for_each(|it| write!(f, ".{it}"))
    }
}

/// An expression that has no value for what it was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EvalError(String);

/// What expressions are evaluated over: a resource and the input of a transition.
#[derive(Debug)]
pub struct Given {
    this: Value,
    input: Option<Value>,
    as_cel: [Option<cel::Value>; 2],
}

impl Given {
    /// `this` holds the fields and the implicit members. The schemas say which
    /// numbers are doubles even where the value is whole.
    #[must_use]
    pub fn new(scope: Scope<'_>, this: Map<String, Value>, input: Option<Value>) -> Self {
        let this = Value::Object(this);
        let as_cel = [
            Some(to_cel(scope.this, Some(scope.this), &this)),
            input.as_ref().zip(scope.input).map(|(it, schema)| to_cel(schema, Some(schema), it)),
        ];
        Self { this, input, as_cel }
    }

    fn at(&self, name: &Name) -> Option<&Value> {
        let root = match name.root {
            Root::This => Some(&self.this),
            Root::Input => self.input.as_ref(),
        };
        name.path.iter().try_fold(root?, |it, name| it.as_object()?.get(name))
    }
}

impl Expr {
    /// Compiles `source`.
    ///
    /// # Errors
    /// A sentence that says what is wrong: the grammar, the size, a
    /// comprehension, or a name that is not declared.
    pub fn compile(source: &str, scope: Scope<'_>) -> Result<Self, String> {
        if source.len() > limits::EXPRESSION_BYTES_MAX {
            return Err(format!("an expression has at most {} bytes, this one {}", limits::EXPRESSION_BYTES_MAX, source.len()));
        }
        shallow(source)?;
        let program = ENV.compile(source).map_err(|it| {
            let first =
                it.errors.first().map_or_else(|| "it can't be read".to_owned(), |it| format!("column {}: {}", it.pos.1.max(0), it.msg));
            format!("this is not a CEL expression: {}", excerpt(&first, 200))
        })?;
        let mut check = Check { scope, names: Vec::new() };
        check.node(program.expression(), 0)?;
        let mut names = check.names;
        names.sort();
        names.dedup();
        Ok(Self { source: source.to_owned(), program, names })
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its value.
    ///
    /// # Errors
    /// When something it needs is not there, a number leaves 64 bits, or values do not fit together.
    pub fn value(&self, given: &Given) -> Result<Value, EvalError> {
        // A bare name is copied, so that the order of members and every digit stay.
        if let Some(name) = name_of(self.program.expression()) {
            return given.at(&name).cloned().ok_or_else(|| EvalError(format!("`{name}` is not there")));
        }
        let found = self.run(given)?;
        to_json(&found).ok_or_else(|| EvalError("the result is not a JSON value".into()))
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// As `value`; also when the value is not a boolean.
    pub fn holds(&self, given: &Given) -> Result<bool, EvalError> {
        match self.run(given)? {
            cel::Value::Bool(it) => Ok(it),
            _ => Err(EvalError("the result is not true or false".into())),
        }
    }

    /// What it names and what is found there, for a sentence that explains a
    /// result: `self.amount is 1999, input.amount is 2000`.
    #[must_use]
    pub fn explain(&self, given: &Given) -> String {
        let mut out = String::new();
        for name in self.names.iter().take(8) {
            let found = match given.at(name) {
                None => "not there".to_owned(),
                Some(Value::Object(_) | Value::Array(_)) => continue,
                Some(it) => excerpt(&it.to_string(), 40),
            };
            if !out.is_empty() {
                out.push_str(", ");
            }
            out.push_str(&format!("{name} is {found}"));
        }
        out
    }

    fn run(&self, given: &Given) -> Result<cel::Value, EvalError> {
        let mut context = Context::with_env(Arc::clone(&ENV));
        for (name, value) in ["self", "input"].into_iter().zip(&given.as_cel) {
            if let Some(value) = value {
                context.add_variable_from_value(name, value.clone());
            }
        }
        self.program.execute(&context).map_err(|it| EvalError(self.why(&it, given)))
    }

    fn why(&self, error: &ExecutionError, given: &Given) -> String {
        match error {
            ExecutionError::NoSuchKey(key) => {
                // The evaluator tells only the last name; say which one is meant.
                let missing = self.names.iter().find(|it| it.path.iter().any(|it| *it == **key) && given.at(it).is_none());
                missing.map_or_else(|| format!("`{}` is not there", excerpt(key, 60)), |it| format!("`{it}` is not there"))
            }
            ExecutionError::UndeclaredReference(name) => format!("`{}` is not there", excerpt(name, 60)),
            ExecutionError::Overflow(..) => "a number leaves the range of 64-bit integers".into(),
            ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "it divides by zero".into(),
            ExecutionError::IndexOutOfBounds(_) => "it asks for an element that is not in the list".into(),
            ExecutionError::NoSuchOverload(it) => {
                format!("`{}` can't be applied to {}", operator(it.function()), it.argument_types().join(" and "))
            }
            ExecutionError::UnsupportedBinaryOperator(
                _,
                cel::Value::Int(_) | cel::Value::UInt(_),
                cel::Value::Int(_) | cel::Value::UInt(_),
            ) => "a number leaves the range of 64-bit integers".into(),
            ExecutionError::UnsupportedBinaryOperator(_, a, b) | ExecutionError::ValuesNotComparable(a, b) => {
                format!("{} and {} do not go together", a.type_of(), b.type_of())
            }
            _ => "its values do not fit together".into(),
        }
    }
}

/// The operator as it is written.
fn operator(name: &str) -> &str {
    name.trim_matches(|it| it == '_' || it == '@')
}

/// Refuses what could exhaust the parser's stack, which grows with every
/// operator of a chain and every open bracket: counted before parsing.
fn shallow(source: &str) -> Result<(), String> {
    let mut quote = None;
    let (mut open, mut deepest, mut operators) = (0_usize, 0_usize, 0_usize);
    let mut escaped = false;
    for it in source.chars() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if it == '\\' => escaped = true,
            Some(end) if it == end => quote = None,
            Some(_) => {}
            None => match it {
                '"' | '\'' => quote = Some(it),
                '(' | '[' | '{' => {
                    open += 1;
                    deepest = deepest.max(open);
                }
                ')' | ']' | '}' => open = open.saturating_sub(1),
                '+' | '-' | '*' | '/' | '%' | '!' | '?' | '.' | '<' | '>' | '=' | '&' | '|' => operators += 1,
                _ => {}
            },
        }
    }
    if deepest > DEPTH_MAX / 2 {
        Err(format!("it is nested more than {} brackets deep", DEPTH_MAX / 2))
    } else if operators > 200 {
        Err("it has too many operators (at most about 100): split it, or set a field in an earlier step".into())
    } else {
        Ok(())
    }
}

struct Check<'a> {
    scope: Scope<'a>,
    names: Vec<Name>,
}

impl Check<'_> {
    fn node(&mut self, it: &IdedExpr, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!("it is nested more than {DEPTH_MAX} deep"));
        }
        if let Some(name) = name_of(it) {
            return self.name(name);
        }
        match &it.expr {
            Node::Literal(_) => Ok(()),
            Node::Ident(name) => Err(format!("there is no `{}`; an expression knows `self` and `input`", excerpt(name, 60))),
            Node::Select(it) => match (it.test, name_of(&it.operand)) {
                (true, Some(mut name)) => {
                    name.path.push(it.field.clone());
                    self.name(name)
                }
                _ => self.node(&it.operand, depth + 1),
            },
            Node::Call(it) => {
                let name = it.func_name.as_str();
                let is_operator = !name.starts_with(|it: char| it.is_ascii_alphabetic());
                if !is_operator && !FUNCTIONS.contains(&name) {
                    return Err(format!(
                        "there is no function `{}`{}; there are {} and has",
                        excerpt(name, 60),
                        suggest::clause(name, FUNCTIONS),
                        FUNCTIONS.join(", ")
                    ));
                }
                let operands: Vec<&IdedExpr> = it.target.as_deref().into_iter().chain(&it.args).collect();
                // `self[…]` with a computed name could name anything.
                if name == "_[_]" && operands.first().and_then(|it| name_of(it)).is_some_and(|it| it.path.is_empty()) {
                    return Err("name members of `self` and `input` directly, as in `self.amount`".into());
                }
                operands.into_iter().try_for_each(|it| self.node(it, depth + 1))
            }
            Node::List(it) => it.elements.iter().try_for_each(|it| self.node(it, depth + 1)),
            Node::Map(it) => it.entries.iter().try_for_each(|it| match &it.expr {
                EntryExpr::MapEntry(it) => self.node(&it.key, depth + 1).and_then(|()| self.node(&it.value, depth + 1)),
                EntryExpr::StructField(it) => self.node(&it.value, depth + 1),
            }),
            Node::Comprehension(_) => Err("comprehensions (`all`, `exists`, `map`, `filter` …) are not taken: they have no bound".into()),
            Node::Struct(_) => Err("messages can't be made; use a map such as `{'code': input.code}`".into()),
            Node::Unspecified => Err("it can't be read".into()),
        }
    }

    fn name(&mut self, name: Name) -> Result<(), String> {
        if name.path.len() > DEPTH_MAX {
            return Err(format!("a name has at most {DEPTH_MAX} parts"));
        }
        let path: Vec<&str> = name.path.iter().map(String::as_str).collect();
        let (schema, implicit): (&Value, &[&str]) = match name.root {
            Root::This => (self.scope.this, &IMPLICIT),
            Root::Input => match self.scope.input {
                Some(it) => (it, &[]),
                None => return Err("it uses `input`, but the transition declares no `input`".into()),
            },
        };
        let is_implicit = path.first().is_some_and(|it| implicit.contains(it));
        match schema::declared(schema, &path) {
            _ if is_implicit && path.len() == 1 => {}
            _ if is_implicit => return Err(format!("`{name}`: `{}` has no members", path.first().copied().unwrap_or_default())),
            Declared::Not { name: wrong, known } => {
                let all = known.into_iter().chain(if path.first() == Some(&wrong) { implicit } else { &[] }.iter().copied());
                return Err(format!("`{name}`: `{wrong}` is not declared{}", suggest::clause(wrong, all)));
            }
            Declared::As(_) | Declared::Open => {}
        }
        self.names.push(name);
        Ok(())
    }
}

/// The name that a node spells, if it spells one: `self.a.b`, `input["a"]`.
fn name_of(it: &IdedExpr) -> Option<Name> {
    let mut path = Vec::new();
    let mut node = &it.expr;
    loop {
        match node {
            Node::Ident(name) => {
                let root = match name.as_str() {
                    "self" => Root::This,
                    "input" => Root::Input,
                    _ => return None,
                };
                path.reverse();
                return Some(Name { root, path });
            }
            Node::Select(it) if !it.test => {
                path.push(it.field.clone());
                node = &it.operand.expr;
            }
            Node::Call(it) if it.func_name == "_[_]" => {
                let mut operands = it.target.as_deref().into_iter().chain(&it.args);
                let (of, key) = (operands.next()?, operands.next()?);
                let Node::Literal(LiteralValue::String(key)) = &key.expr else { return None };
                path.push(key.inner().to_owned());
                node = &of.expr;
            }
            _ => return None,
        }
    }
}

fn to_cel(root: &Value, schema: Option<&Value>, value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(it) => cel::Value::Bool(*it),
        Value::String(it) => cel::Value::String(Arc::new(it.clone())),
        Value::Number(it) => {
            let double = schema.is_some_and(|schema| schema::kind(root, schema) == Kind::Number);
            match (it.as_i64(), it.as_u64()) {
                (Some(it), _) if !double => cel::Value::Int(it),
                (None, Some(it)) if !double => cel::Value::UInt(it),
                _ => cel::Value::Float(it.as_f64().unwrap_or(f64::NAN)),
            }
        }
        Value::Array(all) => {
            let items = schema.and_then(|it| it.get("items"));
            cel::Value::List(Arc::new(all.iter().map(|it| to_cel(root, items, it)).collect()))
        }
        Value::Object(all) => {
            let map: HashMap<String, cel::Value> = all
                .iter()
                .map(|(name, value)| {
                    let declared = schema.map(|it| schema::member_of(root, it, name));
                    let schema = if let Some(Declared::As(it)) = declared { Some(it) } else { None };
                    (name.clone(), to_cel(root, schema, value))
                })
                .collect();
            cel::Value::from(map)
        }
    }
}

fn to_json(value: &cel::Value) -> Option<Value> {
    Some(match value {
        cel::Value::Null => Value::Null,
        cel::Value::Bool(it) => Value::Bool(*it),
        cel::Value::Int(it) => Value::from(*it),
        cel::Value::UInt(it) => Value::from(*it),
        cel::Value::Float(it) => Value::Number(Number::from_f64(*it)?),
        cel::Value::String(it) => Value::String(it.as_str().to_owned()),
        cel::Value::List(all) => Value::Array(all.iter().map(to_json).collect::<Option<_>>()?),
        cel::Value::Map(all) => {
            // Sorted, as the evaluator keeps no order of members.
            #[expect(clippy::iter_over_hash_type, reason = "the order is lost again in the sorted map")]
            let sorted: BTreeMap<String, Value> = {
                let mut sorted = BTreeMap::new();
                for (key, value) in all.map.iter() {
                    let Key::String(key) = key else { return None };
                    sorted.insert(key.as_str().to_owned(), to_json(value)?);
                }
                sorted
            };
            Value::Object(sorted.into_iter().collect())
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
