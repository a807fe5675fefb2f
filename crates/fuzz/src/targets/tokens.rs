//! Positions, page cursors, acks and tickets: nobody but us makes one.

use ringback_engine::{
    position::{self, Position},
    tokens::{PageKey, PositionKey, binding},
};

/// The bytes are read as each token, and say how a good one is spoilt.
pub fn run(bytes: &[u8]) {
    let key = PositionKey::new([5; 32]);
    let text = String::from_utf8_lossy(bytes);
    let bound = binding(&["payment", "status = \"completed\""]);
    // What was not made with the key opens nothing.
    assert!(key.read_position(&text, "acme").is_err(), "{text:?}");
    assert!(key.read_page(&text, "acme", bound, 1).is_err(), "{text:?}");
    assert!(key.read_ack(&text, "acme", 1).is_err(), "{text:?}");
    assert!(key.read_ticket(&text).is_err(), "{text:?}");
    let _ = position::parse_after(&text);

    let place = bytes.iter().take(8).fold(0_u64, |it, byte| it << 8 | u64::from(*byte)) >> 1;
    let good = key.position("acme", Position { place, epoch: 1, filter: None });
    assert_eq!(key.read_position(&good, "acme").expect("ours").place, place);
    assert!(key.read_position(&good, "beta").is_err(), "another tenant's");
    assert!(PositionKey::new([6; 32]).read_position(&good, "acme").is_err(), "another server's");
    let page = key.page("acme", bound, 1, &PageKey::Id(text.chars().take(64).collect()));
    assert!(key.read_page(&page, "acme", bound, 1).is_ok());
    assert!(key.read_page(&page, "acme", binding(&["payment", ""]), 1).is_err(), "another filter's");
    assert!(key.read_page(&page, "acme", bound, 2).is_err(), "another life of the log");
    for token in [&good, &page] {
        for (n, byte) in bytes.iter().take(8).enumerate() {
            let mut spoilt = token.clone().into_bytes();
            let at = (usize::from(*byte) + n * 7) % spoilt.len();
            spoilt[at] = if spoilt[at] == b'A' { b'B' } else { b'A' };
            let spoilt = String::from_utf8(spoilt).expect("ASCII");
            assert!(key.read_position(&spoilt, "acme").is_err() && key.read_page(&spoilt, "acme", bound, 1).is_err(), "{spoilt}");
        }
    }
}
