//! What every merchant that is called back has to do with a call: verify its
//! signature, know it again if it came before, and only then believe it.

use super::Merchant;
use crate::demo::{
    http::{Ask, Client},
    ledger::{Event, Ledger},
    pace,
};
use axum::http::HeaderMap;
use ringback_signature::{HEADER_ID, HEADER_SIGNATURE, HEADER_TIMESTAMP, Headers, Secret, TOLERANCE_SECS};
use serde::Deserialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

/// The receiving half of a merchant.
#[derive(Debug)]
pub(in crate::demo) struct Inbox {
    pub(in crate::demo) merchant: Arc<Merchant>,
    ledger: Arc<Ledger>,
    secret: OnceLock<Secret>,
    letters: Mutex<Letters>,
}

#[derive(Debug, Default)]
struct Letters {
    /// `webhook-id`s that were answered with 2xx.
    accepted: BTreeSet<String>,
    repeated: u64,
    /// What the body of each was like at its first try.
    bodies: BTreeMap<String, u64>,
    /// The highest version of each payment so far.
    newest: BTreeMap<String, u32>,
}

/// What a call turned out to be.
#[derive(Debug)]
pub(in crate::demo) enum Call {
    /// Not from whom it says; to be answered 401.
    Forged,
    /// Known already; to be answered 2xx all the same.
    Repeated,
    /// News; to be answered 2xx.
    News(Event),
}

impl Inbox {
    pub(in crate::demo) fn new(merchant: Arc<Merchant>, ledger: Arc<Ledger>) -> Arc<Self> {
        Arc::new(Self { merchant, ledger, secret: OnceLock::new(), letters: Mutex::default() })
    }

    /// Registers `url` once, and keeps the secret that the answer shows.
    pub(in crate::demo) async fn register(&self, client: &Client, url: &str, payload: &str) -> Result<(), String> {
        #[derive(Deserialize)]
        struct Created {
            push: Push,
        }
        #[derive(Deserialize)]
        struct Push {
            secret: String,
        }
        // Mean delays in seconds, far shorter than anyone should choose, so that
        // the demo shows within seconds what takes hours in life.
        let mut delays = vec![1; 20];
        delays.resize(49, 2);
        let body = serde_json::json!({
            "description": format!("demo: {}", self.merchant.name),
            "types": ["payment.*"],
            "payload": payload,
            "order": "subject",
            "push": { "url": url, "timeout_ms": 5000, "retry": { "delays": delays } },
        });
        let key = format!("register-{payload}-{}", self.merchant.name.replace(' ', "-"));
        let answer = client.ask(Ask::post("/v1/subscriptions", &key, Some(body.to_string()))).await.map_err(|it| it.to_string())?;
        if !answer.good() {
            return Err(format!("could not subscribe {url}: {}", answer.complaint()));
        }
        let created: Created = answer.json().ok_or("the answer to a subscription showed no secret")?;
        let secret = Secret::parse(&created.push.secret).map_err(|why| format!("the secret of a subscription can't be read: {why}"))?;
        let _ = self.secret.set(secret);
        Ok(())
    }

    /// Verifies a call before anything in it is read; the id if it is good, to
    /// be answered 401 if not.
    pub(in crate::demo) fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Option<String> {
        let text = |name| headers.get(name).and_then(|it| it.to_str().ok());
        let signed = Headers { id: text(HEADER_ID), timestamp: text(HEADER_TIMESTAMP), signature: text(HEADER_SIGNATURE) };
        let secrets: Vec<&Secret> = self.secret.get().into_iter().collect();
        match ringback_signature::verify(signed, body, &secrets, pace::wall().as_secs(), TOLERANCE_SECS) {
            Ok(()) => {
                let id = signed.id.unwrap_or_default().to_owned();
                self.compare(&id, body);
                Some(id)
            }
            Err(why) => {
                self.ledger.complain(format!("{} got a call with a bad signature: {why}", self.merchant.name));
                None
            }
        }
    }

    /// Every try of an event has the same bytes, also one that was refused.
    fn compare(&self, id: &str, body: &[u8]) {
        let mut hasher = DefaultHasher::new();
        body.hash(&mut hasher);
        let now = hasher.finish();
        if *self.letters().bodies.entry(id.to_owned()).or_insert(now) != now {
            self.ledger.complain(format!("{} got {id} again with other bytes", self.merchant.name));
        }
    }

