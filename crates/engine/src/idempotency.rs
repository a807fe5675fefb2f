//! Idempotency-Keys: what makes two requests the same, and what must be equal for a replay.
//!
//! Not here: keeping answers (the store), sealing them (`service::idempotency`).

use ringback_model::limits;
use sha2::{Digest, Sha256};

/// A header value that is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an Idempotency-Key is 1 to {} printable ASCII characters", limits::IDEMPOTENCY_KEY_BYTES_MAX)]
pub struct NotAnIdempotencyKey;

/// Checks the value of an `Idempotency-Key` header.
///
/// # Errors
/// Unless it is 1 to 255 printable ASCII characters, spaces inside allowed.
pub fn check_key(value: &[u8]) -> Result<&str, NotAnIdempotencyKey> {
    let printable = value.iter().all(|it| matches!(it, b' '..=b'~'));
    if value.is_empty() || value.len() > limits::IDEMPOTENCY_KEY_BYTES_MAX || !printable {
        return Err(NotAnIdempotencyKey);
    }
    core::str::from_utf8(value).map_err(|_| NotAnIdempotencyKey)
}

/// Names the request that a key stands for: the same for each repetition of it.
#[must_use]
pub fn scope(tenant: &str, method: &str, path: &str, key: &str) -> [u8; 32] {
    hash(b"scope", &[Some(tenant.as_bytes()), Some(method.as_bytes()), Some(path.as_bytes()), Some(key.as_bytes())])
}

/// What must be equal for the stored answer to be given again; else 422 `idempotency-key-reused`.
#[must_use]
pub fn fingerprint(body: &[u8], content_type: Option<&str>, query: Option<&str>, if_match: Option<&str>) -> [u8; 32] {
    hash(b"fingerprint", &[Some(body), content_type.map(str::as_bytes), query.map(str::as_bytes), if_match.map(str::as_bytes)])
}

/// SHA-256 of the parts, each with its length, an absent one told from an empty one.
fn hash(kind: &[u8], parts: &[Option<&[u8]>]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(kind);
    for part in parts {
        match part {
            None => hash.update([0]),
            Some(it) => {
                hash.update([1]);
                hash.update((it.len() as u64).to_be_bytes());
                hash.update(it);
            }
        }
    }
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_printable_ascii() {
        assert_eq!(check_key(b"a key-1"), Ok("a key-1"));
        assert!(check_key(&[b'a'; 255]).is_ok());
        for bad in [&b""[..], b"\n", b"a\x7f", "ä".as_bytes(), &[b'a'; 256]] {
            assert_eq!(check_key(bad), Err(NotAnIdempotencyKey));
        }
    }

    #[test]
    fn nothing_runs_together() {
        let mut scopes = vec![
            scope("acme", "POST", "/payment", "1"),
            scope("acme", "POST", "/paymen", "t1"),
            scope("acme", "PUT", "/payment", "1"),
            scope("acm", "ePOST", "/payment", "1"),
            scope("acme", "POST", "/payment", "2"),
        ];
        scopes.sort_unstable();
        scopes.dedup();
        assert_eq!(scopes.len(), 5);
        assert_eq!(scope("a", "b", "c", "d"), scope("a", "b", "c", "d"));
    }

    #[test]
    fn absent_differs_from_empty() {
        let mut prints = vec![
            fingerprint(b"{}", None, None, None),
            fingerprint(b"{}", Some(""), None, None),
            fingerprint(b"{}", None, Some(""), None),
            fingerprint(b"{}", None, None, Some("")),
            fingerprint(b"{} ", None, None, None),
            fingerprint(b"", None, None, None),
            fingerprint(b"{}", None, None, Some("\"1\"")),
        ];
        prints.sort_unstable();
        prints.dedup();
        assert_eq!(prints.len(), 7);
    }
}
