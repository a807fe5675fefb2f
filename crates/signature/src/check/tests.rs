//! Every profile: what is signed verifies, what was changed does not, and the usual mistakes are named.

use super::*;
use crate::{
    TOLERANCE_SECS,
    profile::{Algorithm, Message, SignKey, headers, is_reserved_header},
};
use alloc::{
    format,
    string::{String, ToString},
    vec,
};
use proptest::{collection::vec as any_vec, prelude::*, sample::Index};

const NOW: i64 = 1_795_458_284;
const BODY: &[u8] = b"{\"id\":\"evt_1\", \"data\":{\"a b\":\"c\\\" d\"}}";

type Headers = Vec<(&'static str, String)>;

fn key(profile: Profile, byte: u8) -> SignKey {
    SignKey::generate(profile, Algorithm::Hmac, [byte; 32]).unwrap()
}

fn signed(profile: Profile, keys: &[SignKey], body: &[u8]) -> Headers {
    headers(profile, keys, &Message { id: "evt_1", timestamp_secs: NOW, event_type: "payment.completed", body })
}

fn find<'a>(headers: &'a Headers) -> impl Fn(&str) -> Option<&'a str> + Copy {
    |name| headers.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
}

fn verdict(profile: Profile, headers: &Headers, body: &[u8], keys: &[SignKey], now: i64) -> Result<(), VerifyError> {
    let keys: Vec<_> = keys.iter().cloned().map(VerifyKey::from).collect();
    check(profile, find(headers), body, &keys, now, TOLERANCE_SECS)
}

fn asymmetric(byte: u8) -> SignKey {
    SignKey::generate(Profile::Standard, Algorithm::Ed25519, [byte; 32]).unwrap()
}

#[test]
fn every_profile_verifies_what_it_signs_and_nothing_else() {
    for profile in Profile::ALL {
        assert_eq!(Profile::parse(profile.as_str()), Some(profile));
        let key = key(profile, 1);
        assert_eq!(SignKey::parse(profile, &key.format()), Ok(key.clone()));
        let good = signed(profile, core::slice::from_ref(&key), BODY);
        assert_eq!(verdict(profile, &good, BODY, core::slice::from_ref(&key), NOW), Ok(()), "{profile:?}");
        assert_eq!(verdict(profile, &good, b"{}", core::slice::from_ref(&key), NOW), Err(VerifyError::NoMatch), "{profile:?}");
        assert_eq!(verdict(profile, &good, BODY, &[self::key(profile, 2)], NOW), Err(VerifyError::NoMatch), "{profile:?}");
        assert_eq!(verdict(profile, &good, BODY, &[], NOW), Err(VerifyError::NoMatch), "{profile:?}");
        let name = profile.signature_header();
        assert!(verdict(profile, &vec![], BODY, core::slice::from_ref(&key), NOW).is_err());
        for (header, value) in &good {
            assert!(is_reserved_header(header), "{header} can't be a static header");
            assert!(value.bytes().all(|it| it.is_ascii_graphic() || it == b' '), "{header}: {value}");
        }
        let without: Headers = good.iter().filter(|it| it.0 != name).cloned().collect();
        assert_eq!(verdict(profile, &without, BODY, core::slice::from_ref(&key), NOW), Err(VerifyError::HeaderMissing(name)));
        let timed = verdict(profile, &good, BODY, core::slice::from_ref(&key), NOW + 301);
        let want = match profile {
            Profile::Github | Profile::Shopify => Ok(()),
            _ => Err(VerifyError::TimestampTooOld { by_secs: 301 }),
        };
        assert_eq!(timed, want, "{profile:?}");
    }
}

