//! How much work a schema can make, before it is let in.
//!
//! Alternatives that refer to alternatives double at every step: thirty short
//! lines can ask for a billion applications to one value. Checking a value has no
//! other bound, so such a schema is refused when it is declared.
//!
//! Not here: recursion. What refers to itself is counted once, since it goes no
//! deeper than the value does; alternatives that recurse in each of their
//! branches can still double at every level of a deeply nested value.

use ringback_model::limits;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Keywords that hold one schema each.
const ONE: [&str; 11] = [
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];
/// Keywords that hold lists of schemas.
const LISTS: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];
/// Keywords that hold schemas by name.
const MAPS: [&str; 3] = ["dependentSchemas", "patternProperties", "properties"];

/// Refuses a schema whose parts would be applied too often.
///
/// # Errors
/// What is wrong.
pub(crate) fn check(schema: &Value) -> Result<(), String> {
    let mut anchors = BTreeMap::new();
    collect_anchors(schema, &mut anchors);
    let mut weigh = Weigh { root: schema, anchors, known: BTreeMap::new(), open: Vec::new(), too_deep: false };
    let applications = weigh.of(schema);
    if weigh.too_deep {
        return Err(format!("more than {} references lead one from the other; refer more directly", limits::SCHEMA_DEPTH_MAX));
    }
    if applications > limits::SCHEMA_APPLICATIONS_MAX {
        return Err(format!(
            "with all its references followed, its parts would be applied more than {} times to one value; \
             let alternatives refer to fewer others",
            limits::SCHEMA_APPLICATIONS_MAX
        ));
    }
    Ok(())
}

struct Weigh<'a> {
    root: &'a Value,
    anchors: BTreeMap<&'a str, &'a Value>,
    /// What was weighed already. A schema is known by its place in memory: it is borrowed all the while.
    known: BTreeMap<*const Value, u64>,
    /// What is being weighed.
    open: Vec<*const Value>,
    too_deep: bool,
}

impl<'a> Weigh<'a> {
    /// How many applications a schema stands for, itself included; never too many to count.
    fn of(&mut self, node: &'a Value) -> u64 {
        let Value::Object(schema) = node else { return 1 };
        let place = core::ptr::from_ref(node);
        if let Some(known) = self.known.get(&place) {
            return *known;
        }
        if self.open.contains(&place) {
            return 0;
        }
        if self.open.len() >= limits::SCHEMA_DEPTH_MAX {
            self.too_deep = true;
            return 0;
        }
        self.open.push(place);
        let mut sum: u64 = 1;
        for part in self.parts(schema) {
            sum = sum.saturating_add(self.of(part));
        }
        self.open.pop();
        self.known.insert(place, sum);
        sum
    }

    /// The schemas that a schema applies.
    fn parts(&self, schema: &'a Map<String, Value>) -> Vec<&'a Value> {
        let mut all: Vec<&Value> = ONE.iter().filter_map(|it| schema.get(*it)).collect();
        all.extend(LISTS.iter().filter_map(|it| schema.get(*it)?.as_array()).flatten());
        all.extend(MAPS.iter().filter_map(|it| schema.get(*it)?.as_object()).flat_map(Map::values));
        let references = ["$ref", "$dynamicRef"].iter().filter_map(|it| schema.get(*it)?.as_str()?.strip_prefix('#'));
        all.extend(references.filter_map(|it| {
            if it.is_empty() { Some(self.root) } else { self.root.pointer(it).or_else(|| self.anchors.get(it).copied()) }
        }));
        all
    }
}

fn collect_anchors<'a>(node: &'a Value, out: &mut BTreeMap<&'a str, &'a Value>) {
    match node {
        Value::Object(members) => {
            let names = ["$anchor", "$dynamicAnchor"].iter().filter_map(|it| members.get(*it)?.as_str());
            out.extend(names.map(|it| (it, node)));
            members.values().for_each(|it| collect_anchors(it, out));
        }
        Value::Array(all) => all.iter().for_each(|it| collect_anchors(it, out)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// `steps` definitions, each with two alternatives that are the next one; made by `next`.
    fn doubling(steps: usize, next: impl Fn(String) -> Value) -> Value {
        let definitions: Map<String, Value> = (0..steps)
            .map(|at| (format!("n{at}"), json!({ "anyOf": [next(format!("n{}", at + 1)), next(format!("n{}", at + 1))] })))
            .chain([(format!("n{steps}"), json!({ "type": "integer" , "$anchor": format!("n{steps}") }))])
            .collect();
        json!({ "properties": { "it": { "$ref": "#/$defs/n0" } }, "$defs": definitions })
    }

    #[test]
    fn alternatives_of_alternatives_are_refused() {
        let same = |name| json!({ "$ref": format!("#/$defs/{name}") });
        let deeper = |name| json!({ "properties": { "it": { "$ref": format!("#/$defs/{name}") } } });
        assert_eq!(check(&doubling(10, same)), Ok(()));
        assert!(check(&doubling(24, same)).is_err());
        assert!(check(&doubling(24, deeper)).is_err());
        assert!(check(&doubling(200, same)).is_err(), "the count does not overflow");
        assert!(check(&doubling(600, same)).is_err(), "nor does the stack");
    }

    #[test]
    fn anchors_are_followed() {
        let mut schema = doubling(24, |name| json!({ "$ref": format!("#{name}") }));
        assert_eq!(check(&schema), Ok(()), "they lead nowhere");
        for at in 0..24 {
            schema["$defs"][format!("n{at}")]["$anchor"] = json!(format!("n{at}"));
        }
        assert!(check(&schema).is_err());
    }

    #[test]
    fn what_people_write_is_taken() {
        let expression = json!({
            "$ref": "#/$defs/expression",
            "$defs": { "expression": { "oneOf": [
                { "type": "number" },
                { "properties": { "and": { "type": "array", "items": { "$ref": "#/$defs/expression" } } } },
                { "properties": { "not": { "$ref": "#/$defs/expression" } } },
            ] } },
        });
        let wide: Map<String, Value> = (0..5_000).map(|at| (format!("p{at}"), json!({ "type": "string" }))).collect();
        for schema in [json!({}), json!({ "$ref": "#" }), expression, json!({ "properties": wide })] {
            assert_eq!(check(&schema), Ok(()));
        }
    }
}
