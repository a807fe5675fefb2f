//! An event, and the one encoding of it.
//!
//! The public bytes are made once, when the writer gives the event its place in
//! the log, and are shared from there to every reader and receiver: what
//! `GET /v1/events/{id}` answers is what a `full` subscription is pushed (P8).
//! Other payload forms are pure functions of these bytes: see `payload`.

use crate::{
    ids::EventId,
    key::Authority,
    names::{EventType, ResourceId, StatusName, Subject, TenantId, TypeName},
    resource::{Version, push_str},
    time::Timestamp,
};
use alloc::{format, string::String, vec::Vec};
use bytes::Bytes;
use serde_json::value::RawValue;

/// A place in the one log, from 1. Inside only: never shown to a tenant.
pub type Seq = u64;

/// An event's dense number within its tenant, from 1.
pub type Sequence = u64;

/// The change of a resource that an event records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfResource {
    /// The resource's type.
    pub type_name: TypeName,
    /// The resource's id.
    pub id: ResourceId,
    /// The version that this event made.
    pub version: Version,
    /// The status that this event entered; `None` when the status stayed.
    pub entered: Option<StatusName>,
    /// Whether this event deleted it.
    pub deleted: bool,
}

/// An event that has no place in the log yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventDraft {
    /// Made by the service.
    pub id: EventId,
    /// What happened.
    pub event_type: EventType,
    /// When it was decided.
    pub timestamp: Timestamp,
    /// What it is about.
    pub subject: Option<Subject>,
    /// Compact JSON, verbatim but for white space outside strings.
    pub data: Bytes,
    /// Compact JSON object: members that changed, with their old values.
    pub previous: Option<Bytes>,
    /// When the publisher says it happened.
    pub occurred_at: Option<Timestamp>,
    /// From when on it is not worth delivering; not part of the public bytes.
    pub expires_at: Option<Timestamp>,
    /// The publisher's own key, unique per tenant while the event is kept.
    pub key: Option<String>,
    /// Whose authority it takes to see it.
    pub audience: Authority,
    /// The change that it records, if it is not a published one.
    pub of: Option<OfResource>,
}

/// An event in the log: immutable, except by erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Place in the one log.
    pub seq: Seq,
    /// Place in its tenant's log.
    pub sequence: Sequence,
    /// Its owner.
    pub tenant: TenantId,
    /// See `EventDraft`.
    pub id: EventId,
    /// See `EventDraft`.
    pub event_type: EventType,
    /// See `EventDraft`.
    pub timestamp: Timestamp,
    /// See `EventDraft`.
    pub subject: Option<Subject>,
    /// See `EventDraft`.
    pub key: Option<String>,
    /// See `EventDraft`.
    pub expires_at: Option<Timestamp>,
    /// See `EventDraft`.
    pub audience: Authority,
    /// See `EventDraft`.
    pub of: Option<OfResource>,
    /// When its data was erased: then there is no subject and no key, and the bytes say no more than that.
    pub erased_at: Option<Timestamp>,
    /// The last event of its change set? A page never ends on one that is not (G5).
    pub ends_change_set: bool,
    /// The public bytes: exactly what `GET /v1/events/{id}` answers.
    pub bytes: Bytes,
}

impl EventDraft {
    /// Gives the draft its place and makes the public bytes.
    #[must_use]
    pub fn place(self, tenant: TenantId, seq: Seq, sequence: Sequence, ends_change_set: bool) -> Event {
        let bytes = self.encode(&tenant, Some(sequence));
        Event {
            seq,
            sequence,
            tenant,
            id: self.id,
            event_type: self.event_type,
            timestamp: self.timestamp,
            subject: self.subject,
            key: self.key,
            expires_at: self.expires_at,
            audience: self.audience,
            of: self.of,
            erased_at: None,
            ends_change_set,
            bytes,
        }
    }

    /// The public bytes as far as they are known before the event has a place: without `id` and `sequence`.
    #[must_use]
    pub fn preview(&self, tenant: &TenantId) -> Bytes {
        self.encode(tenant, None)
    }

