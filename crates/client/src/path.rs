//! Writing paths and queries so that whatever a person typed stays one value.

use std::fmt::Write as _;

/// One path segment: everything but RFC 3986 unreserved characters is escaped.
#[must_use]
pub fn segment(text: &str) -> String {
    escape(text, |_| false)
}

/// A query from pairs, its `?` included; empty when there are none.
#[must_use]
pub fn query<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        out.push(if out.is_empty() { '?' } else { '&' });
        // Brackets of `amount[gte]`, and `:`, `,`, `*` of values, stay readable: RFC 3986 or every server allows them here.
        out.push_str(&escape(name, |it| matches!(it, b'[' | b']')));
        out.push('=');
        out.push_str(&escape(value, |it| matches!(it, b':' | b',' | b'*' | b'/')));
    }
    out
}

fn escape(text: &str, also: fn(u8) -> bool) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'~' | b'-') || also(byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String can't fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_stays_one_segment() {
        assert_eq!(segment("a/b ?ä~1"), "a%2Fb%20%3F%C3%A4~1");
        assert_eq!(segment("123"), "123");
    }

    #[test]
    fn a_query_keeps_names_and_values_apart() {
        assert_eq!(query([]), "");
        assert_eq!(query([("types", "payment.*,a.b"), ("amount[gte]", "1 & 2=3")]), "?types=payment.*,a.b&amount[gte]=1%20%26%202%3D3");
        assert_eq!(query([("after", "2026-11-23T20:24:44+02:00")]), "?after=2026-11-23T20:24:44%2B02:00");
    }
}
