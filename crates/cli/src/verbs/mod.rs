//! The verbs, one file per noun. Each asks the public API and prints; none decides anything.

pub(crate) mod config;
pub(crate) mod deliveries;
pub(crate) mod events;
pub(crate) mod keys;
pub(crate) mod resources;
pub(crate) mod subscriptions;
pub(crate) mod tail;
pub(crate) mod tenants;
pub(crate) mod types;

use crate::exit::Failure;
use serde_json::{Map, Value};

/// `name=value` arguments as an object of strings.
pub(crate) fn pairs(what: &str, items: &[String]) -> Result<Map<String, Value>, Failure> {
    items
        .iter()
        .map(|it| {
            it.split_once('=')
                .filter(|(name, _)| !name.is_empty())
                .map(|(name, value)| (name.to_owned(), Value::from(value)))
                .ok_or_else(|| Failure::usage(format!("`{it}` is not {what}; write name=value")))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_split_at_the_first_sign() {
        let map = pairs("a pair", &["a=b=c".into(), "d=".into()]).expect("pairs");
        assert_eq!(Value::from(map), serde_json::json!({"a": "b=c", "d": ""}));
        assert_eq!(pairs("a pair", &["=x".into()]).map_err(|it| it.exit.code()), Err(2));
    }
}
