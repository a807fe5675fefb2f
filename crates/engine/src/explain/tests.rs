//! Verdicts and reasons, as a table over what may be known.

use super::*;
use bytes::Bytes;
use expect_test::{Expect, expect};
use ringback_filter::{Kind, Schema, parse_expression};
use ringback_model::{
    EventId, EventType, Subject, SubscriptionId, TenantId,
    event::{EventDraft, PayloadForm, Scope},
    key::Authority,
    subscription::{Order, TypePattern},
};

struct Open;

impl Schema for Open {
    fn kind(&self, _: &[String]) -> Result<Kind, String> {
        Ok(Kind::Any)
    }
}

const T0: Timestamp = Timestamp::from_secs(0);

fn event() -> Event {
    EventDraft {
        id: EventId::from_bits(1),
        event_type: EventType::parse("payment.completed").unwrap(),
        timestamp: T0,
        subject: Some(Subject::parse("/payment/1").unwrap()),
        data: Bytes::from_static(b"{\"amount\":500}"),
        previous: None,
        occurred_at: None,
        expires_at: None,
        key: None,
        audience: Authority::Tenant,
        of: None,
    }
    .place(TenantId::parse("acme").unwrap(), 20, 10, true)
}

fn subscription() -> Subscription {
    Subscription {
        no: 1,
        id: SubscriptionId::parse("s").unwrap(),
        tenant: TenantId::parse("acme").unwrap(),
        scope: Scope::Tenant(TenantId::parse("acme").unwrap()),
        authority: Authority::Tenant,
        description: String::new(),
        metadata: Default::default(),
        strict: true,
        subject: None,
        until: None,
        from: "now".into(),
        state: State::Active,
        push: None,
        revisions: vec![Revision {
            no: 1,
            from: 0,
            types: vec![TypePattern::parse("payment.*").unwrap()],
            filter: Some("data.amount >= 100".into()),
            payload: PayloadForm::Full,
            order: Order::None,
            public_url: String::new(),
        }],
        generation: 1,
        created_at: T0,
        updated_at: T0,
        version: 1,
        failing: None,
    }
}

/// What is known beside the two.
#[derive(Default)]
struct Given {
    cursor: Place,
    exception: Option<Exception>,
    skipped: Vec<SkippedRange>,
    health: Option<Health>,
    held: bool,
    tries: u32,
}

/// The verdict, and what does not let the delivery pass; where all does, the last thing said.
#[track_caller]
fn check(change: impl FnOnce(&mut Subscription, &mut Event), state: Option<DeliveryState>, alter: impl FnOnce(&mut Given), want: Expect) {
    let (mut subscription, mut event) = (subscription(), event());
    change(&mut subscription, &mut event);
    let text = subscription.revisions[0].filter.clone();
    let filter = text.map(|it| parse_expression(&it).unwrap().check(&Open).unwrap());
    let mut given = Given { cursor: 7, ..Given::default() };
    alter(&mut given);
    let facts = Facts {
        subscription: &subscription,
        event: &event,
        filter: filter.as_ref(),
        awaited: None,
        state,
        cursor: given.cursor,
        exception: given.exception.as_ref(),
        skipped: &given.skipped,
        health: given.health,
        held: given.held,
        tries: given.tries,
    };
    let Explained { verdict, clauses } = explain(&facts);
    let mut told: Vec<_> = clauses.iter().filter(|it| !it.matched).collect();
    if told.is_empty() {
        told.extend(clauses.last());
    }
    let told: Vec<_> = told.iter().map(|it| format!("{}: {}", it.clause, it.why)).collect();
    want.assert_eq(&format!("{verdict}\n{}", told.join("\n")));
}

