//! What a receiver is sent of an event: bodies, and the headers that say what they are.
//!
//! Each form but `thin` sees nothing of the event but its public bytes, so that it is a
//! function of them and of the revision (P8) by its signature alone.

use crate::{
    event::{Event, PayloadForm, payload},
    resource::push_str,
};
use alloc::{borrow::ToOwned, collections::BTreeMap, format, string::String, vec::Vec};
use bytes::Bytes;
use serde_json::value::RawValue;

/// A body, and what says what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The bytes that are sent and signed.
    pub body: Bytes,
    /// Its media type.
    pub content_type: &'static str,
    /// Headers that belong to the form, lower-case names; never signed.
    pub headers: Vec<(&'static str, String)>,
}

/// What a push receiver is sent: a pure function of the event and of the revision's
/// form and public URL (no slash at its end).
#[must_use]
pub fn render(event: &Event, form: PayloadForm, public_url: &str) -> Rendered {
    let headers = match form {
        PayloadForm::CloudeventsBinary => binary_headers(&event.bytes, public_url),
        PayloadForm::Full | PayloadForm::Data | PayloadForm::Thin | PayloadForm::Cloudevents => Vec::new(),
    };
    let content_type = if form == PayloadForm::Cloudevents { "application/cloudevents+json" } else { "application/json" };
    Rendered { body: payload(event, form, public_url), content_type, headers }
}

/// Whether a payload form writes this header, whose name is in lower case.
#[must_use]
pub fn is_reserved_header(name: &str) -> bool {
    name.starts_with("ce-")
}

type Members<'a> = BTreeMap<String, &'a RawValue>;

fn members(bytes: &[u8]) -> Members<'_> {
    serde_json::from_slice(bytes).unwrap_or_default()
}

fn text(members: &Members<'_>, name: &str) -> Option<String> {
    serde_json::from_str(members.get(name)?.get()).ok()
}

/// `data` alone, verbatim.
pub(crate) fn data(bytes: &Bytes) -> Bytes {
    match members(bytes).get("data") {
        Some(it) => bytes.slice_ref(it.get().as_bytes()),
        None => Bytes::from_static(b"null"),
    }
}

/// The context attributes of CloudEvents 1.0 in a fixed order, extensions last.
///
/// `source` and `id` together name an event for good, as section "Required Attributes"
/// asks: joined by a slash they are the URL at which it can be asked. `sequence` is the
/// extension of that name, a text that sorts as the numbers do; `recordedtime` is there
/// when `time` is the publisher's. `previous` has no place: extensions are not objects.
/// <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>
fn attributes(members: &Members<'_>, public_url: &str) -> Vec<(&'static str, String)> {
    let timestamp = text(members, "timestamp");
    let occurred_at = text(members, "occurred_at");
    let sequence = members.get("sequence").and_then(|it| it.get().parse::<u64>().ok());
    [
        ("specversion", Some("1.0".to_owned())),
        ("id", text(members, "id")),
        ("source", Some(format!("{public_url}/v1/events"))),
        ("type", text(members, "type")),
        ("time", occurred_at.clone().or_else(|| timestamp.clone())),
        ("subject", text(members, "subject")),
        ("recordedtime", timestamp.filter(|_| occurred_at.is_some())),
        ("sequence", sequence.map(|it| format!("{it:020}"))),
        ("tenant", text(members, "tenant")),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name, value?)))
    .collect()
}

/// An event of CloudEvents 1.0 in structured mode, `data` verbatim.
/// <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>
pub(crate) fn cloudevents(bytes: &Bytes, public_url: &str) -> Bytes {
    let members = members(bytes);
    let mut out = Vec::with_capacity(bytes.len() + public_url.len() + 160);
    for (name, value) in attributes(&members, public_url) {
        out.extend_from_slice(if out.is_empty() { b"{\"" } else { b",\"" });
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        push_str(&mut out, &value);
    }
    out.extend_from_slice(b",\"datacontenttype\":\"application/json\",\"data\":");
    out.extend_from_slice(members.get("data").map_or(b"null", |it| it.get().as_bytes()));
    out.push(b'}');
    Bytes::from(out)
}

/// The attributes as headers, for binary mode.
/// <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md#31-binary-content-mode>
fn binary_headers(bytes: &Bytes, public_url: &str) -> Vec<(&'static str, String)> {
    let named = |name: &'static str| match name {
        "specversion" => "ce-specversion",
        "id" => "ce-id",
        "source" => "ce-source",
        "type" => "ce-type",
        "time" => "ce-time",
        "subject" => "ce-subject",
        "recordedtime" => "ce-recordedtime",
        "sequence" => "ce-sequence",
        _ => "ce-tenant",
    };
    attributes(&members(bytes), public_url).into_iter().map(|(name, value)| (named(name), header_value(&value))).collect()
}

