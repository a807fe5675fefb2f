//! JSON Merge Patch (RFC 7396), and what differs between two images.

use ringback_filter::same;
use serde_json::{Map, Value};

/// Applies a merge-patch to an object: `null` removes, objects are merged, anything else replaces.
pub(crate) fn merge(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (name, value) in patch {
        match value {
            Value::Null => {
                // Keeps the order of what stays.
                target.shift_remove(name);
            }
            Value::Object(inner) => {
                let slot = target.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
                if !slot.is_object() {
                    *slot = Value::Object(Map::new());
                }
                if let Value::Object(slot) = slot {
                    merge(slot, inner);
                }
            }
            other => {
                target.insert(name.clone(), other.clone());
            }
        }
    }
}

/// The members whose value differs, with their old values, `null` where there
/// was none: in the order of the old image, then of the new one.
pub(crate) fn previous(old: &Map<String, Value>, new: &Map<String, Value>) -> Map<String, Value> {
    let mut out = Map::new();
    for (name, was) in old {
        if !new.get(name).is_some_and(|is| same(was, is)) {
            out.insert(name.clone(), was.clone());
        }
    }
    for name in new.keys().filter(|it| !old.contains_key(*it)) {
        out.insert(name.clone(), Value::Null);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    /// The appendix of RFC 7396, as far as both sides are objects.
    #[test]
    fn the_standards_examples() {
        for (target, patch, want) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!({"a":"foo"}), json!({"a":{"b":1}}), json!({"a":{"b":1}})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ] {
            let mut got = target.as_object().unwrap().clone();
            merge(&mut got, patch.as_object().unwrap());
            assert_eq!(Value::Object(got), want, "{target} + {patch}");
        }
    }

    pub(crate) fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (-3i64..3).prop_map(Value::from),
            "[ab]{0,2}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 16, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[abc]", inner, 0..3).prop_map(|it| Value::Object(it.into_iter().collect())),
            ]
        })
    }

    fn any_object() -> impl Strategy<Value = Map<String, Value>> {
        prop::collection::btree_map("[abcd]", any_value(), 0..4).prop_map(|it| it.into_iter().collect())
    }

    proptest! {
        #[test]
        fn twice_is_once(target in any_object(), patch in any_object()) {
            let mut once = target;
            merge(&mut once, &patch);
            let mut twice = once.clone();
            merge(&mut twice, &patch);
            prop_assert_eq!(once, twice);
        }

        #[test]
        fn previous_leads_back(old in any_object(), new in any_object()) {
            let without_null = |it: &Map<String, Value>| it.iter().filter(|it| !it.1.is_null()).map(|(k, v)| (k.clone(), v.clone())).collect::<Map<_, _>>();
            let mut back = new.clone();
            for (name, was) in previous(&old, &new) {
                back.insert(name, was);
            }
            prop_assert_eq!(without_null(&back), without_null(&old));
            prop_assert!(previous(&old, &old).is_empty());
        }
    }
}
