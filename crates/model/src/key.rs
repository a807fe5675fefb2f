//! API keys: who asks, for which tenant, and what they may do.
//!
//! Not here: making and checking a key's secret (`service::keys`), and which
//! scope a route wants (`server::routes`).

use crate::{ids::KeyId, names::TenantId, time::Timestamp};
use alloc::{string::String, vec::Vec};
use core::fmt;

/// What kind of caller a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Everything, for every tenant.
    Operator,
    /// Any tenant that the request names, with the authority of a tenant only.
    Gateway,
    /// One tenant.
    Tenant,
}

impl Role {
    /// As it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Gateway => "gateway",
            Self::Tenant => "tenant",
        }
    }

    /// Reads what `as_str` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Operator, Self::Gateway, Self::Tenant].into_iter().find(|it| it.as_str() == text)
    }

    /// With whose authority a request of this role acts.
    #[must_use]
    pub const fn authority(self) -> Authority {
        match self {
            Self::Operator => Authority::Operator,
            Self::Gateway | Self::Tenant => Authority::Tenant,
        }
    }
}

/// With whose authority something is done: decides visibility (`audience`),
/// `by` of a transition, and which addresses may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Authority {
    /// A customer, or a gateway acting for one.
    Tenant,
    /// Whoever runs the server.
    Operator,
}

impl Authority {
    /// As it is written in type files and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Operator => "operator",
        }
    }

    /// Whether this authority suffices where `needed` is asked for.
    #[must_use]
    pub fn covers(self, needed: Self) -> bool {
        self >= needed
    }
}

macro_rules! scopes {
    ($($name:ident = $text:literal, $tenant:literal;)*) => {
        /// One permission of a key.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[allow(missing_docs, reason = "the text of each is its meaning")]
        pub enum Scope { $($name),* }

        impl Scope {
            /// All scopes there are.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// As it is written in JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }

            /// Whether tenant and gateway keys have it.
            #[must_use]
            pub const fn for_tenants(self) -> bool {
                match self { $(Self::$name => $tenant),* }
            }
        }
    };
}

scopes! {
    ResourcesRead = "resources:read", true;
    ResourcesWrite = "resources:write", true;
    ResourcesAct = "resources:act", true;
    EventsRead = "events:read", true;
    EventsPublish = "events:publish", true;
    SubscriptionsRead = "subscriptions:read", true;
    SubscriptionsWrite = "subscriptions:write", true;
    SubscriptionsSecret = "subscriptions:secret", true;
    DeliveriesRead = "deliveries:read", true;
    DeliveriesRetry = "deliveries:retry", true;
    SourcesRead = "sources:read", true;
    SourcesWrite = "sources:write", true;
    PollersRead = "pollers:read", true;
    PollersWrite = "pollers:write", true;
    KeysWrite = "keys:write", true;
    TypesWrite = "types:write", false;
    TenantsWrite = "tenants:write", false;
    AuditRead = "audit:read", true;
}

impl Scope {
    /// Reads what `as_str` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|it| it.as_str() == text)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The permissions of a key: all of its role's unless narrowed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Scopes(u32);

impl Scopes {
    /// All that a role may have.
    #[must_use]
    pub fn of_role(role: Role) -> Self {
        Self::collect(Scope::ALL.iter().copied().filter(|it| role == Role::Operator || it.for_tenants()))
    }

    /// Exactly these.
    #[must_use]
    pub fn collect(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self(scopes.into_iter().fold(0, |bits, it| bits | 1 << it as u32))
    }

    /// As a number, to be kept for a while and read by `from_bits`.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Reads what `bits` gave.
    #[must_use]
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// Whether `scope` is among them.
    #[must_use]
    pub const fn has(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u32) != 0
    }

    /// Whether all of `other` are among them.
    #[must_use]
    pub const fn has_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// In the order of `Scope::ALL`.
    #[must_use]
    pub fn list(self) -> Vec<Scope> {
        Scope::ALL.iter().copied().filter(|it| self.has(*it)).collect()
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.list().iter().map(|it| it.as_str())).finish()
    }
}

/// A key as it is kept: never its secret, only a peppered HMAC of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Public: names the key in lists and logs.
    pub id: KeyId,
    /// What kind of caller it is for.
    pub role: Role,
    /// The one tenant of a tenant key; `None` for the other roles.
    pub tenant: Option<TenantId>,
    /// What it may do.
    pub scopes: Scopes,
    /// For people.
    pub description: String,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// Requests a second that it may make; `None` for any number.
    pub rate_max_per_s: Option<u32>,
    /// When it was made.
    pub created_at: Timestamp,
    /// HMAC-SHA256 of the secret under the server's pepper.
    pub digest: [u8; 32],
}