/// Section 3.1.3.2 of the binding: percent-encoded are space, `"`, `%`, and all that is not printable ASCII.
fn header_value(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'"' && byte != b'%' {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        event::{EventDraft, OfResource},
        ids::EventId,
        key::Authority,
        names::{EventType, ResourceId, Subject, TenantId, TypeName},
        time::Timestamp,
    };
    use proptest::prelude::*;

    const URL: &str = "https://api.example.com";

    fn event(data: &str, subject: Option<&str>, occurred: bool, of: bool) -> Event {
        EventDraft {
            id: EventId::from_bits(7),
            event_type: EventType::parse("payment.completed").unwrap_or_else(|_| unreachable!()),
            timestamp: Timestamp::from_secs(1_795_458_284),
            subject: subject.and_then(|it| Subject::parse(it).ok()),
            data: Bytes::copy_from_slice(data.as_bytes()),
            previous: of.then(|| Bytes::from_static(b"{\"status\":\"created\"}")),
            occurred_at: occurred.then(|| Timestamp::from_secs(0)),
            expires_at: None,
            key: None,
            audience: Authority::Tenant,
            of: of.then(|| OfResource {
                type_name: TypeName::parse("payment").unwrap_or_else(|_| unreachable!()),
                id: ResourceId::parse("1").unwrap_or_else(|_| unreachable!()),
                version: 2,
                entered: None,
                deleted: false,
            }),
        }
        .place(TenantId::default_tenant(), 9, 42, true)
    }

    fn body(event: &Event, form: PayloadForm) -> String {
        String::from_utf8(render(event, form, URL).body.to_vec()).unwrap_or_default()
    }

    #[test]
    fn data_is_verbatim() {
        let event = event("{\"b\":1.50,\"a\":\"\\u00e4\"}", None, false, true);
        assert_eq!(body(&event, PayloadForm::Data), "{\"b\":1.50,\"a\":\"\\u00e4\"}");
        assert_eq!(render(&event, PayloadForm::Data, URL).content_type, "application/json");
    }

    #[test]
    fn cloudevents_are_those_of_the_specification() {
        let plain = event("{\"a\":1.50}", Some("/payment/1"), false, true);
        assert_eq!(
            body(&plain, PayloadForm::Cloudevents),
            "{\"specversion\":\"1.0\",\"id\":\"evt_00000000000000000000000007\",\"source\":\"https://api.example.com/v1/events\",\
             \"type\":\"payment.completed\",\"time\":\"2026-11-23T18:24:44.000000Z\",\"subject\":\"/payment/1\",\
             \"sequence\":\"00000000000000000042\",\"tenant\":\"default\",\"datacontenttype\":\"application/json\",\"data\":{\"a\":1.50}}"
        );
        assert_eq!(render(&plain, PayloadForm::Cloudevents, URL).content_type, "application/cloudevents+json");
        let published = body(&event("1", None, true, false), PayloadForm::Cloudevents);
        assert!(
            published.contains("\"time\":\"1970-01-01T00:00:00.000000Z\",\"recordedtime\":\"2026-11-23T18:24:44.000000Z\""),
            "{published}"
        );
    }

    #[test]
    fn binary_cloudevents_are_headers_and_data() {
        let rendered = render(&event("{\"a\":1.50}", Some("/über/\"1 %"), true, false), PayloadForm::CloudeventsBinary, URL);
        assert_eq!((rendered.body.as_ref(), rendered.content_type), (&b"{\"a\":1.50}"[..], "application/json"));
        let shown: Vec<_> = rendered.headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(
            shown.join("\n"),
            "ce-specversion: 1.0\nce-id: evt_00000000000000000000000007\nce-source: https://api.example.com/v1/events\n\
             ce-type: payment.completed\nce-time: 1970-01-01T00:00:00.000000Z\nce-subject: /%C3%BCber/%221%20%25\n\
             ce-recordedtime: 2026-11-23T18:24:44.000000Z\nce-sequence: 00000000000000000042\nce-tenant: default"
        );
        assert!(rendered.headers.iter().all(|it| is_reserved_header(it.0)));
    }

    proptest! {
        /// P8: whatever else is known of an event, the same public bytes make the same request.
        #[test]
        fn the_forms_are_functions_of_the_public_bytes(
            text in "[^\u{0}-\u{1f}\"\\\\]{0,20}", subject in "/[a-z0-9 ü\"%]{1,12}", occurred: bool, of: bool, seq: u64,
        ) {
            let data = format!("{{\"type\":\"x\",\"data\":[\"{text}\"],\"id\":1.50}}");
            let one = event(&data, Some(&subject), occurred, of);
            let other = Event {
                seq,
                key: Some("k".into()),
                of: None,
                subject: None,
                event_type: EventType::parse("a.b").unwrap_or_else(|_| unreachable!()),
                timestamp: Timestamp::from_secs(1),
                ..one.clone()
            };
            for form in PayloadForm::ALL.iter().copied().filter(|it| *it != PayloadForm::Thin) {
                prop_assert_eq!(render(&one, form, URL), render(&other, form, URL));
            }
            prop_assert_eq!(&render(&one, PayloadForm::Full, URL).body, &one.bytes);
            prop_assert_eq!(render(&one, PayloadForm::Data, URL).body, data.as_bytes());
            let made = body(&one, PayloadForm::Cloudevents);
            let read: serde_json::Value = serde_json::from_str(&made).map_err(|it| TestCaseError::fail(format!("{it}: {made}")))?;
            let data: serde_json::Value = serde_json::from_str(&data).unwrap_or_default();
            prop_assert_eq!(&read["data"], &data);
            for (_, value) in render(&one, PayloadForm::CloudeventsBinary, URL).headers {
                prop_assert!(value.bytes().all(|it| it.is_ascii_graphic()), "{value}");
            }
        }
    }
}
