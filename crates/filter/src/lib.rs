//! The filter language of Ringback: a leaf that knows no nouns.
//!
//! A condition says which member is compared, how, and with what. It is read
//! from a query parameter (`amount[gte]=1000`) when the caller has told which
//! kind of value the member holds, and judged on anything that can be asked for
//! its members (`Fields`).
//!
//! The rules: strings compare by code point; integers exactly, other numbers as
//! doubles; date-times as instants; `null` is missing; a missing member matches
//! nothing, `ne` included.
//!
//! Not here: which members a type declares and which index serves a list
//! (`engine::list`).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

mod ast;
mod eval;
mod ops;
mod parse;

pub use ast::{Kind, Num, Operand, Term};
pub use eval::{Fields, Found, same, walk};
pub use ops::Op;
pub use parse::{ParseError, split, term};

/// The values that one `in` may list.
pub const IN_VALUES_MAX: usize = 100;
