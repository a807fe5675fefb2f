//! How values are written to columns and read from them, where SQLite has no type of ours.

use crate::fault::Fault;
use core::str::FromStr;
use ringback_model::{Timestamp, event::Place};
use rusqlite::{Row, types::FromSql};

/// The 16 bytes of an id's bits.
pub(crate) fn id(bits: u128) -> [u8; 16] {
    bits.to_be_bytes()
}

/// A place to compare with: beyond what a column holds is the end of it.
pub(crate) fn place(it: Place) -> i64 {
    i64::try_from(it).unwrap_or(i64::MAX)
}

/// A row of a table, read column by column in the order of the SELECT.
pub(crate) struct Columns<'a> {
    table: &'static str,
    row: &'a Row<'a>,
    next: usize,
}

impl<'a> Columns<'a> {
    pub(crate) fn of(table: &'static str, row: &'a Row<'a>) -> Self {
        Self { table, row, next: 0 }
    }

    /// Those from the column at `first`.
    pub(crate) fn from(table: &'static str, row: &'a Row<'a>, first: usize) -> Self {
        Self { table, row, next: first }
    }

    /// The next column.
    pub(crate) fn get<T: FromSql>(&mut self) -> Result<T, Fault> {
        let at = self.next;
        self.next += 1;
        self.row.get(at).map_err(|it| Fault::row(self.table, it))
    }

    /// The next column, a place or version.
    pub(crate) fn u64(&mut self) -> Result<u64, Fault> {
        Ok(self.get::<i64>()?.cast_unsigned())
    }

    /// The next column, a time.
    pub(crate) fn time(&mut self) -> Result<Timestamp, Fault> {
        Ok(Timestamp::from_micros(self.get()?))
    }

    /// The next column, a time that may be absent.
    pub(crate) fn time_opt(&mut self) -> Result<Option<Timestamp>, Fault> {
        Ok(self.get::<Option<i64>>()?.map(Timestamp::from_micros))
    }

    /// The next column, the bits of an id.
    pub(crate) fn bits(&mut self) -> Result<u128, Fault> {
        Ok(u128::from_be_bytes(self.get()?))
    }

    /// The next column, a checked name.
    pub(crate) fn name<T: FromStr<Err: core::fmt::Display>>(&mut self) -> Result<T, Fault> {
        let text: String = self.get()?;
        text.parse().map_err(|it| self.broken(it))
    }

    /// The next column, a checked name that may be absent.
    pub(crate) fn name_opt<T: FromStr<Err: core::fmt::Display>>(&mut self) -> Result<Option<T>, Fault> {
        let text: Option<String> = self.get()?;
        text.map(|it| it.parse().map_err(|it| self.broken(it))).transpose()
    }

    /// The next column, one of a few words.
    pub(crate) fn word<T>(&mut self, parse: impl FnOnce(&str) -> Option<T>) -> Result<T, Fault> {
        let text: String = self.get()?;
        parse(&text).ok_or_else(|| self.broken(format!("`{text}` is no word of ours")))
    }

    /// The next column, JSON.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&mut self) -> Result<T, Fault> {
        let text: String = self.get()?;
        serde_json::from_str(&text).map_err(|it| self.broken(it))
    }

    /// Passes columns over.
    pub(crate) fn skip(&mut self, columns: usize) {
        self.next += columns;
    }

    /// The fault of this row.
    pub(crate) fn broken(&self, why: impl core::fmt::Display) -> Fault {
        Fault::row(self.table, why)
    }
}

/// A value as the JSON of a column.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<String, Fault> {
    serde_json::to_string(value).map_err(|it| Fault::Row(it.to_string()))
}
