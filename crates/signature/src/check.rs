//! Verifying a request of any profile, and saying what is probably wrong with
//! one that does not verify.

use crate::{
    ed25519,
    profile::{Profile, VerifyKey, content},
    scheme::{SECRET_PREFIX, VERSION, hmac},
    verify::{SIGNATURES_MAX, VerifyError, present, timely},
};
use alloc::vec::Vec;
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD},
};
use subtle::{Choice, ConstantTimeEq};

/// Checks that `body`, byte for byte as it arrived, was signed in the form of
/// `profile` with one of `keys`, at most `tolerance_secs` from `now_secs` where
/// the profile signs a time.
///
/// `header` finds the value of a header by its lower-case name.
///
/// # Errors
/// The first reason not to believe the request.
pub fn check<'a>(
    profile: Profile,
    header: impl Fn(&str) -> Option<&'a str>,
    body: &[u8],
    keys: &[VerifyKey],
    now_secs: i64,
    tolerance_secs: i64,
) -> Result<(), VerifyError> {
    let name = profile.signature_header();
    match profile {
        Profile::Standard | Profile::Svix => {
            let (id_name, time_name) = match profile {
                Profile::Svix => ("svix-id", "svix-timestamp"),
                _ => (crate::HEADER_ID, crate::HEADER_TIMESTAMP),
            };
            let id = present(header(id_name), id_name)?;
            let time = present(header(time_name), time_name)?;
            let signatures = present(header(name), name)?;
            timely(time, time_name, now_secs, tolerance_secs)?;
            let signed = content(id, time, body);
            let (mut any, mut fits) = (false, Choice::from(0));
            for one in signatures.split(' ').filter(|it| !it.is_empty()).take(SIGNATURES_MAX) {
                let (version, encoded) = one.split_once(',').ok_or(VerifyError::HeaderMalformed(name))?;
                any = true;
                fits |= match version {
                    VERSION => decoded::<32>(encoded).map_or(Choice::from(0), |given| {
                        keys.iter().fold(Choice::from(0), |fits, key| match key {
                            VerifyKey::Hmac(it) => fits | it.mac(id, time, body).ct_eq(&given),
                            VerifyKey::Ed25519(_) | VerifyKey::Raw(_) => fits,
                        })
                    }),
                    ed25519::VERSION => decoded::<64>(encoded).map_or(Choice::from(0), |given| {
                        keys.iter().fold(Choice::from(0), |fits, key| match key {
                            VerifyKey::Ed25519(it) => fits | it.fits(&signed, &given),
                            VerifyKey::Hmac(_) | VerifyKey::Raw(_) => fits,
                        })
                    }),
                    // Schemes to come.
                    _ => Choice::from(0),
                };
            }
            decide(any, fits, name)
        }
        Profile::Stripe => {
            let value = present(header(name), name)?;
            let parts = || value.split(',').take(SIGNATURES_MAX).filter_map(|it| it.trim().split_once('='));
            let time = parts().find(|it| it.0 == "t").map(|it| it.1).ok_or(VerifyError::HeaderMalformed(name))?;
            timely(time, name, now_secs, tolerance_secs)?;
            let (mut any, mut fits) = (false, Choice::from(0));
            for (_, hex) in parts().filter(|it| it.0 == "v1") {
                any = true;
                fits |= from_hex(hex).map_or(Choice::from(0), |given| raw_fits(keys, &[time.as_bytes(), b".", body], &given));
            }
            decide(any, fits, name)
        }
        Profile::Github => {
            let value = present(header(name), name)?;
            let given = value.strip_prefix("sha256=").and_then(from_hex).ok_or(VerifyError::HeaderMalformed(name))?;
            decide(true, raw_fits(keys, &[body], &given), name)
        }
        Profile::Shopify => {
            let value = present(header(name), name)?;
            let given = decoded::<32>(value).ok_or(VerifyError::HeaderMalformed(name))?;
            decide(true, raw_fits(keys, &[body], &given), name)
        }
    }
}

fn decide(any: bool, fits: Choice, name: &'static str) -> Result<(), VerifyError> {
    match (any, bool::from(fits)) {
        (false, _) => Err(VerifyError::HeaderMalformed(name)),
        (true, false) => Err(VerifyError::NoMatch),
        (true, true) => Ok(()),
    }
}

fn raw_fits(keys: &[VerifyKey], parts: &[&[u8]], given: &[u8; 32]) -> Choice {
    keys.iter().fold(Choice::from(0), |fits, key| match key {
        VerifyKey::Raw(it) => fits | hmac(it.as_bytes(), parts).ct_eq(given),
        VerifyKey::Hmac(_) | VerifyKey::Ed25519(_) => fits,
    })
}

/// Base64 of exactly `N` bytes.
fn decoded<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() > N.div_ceil(3) * 4 {
        return None;
    }
    BASE64_STANDARD.decode(text).ok()?.try_into().ok()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let value = |it: u8| char::from(it).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let mut out = [0; 32];
    for (to, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *to = value(*high)? << 4 | value(*low)?;
    }
    Some(out)
}

