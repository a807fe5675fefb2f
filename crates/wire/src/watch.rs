//! The items of a watch: `{"change","event","resource"}`.

use ringback_model::EventId;

/// One item. `resource` is JSON text already, and not parsed again; of a `delete` it is the last image.
#[must_use]
pub fn item(change: &str, event: EventId, resource: &[u8]) -> Vec<u8> {
    let mut out = begin(change, event).into_bytes();
    out.extend_from_slice(resource);
    out.extend_from_slice(END);
    out
}

/// What stands before the resource of an item, when that is not to be copied; [`END`] stands after it.
#[must_use]
pub fn begin(change: &str, event: EventId) -> String {
    format!("{{\"change\":\"{change}\",\"event\":\"{event}\",\"resource\":")
}

/// What ends an item.
pub const END: &[u8] = b"}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_json() {
        let text = item("enter", EventId::from_bits(1), b"{\"id\":\"1\"}");
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value, serde_json::json!({"change": "enter", "event": "evt_00000000000000000000000001", "resource": {"id": "1"}}));
    }
}
