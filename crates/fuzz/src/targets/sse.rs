//! Frames of server-sent events, read by a parser after the standard
//! (<https://html.spec.whatwg.org/multipage/server-sent-events.html>).

use ringback_wire::sse;

/// Data comes as JSON; ids and names are ours. Whatever is in the data stays one frame.
pub fn run(bytes: &[u8]) {
    let data = serde_json::to_vec(&String::from_utf8_lossy(bytes)).expect("a string");
    let mut out = Vec::new();
    sse::frame(&mut out, None, Some("AQ-1_x"), None);
    sse::frame(&mut out, None, Some("AQ-2_x"), Some(&data));
    sse::comment(&mut out);
    sse::sync(&mut out, "AQ-3_x", 7);
    sse::frame(&mut out, Some("snapshot"), None, Some(&data));
    sse::bye(&mut out, "draining", &String::from_utf8_lossy(bytes));
    let text = String::from_utf8(out).expect("UTF-8");
    let own = String::from_utf8(data).expect("UTF-8");
    let found = parse(&text);
    // The first frame only moves the id: it is no event.
    assert_eq!(found.len(), 4, "{text}");
    assert_eq!(found[0], ("message".into(), "AQ-2_x".into(), own.clone()));
    assert_eq!(found[1], ("sync".into(), "AQ-3_x".into(), "{\"lag\":7}".into()));
    assert_eq!(found[2], ("snapshot".into(), "AQ-3_x".into(), own));
    assert_eq!(found[3].0, "bye");
    let bye: serde_json::Value = serde_json::from_str(&found[3].2).expect("JSON");
    assert_eq!(bye["detail"], *String::from_utf8_lossy(bytes));
}

/// (event, last id, data) of each event that a browser would fire.
fn parse(text: &str) -> Vec<(String, String, String)> {
    let (mut out, mut event, mut id, mut data) = (Vec::new(), String::new(), String::new(), Vec::new());
    for line in text.replace("\r\n", "\n").replace('\r', "\n").split('\n') {
        if line.is_empty() {
            if !data.is_empty() {
                let name = if event.is_empty() { "message".to_owned() } else { event.clone() };
                out.push((name, id.clone(), data.join("\n")));
            }
            event.clear();
            data.clear();
            continue;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut event),
            "id" if !value.contains('\0') => value.clone_into(&mut id),
            "data" => data.push(value.to_owned()),
            _ => {}
        }
    }
    out
}