#[test]
fn what_does_not_match_says_which_question_it_failed() {
    let nothing = |_: &mut Given| {};
    check(
        |it, _| it.revisions[0].types = vec![TypePattern::parse("order.*").unwrap()],
        None,
        nothing,
        expect![[r#"
        not-matched
        types: it asks for `order.*`; the event is `payment.completed`"#]],
    );
    check(
        |it, _| it.revisions[0].filter = Some("data.amount >= 1000 AND data.currency = \"eur\"".into()),
        None,
        nothing,
        expect![[r#"
        not-matched
        filter: it asks for `data.amount >= 1000 AND data.currency = "eur"`
        data.amount >= 1000: `data.amount` is 500
        data.currency = "eur": `data.currency` is missing"#]],
    );
    check(
        |it, _| it.subject = Some(Subject::parse("/payment/2").unwrap()),
        None,
        nothing,
        expect![[r#"
        not-matched
        subject: it asks for `/payment/2`; the event is about `/payment/1`"#]],
    );
    check(
        |_, it| it.audience = Authority::Operator,
        None,
        nothing,
        expect![[r#"
        not-matched
        audience: the event is for operators, and the subscription was made by a tenant"#]],
    );
    check(
        |it, _| it.scope = Scope::Tenant(TenantId::parse("globex").unwrap()),
        None,
        nothing,
        expect![[r#"
        not-matched
        tenant: it reads events of `globex`; this one is of `acme`"#]],
    );
    check(
        |it, _| it.revisions[0].from = 10,
        None,
        nothing,
        expect![[r#"
        not-matched
        from: the subscription began (on 1970-01-01T00:00:00.000000Z) after this event; `seek` lets it begin earlier"#]],
    );
}

#[test]
fn what_waits_says_for_what() {
    let pending = Some(DeliveryState::Pending);
    check(
        |_, _| {},
        pending,
        |_| {},
        expect![[r#"
        pending
        turn: 2 events of the log come before it"#]],
    );
    check(
        |_, _| {},
        pending,
        |it| it.cursor = 9,
        expect![[r#"
        pending
        turn: it is next"#]],
    );
    check(
        |it, _| it.state = State::Paused,
        pending,
        |it| it.cursor = 9,
        expect![[r#"
        pending
        state: the subscription is paused: nothing is tried until it is resumed
        turn: it is next"#]],
    );
    check(
        |_, _| {},
        pending,
        |it| it.held = true,
        expect![[r#"
        pending
        released: all deliveries are held since a restore: `ringback deliveries release` lets them go
        turn: 2 events of the log come before it"#]],
    );
    let open = Health { state: HealthState::Open, why: Some("connect"), since: None };
    check(
        |_, _| {},
        pending,
        |it| it.health = Some(open),
        expect![[r#"
        pending
        endpoint: most tries failed (connect): the endpoint is left alone for a while
        turn: 2 events of the log come before it"#]],
    );
    let full = Health { state: HealthState::Failing, why: Some("exceptions-full"), since: None };
    check(
        |_, _| {},
        pending,
        |it| it.health = Some(full),
        expect![[r#"
        pending
        endpoint: too many deliveries have failed: nothing more is read until some are retried and arrive
        turn: 2 events of the log come before it"#]],
    );
}

fn exception(state: ExceptionState) -> Exception {
    Exception {
        place: 10,
        event: EventId::from_bits(1),
        subject: None,
        revision: 1,
        generation: 1,
        tries: 2,
        state,
        created_at: T0,
        expires_at: None,
    }
}

#[test]
fn what_failed_was_skipped_or_arrived_says_so() {
    let (retrying, held) = (exception(ExceptionState::Retrying { due_at: T0 }), exception(ExceptionState::Held));
    check(
        |_, _| {},
        Some(DeliveryState::Retrying),
        |it| it.exception = Some(retrying),
        expect![[r#"
        retrying
        due: 2 tries failed; the next is due at 1970-01-01T00:00:00.000000Z"#]],
    );
    check(
        |_, _| {},
        Some(DeliveryState::Pending),
        |it| it.exception = Some(held),
        expect![[r#"
        pending
        order: it waits behind an earlier delivery of its subject that failed"#]],
    );
    let parked = exception(ExceptionState::Parked { reason: "tries-exhausted".into(), at: T0 });
    check(
        |_, _| {},
        Some(DeliveryState::Parked),
        |it| it.exception = Some(parked),
        expect![[r#"
        parked
        parked: given up at 1970-01-01T00:00:00.000000Z after 2 tries (tries-exhausted): `retry` tries it once more"#]],
    );
    // Of another life, and not around the event: neither is the reason.
    let range = |generation, from, to, why: &str| SkippedRange { generation, from, to, why: why.into(), matched: 0 };
    let ranges = [range(2, 0, 99, "sought"), range(1, 10, 12, "sought"), range(1, 9, 10, "resumed-from-now")];
    check(
        |_, _| {},
        Some(DeliveryState::Skipped),
        |it| it.skipped = ranges.to_vec(),
        expect![[r#"
        skipped
        skipped: the subscription was resumed from now, past this event; a seek to before it has it sent"#]],
    );
    check(
        |_, _| {},
        Some(DeliveryState::Delivered),
        |it| it.tries = 3,
        expect![[r#"
        delivered
        delivered: it arrived, after 3 tries"#]],
    );
}
