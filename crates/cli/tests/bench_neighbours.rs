//! `ringback bench neighbours`, small: it measures what it says, and nothing for healthy endpoints is lost.
//! Whether the goal is met is not asked here: other tests share the machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use serde_json::{Value, json};
use std::process::Command;

#[test]
fn hostile_endpoints_are_measured_beside_healthy_ones() {
    let out = Command::new(env!("CARGO_BIN_EXE_ringback"))
        .args([
            "bench",
            "neighbours",
            "--healthy",
            "20",
            "--black-holes",
            "10",
            "--dribblers",
            "5",
            "--rate",
            "35",
            "--for",
            "4s",
            "--json",
        ])
        .output()
        .expect("the program runs");
    let (text, talk) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    let shown: Value = serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}{talk}"));
    assert_eq!([&shown["healthy"], &shown["black_holes"], &shown["dribblers"]], [&json!(20), &json!(10), &json!(5)]);
    // 140 events, of which 20 in 35 are owed to healthy ones; the baseline leaves the others out.
    assert_eq!((&shown["baseline"]["published"], &shown["hostile"]["published"]), (&json!(80), &json!(140)), "{shown}");
    for phase in ["baseline", "hostile"] {
        assert_eq!((&shown[phase]["arrived"], &shown[phase]["missing"]), (&json!(80), &json!(0)), "{shown}");
        assert!(shown[phase]["p99_ms"].as_f64() >= shown[phase]["p50_ms"].as_f64(), "{shown}");
    }
    let kept = shown["verdict"] == "kept";
    assert!(kept || shown["verdict"] == "missed", "{shown}");
    assert_eq!(out.status.code(), Some(i32::from(!kept)), "{talk}");
}
