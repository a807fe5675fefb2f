//! The order of a list: `sort=-created_at,amount`.
//!
//! `-` means descending; the id breaks ties, in the direction of the first key.
//! A resource in which a key is missing comes after those in which it is there,
//! in either direction. Values of different kinds have an order too, so that a
//! list has one whatever an open schema holds: booleans, numbers, text, the rest.
//!
//! Not here: conditions and indexes (`list`), pages (`service::lists`).

use crate::{list, suggest};
use core::cmp::Ordering;
use ringback_filter::{Fields, Found, Kind, Num};
use ringback_model::{
    names::excerpt,
    resource::{IMPLICIT, Resource},
    type_decl::TypeDecl,
};
use serde_json::Value;

/// Keys that one list may be sorted by.
pub const KEYS_MAX: usize = 4;

/// The order of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    keys: Vec<Key>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    path: Vec<String>,
    descending: bool,
    instant: bool,
}

impl Sort {
    /// Newest first: what a list is sorted by when nothing is said.
    #[must_use]
    pub fn newest() -> Self {
        Self { keys: vec![Key { path: vec!["created_at".into()], descending: true, instant: true }] }
    }

    /// Reads the parameter `sort`.
    ///
    /// # Errors
    /// A sentence that says what is wrong: a field that the type does not have or that has no order, a key twice, more than `KEYS_MAX`.
    pub fn parse(decl: &TypeDecl, text: &str) -> Result<Self, String> {
        let mut keys: Vec<Key> = Vec::new();
        for part in text.split(',') {
            let (name, descending) = match part.trim().strip_prefix('-') {
                Some(name) => (name, true),
                None => (part.trim(), false),
            };
            if name.is_empty() {
                return Err(
                    "`sort` takes fields, separated by commas, each with a `-` before it for descending: `-created_at,amount`".into()
                );
            }
            let path: Vec<String> = name.split('.').map(ToOwned::to_owned).collect();
            let kind = list::declared_kind(decl, &path)?;
            if kind == Kind::Composite {
                return Err(format!("`{}` is an object or a list and has no order", excerpt(name, 60)));
            }
            if keys.iter().any(|it| it.path == path) {
                return Err(format!("`{}` is there twice", excerpt(name, 60)));
            }
            if keys.len() == KEYS_MAX {
                return Err(format!("a list is sorted by at most {KEYS_MAX} fields"));
            }
            keys.push(Key { path, descending, instant: kind == Kind::Instant });
        }
        Ok(Self { keys })
    }

    /// Whether the first key is when a resource was made, and the direction; then no other key
    /// but the id is looked at, as hardly two resources are made in one microsecond.
    #[must_use]
    pub fn by_age(&self) -> Option<bool> {
        match self.keys.as_slice() {
            [Key { path, descending, .. }] if path.len() == 1 && path.iter().any(|it| it == "created_at") => Some(*descending),
            _ => None,
        }
    }

    /// The fields by which it is sorted.
    #[must_use]
    pub fn fields(&self) -> Vec<String> {
        self.keys.iter().map(|it| it.path.join(".")).collect()
    }

    /// Which of the two comes first. Two different resources are never equal.
    #[must_use]
    pub fn compare(&self, a: &Resource, b: &Resource) -> Ordering {
        let (fields_a, fields_b) = (list::Members(a), list::Members(b));
        for key in &self.keys {
            let (a, b) = (value(&fields_a, key), value(&fields_b, key));
            let order = match (a.is_missing(), b.is_missing()) {
                (true, true) => Ordering::Equal,
                (true, false) => Ordering::Greater,
                (false, true) => Ordering::Less,
                (false, false) if key.descending => b.compare(&a),
                (false, false) => a.compare(&b),
            };
            if order != Ordering::Equal {
                return order;
            }
        }
        let ids = a.id.cmp(&b.id);
        if self.keys.first().is_some_and(|it| it.descending) { ids.reverse() } else { ids }
    }
}

/// As it is written: what a page cursor is bound to.
impl core::fmt::Display for Sort {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (at, it) in self.keys.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma}{}{}", if it.descending { "-" } else { "" }, it.path.join("."))?;
        }
        Ok(())
    }
}

/// A value with its place among all values.
enum Ranked<'a> {
    Missing,
    Boolean(bool),
    Number(Num),
    Instant(i128),
    Text(&'a str),
    Rest,
}

impl Ranked<'_> {
    const fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Boolean(_) => 0,
            Self::Number(_) => 1,
            Self::Instant(_) => 2,
            Self::Text(_) => 3,
            Self::Rest => 4,
            Self::Missing => 5,
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            // Two doubles of a resource are finite.
            (Self::Number(a), Self::Number(b)) => a.compare(*b).unwrap_or(Ordering::Equal),
            (Self::Instant(a), Self::Instant(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (a, b) => a.rank().cmp(&b.rank()),
        }
    }
}

fn value<'a>(fields: &'a list::Members<'_>, key: &Key) -> Ranked<'a> {
    match fields.field(&key.path) {
        None | Some(Found::Value(Value::Null)) => Ranked::Missing,
        Some(Found::Text(it)) => Ranked::Text(it),
        Some(Found::Integer(it)) => Ranked::Number(Num::Integer(it)),
        Some(Found::Instant(it)) => Ranked::Instant(it),
        Some(Found::Value(Value::String(it))) => match ringback_filter::instant(it) {
            Some(at) if key.instant => Ranked::Instant(at),
            _ => Ranked::Text(it),
        },
        Some(Found::Value(Value::Number(it))) => Num::of(it).map_or(Ranked::Rest, Ranked::Number),
        Some(Found::Value(Value::Bool(it))) => Ranked::Boolean(*it),
        Some(Found::Value(_)) => Ranked::Rest,
    }
}

