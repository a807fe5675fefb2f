//! Names that people choose: tenants, types, statuses, resources, event types.
//!
//! Each is a checked string; the check is the constructor.

use crate::limits;
use alloc::{borrow::ToOwned, boxed::Box, format, string::String};
use core::{fmt, str::FromStr};

/// A name that breaks its rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {what}: {rule}")]
pub struct NameError {
    /// What was wanted.
    pub what: &'static str,
    /// The beginning of what was given.
    pub text: String,
    /// The rule, ready to be shown.
    pub rule: &'static str,
}

fn refuse(what: &'static str, text: &str, rule: &'static str) -> NameError {
    NameError { what, text: text.chars().take(80).collect(), rule }
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident: $what:literal, $rule:literal, $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Checks `text` and keeps it.
            ///
            /// # Errors
            /// When `text` breaks the rule of this kind of name.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                let check: fn(&str) -> bool = $check;
                if check(text) { Ok(Self(text.into())) } else { Err(refuse($what, text, $rule)) }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::parse(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl core::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}

fn chosen_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= limits::CHOSEN_ID_BYTES_MAX
        && text != "."
        && text != ".."
        && text.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'.' | b'_' | b'~' | b'-'))
}

fn word(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|it| it.is_ascii_alphabetic())
        && text.len() <= 63
        && bytes.all(|it| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-'))
}

fn event_type(text: &str) -> bool {
    text.len() <= limits::EVENT_TYPE_BYTES_MAX
        && text.split('.').count() <= limits::EVENT_TYPE_SEGMENTS_MAX
        && text.split('.').all(|it| !it.is_empty() && it.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-')))
}

names! {
    /// `payment.completed`: 1 to 8 segments, at most 128 bytes. The first segment has one owner.
    EventType: "event type", "1 to 8 segments of letters, digits, `_` and `-`, joined by dots, at most 128 bytes", event_type;
    /// A resource's id, chosen by a client or made with the type's prefix.
    ResourceId: "resource id", "1 to 128 of A-Z a-z 0-9 . _ ~ -, and not `.` or `..`", chosen_id;
    /// A status of a type's lifecycle.
    StatusName: "status", "a letter, then letters, digits, `_` or `-`, at most 63", word;
    /// What an event is about: `/payment/123`, or any text that a publisher chose.
    Subject: "subject", "1 to 512 bytes without control characters", |text| !text.is_empty() && text.len() <= limits::SUBJECT_BYTES_MAX && !text.chars().any(char::is_control);
    /// A subscription's id: `sub_` and 26 characters, or chosen by who made it.
    SubscriptionId: "subscription id", "1 to 128 of A-Z a-z 0-9 . _ ~ -, and not `.` or `..`", chosen_id;
    /// A customer of the operator.
    TenantId: "tenant", "1 to 63 lower-case letters, digits and `-`", |text| !text.is_empty() && text.len() <= limits::TENANT_ID_BYTES_MAX && text.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-');
    /// A named lifecycle step.
    TransitionName: "transition", "a letter, then letters, digits, `_` or `-`, at most 63", word;
    /// A declared kind of resource.
    TypeName: "type name", "a letter, then letters, digits, `_` or `-`, at most 63", word;
}

impl EventType {
    /// The first segment, which has one owner.
    #[must_use]
    pub fn first_segment(&self) -> &str {
        self.as_str().split('.').next().unwrap_or_default()
    }
}

impl TenantId {
    /// The tenant that a fresh server has.
    #[must_use]
    pub fn default_tenant() -> Self {
        Self("default".into())
    }
}

impl Subject {
    /// The subject of a resource's events: the path of its type and its id.
    #[must_use]
    pub fn of_resource(path: &str, id: &ResourceId) -> Self {
        Self(format!("{path}/{id}").into())
    }
}

/// The text of anything that shows itself, cut to `max` characters: for messages.
#[must_use]
pub fn excerpt(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        text.to_owned()
    } else {
        let mut out: String = text.chars().take(max.saturating_sub(1)).collect();
        out.push('…');
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: FromStr>(good: &[&str], bad: &[&str]) {
        for it in good {
            assert!(it.parse::<T>().is_ok(), "{it:?} should be accepted");
        }
        for it in bad {
            assert!(it.parse::<T>().is_err(), "{it:?} should be refused");
        }
    }

    #[test]
    fn event_types_follow_the_grammar() {
        let long = "a".repeat(129);
        check::<EventType>(
            &["a", "payment.completed", "a.b.c.d.e.f.g.h", "A-1._x"],
            &["", ".", "a.", ".a", "a..b", "a b", "a.b.c.d.e.f.g.h.i", "ä", "a/b", "a\n", &long],
        );
    }

    #[test]
    fn ids_are_safe_in_a_path() {
        check::<ResourceId>(&["123", "a.b", "~", "...", "A_z-9"], &["", ".", "..", "a/b", "a b", "ä", "a%2f", "a\0", &"a".repeat(129)]);
        check::<TenantId>(&["default", "acme-1"], &["", "Acme", "a_b", "*", &"a".repeat(64)]);
    }
}
