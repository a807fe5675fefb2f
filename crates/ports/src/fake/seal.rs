//! A seal that checks what a real one checks, and hides nothing from anybody who
//! wants to know.
//!
//! It is here so that a test sees a wrong tenant, row, column or key file at once,
//! and never finds plain text where sealed bytes should be. It is not encryption.

use crate::seal::{Binding, Seal, SealError};
use core::sync::atomic::{AtomicU64, Ordering};

const SEALED: &[u8] = b"fake-sealed:";
const WRAPPED: &[u8] = b"fake-key:";

/// See the module.
#[derive(Debug)]
pub struct FakeSeal {
    key_file: u64,
    count: AtomicU64,
}

impl FakeSeal {
    /// The seal of the key file number `key_file`.
    #[must_use]
    pub const fn new(key_file: u64) -> Self {
        Self { key_file, count: AtomicU64::new(0) }
    }

    fn check_data_key(&self, data_key: &[u8]) -> Result<(), SealError> {
        let rest = data_key.strip_prefix(WRAPPED).ok_or(SealError)?;
        if rest.starts_with(&self.key_file.to_be_bytes()) { Ok(()) } else { Err(SealError) }
    }
}

impl Default for FakeSeal {
    fn default() -> Self {
        Self::new(1)
    }
}

impl Seal for FakeSeal {
    fn new_data_key(&self, tenant: &str) -> Vec<u8> {
        [WRAPPED, &self.key_file.to_be_bytes(), tenant.as_bytes()].concat()
    }

    fn seal(&self, data_key: &[u8], at: Binding<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        self.check_data_key(data_key)?;
        let nonce = self.count.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let check = checksum(data_key, at, nonce, plain).to_be_bytes();
        Ok([SEALED, &nonce, &check, &masked(plain, nonce)].concat())
    }

    fn open(&self, data_key: &[u8], at: Binding<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        self.check_data_key(data_key)?;
        let rest = sealed.strip_prefix(SEALED).ok_or(SealError)?;
        let (nonce, rest) = rest.split_first_chunk::<8>().ok_or(SealError)?;
        let (check, rest) = rest.split_first_chunk::<8>().ok_or(SealError)?;
        let plain = masked(rest, *nonce);
        if checksum(data_key, at, *nonce, &plain).to_be_bytes() == *check { Ok(plain) } else { Err(SealError) }
    }

    fn fingerprint(&self) -> String {
        format!("{:016x}", self.key_file)
    }
}

/// Its own inverse. No byte stays what it was, so no plain text is ever found in the output.
fn masked(bytes: &[u8], nonce: [u8; 8]) -> Vec<u8> {
    bytes.iter().zip(nonce.iter().cycle()).map(|(byte, mask)| byte ^ (mask | 0x80)).collect()
}

/// FNV-1a over everything that the sealed bytes are bound to, each part ended by a byte that UTF-8 never has.
fn checksum(data_key: &[u8], at: Binding<'_>, nonce: [u8; 8], plain: &[u8]) -> u64 {
    let parts = [data_key, at.tenant.as_bytes(), at.table.as_bytes(), at.row.as_bytes(), at.column.as_bytes(), &nonce, plain];
    let bytes = parts.into_iter().flat_map(|part| part.iter().copied().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Binding<'_> = Binding { tenant: "acme", table: "subscriptions", row: "sub_1", column: "secret" };

    #[test]
    fn opens_only_where_it_was_sealed() {
        let seal = FakeSeal::default();
        let key = seal.new_data_key("acme");
        let sealed = seal.seal(&key, AT, b"whsec_canary").unwrap();
        assert_eq!(seal.open(&key, AT, &sealed), Ok(b"whsec_canary".to_vec()));
        for other in [
            Binding { tenant: "globex", ..AT },
            Binding { table: "sources", ..AT },
            Binding { row: "sub_2", ..AT },
            Binding { column: "token", ..AT },
        ] {
            assert_eq!(seal.open(&key, other, &sealed), Err(SealError), "{other:?}");
        }
        assert_eq!(seal.open(&seal.new_data_key("globex"), AT, &sealed), Err(SealError));
        assert_eq!(FakeSeal::new(2).open(&key, AT, &sealed), Err(SealError));
        assert_eq!(FakeSeal::new(2).seal(&key, AT, b"x"), Err(SealError));
        let mut changed = sealed.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(seal.open(&key, AT, &changed), Err(SealError));
        assert_eq!(seal.open(&key, AT, b"whsec_canary"), Err(SealError));
    }

    #[test]
    fn hides_the_plain_text_and_never_repeats_itself() {
        let seal = FakeSeal::default();
        let key = seal.new_data_key("acme");
        let (one, two) = (seal.seal(&key, AT, b"canary").unwrap(), seal.seal(&key, AT, b"canary").unwrap());
        assert_ne!(one, two);
        assert!(!one.windows(6).any(|it| it == b"canary"));
    }
}
