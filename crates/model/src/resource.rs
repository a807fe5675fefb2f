//! One object of a declared type, and the one encoding of it.
//!
//! The encoding is what `GET {path}/{id}` answers and what an event carries as
//! `data`: a version of a resource *is* the event that made it.

use crate::{
    names::{ResourceId, StatusName, TenantId, TypeName},
    time::Timestamp,
};
use alloc::vec::Vec;
use bytes::Bytes;
use serde_json::{Map, Value};

/// Members that every resource has and nobody sets by a patch.
pub const IMPLICIT: [&str; 7] = ["id", "type", "tenant", "status", "version", "created_at", "updated_at"];

/// The number of a resource's change, from 1.
pub type Version = u64;

/// One object of a type.
#[derive(Clone, Debug, PartialEq)]
pub struct Resource {
    /// Unique within (tenant, type), also after deletion.
    pub id: ResourceId,
    /// Its declared kind.
    pub type_name: TypeName,
    /// Its owner.
    pub tenant: TenantId,
    /// Where it stands in its lifecycle.
    pub status: StatusName,
    /// Raised by one at each change.
    pub version: Version,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When `status` was entered.
    pub since: Timestamp,
    /// The declared members, in the order in which they were given.
    pub fields: Map<String, Value>,
}

use alloc::string::String;

impl Resource {
    /// The public bytes: the implicit members first, then the fields.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(b"{\"id\":");
        push_str(&mut out, self.id.as_str());
        out.extend_from_slice(b",\"type\":");
        push_str(&mut out, self.type_name.as_str());
        out.extend_from_slice(b",\"tenant\":");
        push_str(&mut out, self.tenant.as_str());
        out.extend_from_slice(b",\"status\":");
        push_str(&mut out, self.status.as_str());
        out.extend_from_slice(alloc::format!(",\"version\":{}", self.version).as_bytes());
        out.extend_from_slice(alloc::format!(",\"created_at\":\"{}\"", self.created_at).as_bytes());
        out.extend_from_slice(alloc::format!(",\"updated_at\":\"{}\"", self.updated_at).as_bytes());
        for (name, value) in &self.fields {
            out.push(b',');
            push_str(&mut out, name);
            out.push(b':');
            push_value(&mut out, value);
        }
        out.push(b'}');
        Bytes::from(out)
    }
}

/// Appends `text` as a JSON string.
pub fn push_str(out: &mut Vec<u8>, text: &str) {
    push_value(out, &Value::String(text.into()));
}

/// Appends `value` as compact JSON.
pub fn push_value(out: &mut Vec<u8>, value: &Value) {
    // A `Value` always has a JSON text: its map keys are strings and its numbers finite.
    out.extend_from_slice(serde_json::to_string(value).unwrap_or_default().as_bytes());
}
