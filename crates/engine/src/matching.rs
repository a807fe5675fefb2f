//! Whether a subscription wants an event.
//!
//! Not here: whether it is read at all (its state), where reading starts (its
//! cursor), and which statuses a type declares `done` (the caller resolves
//! `until=done` into statuses).

use ringback_model::{
    StatusName,
    event::Event,
    subscription::{Revision, Subscription, types_match},
};

/// Whether `event` is owed to `sub` under its revision `rev`: scope, audience, subject and types.
///
/// The place of the event is not looked at: take `rev` from
/// `Subscription::revision_at`, and an event at or below the first revision's
/// `from` is not owed whatever this says. `until` of a one-shot is `one_shot`.
/// Nobody is owed an event that is erased; see `was_owed`.
#[must_use]
pub fn matches(sub: &Subscription, rev: &Revision, event: &Event) -> bool {
    event.erased_at.is_none() && was_owed(sub, rev, event)
}

/// As `matches`, also of an event that is erased, as far as what is left of it says: by its type.
#[must_use]
pub fn was_owed(sub: &Subscription, rev: &Revision, event: &Event) -> bool {
    sub.scope.holds(&event.tenant)
        && sub.authority.covers(event.audience)
        && sub.subject.as_ref().is_none_or(|it| event.subject.as_ref() == Some(it))
        && types_match(&rev.types, &event.event_type)
        && !is_about_itself(sub, event)
}

/// Whether we tell of this very subscription: what an endpoint that fails is told
/// of its failing would be one more failure.
fn is_about_itself(sub: &Subscription, event: &Event) -> bool {
    event.event_type.first_segment() == "ringback"
        && event.tenant == sub.tenant
        && event.subject.as_ref().and_then(|it| it.as_str().strip_prefix("/v1/subscriptions/")) == Some(sub.id.as_str())
}

/// Whether `event` is the one by which its resource enters one of `until_statuses`.
///
/// A deletion enters nothing, nor does a change that keeps the status.
#[must_use]
pub fn one_shot(event: &Event, until_statuses: &[StatusName]) -> bool {
    event.of.as_ref().and_then(|it| it.entered.as_ref()).is_some_and(|it| until_statuses.contains(it))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use ringback_model::{
        EventId, EventType, ResourceId, Subject, SubscriptionId, TenantId, Timestamp, TypeName,
        event::{EventDraft, OfResource, PayloadForm, Scope},
        key::Authority,
        subscription::{Order, Push, State, TypePattern},
    };

    fn tenant(id: &str) -> TenantId {
        TenantId::parse(id).unwrap()
    }

    fn event(tenant_id: &str, event_type: &str, subject: Option<&str>, audience: Authority) -> Event {
        EventDraft {
            id: EventId::from_bits(1),
            event_type: EventType::parse(event_type).unwrap(),
            timestamp: Timestamp::from_secs(1),
            subject: subject.map(|it| Subject::parse(it).unwrap()),
            data: Bytes::from_static(b"{}"),
            previous: None,
            occurred_at: None,
            expires_at: None,
            key: None,
            audience,
            of: None,
        }
        .place(tenant(tenant_id), 9, 3, true)
    }

    fn subscription(scope: Scope, authority: Authority, subject: Option<&str>, types: &[&str]) -> Subscription {
        Subscription {
            no: 1,
            id: SubscriptionId::parse("sub_1").unwrap(),
            tenant: TenantId::default_tenant(),
            scope,
            authority,
            description: String::new(),
            metadata: Default::default(),
            strict: true,
            subject: subject.map(|it| Subject::parse(it).unwrap()),
            until: None,
            from: "now".into(),
            state: State::Active,
            push: Some(Push {
                url: "https://example.com/".into(),
                headers: vec![],
                timeout_ms: 20_000,
                concurrency_max: 32,
                rate_max_per_s: None,
                delays: vec![5],
                signing: Default::default(),
                access: Default::default(),
                secrets: vec![],
            }),
            revisions: vec![Revision {
                no: 1,
                from: 0,
                types: types.iter().map(|it| TypePattern::parse(it).unwrap()).collect(),
                filter: None,
                payload: PayloadForm::Full,
                order: Order::None,
                public_url: "https://api.example.com".into(),
            }],
            generation: 1,
            created_at: Timestamp::from_secs(0),
            updated_at: Timestamp::from_secs(0),
            version: 1,
            failing: None,
        }
    }

    #[track_caller]
    fn check(sub: &Subscription, event: &Event, want: bool) {
        assert_eq!(matches(sub, sub.revision().unwrap(), event), want);
    }

    #[test]
    fn scope_and_audience_come_first() {
        let acme = Scope::Tenant(tenant("acme"));
        let paid = |of: &str, audience| event(of, "payment.paid", Some("/payment/1"), audience);
        for (scope, authority, of, audience, want) in [
            (acme.clone(), Authority::Tenant, "acme", Authority::Tenant, true),
            (acme.clone(), Authority::Tenant, "globex", Authority::Tenant, false),
            (acme.clone(), Authority::Tenant, "acme", Authority::Operator, false),
            (acme.clone(), Authority::Operator, "acme", Authority::Operator, true),
            (acme, Authority::Operator, "globex", Authority::Operator, false),
            (Scope::All, Authority::Operator, "globex", Authority::Operator, true),
            (Scope::All, Authority::Operator, "acme", Authority::Tenant, true),
        ] {
            check(&subscription(scope, authority, None, &[]), &paid(of, audience), want);
        }
    }

    #[test]
    fn subject_and_types_narrow() {
        let mine = Scope::Tenant(tenant("acme"));
        for (subject, types, event_type, of, want) in [
            (None, &[][..], "payment.paid", None, true),
            (None, &["payment.*"], "payment.paid", Some("/payment/1"), true),
            (None, &["payment.failed"], "payment.paid", Some("/payment/1"), false),
            (None, &[], "ringback.delivery.parked", None, false),
            (None, &["ringback.*"], "ringback.delivery.parked", None, true),
            (Some("/payment/1"), &[], "payment.paid", Some("/payment/1"), true),
            (Some("/payment/1"), &[], "payment.paid", Some("/payment/12"), false),
            (Some("/payment/1"), &[], "payment.paid", None, false),
            (Some("/payment/1"), &["order.*"], "payment.paid", Some("/payment/1"), false),
        ] {
            let sub = subscription(mine.clone(), Authority::Tenant, subject, types);
            check(&sub, &event("acme", event_type, of, Authority::Tenant), want);
        }
    }

    #[test]
    fn a_one_shot_wants_the_entering_event() {
        let done = [StatusName::parse("completed").unwrap(), StatusName::parse("failed").unwrap()];
        let entering = |entered: Option<&str>| {
            let mut it = event("acme", "payment.completed", Some("/payment/1"), Authority::Tenant);
            it.of = Some(OfResource {
                type_name: TypeName::parse("payment").unwrap(),
                id: ResourceId::parse("1").unwrap(),
                version: 2,
                entered: entered.map(|it| StatusName::parse(it).unwrap()),
                deleted: false,
            });
            it
        };
        assert!(one_shot(&entering(Some("completed")), &done));
        assert!(one_shot(&entering(Some("failed")), &done));
        assert!(!one_shot(&entering(Some("processing")), &done));
        assert!(!one_shot(&entering(None), &done), "a change that keeps the status");
        assert!(!one_shot(&event("acme", "payment.completed", None, Authority::Tenant), &done), "a published event");
        assert!(!one_shot(&entering(Some("completed")), &[]));
    }
}
