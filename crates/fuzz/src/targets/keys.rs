//! API keys and Idempotency-Keys.

use ringback_engine::{idempotency, keys};

/// See the module.
pub fn run(bytes: &[u8]) {
    if let Ok(text) = core::str::from_utf8(bytes)
        && let Ok((id, secret)) = keys::parse(text)
    {
        assert!(text.starts_with("rbk_") && text.is_ascii(), "{text:?}");
        let kept = keys::digest(&[7; 32], id, secret);
        assert!(keys::matches(&[7; 32], id, secret, &kept));
        assert!(!keys::matches(&[8; 32], id, secret, &kept), "another pepper");
        assert!(!keys::matches(&[7; 32], id, &format!("{secret}x"), &kept), "another secret");
    }
    match idempotency::check_key(bytes) {
        Ok(key) => {
            assert!(key.bytes().all(|it| (0x21..0x7f).contains(&it) || it == b' '), "{key:?}");
            assert_eq!(key.as_bytes(), bytes);
            let own = idempotency::scope("a", "POST", "/x", key);
            assert_ne!(own, idempotency::scope("b", "POST", "/x", key), "another tenant's");
            assert_ne!(own, idempotency::scope("a", "PUT", "/x", key), "another method's");
        }
        Err(_) => assert!(bytes.is_empty() || bytes.len() > 64 || bytes.iter().any(|it| !(0x21..0x7f).contains(it)), "{bytes:?}"),
    }
}
