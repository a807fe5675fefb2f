//! Server-sent events: the one encoder of a stream's frames.
//!
//! A frame is a few `name: value` lines and an empty one (WHATWG HTML, section
//! 9.2 "Server-sent events"). A plain `EventSource` hands on only frames with
//! `data:`, under the name that `event:` says or else `message`, and remembers
//! the last `id:` of any frame: so a frame with an `id:` alone moves a reader's
//! position and disturbs nobody.
//!
//! Not here: when a frame is due (`ringback_engine::pace`).

use serde_json::json;

/// The media type of a stream.
pub const MEDIA_TYPE: &str = "text/event-stream";

/// Appends one frame. Data of several lines becomes several `data:` lines, as the
/// format asks for; no `data` is a frame that only moves the reader's position.
///
/// Names and ids are ours; a line break in one would break the frame, and is left out.
pub fn frame(out: &mut Vec<u8>, event: Option<&str>, id: Option<&str>, data: Option<&[u8]>) {
    if let Some(id) = id {
        field(out, b"id: ", id);
    }
    if let Some(event) = event {
        field(out, b"event: ", event);
    }
    if let Some(data) = data {
        lines(data, |line| {
            out.extend_from_slice(b"data: ");
            out.extend_from_slice(line);
            out.push(b'\n');
        });
    }
    out.push(b'\n');
}

/// What stands before the data of a frame that has an id, when that data is one line and
/// is not to be copied; [`END`] stands after it.
#[must_use]
pub fn begin(id: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(id.len() + 12);
    field(&mut out, b"id: ", id);
    out.extend_from_slice(b"data: ");
    out
}

/// What stands before the data of a row of a snapshot.
pub const SNAPSHOT: &[u8] = b"event: snapshot\ndata: ";

/// What ends a frame whose data is one line.
pub const END: &[u8] = b"\n\n";

/// A comment: says that the stream lives, and nothing else.
pub fn comment(out: &mut Vec<u8>) {
    out.extend_from_slice(b":\n\n");
}

/// `event: sync`: nothing more to tell at this position for now. `lag` counts
/// events of the tenant after it, filter not applied.
pub fn sync(out: &mut Vec<u8>, id: &str, lag: u64) {
    frame(out, Some("sync"), Some(id), Some(json!({ "lag": lag }).to_string().as_bytes()));
}

/// `event: bye`: the stream ends after this frame. `reason` is the code of an
/// error, and `detail` its sentence.
pub fn bye(out: &mut Vec<u8>, reason: &str, detail: &str) {
    frame(out, Some("bye"), None, Some(json!({ "reason": reason, "detail": detail }).to_string().as_bytes()));
}

fn field(out: &mut Vec<u8>, name: &[u8], value: &str) {
    out.extend_from_slice(name);
    // A reader ignores an id with NUL in it.
    out.extend(value.bytes().filter(|it| !matches!(it, b'\n' | b'\r' | 0)));
    out.push(b'\n');
}

/// Calls `each` with every line: lines end at LF, CR, or CR LF.
fn lines(data: &[u8], mut each: impl FnMut(&[u8])) {
    let mut rest = data;
    loop {
        let Some(at) = rest.iter().position(|it| matches!(it, b'\n' | b'\r')) else { return each(rest) };
        let (line, ending) = rest.split_at(at);
        each(line);
        rest = ending.strip_prefix(b"\r\n").or_else(|| ending.get(1..)).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What an `EventSource` makes of a stream: (event, last id, data) of each that it dispatches.
    fn parse(stream: &[u8]) -> Vec<(String, String, String)> {
        let text = core::str::from_utf8(stream).unwrap().replace("\r\n", "\n").replace('\r', "\n");
        let (mut found, mut event, mut data, mut id) = (Vec::new(), String::new(), String::new(), String::new());
        for line in text.split('\n') {
            if line.is_empty() {
                if let Some(data) = data.strip_suffix('\n') {
                    let event = if event.is_empty() { "message".to_owned() } else { event.clone() };
                    found.push((event, id.clone(), data.to_owned()));
                }
                event.clear();
                data.clear();
                continue;
            }
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match name {
                "event" => value.clone_into(&mut event),
                "data" => data.extend([value, "\n"]),
                "id" if !value.contains('\0') => value.clone_into(&mut id),
                _ => {}
            }
        }
        found
    }

    fn any_frame() -> impl Strategy<Value = (Option<String>, Option<String>, Option<String>)> {
        let text = "[a-z\n\r: \u{e4}\u{2028}]{0,12}";
        (prop::option::of("[a-z]{1,8}"), prop::option::of("[A-Za-z0-9_~-]{1,30}"), prop::option::of(text))
    }

    #[test]
    fn a_frame_in_parts_is_a_frame() {
        let (mut whole, data) = (Vec::new(), b"{\"a\":1}");
        frame(&mut whole, None, Some("x\ny"), Some(data));
        assert_eq!([&begin("x\ny"), &data[..], END].concat(), whole);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(frames in prop::collection::vec(any_frame(), 0..8)) {
            let (mut out, mut want, mut last) = (Vec::new(), Vec::new(), String::new());
            for (event, id, data) in &frames {
                frame(&mut out, event.as_deref(), id.as_deref(), data.as_deref().map(str::as_bytes));
                comment(&mut out);
                if let Some(id) = id {
                    last.clone_from(id);
                }
                if let Some(data) = data {
                    // The format has one line break; which one was sent is not told.
                    let data = data.replace("\r\n", "\n").replace('\r', "\n");
                    want.push((event.clone().unwrap_or("message".into()), last.clone(), data));
                }
            }
            prop_assert_eq!(parse(&out), want);
        }

        #[test]
        fn nothing_in_a_name_or_id_ends_a_frame(event in any::<String>(), id in any::<String>()) {
            let mut out = Vec::new();
            frame(&mut out, Some(&event), Some(&id), Some(b"1"));
            prop_assert_eq!(out.iter().filter(|it| **it == b'\n').count(), 4);
            prop_assert_eq!(out.iter().filter(|it| matches!(**it, b'\r' | 0)).count(), 0);
        }
    }

    #[test]
    fn frames_look_like_this() {
        let mut out = Vec::new();
        frame(&mut out, None, Some("AQE"), None);
        frame(&mut out, None, Some("AQF"), Some(b"{\"a\":1}"));
        comment(&mut out);
        sync(&mut out, "AQF", 3);
        bye(&mut out, "draining", "The server goes.");
        assert_eq!(
            core::str::from_utf8(&out).unwrap(),
            "id: AQE\n\nid: AQF\ndata: {\"a\":1}\n\n:\n\nid: AQF\nevent: sync\ndata: {\"lag\":3}\n\n\
             event: bye\ndata: {\"reason\":\"draining\",\"detail\":\"The server goes.\"}\n\n"
        );
        assert_eq!(parse(&out).len(), 3, "the first frame and the comment are handed to nobody");
    }
}