/// The parameter `fields`: which members of a resource are shown.
///
/// # Errors
/// A sentence that says which name is no member.
pub fn shown(decl: &TypeDecl, text: &str) -> Result<Vec<String>, String> {
    let mut out: Vec<String> = Vec::new();
    for name in text.split(',').map(str::trim) {
        if name.is_empty() {
            return Err("`fields` takes names of fields, separated by commas: `id,status,amount`".into());
        }
        list::declared_kind(decl, &[name.to_owned()]).map_err(|why| {
            let all = crate::schema::properties(&decl.schema).map(|it| it.0).chain(IMPLICIT);
            if why.contains("did you mean") { why } else { format!("{why}{}", suggest::clause(name, all)) }
        })?;
        if !out.iter().any(|it| it == name) {
            out.push(name.to_owned());
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::CompiledType;
    use proptest::prelude::*;
    use ringback_model::{TenantId, Timestamp};
    use serde_json::json;

    fn visit() -> CompiledType {
        CompiledType::load(&json!({
            "type": "visit", "lifecycle": "planned -> over",
            "schema": { "properties": { "amount": { "type": "integer" }, "at": { "type": "string", "format": "date-time" },
                "who": { "type": "object", "properties": { "name": { "type": "string" } } } } },
        }))
        .unwrap()
    }

    fn row(id: &str, secs: i64, fields: Value) -> Resource {
        let at = Timestamp::from_secs(secs);
        Resource {
            id: id.parse().unwrap(),
            type_name: "visit".parse().unwrap(),
            tenant: TenantId::default_tenant(),
            status: "planned".parse().unwrap(),
            version: 1,
            created_at: at,
            updated_at: at,
            since: at,
            fields: fields.as_object().unwrap().clone(),
        }
    }

    #[track_caller]
    fn check(sort: &str, want: &str) {
        let sort = Sort::parse(&visit().decl, sort).unwrap();
        let mut rows = [
            row("a", 3, json!({ "amount": 5, "at": "2026-01-01T00:00:00Z", "who": { "name": "Zoe" } })),
            row("b", 2, json!({ "amount": 12, "at": "2025-12-31T23:30:00-01:00", "who": { "name": "ann" } })),
            row("c", 1, json!({ "amount": 5, "at": "2025-06-01T00:00:00Z" })),
            row("d", 1, json!({ "who": { "name": "Bob" }, "at": null })),
        ];
        rows.sort_by(|a, b| sort.compare(a, b));
        assert_eq!(rows.iter().map(|it| it.id.as_str()).collect::<String>(), want, "{sort}");
    }

    #[test]
    fn orders() {
        check("-created_at", "abdc");
        check("created_at", "cdba");
        check("amount", "acbd");
        check("-amount", "bcad");
        check("amount,-created_at", "acbd");
        check("amount,created_at", "cabd");
        check("at", "cabd");
        check("-at", "bacd");
        check("who.name", "dabc");
        check("-id", "dcba");
        check("status", "abcd");
    }

    #[test]
    fn what_has_no_order() {
        let refused = |text: &str| Sort::parse(&visit().decl, text).unwrap_err();
        assert_eq!(refused("amuont"), "`amuont` is neither a parameter here nor a field of visit; did you mean `amount`?");
        assert_eq!(refused("who"), "`who` is an object or a list and has no order");
        assert_eq!(refused("amount,-amount"), "`amount` is there twice");
        assert!(refused("").contains("separated by commas"));
        assert!(refused("amount,").contains("separated by commas"));
        assert!(refused("id,status,amount,at,version").contains("at most 4"));
        assert_eq!(shown(&visit().decl, "id, status,id").unwrap(), ["id", "status"]);
        assert!(shown(&visit().decl, "amuont").unwrap_err().contains("did you mean `amount`?"));
        assert!(shown(&visit().decl, "id,").is_err());
    }

    proptest! {
        #[test]
        fn it_is_an_order(rows in prop::collection::vec((prop_oneof![Just(json!(null)), any::<bool>().prop_map(|it| json!(it)),
            (-3..3_i64).prop_map(|it| json!(it)), (-3.0..3.0_f64).prop_map(|it| json!(it)), "[a-c]{0,2}".prop_map(|it| json!(it)), Just(json!([]))], 0..3_i64), 3), descending: bool) {
            let open = CompiledType::load(&json!({"type": "visit", "lifecycle": "planned -> over"})).unwrap();
            let sort = Sort::parse(&open.decl, if descending { "-x,created_at" } else { "x,created_at" }).unwrap();
            let rows: Vec<_> = rows.into_iter().zip(["a", "b", "c"]).map(|((x, secs), id)| row(id, secs, json!({ "x": x }))).collect();
            for a in &rows {
                prop_assert_eq!(sort.compare(a, a), Ordering::Equal);
                for b in &rows {
                    prop_assert_eq!(sort.compare(a, b), sort.compare(b, a).reverse());
                    for c in &rows {
                        if sort.compare(a, b).is_lt() && sort.compare(b, c).is_lt() {
                            prop_assert!(sort.compare(a, c).is_lt());
                        }
                    }
                }
            }
        }
    }
}
