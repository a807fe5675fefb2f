//! A tenant: a customer of the operator.

use crate::{names::TenantId, time::Timestamp};
use alloc::{collections::BTreeMap, string::String, vec::Vec};

/// Up to 50 entries of what an owner wants to remember about an object.
pub type Metadata = BTreeMap<String, String>;

/// A customer of the operator; owns resources, events, subscriptions and keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tenant {
    /// Chosen by the operator.
    pub id: TenantId,
    /// For people.
    pub name: String,
    /// For the operator's programs.
    pub metadata: Metadata,
    /// When it was made.
    pub created_at: Timestamp,
    /// Raised by every change; the ETag.
    pub version: u64,
    /// The tenant's data key, wrapped by the key file. Secrets of this tenant are sealed with it.
    pub data_key: Vec<u8>,
}
