//! Deliveries and their attempts.

use ringback_model::{
    DeliveryId,
    delivery::{Attempt, Timings},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// One event owed to one subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DeliveryView {
    /// `dlv_…`.
    pub id: String,
    /// To whom.
    pub subscription: String,
    /// What.
    pub event: String,
    /// The event's type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// The event's subject.
    pub subject: Option<String>,
    /// `pending delivering delivered retrying parked skipped`.
    pub state: &'static str,
    /// Why it is in that state, where there is more to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Tries spent.
    pub tries: u32,
    /// Not tried before then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub due_at: Option<String>,
    /// When the event was made, or the exception.
    pub created_at: String,
    /// The last try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_attempt: Option<Box<AttemptView>>,
}

/// One try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AttemptView {
    /// `att_…`.
    pub id: String,
    /// Of which delivery; a test has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery: Option<String>,
    /// From 1.
    pub n: u32,
    /// When it began.
    pub at: String,
    /// Why it was made: `schedule`, `probe`, `manual`, `replay`, `test`, `pull`.
    pub via: &'static str,
    /// `delivered failed unknown unroutable`.
    pub outcome: String,
    /// Why it did not succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the endpoint answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_code: Option<u16>,
    /// How long its phases took; `null` for those that were not reached.
    pub timings_ms: TimingsView,
    /// The address that was called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// What is kept of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<ResponseView>,
}

/// How long the phases of a try took, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct TimingsView {
    /// Resolving the name.
    pub dns: Option<u32>,
    /// Connecting.
    pub connect: Option<u32>,
    /// The TLS handshake.
    pub tls: Option<u32>,
    /// Until the first byte of the answer.
    pub first_byte: Option<u32>,
    /// All of it.
    pub total: u32,
}

impl From<Timings> for TimingsView {
    fn from(it: Timings) -> Self {
        Self { dns: it.dns, connect: it.connect, tls: it.tls, first_byte: it.first_byte, total: it.total }
    }
}

/// What is kept of an endpoint's answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ResponseView {
    /// By name; values of a repeated one are joined by `, `.
    pub headers: BTreeMap<String, String>,
    /// The beginning of the body, as text.
    pub body: String,
    /// Whether there was more.
    pub truncated: bool,
}

impl AttemptView {
    /// The view of an attempt of `delivery`.
    #[must_use]
    pub fn of(it: &Attempt, delivery: DeliveryId) -> Self {
        Self { delivery: Some(delivery.to_string()), ..Self::of_test(it) }
    }

    /// The view of an attempt that belongs to no delivery.
    #[must_use]
    pub fn of_test(it: &Attempt) -> Self {
        Self {
            id: it.id.to_string(),
            delivery: None,
            n: it.n,
            at: it.at.to_string(),
            via: it.via.as_str(),
            outcome: it.outcome.clone(),
            reason: it.reason.clone(),
            status_code: it.status_code,
            timings_ms: it.timings.into(),
            peer: it.peer.clone(),
            response: it.response.as_ref().map(|it| {
                let mut headers = BTreeMap::<String, String>::new();
                for (name, value) in &it.headers {
                    headers
                        .entry(name.clone())
                        .and_modify(|known| {
                            known.push_str(", ");
                            known.push_str(value);
                        })
                        .or_insert_with(|| value.clone());
                }
                ResponseView { headers, body: it.body.clone(), truncated: it.truncated }
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use ringback_model::{
        AttemptId, EventId, Timestamp,
        delivery::{DeliveryState, Excerpt, Via},
    };

    fn attempt() -> Attempt {
        Attempt {
            id: AttemptId::from_bits(1),
            event: EventId::from_bits(2),
            place: 42,
            generation: 1,
            n: 2,
            at: Timestamp::from_secs(0),
            via: Via::Manual,
            outcome: "failed".into(),
            reason: Some("status".into()),
            status_code: Some(503),
            timings: Timings { connect: Some(1), total: 9, ..Timings::default() },
            peer: Some("127.0.0.1:9000".into()),
            response: Some(Excerpt {
                headers: vec![("a".into(), "1".into()), ("a".into(), "2".into())],
                body: "no".into(),
                truncated: false,
            }),
        }
    }

    #[test]
    fn an_attempt_has_one_shape() {
        let view = AttemptView::of(&attempt(), DeliveryId::from_bits(3));
        expect![[r#"{"id":"att_00000000000000000000000001","delivery":"dlv_00000000000000000000000003","n":2,"at":"1970-01-01T00:00:00.000000Z","via":"manual","outcome":"failed","reason":"status","status_code":503,"timings_ms":{"dns":null,"connect":1,"tls":null,"first_byte":null,"total":9},"peer":"127.0.0.1:9000","response":{"headers":{"a":"1, 2"},"body":"no","truncated":false}}"#]]
        .assert_eq(&serde_json::to_string(&view).unwrap());
    }

    #[test]
    fn a_delivery_has_one_shape() {
        let view = DeliveryView {
            id: DeliveryId::from_bits(3).to_string(),
            subscription: "mine".into(),
            event: EventId::from_bits(2).to_string(),
            event_type: "payment.completed".into(),
            subject: Some("/payment/123".into()),
            state: DeliveryState::Retrying.as_str(),
            reason: None,
            tries: 1,
            due_at: Some(Timestamp::from_secs(5).to_string()),
            created_at: Timestamp::from_secs(0).to_string(),
            last_attempt: None,
        };
        expect![[r#"{"id":"dlv_00000000000000000000000003","subscription":"mine","event":"evt_00000000000000000000000002","type":"payment.completed","subject":"/payment/123","state":"retrying","tries":1,"due_at":"1970-01-01T00:00:05.000000Z","created_at":"1970-01-01T00:00:00.000000Z"}"#]]
        .assert_eq(&serde_json::to_string(&view).unwrap());
    }
}
