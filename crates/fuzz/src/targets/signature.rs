//! Signatures, against the package that Standard Webhooks publishes.

use ringback_signature::{Headers, Secret, VerifyError, sign, verify};
use standardwebhooks::Webhook;

/// What is judged: as `ringback_signature::verify`.
pub type Verify = fn(Headers<'_>, &[u8], &[&Secret], i64, i64) -> Result<(), VerifyError>;

/// The first byte says how long id and secret are; then id, secret, body.
pub fn run(bytes: &[u8]) {
    judge(bytes, verify);
}

/// As `run`, of another verifier: a test plants one that compares by the shorter of two signatures.
pub fn judge(bytes: &[u8], verify: Verify) {
    let Some((shape, rest)) = bytes.split_first() else { return };
    let (id_len, secret_len) = (usize::from(shape & 15).min(rest.len()), 24 + usize::from(shape >> 4) * 2);
    let (id, rest) = rest.split_at(id_len);
    if rest.len() < secret_len {
        return;
    }
    let (key, body) = rest.split_at(secret_len);
    // Header values are what HTTP takes.
    let id: String = id.iter().map(|it| char::from(b'a' + it % 26)).collect();
    let id = format!("evt_{id}");
    let secret = Secret::from_bytes(key).expect("24 to 54 bytes");
    let at = 1_795_458_284;
    let signed = sign(&[&secret], &id, at, body);
    // The package takes text alone.
    if core::str::from_utf8(body).is_ok() {
        let theirs = Webhook::new(&secret.format()).expect("a secret");
        assert_eq!(theirs.sign(&id, at, body).expect("a signature"), signed, "the package signs otherwise");
    }
    let time = at.to_string();
    let headers = Headers { id: Some(&id), timestamp: Some(&time), signature: Some(&signed) };
    assert_eq!(verify(headers, body, &[&secret], at, 300), Ok(()));
    let mut other = body.to_vec();
    other.push(b' ');
    assert!(verify(headers, &other, &[&secret], at, 300).is_err(), "another body");
    assert!(verify(headers, body, &[&secret], at + 301, 300).is_err(), "too old");
    let mut key = key.to_vec();
    key[0] ^= 1;
    let other = Secret::from_bytes(key).expect("as long");
    assert!(verify(headers, body, &[&other], at, 300).is_err(), "another secret");
    assert_eq!(verify(headers, body, &[&other, &secret], at, 300), Ok(()), "one of several");
    // Part of a signature is none, wherever it ends.
    let cut = usize::from(*shape) % signed.len();
    for cut in ["v1,", signed.get(..cut).unwrap_or_default(), signed.get(..signed.len() - 1).unwrap_or_default()] {
        let short = Headers { signature: Some(cut), ..headers };
        assert!(verify(short, body, &[&secret], at, 300).is_err(), "{cut:?} is not all of {signed:?}");
    }
    // The header as it comes from outside.
    let text = String::from_utf8_lossy(bytes);
    let forged = Headers { id: Some(&id), timestamp: Some(&text), signature: Some(&text) };
    assert!(verify(forged, body, &[&secret], at, 300).is_err(), "nobody signed this");
    let _ = Secret::parse(&text);
}
