//! JSON that is published: what is kept is what was sent, but for white space.

use ringback_engine::json;
use serde_json::Value;

/// See the module.
pub fn run(bytes: &[u8]) {
    let other = serde_json::from_slice::<&serde_json::value::RawValue>(bytes);
    let Ok(kept) = json::compact(bytes) else { return };
    assert!(other.is_ok(), "serde_json refuses what we take");
    assert_eq!(json::compact(&kept).expect("it was taken"), kept, "what is kept is compact");
    assert!(kept.len() <= bytes.len());
    same_but_for_space(bytes, &kept);
    let (before, after) = (serde_json::from_slice::<Value>(bytes), serde_json::from_slice::<Value>(&kept));
    if let (Ok(before), Ok(after)) = (&before, &after) {
        assert_eq!(before, after, "it means something else");
    }
    if let Ok(value) = json::parse_value(bytes) {
        assert_eq!(Some(&value), before.as_ref().ok(), "read otherwise");
    }
}

/// Nothing but white space outside strings is gone.
pub fn same_but_for_space(bytes: &[u8], kept: &[u8]) {
    assert_eq!(without_space(bytes), kept, "something else was changed");
}

fn without_space(bytes: &[u8]) -> Vec<u8> {
    let (mut out, mut inside, mut escaped) = (Vec::new(), false, false);
    for byte in bytes {
        if inside || !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
            out.push(*byte);
        }
        match byte {
            b'"' if !escaped => inside = !inside,
            _ => {}
        }
        escaped = inside && *byte == b'\\' && !escaped;
    }
    out
}