    fn encode(&self, tenant: &TenantId, sequence: Option<Sequence>) -> Bytes {
        let mut out = Vec::with_capacity(192 + self.data.len() + self.previous.as_ref().map_or(0, Bytes::len));
        // Ids, event types and tenants need no escapes by their grammar.
        match sequence {
            Some(_) => out.extend_from_slice(format!("{{\"id\":\"{}\",\"type\":\"{}\"", self.id, self.event_type).as_bytes()),
            None => out.extend_from_slice(format!("{{\"type\":\"{}\"", self.event_type).as_bytes()),
        }
        out.extend_from_slice(format!(",\"timestamp\":\"{}\",\"tenant\":\"{tenant}\"", self.timestamp).as_bytes());
        if let Some(sequence) = sequence {
            out.extend_from_slice(format!(",\"sequence\":{sequence}").as_bytes());
        }
        if let Some(subject) = &self.subject {
            out.extend_from_slice(b",\"subject\":");
            push_str(&mut out, subject.as_str());
        }
        if let Some(at) = self.occurred_at {
            out.extend_from_slice(format!(",\"occurred_at\":\"{at}\"").as_bytes());
        }
        out.extend_from_slice(b",\"data\":");
        out.extend_from_slice(&self.data);
        if let Some(previous) = &self.previous {
            out.extend_from_slice(b",\"previous\":");
            out.extend_from_slice(previous);
        }
        out.push(b'}');
        Bytes::from(out)
    }
}

/// One member of an encoded event, as its verbatim JSON.
fn member<'a>(bytes: &'a [u8], name: &str) -> Option<&'a str> {
    let members: alloc::collections::BTreeMap<String, &'a RawValue> = serde_json::from_slice(bytes).ok()?;
    members.get(name).map(|it| it.get())
}

impl Event {
    /// What is left of it when it is erased at `at`: its id, type and place. No subject, no key, no data.
    ///
    /// What it records of a resource (`of`) stays inside, so that versions stay dense; it is not in the bytes.
    /// Erasing twice is erasing once.
    #[must_use]
    pub fn erased(&self, at: Timestamp) -> Self {
        let at = self.erased_at.unwrap_or(at);
        let Self { id, event_type, timestamp, tenant, sequence, .. } = self;
        let bytes = format!(
            "{{\"id\":\"{id}\",\"type\":\"{event_type}\",\"timestamp\":\"{timestamp}\",\"tenant\":\"{tenant}\",\
             \"sequence\":{sequence},\"data\":null,\"erased_at\":\"{at}\"}}"
        );
        Self { subject: None, key: None, expires_at: None, erased_at: Some(at), bytes: Bytes::from(bytes), ..self.clone() }
    }

    /// Its `data`, verbatim; `null` when it is erased.
    #[must_use]
    pub fn data(&self) -> Bytes {
        self.slice_of("data").unwrap_or_else(|| Bytes::from_static(b"null"))
    }

    /// What a watch shows of its resource: the image, or what is left when it is erased. Empty for an event of no resource.
    #[must_use]
    pub fn image(&self) -> Bytes {
        let Some(of) = self.of.as_ref().filter(|_| self.erased_at.is_some()) else { return self.data() };
        let mut out = Vec::with_capacity(96);
        out.extend_from_slice(b"{\"id\":");
        push_str(&mut out, of.id.as_str());
        out.extend_from_slice(b",\"type\":");
        push_str(&mut out, of.type_name.as_str());
        out.extend_from_slice(format!(",\"tenant\":\"{}\",\"version\":{}}}", self.tenant, of.version).as_bytes());
        Bytes::from(out)
    }

    fn slice_of(&self, name: &str) -> Option<Bytes> {
        let text = member(&self.bytes, name)?;
        Some(self.bytes.slice_ref(text.as_bytes()))
    }

    /// Where the event stands for a reader of `scope`.
    #[must_use]
    pub const fn place(&self, scope: &Scope) -> Place {
        match scope {
            Scope::Tenant(_) => self.sequence,
            Scope::All => self.seq,
        }
    }
}

/// A place in the log as one reader counts: `Sequence` for a tenant's, `Seq` for `*`.
pub type Place = u64;

/// Whose events a reader reads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// One tenant's, counted by `sequence`.
    Tenant(TenantId),
    /// Everybody's, counted by `seq`: an operator's `*`.
    All,
}

impl Scope {
    /// Whether events of `tenant` are in it.
    #[must_use]
    pub fn holds(&self, tenant: &TenantId) -> bool {
        match self {
            Self::Tenant(it) => it == tenant,
            Self::All => true,
        }
    }

    /// The tenant's id, or `*`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Tenant(it) => it.as_str(),
            Self::All => "*",
        }
    }
}

/// How an event is written to a receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadForm {
    /// Exactly the public bytes.
    Full,
    /// `data` alone, verbatim.
    Data,
    /// `data` replaced by where to ask for it; no `previous`.
    Thin,
    /// CloudEvents 1.0, everything in the body.
    Cloudevents,
    /// CloudEvents 1.0: `data` is the body, the rest is headers.
    CloudeventsBinary,
}

impl PayloadForm {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Full, Self::Data, Self::Thin, Self::Cloudevents, Self::CloudeventsBinary];

    /// As it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Data => "data",
            Self::Thin => "thin",
            Self::Cloudevents => "cloudevents",
            Self::CloudeventsBinary => "cloudevents-binary",
        }
    }

    /// Reads what `as_str` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.as_str() == text)
    }
}