    /// Takes a call that it means to answer with 2xx.
    pub(in crate::demo) fn take(&self, id: String, body: &[u8]) -> Call {
        let mut letters = self.letters();
        if letters.accepted.contains(&id) {
            letters.repeated += 1;
            drop(letters);
            self.merchant.learned_nothing();
            return Call::Repeated;
        }
        let event = match serde_json::from_slice::<Event>(body) {
            Ok(event) if event.id == id => event,
            _ => {
                self.ledger.complain(format!("{} got a well-signed call that isn't the event {id}", self.merchant.name));
                return Call::Forged;
            }
        };
        letters.accepted.insert(id);
        let newest = letters.newest.entry(event.data.id.clone()).or_default();
        if event.data.version < *newest {
            self.ledger.complain(format!(
                "{} got version {} of {} after version {newest}, against the order it asked for",
                self.merchant.name, event.data.version, event.data.id
            ));
        }
        *newest = event.data.version.max(*newest);
        Call::News(event)
    }

    /// How many different events it accepted.
    pub(in crate::demo) fn accepted_count(&self) -> u64 {
        self.letters().accepted.len() as u64
    }

    /// Every event that it accepted.
    pub(in crate::demo) fn accepted(&self) -> BTreeSet<String> {
        self.letters().accepted.clone()
    }

    /// How often it accepted an event again.
    pub(in crate::demo) fn repeated(&self) -> u64 {
        self.letters().repeated
    }

    fn letters(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::pace;

    fn inbox() -> (Arc<Inbox>, Arc<Ledger>) {
        let ledger = Arc::new(Ledger::default());
        (Inbox::new(Merchant::new("tests", pace::now()), Arc::clone(&ledger)), ledger)
    }

    fn body(id: &str, version: u32) -> Vec<u8> {
        format!(r#"{{"id":"{id}","type":"payment.processing","timestamp":"2026-11-23T18:24:44.123456Z","data":{{"id":"demo-1","version":{version}}}}}"#)
            .into_bytes()
    }

    #[test]
    fn the_same_event_is_news_once() {
        let (inbox, ledger) = inbox();
        assert!(matches!(inbox.take("evt_1".into(), &body("evt_1", 2)), Call::News(_)));
        assert!(matches!(inbox.take("evt_1".into(), &body("evt_1", 2)), Call::Repeated));
        assert_eq!((inbox.accepted_count(), inbox.repeated(), ledger.complaints().1), (1, 1, 0));
    }

    #[test]
    fn an_older_version_after_a_newer_one_is_a_complaint_unless_repeated() {
        let (inbox, ledger) = inbox();
        inbox.take("evt_2".into(), &body("evt_2", 2));
        inbox.take("evt_3".into(), &body("evt_3", 3));
        inbox.take("evt_2".into(), &body("evt_2", 2));
        assert_eq!(ledger.complaints().1, 0);
        inbox.take("evt_1".into(), &body("evt_1", 1));
        assert_eq!(ledger.complaints().0, ["tests got version 1 of demo-1 after version 3, against the order it asked for"]);
    }

    #[test]
    fn only_a_well_signed_call_is_believed() {
        let (inbox, ledger) = inbox();
        assert_eq!(inbox.verify(&HeaderMap::new(), b"{}"), None);
        let secret = Secret::generate([7; 32]);
        inbox.secret.set(secret.clone()).expect("not set yet");
        let now = pace::wall().as_secs();
        let mut headers = HeaderMap::new();
        for (name, value) in [(HEADER_ID, "evt_1".to_owned()), (HEADER_TIMESTAMP, now.to_string())] {
            headers.insert(name, value.parse().expect("a header"));
        }
        headers.insert(HEADER_SIGNATURE, ringback_signature::sign(&[&secret], "evt_1", now, b"{}").parse().expect("a header"));
        assert_eq!(inbox.verify(&headers, b"{}").as_deref(), Some("evt_1"));
        assert_eq!(inbox.verify(&headers, b"{ }"), None);
        assert_eq!(ledger.complaints().1, 2);
        // Well signed, but not what the first try was.
        headers.insert(HEADER_SIGNATURE, ringback_signature::sign(&[&secret], "evt_1", now, b"{ }").parse().expect("a header"));
        assert!(inbox.verify(&headers, b"{ }").is_some());
        assert_eq!(ledger.complaints().0.last().map(String::as_str), Some("tests got evt_1 again with other bytes"));
    }

    #[test]
    fn a_body_of_another_event_is_not_taken() {
        let (inbox, ledger) = inbox();
        assert!(matches!(inbox.take("evt_1".into(), &body("evt_2", 2)), Call::Forged));
        assert!(matches!(inbox.take("evt_1".into(), b"not json"), Call::Forged));
        assert_eq!((inbox.accepted_count(), ledger.complaints().1), (0, 2));
    }
}
