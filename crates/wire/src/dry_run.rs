//! What a write would have made: the answer to `?dry_run=true`.

/// `{"dry_run":true,"resource":…,"events":[…]}`; `resource` is `null` where the write is about no single one.
#[must_use]
pub fn dry_run_bytes<'a>(resource: Option<&[u8]>, events: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut out = b"{\"dry_run\":true,\"resource\":".to_vec();
    out.extend_from_slice(resource.unwrap_or(b"null"));
    out.extend_from_slice(b",\"events\":[");
    for (no, event) in events.into_iter().enumerate() {
        if no > 0 {
            out.push(b',');
        }
        out.extend_from_slice(event);
    }
    out.extend_from_slice(b"]}");
    out
}

#[cfg(test)]
mod tests {
    use super::dry_run_bytes;

    #[test]
    fn it_has_one_shape() {
        assert_eq!(dry_run_bytes(None, []), b"{\"dry_run\":true,\"resource\":null,\"events\":[]}");
        assert_eq!(dry_run_bytes(Some(b"{}"), [&b"1"[..], b"2"]), b"{\"dry_run\":true,\"resource\":{},\"events\":[1,2]}");
    }
}
