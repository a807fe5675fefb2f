//! API keys.

use crate::{
    Problem,
    read::{self, Object, Problems, Shape},
    sentences::fields,
};
use ringback_model::{
    TenantId, Timestamp,
    key::{Key, Role, Scope, Scopes},
    limits,
};
use serde::Serialize;
use serde_json::Value;

/// A key, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyView {
    /// `key_…`.
    pub id: String,
    /// `operator`, `gateway` or `tenant`.
    pub role: &'static str,
    /// The one tenant of a tenant key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What it may do.
    pub scopes: Vec<&'static str>,
    /// For people.
    pub description: String,
    /// From when on it is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Requests a second that it may make; any number if it is left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_max_per_s: Option<u32>,
    /// When it was last used, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<String>,
    /// The key itself: only in the answer to its making.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

impl KeyView {
    /// The view of a key; `text` only right after it was made.
    #[must_use]
    pub fn of(it: &Key, last_used_at: Option<Timestamp>, text: Option<String>) -> Self {
        Self {
            id: it.id.to_string(),
            role: it.role.as_str(),
            tenant: it.tenant.as_ref().map(ToString::to_string),
            scopes: it.scopes.list().into_iter().map(Scope::as_str).collect(),
            description: it.description.clone(),
            expires_at: it.expires_at.map(|it| it.to_string()),
            rate_max_per_s: it.rate_max_per_s,
            last_used_at: last_used_at.map(|it| it.to_string()),
            key: text,
        }
    }
}

/// The body of `POST /v1/keys`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// `tenant` if it is left out.
    pub role: Role,
    /// Whose, for a tenant key; the request's tenant if it is left out.
    pub tenant: Option<TenantId>,
    /// All of the role's if they are left out; never more than those.
    pub scopes: Scopes,
    /// For people.
    pub description: String,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// Requests a second, 1 to 100,000; any number if it is left out.
    pub rate_max_per_s: Option<u32>,
}

const SHAPE: Shape = Shape {
    members: &["role", "tenant", "scopes", "description", "expires_at", "rate_max_per_s"],
    read_only: &[
        ("id", "The server gives it."),
        ("key", "The server makes it and shows it once."),
        ("last_used_at", "It is the server's."),
    ],
    paths: &["role", "tenant", "scopes", "description", "expires_at", "rate_max_per_s"],
};

const ROLES: [(&str, Role); 3] = [("tenant", Role::Tenant), ("gateway", Role::Gateway), ("operator", Role::Operator)];

impl NewKey {
    /// Reads the body.
    ///
    /// # Errors
    /// A problem that lists all that is wrong with it.
    pub fn read(body: &Value) -> Result<Self, Problem> {
        let mut problems = Problems::new();
        let read = Object::open(body, "", &SHAPE, &mut problems).map(|it| Self::of(&it, &mut problems));
        problems.finish(read)
    }

    fn of(it: &Object<'_>, problems: &mut Problems) -> Self {
        let role = it.one_of("role", &ROLES, problems).unwrap_or(Role::Tenant);
        if role != Role::Tenant && it.get("tenant").is_some() {
            problems.note(fields::invalid(
                &it.pointer("tenant"),
                &format!("A key of role `{}` has no tenant of its own: its requests name one. Leave `tenant` out.", role.as_str()),
            ));
        }
        let scopes =
            it.list("scopes", "a list of scopes", (1, Scope::ALL.len()), |value, at, problems| scope(value, at, role, problems), problems);
        Self {
            role,
            tenant: it.parsed("tenant", read::name(TenantId::parse), problems),
            scopes: scopes.map_or_else(|| Scopes::of_role(role), Scopes::collect),
            description: it.text_of("description", 0, limits::DESCRIPTION_BYTES_MAX, problems).unwrap_or_default().to_owned(),
            expires_at: it.time("expires_at", problems),
            rate_max_per_s: it.integer("rate_max_per_s", 1, limits::RATE_PER_S_MAX, problems),
        }
    }
}

fn scope(value: &Value, at: &str, role: Role, problems: &mut Problems) -> Option<Scope> {
    let text = read::text_at(value, at, problems)?;
    let scope = Scope::parse(text);
    match scope {
        None => {
            let known: Vec<_> = Scopes::of_role(role).list().into_iter().map(Scope::as_str).collect();
            problems.note(fields::not_one_of(at, text, &known));
        }
        Some(it) if !Scopes::of_role(role).has(it) => problems.note(fields::scope_beyond_role(at, text, role.as_str())),
        Some(_) => {}
    }
    scope
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused(body: Value) -> Vec<String> {
        NewKey::read(&body).unwrap_err().errors.into_iter().filter_map(|it| it.pointer).collect()
    }

    #[test]
    fn what_is_left_out_is_a_tenant_key_with_all_of_its_scopes() {
        let it = NewKey::read(&json!({})).unwrap();
        assert_eq!((it.role, it.tenant, it.expires_at), (Role::Tenant, None, None));
        assert_eq!(it.scopes, Scopes::of_role(Role::Tenant));
    }

    #[test]
    fn scopes_narrow_and_never_widen() {
        let it = NewKey::read(&json!({"role": "operator", "scopes": ["events:read", "types:write"], "expires_at": "2030-01-01T00:00:00Z"}))
            .unwrap();
        assert_eq!(it.scopes.list(), [Scope::EventsRead, Scope::TypesWrite]);
        assert_eq!(refused(json!({"scopes": ["types:write"]})), ["/scopes/0"]);
        assert_eq!(refused(json!({"scopes": []})), ["/scopes"]);
        assert_eq!(refused(json!({"scopes": ["event:read", 1]})), ["/scopes/0", "/scopes/1"]);
    }

    #[test]
    fn a_rate_has_bounds() {
        let rate = |it: Value| NewKey::read(&json!({ "rate_max_per_s": it })).map(|it| it.rate_max_per_s).ok();
        assert_eq!(rate(json!(null)), Some(None));
        assert_eq!((rate(json!(1)), rate(json!(100_000))), (Some(Some(1)), Some(Some(100_000))));
        for bad in [json!(0), json!(100_001), json!(-1), json!(1.5), json!("10"), json!(u64::MAX)] {
            assert_eq!(rate(bad.clone()), None, "{bad}");
        }
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        assert_eq!(
            refused(json!({"role": "gateway", "tenant": "acme", "expires_at": "soon", "description": 1, "key": "rbk_x"})),
            ["/key", "/tenant", "/description", "/expires_at"]
        );
        assert_eq!(refused(json!({"role": "admin", "tenant": "No Good"})), ["/role", "/tenant"]);
    }
}
