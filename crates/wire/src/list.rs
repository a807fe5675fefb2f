//! Lists and feeds: the frames around rows.

use serde::Serialize;

/// A page of a list. No `next_cursor` is the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct List<T> {
    /// The rows.
    pub data: Vec<T>,
    /// Sent back as `after` on the same list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
}

impl<T> List<T> {
    /// A list that ends here.
    #[must_use]
    pub const fn whole(data: Vec<T>) -> Self {
        Self { data, next_cursor: None }
    }
}

/// A page of a feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Feed<T> {
    /// The rows, in log order.
    pub data: Vec<T>,
    /// The scanned-to position; always there.
    pub cursor: String,
    /// Whether there was more when it was read.
    pub has_more: bool,
    /// Events of the tenant after `cursor`, filter not applied.
    pub lag: u64,
}

/// A list of rows that are JSON text already, such as resources: not parsed again.
#[must_use]
pub fn list_bytes<'a>(rows: impl IntoIterator<Item = &'a [u8]>, next_cursor: Option<&str>) -> Vec<u8> {
    let mut out = data_bytes(rows);
    if let Some(cursor) = next_cursor {
        out.extend_from_slice(b",\"next_cursor\":");
        push_text(&mut out, cursor);
    }
    out.push(b'}');
    out
}

/// A list whose pages show one position, from which a watch misses nothing.
#[must_use]
pub fn watchable_bytes<'a>(rows: impl IntoIterator<Item = &'a [u8]>, next_cursor: Option<&str>, watch_cursor: &str) -> Vec<u8> {
    let mut out = list_bytes(rows, next_cursor);
    out.pop();
    out.extend_from_slice(b",\"watch_cursor\":");
    push_text(&mut out, watch_cursor);
    out.push(b'}');
    out
}

/// A feed of rows that are JSON text already, such as events: not parsed again.
#[must_use]
pub fn feed_bytes<'a>(rows: impl IntoIterator<Item = &'a [u8]>, cursor: &str, has_more: bool, lag: u64) -> Vec<u8> {
    let mut out = data_bytes(rows);
    out.extend_from_slice(b",\"cursor\":");
    push_text(&mut out, cursor);
    out.extend_from_slice(format!(",\"has_more\":{has_more},\"lag\":{lag}}}").as_bytes());
    out
}

fn data_bytes<'a>(rows: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = b"{\"data\":[".to_vec();
    for (at, row) in rows.into_iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(row);
    }
    out.push(b']');
    out
}

fn push_text(out: &mut Vec<u8>, text: &str) {
    ringback_model::resource::push_str(out, text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_structs_write_the_same() {
        let rows = [&b"1"[..], b"{\"a\":2}"];
        let values: Vec<serde_json::Value> = vec![1.into(), serde_json::json!({"a": 2})];
        for cursor in [None, Some("AQE\"x")] {
            let list = List { data: values.clone(), next_cursor: cursor.map(Into::into) };
            assert_eq!(list_bytes(rows, cursor), serde_json::to_vec(&list).unwrap());
        }
        let feed = Feed { data: values, cursor: "AQE".into(), has_more: true, lag: 7 };
        assert_eq!(feed_bytes(rows, "AQE", true, 7), serde_json::to_vec(&feed).unwrap());
        assert_eq!(list_bytes([], None), b"{\"data\":[]}");
    }
}