/// The examples of the documents.
#[test]
fn the_forms_are_those_of_the_documents() {
    // https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries#testing-the-webhook-payload-validation
    let github = SignKey::parse(Profile::Github, "It's_a_Secret_to_Everybody");
    assert!(github.is_ok(), "printable");
    let spaced = "It's a Secret to Everybody";
    assert_eq!(SignKey::parse(Profile::Github, spaced), Err(crate::SecretError::RawCharacters));
    let mac = hmac(spaced.as_bytes(), &[b"Hello, World!"]);
    let hex: String = mac.iter().map(|it| format!("{it:02x}")).collect();
    assert_eq!(hex, "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17");
    // RFC 4231, test case 6: a key longer than a block.
    let mac = hmac(&[0xaa; 131], &[b"Test Using Larger Than Block-Size Key ", b"- Hash Key First"]);
    let hex: String = mac.iter().map(|it| format!("{it:02x}")).collect();
    assert_eq!(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    let stripe = signed(Profile::Stripe, &[key(Profile::Stripe, 1), key(Profile::Stripe, 2)], BODY);
    let value = find(&stripe)("stripe-signature").unwrap();
    assert!(value.starts_with("t=1795458284,v1="), "{value}");
    assert_eq!(value.len(), "t=1795458284".len() + 2 * (",v1=".len() + 64));
}

#[test]
fn while_keys_rotate_either_does_where_a_request_can_carry_both() {
    for profile in Profile::ALL {
        let (new, old) = (key(profile, 2), key(profile, 1));
        let both = signed(profile, &[new.clone(), old.clone()], BODY);
        assert_eq!(verdict(profile, &both, BODY, &[new], NOW), Ok(()), "{profile:?}");
        assert_eq!(verdict(profile, &both, BODY, &[old], NOW).is_ok(), profile.carries_several(), "{profile:?}");
    }
    for profile in [Profile::Standard, Profile::Svix] {
        let (new, old) = (asymmetric(2), key(profile, 1));
        let both = signed(profile, &[new.clone(), old.clone()], BODY);
        for one in [new, old] {
            assert_eq!(verdict(profile, &both, BODY, &[one], NOW), Ok(()), "{profile:?}");
        }
        assert_eq!(verdict(profile, &both, BODY, &[asymmetric(3)], NOW), Err(VerifyError::NoMatch));
    }
    for profile in [Profile::Stripe, Profile::Github, Profile::Shopify] {
        assert_eq!(SignKey::generate(profile, Algorithm::Ed25519, [1; 32]), None);
    }
}

#[test]
fn malformed_headers_are_told() {
    for (profile, bad) in [
        (Profile::Svix, "v1"),
        (Profile::Stripe, "v1=00"),
        (Profile::Stripe, "t=x,v1=00"),
        (Profile::Stripe, "t=1795458284"),
        (Profile::Github, "sha1=00"),
        (Profile::Github, "sha256=zz"),
        (Profile::Shopify, "AAAA"),
    ] {
        let key = key(profile, 1);
        let mut it = signed(profile, core::slice::from_ref(&key), BODY);
        it.iter_mut().filter(|it| it.0 == profile.signature_header()).for_each(|it| it.1 = bad.into());
        let verdict = verdict(profile, &it, BODY, &[key], NOW);
        assert_eq!(verdict, Err(VerifyError::HeaderMalformed(profile.signature_header())), "{profile:?} {bad}");
    }
}

#[track_caller]
fn check_hint(profile: Profile, headers: &Headers, body: &[u8], secret: &str, want: &str) {
    let found = hint(profile, find(headers), body, secret, NOW, TOLERANCE_SECS).to_string();
    assert!(found.contains(want), "{found}");
}

#[test]
fn usual_mistakes_are_named() {
    for profile in Profile::ALL {
        let key = key(profile, 1);
        let text = key.format();
        let signed = |body: &[u8]| signed(profile, core::slice::from_ref(&key), body);
        check_hint(profile, &signed(b"{\"a\":1}"), b"{\"a\":1}\n", &text, "line ends and spaces around it are removed");
        check_hint(profile, &signed(b"{\"a\":1}\n"), b"{\"a\":1}", &text, "a line end is added");
        check_hint(profile, &signed(b"{\"a b\":1}"), b"{\n  \"a b\": 1\n}", &text, "between its JSON tokens");
        check_hint(profile, &signed(b"a\nb"), b"a\r\nb", &text, "LF and not CR LF");
        check_hint(profile, &signed(b"{}"), b"[]", &text, "either the secret is another one");
        let other = if profile == Profile::Github { Profile::Stripe } else { Profile::Github };
        check_hint(other, &signed(b"{}"), b"{}", &text, &format!("the profile `{}`", profile.as_str()));
    }
    let standard = key(Profile::Standard, 1);
    let text = standard.format();
    let raw = SignKey::parse(Profile::Stripe, &text).unwrap();
    let stripe = signed(Profile::Stripe, &[raw], BODY);
    check_hint(Profile::Stripe, &stripe, BODY, text.strip_prefix("whsec_").unwrap(), "`whsec_` stands before it");
    let good = signed(Profile::Standard, &[standard], BODY);
    check_hint(Profile::Standard, &good, BODY, text.strip_prefix("whsec_").unwrap(), "`whsec_` stands before it");
}

#[test]
fn weak_secrets_are_known() {
    assert!(key(Profile::Standard, 1).is_weak(), "one byte, again and again");
    assert!(SignKey::parse(Profile::Github, "aaaaaaaaaaaaaaaaaaaa").unwrap().is_weak());
    assert!(!SignKey::parse(Profile::Github, "It's_a_Secret_to_Everybody").unwrap().is_weak());
    assert_eq!(SignKey::parse(Profile::Stripe, "short"), Err(crate::SecretError::RawLength { chars: 5 }));
    assert_eq!(format!("{:?}", key(Profile::Stripe, 1)), "Raw(RawSecret(…))");
}

proptest! {
    #[test]
    fn no_profile_survives_a_changed_byte(body in any_vec(any::<u8>(), 1..100), at: Index, by in 1u8.., chance: [u8; 32]) {
        for profile in Profile::ALL {
            for algorithm in [Algorithm::Hmac, Algorithm::Ed25519] {
                let Some(key) = SignKey::generate(profile, algorithm, chance) else { continue };
                let it = signed(profile, core::slice::from_ref(&key), &body);
                let key = [key];
                prop_assert_eq!(verdict(profile, &it, &body, &key, NOW), Ok(()));
                let mut changed = body.clone();
                changed[at.index(body.len())] ^= by;
                prop_assert_eq!(verdict(profile, &it, &changed, &key, NOW), Err(VerifyError::NoMatch));
            }
        }
    }

    #[test]
    fn any_headers_are_judged_without_a_panic(values in any_vec("(t=|v1=|v1a?,|sha256=)?[a-zA-Z0-9=+/, ]{0,90}", 6), body in any_vec(any::<u8>(), 0..9)) {
        for profile in Profile::ALL {
            let names = ["webhook-id", "webhook-timestamp", "svix-id", "svix-timestamp", profile.signature_header()];
            let headers: Headers = names.into_iter().zip(values.iter().cloned()).collect();
            prop_assert!(verdict(profile, &headers, &body, &[key(profile, 1)], NOW).is_err());
            let _ = hint(profile, find(&headers), &body, &key(profile, 1).format(), NOW, TOLERANCE_SECS);
        }
    }
}
