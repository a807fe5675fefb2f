//! Sealing with the key file: XChaCha20-Poly1305, a data key per tenant.
//!
//! The key file wraps data keys and nothing else, so that it can be replaced
//! without sealing every secret anew. The additional data names tenant, table,
//! row and column: sealed bytes that are moved elsewhere do not open.
//!
//! Not here: reading the key file (wiring of the command line).

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{Aead, KeyInit, Payload},
};
use ringback_ports::{
    Entropy, Seal,
    seal::{Binding, SealError},
};
use sha2::{Digest, Sha256};
use std::sync::Arc;

const NONCE_BYTES: usize = 24;
const FORM: u8 = 1;

/// The `Seal` of a key file.
pub struct Keyring {
    master: [u8; 32],
    entropy: Arc<dyn Entropy>,
}

impl core::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Keyring").field("fingerprint", &self.fingerprint()).finish_non_exhaustive()
    }
}

impl Keyring {
    /// The keyring of a key file's 32 bytes.
    #[must_use]
    pub fn new(master: [u8; 32], entropy: Arc<dyn Entropy>) -> Self {
        Self { master, entropy }
    }

    fn encrypt(&self, key: &[u8; 32], aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_BYTES];
        self.entropy.fill(&mut nonce);
        let cipher = XChaCha20Poly1305::new(key.into());
        let sealed = cipher.encrypt(&XNonce::from(nonce), Payload { msg: plain, aad }).map_err(|_| SealError)?;
        let mut out = Vec::with_capacity(1 + NONCE_BYTES + sealed.len());
        out.push(FORM);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&sealed);
        Ok(out)
    }

    fn decrypt(key: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (form, rest) = sealed.split_first().ok_or(SealError)?;
        if *form != FORM {
            return Err(SealError);
        }
        let (nonce, msg) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(SealError)?;
        let cipher = XChaCha20Poly1305::new(key.into());
        cipher.decrypt(&XNonce::from(*nonce), Payload { msg, aad }).map_err(|_| SealError)
    }

    fn unwrap_key(&self, tenant: &str, wrapped: &[u8]) -> Result<[u8; 32], SealError> {
        Self::decrypt(&self.master, &wrap_aad(tenant), wrapped)?.try_into().map_err(|_| SealError)
    }
}

fn wrap_aad(tenant: &str) -> Vec<u8> {
    aad(&["ringback data key", tenant])
}

/// Length-prefixed, so that no two lists of parts read the same.
fn aad(parts: &[&str]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in parts {
        out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend_from_slice(part.as_bytes());
    }
    out
}

fn binding_aad(at: Binding<'_>) -> Vec<u8> {
    aad(&[at.tenant, at.table, at.row, at.column])
}

impl Seal for Keyring {
    fn new_data_key(&self, tenant: &str) -> Vec<u8> {
        let mut key = [0; 32];
        self.entropy.fill(&mut key);
        // 32 bytes under a fresh nonce: the cipher only refuses messages of many gigabytes.
        self.encrypt(&self.master, &wrap_aad(tenant), &key).unwrap_or_default()
    }

    fn seal(&self, data_key: &[u8], at: Binding<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let key = self.unwrap_key(at.tenant, data_key)?;
        self.encrypt(&key, &binding_aad(at), plain)
    }

    fn open(&self, data_key: &[u8], at: Binding<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let key = self.unwrap_key(at.tenant, data_key)?;
        Self::decrypt(&key, &binding_aad(at), sealed)
    }

    fn fingerprint(&self) -> String {
        let digest = Sha256::new().chain_update(b"ringback key file").chain_update(self.master).finalize();
        digest.iter().take(8).map(|it| format!("{it:02x}")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Counting(std::sync::Mutex<u8>);
    impl Entropy for Counting {
        fn fill(&self, out: &mut [u8]) {
            let mut next = self.0.lock().unwrap();
            for it in out {
                *next = next.wrapping_add(1);
                *it = *next;
            }
        }
    }

    fn ring(master: u8) -> Keyring {
        Keyring::new([master; 32], Arc::new(Counting(std::sync::Mutex::new(0))))
    }

    const AT: Binding<'static> = Binding { tenant: "acme", table: "subscriptions", row: "sub_1", column: "secret" };

    #[test]
    fn opens_only_what_it_sealed_and_where_it_sealed_it() {
        let ring = ring(7);
        let key = ring.new_data_key("acme");
        let sealed = ring.seal(&key, AT, b"whsec_x").unwrap();
        assert_eq!(ring.open(&key, AT, &sealed).unwrap(), b"whsec_x");
        assert_ne!(sealed, ring.seal(&key, AT, b"whsec_x").unwrap());
        for moved in
            [Binding { tenant: "other", ..AT }, Binding { table: "t", ..AT }, Binding { row: "sub_2", ..AT }, Binding { column: "c", ..AT }]
        {
            assert_eq!(ring.open(&key, moved, &sealed), Err(SealError));
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(ring.open(&key, AT, &changed), Err(SealError), "byte {at}");
            assert_eq!(ring.open(&key, AT, &sealed[..at]), Err(SealError), "cut at {at}");
        }
    }

    #[test]
    fn another_key_file_opens_nothing() {
        let key = ring(7).new_data_key("acme");
        let sealed = ring(7).seal(&key, AT, b"x").unwrap();
        assert_eq!(ring(8).open(&key, AT, &sealed), Err(SealError));
        assert_ne!(ring(7).fingerprint(), ring(8).fingerprint());
    }
}
