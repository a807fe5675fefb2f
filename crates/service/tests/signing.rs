//! Signing: rotation, profiles, algorithms, ids and payload forms, as receivers see them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

mod world;

use ringback_model::{
    SubscriptionId,
    event::PayloadForm,
    signing::{Algorithm, Profile, Signing, WebhookId},
};
use ringback_ports::sender::PushRequest;
use ringback_service::{Error, IfMatch, NewEvent, SigningKeys, SigningPatch, SubscriptionPatch, Write};
use ringback_signature as signature;
use std::time::Duration;
use world::{World, fresh, header, subscription};

const RAW: &str = "It's_a_Secret_to_Everybody";

fn verified(profile: signature::Profile, request: &PushRequest, secret: &str) -> Result<(), signature::VerifyError> {
    let find = |name: &str| request.headers.iter().find(|it| it.0 == name).map(|it| it.1.as_str());
    let key = signature::VerifyKey::parse(profile, secret).unwrap();
    // The time of the try is judged by the tests of `push`.
    signature::check(profile, find, &request.body, &[key], 0, i64::MAX)
}

fn rotate(world: &World, id: &SubscriptionId, secret: Option<&str>, overlap: Option<u32>) -> Result<SigningKeys, Error> {
    let ctx = world.ctx();
    let done = world.service.rotate_secret(&ctx, id, secret.map(Into::into), overlap, IfMatch::Any, Write::plain());
    world.run(done).map(fresh)
}

fn sent(world: &World) -> PushRequest {
    let before = world.sender.count();
    world.publish("a.b", None, "{\"n\":1.50}");
    world.pass(Duration::from_secs(1));
    assert_eq!(world.sender.count(), before + 1);
    world.sender.requests().last().unwrap().clone()
}

fn says(result: Result<SigningKeys, Error>, what: &str) {
    match result {
        Err(Error::Field { detail, .. }) if detail.contains(what) => {}
        other => panic!("wanted `{what}`: {other:?}"),
    }
}

#[test]
fn while_secrets_rotate_both_sign_and_then_only_the_new_one() {
    let world = World::new();
    let made = world.subscribe(|_| {});
    let (id, old) = (made.view.subscription.id.clone(), made.secret.unwrap());
    let rotated = rotate(&world, &id, None, Some(3_600)).unwrap();
    let new = rotated.secret.unwrap();
    assert_ne!(new, old);
    assert_eq!(rotated.keys.len(), 2);
    assert_eq!(rotated.keys[0].expires_at, None);
    assert_eq!(rotated.keys[1].expires_at, Some(world.now() + Duration::from_secs(3_600)));
    let request = sent(&world);
    assert_eq!(header(&request.headers, "webhook-signature").split(' ').count(), 2);
    for secret in [&old, &new] {
        assert_eq!(verified(signature::Profile::Standard, &request, secret), Ok(()));
    }
    world.pass(Duration::from_secs(3_600));
    let request = sent(&world);
    assert_eq!(verified(signature::Profile::Standard, &request, &new), Ok(()));
    assert_eq!(verified(signature::Profile::Standard, &request, &old), Err(signature::VerifyError::NoMatch));
    let keys = world.service.signing_keys(&world.ctx(), &id).unwrap();
    assert_eq!((keys.secret, keys.keys.iter().filter(|it| it.signs_at(world.now())).count()), (None, 1));
}

#[test]
fn without_overlap_the_old_secret_is_revoked_at_once_and_for_good() {
    let mut world = World::new();
    let made = world.subscribe(|_| {});
    let (id, old) = (made.view.subscription.id.clone(), made.secret.unwrap());
    let new = rotate(&world, &id, None, Some(0)).unwrap().secret.unwrap();
    world.crash();
    let request = sent(&world);
    assert_eq!(verified(signature::Profile::Standard, &request, &new), Ok(()));
    assert_eq!(verified(signature::Profile::Standard, &request, &old), Err(signature::VerifyError::NoMatch));
}

#[test]
fn a_rotation_has_limits() {
    let world = World::new();
    let id = world.subscribe(|_| {}).view.subscription.id.clone();
    for _ in 0..4 {
        rotate(&world, &id, None, None).unwrap();
    }
    assert!(matches!(rotate(&world, &id, None, None), Err(Error::LimitReached { max: 5, .. })));
    let own = signature::Secret::generate(core::array::from_fn(|it| u8::try_from(it).unwrap())).format();
    assert_eq!(rotate(&world, &id, Some(&own), Some(0)).unwrap().keys.len(), 1);
    says(rotate(&world, &id, Some(&own), Some(0)), "the present one");
    says(rotate(&world, &id, Some("secret"), None), "begins with `whsec_`");
    let weak = signature::Secret::generate([7; 32]).format();
    says(rotate(&world, &id, Some(&weak), None), "not drawn by chance");
    let pulled = world.subscribe(|it| it.push = None).view.subscription.id.clone();
    says(rotate(&world, &pulled, None, None), "nothing is signed");
}

#[test]
fn ed25519_shows_its_public_key_and_never_its_private_one() {
    let world = World::new();
    let made = world.subscribe(|it| it.push.as_mut().unwrap().signing.algorithm = Algorithm::Ed25519);
    assert_eq!(made.secret, None);
    let (id, public) =
        (made.view.subscription.id.clone(), made.view.subscription.push.as_ref().unwrap().secrets[0].public_key.clone().unwrap());
    let request = sent(&world);
    assert!(header(&request.headers, "webhook-signature").starts_with("v1a,"));
    assert_eq!(verified(signature::Profile::Standard, &request, &public), Ok(()));
    let rotated = rotate(&world, &id, None, None).unwrap();
    assert_eq!(rotated.secret, None);
    let request = sent(&world);
    for key in rotated.keys {
        assert_eq!(verified(signature::Profile::Standard, &request, &key.public_key.unwrap()), Ok(()));
    }
    assert_eq!(verified(signature::Profile::Standard, &request, &public), Ok(()), "it is one of them");
}

