//! Each check as a table, and the rule of conservation over its whole space.

use super::*;
use bytes::Bytes;
use ringback_model::{
    EventId, EventType, ResourceId, StatusName, Subject, Timestamp, TypeName,
    event::{EventDraft, OfResource},
    key::Authority,
};
use serde_json::json;

fn tenant(id: &str) -> TenantId {
    TenantId::parse(id).unwrap()
}

fn payment(version: u64, status: &str) -> Resource {
    Resource {
        id: ResourceId::parse("1").unwrap(),
        type_name: TypeName::parse("payment").unwrap(),
        tenant: tenant("acme"),
        status: StatusName::parse(status).unwrap(),
        version,
        created_at: Timestamp::from_secs(1),
        updated_at: Timestamp::from_secs(2),
        since: Timestamp::from_secs(2),
        fields: json!({ "amount": 5 }).as_object().unwrap().clone(),
    }
}

fn made(seq: Seq, sequence: Sequence, of: &str, ends: bool) -> Event {
    let resource = payment(sequence, "created");
    EventDraft {
        id: EventId::from_bits(u128::from(seq)),
        event_type: EventType::parse("payment.created").unwrap(),
        timestamp: Timestamp::from_secs(3),
        subject: Subject::parse("/payment/1").ok(),
        data: resource.encode(),
        previous: None,
        occurred_at: None,
        expires_at: None,
        key: None,
        audience: Authority::Tenant,
        of: Some(OfResource {
            type_name: resource.type_name,
            id: resource.id,
            version: sequence,
            entered: StatusName::parse("created").ok(),
            deleted: false,
        }),
    }
    .place(tenant(of), seq, sequence, ends)
}

/// What is found in this log: (seq, sequence, tenant, ends).
#[track_caller]
fn check(floor: Seq, log: &[(Seq, Sequence, &str, bool)], want: &[&str]) {
    let mut check = LogCheck::after(floor);
    let mut found: Vec<String> =
        log.iter().flat_map(|(seq, sequence, of, ends)| check.event(&made(*seq, *sequence, of, *ends))).map(|it| it.what).collect();
    found.extend(check.end().map(|it| it.what));
    assert_eq!(found, want);
}

#[test]
fn a_dense_log_has_nothing_wrong() {
    check(0, &[], &[]);
    check(0, &[(1, 1, "a", true), (2, 1, "b", false), (3, 2, "b", true), (4, 2, "a", true)], &[]);
}

#[test]
fn gaps_repeats_and_late_beginnings_are_found() {
    check(0, &[(1, 1, "a", true), (3, 2, "a", true)], &["it stands at 3 of the log, after 1"]);
    check(0, &[(1, 1, "a", true), (2, 3, "a", true)], &["it has sequence 3 of a, after 1"]);
    check(0, &[(1, 1, "a", true), (2, 1, "a", true)], &["it has sequence 1 of a, after 1"]);
    check(0, &[(1, 2, "a", true)], &["it is the first of a and has sequence 2"]);
    check(0, &[(2, 1, "a", true)], &["it stands at 2 of the log, after 0"]);
    check(0, &[(1, 1, "a", false)], &["its last change set has no end"]);
    check(0, &[(1, 1, "a", false), (2, 1, "b", true)], &["it stands inside a change set of a"]);
}

#[test]
fn what_retention_took_is_not_missed() {
    check(6, &[(7, 4, "a", true), (8, 1, "b", true), (9, 5, "a", true)], &[]);
    check(6, &[(7, 4, "a", true), (9, 5, "a", true)], &["it stands at 9 of the log, after 7"]);
    check(6, &[(7, 4, "a", true), (8, 6, "a", true)], &["it has sequence 6 of a, after 4"]);
}

