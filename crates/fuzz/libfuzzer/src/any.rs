//! One program for all targets: `RINGBACK_FUZZ_TARGET=url cargo +nightly fuzz run …`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let name = std::env::var("RINGBACK_FUZZ_TARGET").unwrap_or_default();
    let names: Vec<_> = ringback_fuzz::TARGETS.iter().map(|it| it.name).collect();
    ringback_fuzz::target(&name).unwrap_or_else(|| panic!("RINGBACK_FUZZ_TARGET is one of {names:?}")).run
});

fuzz_target!(|bytes: &[u8]| (TARGET)(bytes));
