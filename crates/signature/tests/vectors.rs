//! Our vectors, and the published `standardwebhooks` crate as an oracle in both directions.

use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use ringback_signature::{HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, Headers, Secret, sign, verify};
use serde_json::Value;
use standardwebhooks::Webhook;

fn vectors() -> Vec<Value> {
    serde_json::from_str(include_str!("../vectors/v1.json")).unwrap_or_else(|it| panic!("{it}"))
}

fn text<'a>(vector: &'a Value, name: &str) -> &'a str {
    vector[name].as_str().unwrap_or_else(|| panic!("{name} in {vector}"))
}

#[test]
fn vectors_sign_and_verify() {
    let vectors = vectors();
    assert!(vectors.len() >= 6);
    for it in &vectors {
        let secret = Secret::parse(text(it, "secret")).unwrap();
        let (id, at, body) = (text(it, "id"), it["timestamp"].as_i64().unwrap(), text(it, "body").as_bytes());
        assert_eq!(sign(&[&secret], id, at, body), text(it, "signature"), "{}", text(it, "name"));
        let headers = Headers { id: Some(id), timestamp: Some(&at.to_string()), signature: Some(text(it, "signature")) };
        assert_eq!(verify(headers, body, &[&secret], at, 0), Ok(()), "{}", text(it, "name"));
        assert_eq!(secret.format(), text(it, "secret"));
    }
}

#[test]
fn the_oracle_agrees_on_the_vectors() {
    for it in vectors() {
        let oracle = Webhook::new(text(&it, "secret")).unwrap();
        let signed = oracle.sign(text(&it, "id"), it["timestamp"].as_i64().unwrap(), text(&it, "body").as_bytes()).unwrap();
        assert_eq!(signed, text(&it, "signature"), "{}", text(&it, "name"));
    }
}

/// The oracle reads the real clock to judge a timestamp, so we sign for its present.
fn now_secs() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "the oracle asks the real clock and takes no other")]
    let now = std::time::SystemTime::now();
    now.duration_since(std::time::UNIX_EPOCH).map_or(0, |it| i64::try_from(it.as_secs()).unwrap_or(0))
}

proptest! {
    #[test]
    fn the_oracle_believes_us(key: [u8; 32], other: [u8; 32], id in "evt_[0-9a-z]{1,26}", body in ".{0,200}") {
        let (secret, other) = (Secret::generate(key), Secret::generate(other));
        let now = now_secs();
        let mut headers = HeaderMap::new();
        headers.insert(HEADER_ID, HeaderValue::from_str(&id).unwrap());
        headers.insert(HEADER_TIMESTAMP, HeaderValue::from(now));
        headers.insert(HEADER_SIGNATURE, HeaderValue::from_str(&sign(&[&other, &secret], &id, now, body.as_bytes())).unwrap());
        let oracle = Webhook::new(&secret.format()).unwrap();
        prop_assert!(oracle.verify(body.as_bytes(), &headers).is_ok());
        let longer = body + " ";
        prop_assert!(oracle.verify(longer.as_bytes(), &headers).is_err());
    }

    #[test]
    fn we_believe_the_oracle(key: [u8; 32], id in "msg_[0-9a-zA-Z]{1,27}", at in 0i64..4_000_000_000, body in ".{0,200}") {
        let secret = Secret::generate(key);
        let signature = Webhook::new(&secret.format()).unwrap().sign(&id, at, body.as_bytes()).unwrap();
        let time = at.to_string();
        let headers = Headers { id: Some(&id), timestamp: Some(&time), signature: Some(&signature) };
        prop_assert_eq!(verify(headers, body.as_bytes(), &[&secret], at, 300), Ok(()));
    }
}