/// The body that a receiver is sent: a pure function of the event and the
/// revision's form and public URL (no slash at its end).
///
/// `thin` of a resource's event points at that version
/// (`{subject}/versions/{n}`), of a published one at `/v1/events/{id}`.
#[must_use]
pub fn payload(event: &Event, form: PayloadForm, public_url: &str) -> Bytes {
    match form {
        PayloadForm::Full => event.bytes.clone(),
        PayloadForm::Data | PayloadForm::CloudeventsBinary => crate::payload::data(&event.bytes),
        PayloadForm::Cloudevents => crate::payload::cloudevents(&event.bytes, public_url),
        PayloadForm::Thin => thin(event, public_url),
    }
}

fn thin(event: &Event, public_url: &str) -> Bytes {
    let mut data = Vec::with_capacity(160);
    match (&event.of, &event.subject) {
        (Some(of), Some(subject)) => {
            data.extend_from_slice(b"{\"id\":");
            push_str(&mut data, of.id.as_str());
            data.extend_from_slice(b",\"type\":");
            push_str(&mut data, of.type_name.as_str());
            data.extend_from_slice(format!(",\"version\":{},\"url\":", of.version).as_bytes());
            push_str(&mut data, &format!("{public_url}{subject}/versions/{}", of.version));
        }
        _ => {
            data.extend_from_slice(b"{\"url\":");
            push_str(&mut data, &format!("{public_url}/v1/events/{}", event.id));
        }
    }
    data.push(b'}');
    let occurred_at =
        member(&event.bytes, "occurred_at").and_then(|it| serde_json::from_str::<String>(it).ok()).and_then(|it| it.parse().ok());
    EventDraft {
        id: event.id,
        event_type: event.event_type.clone(),
        timestamp: event.timestamp,
        subject: event.subject.clone(),
        data: Bytes::from(data),
        previous: None,
        occurred_at,
        expires_at: None,
        key: None,
        audience: event.audience,
        of: None,
    }
    .encode(&event.tenant, Some(event.sequence))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(data: &'static str) -> EventDraft {
        EventDraft {
            id: EventId::from_bits(1),
            event_type: EventType::parse("payment.completed").unwrap_or_else(|_| unreachable!()),
            timestamp: Timestamp::from_micros(1_795_458_284_123_456),
            subject: Subject::parse("/payment/1\"3").ok(),
            data: Bytes::from_static(data.as_bytes()),
            previous: Some(Bytes::from_static(b"{\"status\":\"processing\"}")),
            occurred_at: Some(Timestamp::from_secs(0)),
            expires_at: None,
            key: None,
            audience: Authority::Tenant,
            of: None,
        }
    }

    #[test]
    fn the_encoding_keeps_data_verbatim() {
        let event = draft("{\"b\":1.50,\"a\":\"\\u00e4\"}").place(TenantId::default_tenant(), 9, 42, true);
        assert_eq!(
            core::str::from_utf8(&event.bytes).unwrap_or_default(),
            "{\"id\":\"evt_00000000000000000000000001\",\"type\":\"payment.completed\",\"timestamp\":\"2026-11-23T18:24:44.123456Z\",\
             \"tenant\":\"default\",\"sequence\":42,\"subject\":\"/payment/1\\\"3\",\"occurred_at\":\"1970-01-01T00:00:00.000000Z\",\
             \"data\":{\"b\":1.50,\"a\":\"\\u00e4\"},\"previous\":{\"status\":\"processing\"}}"
        );
        assert_eq!(event.data(), "{\"b\":1.50,\"a\":\"\\u00e4\"}");
    }

    #[test]
    fn thin_points_at_the_version_or_the_event() {
        let mut event = draft("{}").place(TenantId::default_tenant(), 9, 42, true);
        let text = payload(&event, PayloadForm::Thin, "https://api.example.com");
        assert!(text.ends_with(b"\"data\":{\"url\":\"https://api.example.com/v1/events/evt_00000000000000000000000001\"}}"));
        event.subject = Subject::parse("/payment/123").ok();
        event.of = Some(OfResource {
            type_name: TypeName::parse("payment").unwrap_or_else(|_| unreachable!()),
            id: ResourceId::parse("123").unwrap_or_else(|_| unreachable!()),
            version: 3,
            entered: None,
            deleted: false,
        });
        let text = payload(&event, PayloadForm::Thin, "https://api.example.com");
        assert!(text.ends_with(
            b"\"data\":{\"id\":\"123\",\"type\":\"payment\",\"version\":3,\"url\":\"https://api.example.com/payment/123/versions/3\"}}"
        ));
    }
}
