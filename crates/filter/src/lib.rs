//! The filter language of Ringback: a leaf that knows no nouns.
//!
//! A condition says which member is compared, how, and with what. It is read
//! from a query parameter (`amount[gte]=1000`) or from an expression
//! (`status = "completed" AND amount >= 1000`), checked against what the caller
//! says that members hold (`Schema`), and judged on anything that can be asked for
//! its members (`Fields`).
//!
//! ```
//! use ringback_filter::{Kind, Schema, parse_expression};
//! struct Open;
//! impl Schema for Open {
//!     fn kind(&self, _: &[String]) -> Result<Kind, String> {
//!         Ok(Kind::Any)
//!     }
//! }
//! let filter = parse_expression("status = \"completed\" AND NOT refunded:*").unwrap().check(&Open).unwrap();
//! let payment = serde_json::json!({ "status": "completed", "amount": 1999 });
//! assert!(filter.matches(payment.as_object().unwrap()));
//! ```
//!
//! The rules: strings compare by code point; integers exactly, other numbers as
//! doubles; date-times as instants; `null` is missing; a missing member matches
//! nothing, `ne` included. `NOT` turns the verdict around: `NOT amount > 5` is met
//! where there is no amount, `amount <= 5` is not.
//!
//! Not here: which members a type declares and which index serves a list
//! (`engine::list`).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod ast;
mod eval;
mod explain;
mod expr;
mod language;
mod ops;
mod parse;

pub use ast::{Kind, Num, Operand, Term};
pub use eval::{Fields, Found, same, walk};
pub use explain::Clause;
pub use expr::Expr;
pub use language::{FilterError, Schema, Syntax, parse as parse_expression, possible};
pub use ops::Op;
pub use parse::{ParseError, instant, split, term};

/// The values that one `in` may list.
pub const IN_VALUES_MAX: usize = 100;
/// The bytes of one expression.
pub const TEXT_BYTES_MAX: usize = 4_096;
/// The conditions of one expression.
pub const TERMS_MAX: usize = 20;
/// How deep `(` and `NOT` may nest.
pub const DEPTH_MAX: usize = 20;