#[test]
fn each_profile_signs_with_the_secret_that_receivers_have() {
    for (ours, theirs, secret) in [
        (Profile::Stripe, signature::Profile::Stripe, "whsec_5oX0bJ8Q7kYwz3"),
        (Profile::Github, signature::Profile::Github, RAW),
        (Profile::Shopify, signature::Profile::Shopify, RAW),
        (Profile::Svix, signature::Profile::Svix, "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"),
    ] {
        let world = World::new();
        world.subscribe(|it| {
            let push = it.push.as_mut().unwrap();
            (push.secret, push.signing.profile) = (Some(secret.into()), ours);
        });
        let request = sent(&world);
        assert_eq!(verified(theirs, &request, secret), Ok(()), "{ours:?}");
        assert!(!header(&request.headers, "webhook-id").is_empty());
        assert!(header(&request.headers, "webhook-signature").is_empty());
    }
}

#[test]
fn where_a_request_carries_one_signature_keys_replace_each_other() {
    let world = World::new();
    let made = world.subscribe(|it| it.push.as_mut().unwrap().signing.profile = Profile::Github);
    let id = made.view.subscription.id.clone();
    says(rotate(&world, &id, None, Some(60)), "carries one signature");
    let rotated = rotate(&world, &id, None, None).unwrap();
    assert_eq!(rotated.keys.len(), 1);
    let request = sent(&world);
    assert_eq!(verified(signature::Profile::Github, &request, &rotated.secret.unwrap()), Ok(()));
}

#[test]
fn a_profile_may_change_as_long_as_the_secret_can_sign_in_it() {
    let world = World::new();
    let made = world.subscribe(|_| {});
    let (id, secret) = (made.view.subscription.id.clone(), made.secret.unwrap());
    let change = |profile, algorithm| {
        let signing = SigningPatch { profile, algorithm, webhook_id: None };
        let patch = SubscriptionPatch { signing, ..SubscriptionPatch::default() };
        world.run(world.service.patch_subscription(&world.ctx(), &id, patch, IfMatch::Any, Write::plain()))
    };
    change(Some(Profile::Svix), None).unwrap();
    assert_eq!(verified(signature::Profile::Svix, &sent(&world), &secret), Ok(()));
    assert!(matches!(change(None, Some(Algorithm::Ed25519)), Err(Error::Field { pointer, .. }) if pointer == "/push/signing"));
    // Its text is the key there.
    change(Some(Profile::Github), None).unwrap();
    assert_eq!(verified(signature::Profile::Github, &sent(&world), &secret), Ok(()));
    rotate(&world, &id, Some(RAW), None).unwrap();
    assert!(matches!(change(Some(Profile::Standard), None), Err(Error::Field { pointer, .. }) if pointer == "/push/profile"));
    assert_eq!(verified(signature::Profile::Github, &sent(&world), RAW), Ok(()), "a refused change changes nothing");
    let mut new = subscription(world::URL);
    new.push.as_mut().unwrap().signing = Signing { algorithm: Algorithm::Ed25519, profile: Profile::Stripe, webhook_id: WebhookId::Event };
    let refused = world.run(world.service.create_subscription(&world.ctx(), new, Write::plain()));
    assert!(matches!(refused, Err(Error::Field { detail, .. }) if detail.contains("no form for `ed25519`")));
}

#[test]
fn the_publishers_key_may_be_the_id() {
    let world = World::new();
    let secret = world.subscribe(|it| it.push.as_mut().unwrap().signing.webhook_id = WebhookId::Key).secret.unwrap();
    let keyed = |key: &str| {
        let event = NewEvent { key: Some(key.into()), ..world::event("a.b", None, "{}") };
        world.run(world.service.publish(&world.ctx(), vec![event], Write::plain())).unwrap();
        world.pass(Duration::from_secs(1));
        world.sender.requests().last().unwrap().clone()
    };
    for (key, id) in [("order-7", "order-7"), (" order-8 ", "order-8")] {
        let request = keyed(key);
        assert_eq!(header(&request.headers, "webhook-id"), id);
        assert_eq!(verified(signature::Profile::Standard, &request, &secret), Ok(()));
    }
    assert!(header(&keyed("  ").headers, "webhook-id").starts_with("evt_"), "a header can't be spaces alone");
    assert!(header(&sent(&world).headers, "webhook-id").starts_with("evt_"), "without a key it is the event's");
}

#[test]
fn each_payload_form_is_sent_as_what_it_is_and_signed() {
    for (form, content_type) in [
        (PayloadForm::Full, "application/json"),
        (PayloadForm::Data, "application/json"),
        (PayloadForm::Thin, "application/json"),
        (PayloadForm::Cloudevents, "application/cloudevents+json"),
        (PayloadForm::CloudeventsBinary, "application/json"),
    ] {
        let world = World::new();
        let secret = world.subscribe(|it| it.payload = form).secret.unwrap();
        let request = sent(&world);
        assert_eq!(header(&request.headers, "content-type"), content_type);
        assert_eq!(verified(signature::Profile::Standard, &request, &secret), Ok(()));
        let verbatim = matches!(form, PayloadForm::Data | PayloadForm::CloudeventsBinary);
        assert_eq!(request.body == "{\"n\":1.50}", verbatim, "{form:?}");
        assert_eq!(header(&request.headers, "ce-type"), if form == PayloadForm::CloudeventsBinary { "a.b" } else { "" });
    }
}
