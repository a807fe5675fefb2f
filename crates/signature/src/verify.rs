//! Verifying: what a receiver does before it believes anything of a request.

use crate::scheme::{Secret, VERSION};
use base64::{Engine, prelude::BASE64_STANDARD};
use subtle::{Choice, ConstantTimeEq};

/// How far a timestamp may be from now, both ways, as the specification proposes.
pub const TOLERANCE_SECS: i64 = 300;

/// Signatures in one header that are looked at; the rest is ignored, so that a
/// long header costs nothing.
pub(crate) const SIGNATURES_MAX: usize = 32;

/// The three headers of a request, as text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers<'a> {
    /// `webhook-id`.
    pub id: Option<&'a str>,
    /// `webhook-timestamp`.
    pub timestamp: Option<&'a str>,
    /// `webhook-signature`.
    pub signature: Option<&'a str>,
}

/// Why a request is not to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A header is not there, or empty.
    #[error("the header `{0}` is missing")]
    HeaderMissing(&'static str),
    /// A header cannot be read.
    #[error("the header `{0}` cannot be read")]
    HeaderMalformed(&'static str),
    /// Sent too long ago: a replay, or a clock that is wrong.
    #[error("the timestamp is {by_secs} s old, more than is tolerated: a replayed request, or a clock that is wrong")]
    TimestampTooOld {
        /// Its age.
        by_secs: i64,
    },
    /// Sent in the future: a clock that is wrong.
    #[error("the timestamp is {by_secs} s in the future, more than is tolerated: a clock that is wrong")]
    TimestampTooNew {
        /// How far.
        by_secs: i64,
    },
    /// No signature fits: another secret, or changed bytes.
    #[error("no signature fits: the secret is another one, or the body is not byte for byte what was sent")]
    NoMatch,
}

/// Checks that `body`, byte for byte as it arrived, was signed with one of
/// `secrets` at most `tolerance_secs` from `now_secs`.
///
/// Comparing takes the same time wherever the bytes differ. Signatures of other
/// schemes in the header are passed over.
///
/// # Errors
/// The first reason not to believe the request.
pub fn verify(headers: Headers<'_>, body: &[u8], secrets: &[&Secret], now_secs: i64, tolerance_secs: i64) -> Result<(), VerifyError> {
    let id = present(headers.id, crate::HEADER_ID)?;
    let timestamp = present(headers.timestamp, crate::HEADER_TIMESTAMP)?;
    let signatures = present(headers.signature, crate::HEADER_SIGNATURE)?;

    timely(timestamp, crate::HEADER_TIMESTAMP, now_secs, tolerance_secs)?;

    let mut readable = false;
    let mut fits = Choice::from(0);
    for signature in signatures.split(' ').filter(|it| !it.is_empty()).take(SIGNATURES_MAX) {
        let (version, encoded) = signature.split_once(',').ok_or(VerifyError::HeaderMalformed(crate::HEADER_SIGNATURE))?;
        readable = true;
        // What is no base64 of 32 bytes fits nothing: decoding to a buffer of that size says so.
        let mut bytes = [0; 33];
        if version == VERSION && encoded.len() <= 44 && BASE64_STANDARD.decode_slice(encoded, &mut bytes) == Ok(32) {
            for secret in secrets {
                fits |= bytes.split_last().map_or(Choice::from(0), |(_, given)| secret.mac(id, timestamp, body).ct_eq(given));
            }
        }
    }
    match (readable, bool::from(fits)) {
        (true, true) => Ok(()),
        (true, false) => Err(VerifyError::NoMatch),
        (false, _) => Err(VerifyError::HeaderMalformed(crate::HEADER_SIGNATURE)),
    }
}

/// Whether the time that a header tells is near enough to now.
pub(crate) fn timely(text: &str, name: &'static str, now_secs: i64, tolerance_secs: i64) -> Result<(), VerifyError> {
    let age_secs = now_secs.saturating_sub(seconds(text).ok_or(VerifyError::HeaderMalformed(name))?);
    if age_secs > tolerance_secs {
        Err(VerifyError::TimestampTooOld { by_secs: age_secs })
    } else if age_secs < tolerance_secs.saturating_neg() {
        Err(VerifyError::TimestampTooNew { by_secs: age_secs.saturating_neg() })
    } else {
        Ok(())
    }
}

pub(crate) fn present<'a>(value: Option<&'a str>, name: &'static str) -> Result<&'a str, VerifyError> {
    value.filter(|it| !it.is_empty()).ok_or(VerifyError::HeaderMissing(name))
}

/// Plain decimal digits; no sign, space or fraction.
fn seconds(text: &str) -> Option<i64> {
    text.bytes().all(|it| it.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign;
    use alloc::{format, string::String};
    use proptest::{collection::vec, prelude::*, sample::Index};

    const NOW: i64 = 1_795_458_284;

    fn secret(byte: u8) -> Secret {
        Secret::generate([byte; 32])
    }

    fn headers<'a>(id: &'a str, timestamp: &'a str, signature: &'a str) -> Headers<'a> {
        Headers { id: Some(id), timestamp: Some(timestamp), signature: Some(signature) }
    }

    #[test]
    fn each_reason_has_its_name() {
        let good = sign(&[&secret(1)], "evt_1", NOW, b"{}");
        let at = format!("{NOW}");
        let check = |headers: Headers<'_>, now: i64, want: Result<(), VerifyError>| {
            assert_eq!(verify(headers, b"{}", &[&secret(1)], now, TOLERANCE_SECS), want, "{headers:?}");
        };
        check(headers("evt_1", &at, &good), NOW, Ok(()));
        check(headers("evt_1", &at, &good), NOW + 300, Ok(()));
        check(headers("evt_1", &at, &good), NOW - 300, Ok(()));
        check(headers("evt_1", &at, &good), NOW + 301, Err(VerifyError::TimestampTooOld { by_secs: 301 }));
        check(headers("evt_1", &at, &good), NOW - 301, Err(VerifyError::TimestampTooNew { by_secs: 301 }));
        check(headers("evt_1", &at, &good), i64::MIN, Err(VerifyError::TimestampTooNew { by_secs: i64::MAX }));
        check(headers("evt_2", &at, &good), NOW, Err(VerifyError::NoMatch));
        check(headers("", &at, &good), NOW, Err(VerifyError::HeaderMissing("webhook-id")));
        check(Headers { timestamp: None, ..headers("evt_1", "", &good) }, NOW, Err(VerifyError::HeaderMissing("webhook-timestamp")));
        check(headers("evt_1", &at, ""), NOW, Err(VerifyError::HeaderMissing("webhook-signature")));
        for bad in ["x", "-1", "+1", "1.0", " 1", "99999999999999999999"] {
            check(headers("evt_1", bad, &good), NOW, Err(VerifyError::HeaderMalformed("webhook-timestamp")));
        }
        for bad in [" ", "v1", "abc"] {
            check(headers("evt_1", &at, bad), NOW, Err(VerifyError::HeaderMalformed("webhook-signature")));
        }
        for wrong in ["v1,", "v1,AAAA", "v2,x", "v1a,AAAA", &good.replace("v1,", "v0,"), &format!("{good}=")] {
            check(headers("evt_1", &at, wrong), NOW, Err(VerifyError::NoMatch));
        }
        check(headers("evt_1", &at, &format!("v1a,AAAA v1,AAAA  {good}")), NOW, Ok(()));
    }

    #[test]
    fn another_spelling_of_the_time_is_another_message() {
        let good = sign(&[&secret(1)], "evt_1", NOW, b"{}");
        let zeros = format!("0{NOW}");
        assert_eq!(verify(headers("evt_1", &zeros, &good), b"{}", &[&secret(1)], NOW, 300), Err(VerifyError::NoMatch));
    }

    #[test]
    fn during_rotation_either_secret_does() {
        let both = sign(&[&secret(1), &secret(2)], "evt_1", NOW, b"{}");
        let at = format!("{NOW}");
        for (known, want) in [(1, Ok(())), (2, Ok(())), (3, Err(VerifyError::NoMatch))] {
            assert_eq!(verify(headers("evt_1", &at, &both), b"{}", &[&secret(known)], NOW, 300), want);
        }
        let old = sign(&[&secret(1)], "evt_1", NOW, b"{}");
        assert_eq!(verify(headers("evt_1", &at, &old), b"{}", &[&secret(2), &secret(1)], NOW, 300), Ok(()));
        assert_eq!(verify(headers("evt_1", &at, &old), b"{}", &[], NOW, 300), Err(VerifyError::NoMatch));
    }

    #[test]
    fn an_endless_header_is_cut() {
        let good = sign(&[&secret(1)], "evt_1", NOW, b"{}");
        let long: String = core::iter::repeat_n("v1,AAAA ", SIGNATURES_MAX).chain([good.as_str()]).collect();
        assert_eq!(verify(headers("evt_1", &format!("{NOW}"), &long), b"{}", &[&secret(1)], NOW, 300), Err(VerifyError::NoMatch));
    }

    proptest! {
        #[test]
        fn a_signature_never_survives_a_changed_byte(body in vec(any::<u8>(), 1..200), at: Index, by in 1u8.., key: [u8; 32]) {
            let secret = Secret::generate(key);
            let signature = sign(&[&secret], "evt_1", NOW, &body);
            let time = format!("{NOW}");
            prop_assert_eq!(verify(headers("evt_1", &time, &signature), &body, &[&secret], NOW, 300), Ok(()));
            let mut changed = body.clone();
            changed[at.index(body.len())] ^= by;
            prop_assert_eq!(verify(headers("evt_1", &time, &signature), &changed, &[&secret], NOW, 300), Err(VerifyError::NoMatch));
            prop_assert!(verify(headers("evt_1", &time, &signature), &body[1..], &[&secret], NOW, 300).is_err());
        }

        #[test]
        fn a_changed_signature_fits_nothing(body in vec(any::<u8>(), 0..50), at: Index, to in "[A-Za-z0-9+/]") {
            let good = sign(&[&secret(1)], "evt_1", NOW, &body);
            let at = 3 + at.index(43);
            let mut bad = good.clone();
            bad.replace_range(at..=at, &to);
            let time = format!("{NOW}");
            let verdict = verify(headers("evt_1", &time, &bad), &body, &[&secret(1)], NOW, 300);
            prop_assert_eq!(verdict.is_ok(), bad == good);
        }

        #[test]
        fn any_headers_are_judged_without_a_panic(id in ".{0,9}", time in "[0-9 .-]{0,12}", signature in "(v1,)?[a-zA-Z0-9=, ]{0,60}") {
            let verdict = verify(headers(&id, &time, &signature), b"{}", &[&secret(1)], NOW, 300);
            prop_assert!(verdict.is_err());
        }
    }
}
