//! Encryption at rest as a seam.

/// What cannot be opened: another key file, another row, or changed bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealed bytes do not open with this key file: they belong to another key, another row, or were changed")]
pub struct SealError;

/// What sealed bytes are bound to (their additional authenticated data).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding<'a> {
    /// The owner.
    pub tenant: &'a str,
    /// The table they are kept in.
    pub table: &'a str,
    /// The row.
    pub row: &'a str,
    /// The column.
    pub column: &'a str,
}

/// Seals secrets with a data key per tenant, which the key file wraps.
pub trait Seal: Send + Sync + core::fmt::Debug {
    /// A new data key for `tenant`, wrapped: kept in the tenant's row.
    fn new_data_key(&self, tenant: &str) -> Vec<u8>;

    /// Seals `plain` with the tenant's data key. Never the same bytes twice.
    ///
    /// # Errors
    /// When `data_key` was wrapped by another key file.
    fn seal(&self, data_key: &[u8], at: Binding<'_>, plain: &[u8]) -> Result<Vec<u8>, SealError>;

    /// Opens what `seal` sealed with the same data key and binding.
    ///
    /// # Errors
    /// When anything of it differs.
    fn open(&self, data_key: &[u8], at: Binding<'_>, sealed: &[u8]) -> Result<Vec<u8>, SealError>;

    /// Names the key file without telling it: 16 hex digits.
    fn fingerprint(&self) -> String;
}