#[test]
fn bytes_must_say_what_the_log_says() {
    let right = made(1, 1, "acme", true);
    assert_eq!(bytes(&right), []);
    let altered: [(&str, &str, &str); 7] = [
        ("\"type\":\"payment.created\"", "\"type\":\"payment.deleted\"", "/type"),
        ("\"tenant\":\"acme\",\"sequence\"", "\"tenant\":\"beta\",\"sequence\"", "/tenant"),
        ("\"sequence\":1", "\"sequence\":2", "/sequence"),
        ("\"subject\":\"/payment/1\"", "\"subject\":\"/payment/2\"", "/subject"),
        ("\"version\":1", "\"version\":2", "/data/version"),
        ("\"status\":\"created\"", "\"status\":\"failed\"", "/data/status"),
        ("{\"id\":\"evt_", "{\"id\":\"evx_", "/id"),
    ];
    for (from, to, pointer) in altered {
        let text = String::from_utf8(right.bytes.to_vec()).unwrap();
        assert!(text.contains(from), "{text}");
        let wrong = Event { bytes: Bytes::from(text.replacen(from, to, 1)), ..right.clone() };
        let found = bytes(&wrong);
        assert!(found.len() == 1 && found[0].what.contains(pointer), "{pointer}: {found:?}");
    }
    let cut = Event { bytes: right.bytes.slice(..20), ..right };
    assert_eq!(bytes(&cut)[0].what, "its bytes are not JSON");
}

#[test]
fn a_row_is_what_its_event_made() {
    let event = made(1, 1, "acme", true);
    let row = payment(1, "created");
    let found = |row: &Resource, deleted, event| resource(row, deleted, event).map(|it| it.what);
    assert_eq!(found(&row, false, Some(&event)), None);
    assert_eq!(found(&row, true, Some(&event)).unwrap(), format!("it is deleted, and {} did not delete it", event.id));
    assert_eq!(found(&payment(1, "failed"), false, Some(&event)).unwrap(), format!("it is not what {} made of it", event.id));
    assert_eq!(found(&row, false, None).unwrap(), "no event made its version 1");
}

/// Walks the whole space of what may be known of a delivery, against the rule said the other way round.
#[test]
fn each_delivery_has_one_account() {
    let range = |generation| SkippedRange { generation, from: 4, to: 6, why: "w".into(), matched: 0 };
    let mut walked = 0;
    for generation in [1, 2] {
        for place in [5, 9, 10, 11] {
            for delivered_in in [None, Some(1), Some(2)] {
                for (replayed_in, exception_of) in
                    [None, Some(1), Some(2)].into_iter().flat_map(|a| [(a, None), (a, Some(1)), (a, Some(2))])
                {
                    for ranges in [vec![], vec![1], vec![2], vec![1, 2]] {
                        let skipped: Vec<_> = ranges.iter().copied().map(range).collect();
                        let it = Account { place, cursor: 10, generation, delivered_in, replayed_in, exception_of, skipped: &skipped };
                        let inside = place == 5;
                        let now = [delivered_in == Some(generation), exception_of.is_some(), inside && ranges.contains(&generation)];
                        let count = now.iter().filter(|it| **it).count();
                        let again = replayed_in == Some(generation);
                        let any_before = delivered_in.is_some() || replayed_in.is_some() || inside && ranges.contains(&1);
                        let before = generation == 2 && any_before;
                        let right = count == 1 && !(again && exception_of.is_some()) || count == 0 && (place == 11 || again || before);
                        assert_eq!(conservation(&it).is_none(), right, "{it:?}: {:?}", conservation(&it));
                        walked += 1;
                    }
                }
            }
        }
    }
    assert_eq!(walked, 2 * 4 * 3 * 9 * 4);
}

/// What may be published passes, and what may not be is found.
#[test]
fn data_is_read_as_it_was_when_it_came_in() {
    let of = |data: &'static str| {
        let draft = EventDraft {
            id: EventId::from_bits(1),
            event_type: EventType::parse("a.b").unwrap(),
            timestamp: Timestamp::from_secs(3),
            subject: None,
            data: Bytes::from_static(data.as_bytes()),
            previous: None,
            occurred_at: None,
            expires_at: None,
            key: None,
            audience: Authority::Tenant,
            of: None,
        };
        LogCheck::after(0).event(&draft.place(tenant("acme"), 1, 1, true)).into_iter().map(|it| it.what).collect::<Vec<_>>()
    };
    for good in [r#"{"a":"\ud800","\udc00":1e999}"#, "1e999", "null", r#"[1.50,"x"]"#] {
        assert_eq!(of(good), [""; 0], "{good}");
    }
    assert_eq!(of(r#"{"a":1,"a":1e999}"#), ["its data is no JSON that is taken: line 1, column 8: `a` is in this object twice"]);
    assert_eq!(of(r#"{"a":1e999"#), ["its bytes are not JSON"]);
}