/// What would make a request verify that does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hint {
    /// It is signed in another form.
    #[error("its headers are those of the profile `{}`", .0.as_str())]
    Profile(Profile),
    /// The body is not what was sent.
    #[error("the body was changed on its way to here: it fits when {0}. Verify the bytes exactly as they arrived, before any parsing")]
    Body(&'static str),
    /// The secret is another reading of what was meant.
    #[error("the secret is used in another form: it fits when {0}")]
    Secret(&'static str),
    /// None of the usual mistakes.
    #[error(
        "either the secret is another one, or the body, the id or the time is not byte for byte what was sent; none of the usual changes of a body makes it fit"
    )]
    Unknown,
}

/// Tries the usual mistakes on a request that `check` refused with `NoMatch` or a missing
/// header: another profile, a body that a framework has printed anew, a secret that is
/// decoded where it should not be.
///
/// `secret` is the text of the secret as the receiver has it. Not for the path of live
/// requests: it computes many signatures.
pub fn hint<'a>(
    profile: Profile,
    header: impl Fn(&str) -> Option<&'a str> + Copy,
    body: &[u8],
    secret: &str,
    now_secs: i64,
    tolerance_secs: i64,
) -> Hint {
    if header(profile.signature_header()).is_none()
        && let Some(other) = Profile::ALL.into_iter().find(|it| header(it.signature_header()).is_some())
    {
        return Hint::Profile(other);
    }
    let fits = |body: &[u8], key: VerifyKey| check(profile, header, body, &[key], now_secs, tolerance_secs).is_ok();
    if let Ok(key) = VerifyKey::parse(profile, secret) {
        let ended: Vec<u8> = [body, b"\n"].concat();
        let changed: [(&'static str, Vec<u8>); 5] = [
            ("line ends and spaces around it are removed", body.trim_ascii().to_vec()),
            ("a line end is added", ended),
            ("line ends are LF and not CR LF", without_returns(body)),
            ("white space between its JSON tokens is removed", compact(body)),
            ("what is not UTF-8 is left out", body.utf8_chunks().flat_map(|it| it.valid().as_bytes()).copied().collect()),
        ];
        for (how, bytes) in changed {
            if bytes != body && fits(&bytes, key.clone()) {
                return Hint::Body(how);
            }
        }
    }
    let bare = secret.strip_prefix(SECRET_PREFIX).unwrap_or(secret);
    let decoded = BASE64_STANDARD.decode(bare).or_else(|_| BASE64_STANDARD_NO_PAD.decode(bare)).ok();
    // A secret of any bytes and length: what was signed with it decides, not its form.
    let with = |key: &[u8]| signed_with(profile, header, body, key);
    if profile.has_encoded_keys() {
        if with(secret.as_bytes()) || with(bare.as_bytes()) {
            return Hint::Secret("its text is the key; Standard Webhooks decodes the base64 after `whsec_`");
        }
        if decoded.is_some_and(|it| with(&it)) {
            return Hint::Secret("`whsec_` stands before it");
        }
    } else {
        if with(bare.as_bytes()) {
            return Hint::Secret("`whsec_` is left out");
        }
        let mut prefixed = SECRET_PREFIX.as_bytes().to_vec();
        prefixed.extend_from_slice(bare.as_bytes());
        if with(&prefixed) {
            return Hint::Secret("`whsec_` stands before it");
        }
        if decoded.is_some_and(|it| with(&it)) {
            return Hint::Secret("it is decoded from base64; this profile uses its text");
        }
        if with(secret.trim().as_bytes()) {
            return Hint::Secret("spaces around it are removed");
        }
    }
    Hint::Unknown
}

/// Whether the first signature of the request was made with exactly these bytes as its key.
fn signed_with<'a>(profile: Profile, header: impl Fn(&str) -> Option<&'a str>, body: &[u8], key: &[u8]) -> bool {
    let Some(value) = header(profile.signature_header()) else { return false };
    let text = |name: &str| header(name).unwrap_or_default().as_bytes();
    let same = |parts: &[&[u8]], given: Option<[u8; 32]>| given.is_some_and(|it| bool::from(hmac(key, parts).ct_eq(&it)));
    match profile {
        Profile::Standard | Profile::Svix => {
            let (id, time) =
                if profile == Profile::Svix { ("svix-id", "svix-timestamp") } else { (crate::HEADER_ID, crate::HEADER_TIMESTAMP) };
            let given = value.split(' ').find_map(|it| it.strip_prefix("v1,")).and_then(decoded::<32>);
            same(&[text(id), b".", text(time), b".", body], given)
        }
        Profile::Stripe => {
            let part = |name: &str| value.split(',').filter_map(|it| it.trim().split_once('=')).find(|it| it.0 == name).map(|it| it.1);
            same(&[part("t").unwrap_or_default().as_bytes(), b".", body], part("v1").and_then(from_hex))
        }
        Profile::Github => same(&[body], value.strip_prefix("sha256=").and_then(from_hex)),
        Profile::Shopify => same(&[body], decoded::<32>(value)),
    }
}

fn without_returns(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut rest = body.iter().copied().peekable();
    while let Some(it) = rest.next() {
        if it != b'\r' || rest.peek() != Some(&b'\n') {
            out.push(it);
        }
    }
    out
}

/// JSON without the white space outside of strings.
fn compact(body: &[u8]) -> Vec<u8> {
    let (mut inside, mut escaped) = (false, false);
    body.iter()
        .copied()
        .filter(|it| {
            if inside {
                inside = escaped || *it != b'"';
                escaped = !escaped && *it == b'\\';
                return true;
            }
            inside = *it == b'"';
            !it.is_ascii_whitespace()
        })
        .collect()
}

#[cfg(test)]
mod tests;
