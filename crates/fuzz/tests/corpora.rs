//! Every corpus, and mutations of each of its inputs that are the same each time.
//!
//! `RINGBACK_FUZZ=20` makes twenty times as many mutations.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on should stop")]

use ringback_fuzz::{TARGETS, Target, mutations, targets::signature::judge};
use ringback_signature::{Headers, Secret, VerifyError, sign, verify};
use std::{fs, panic, path::PathBuf};

fn corpus(target: &Target) -> Vec<(String, Vec<u8>)> {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpora").join(target.name);
    let mut all: Vec<(String, Vec<u8>)> = fs::read_dir(&dir)
        .unwrap_or_else(|it| panic!("{}: {it}", dir.display()))
        .map(|it| it.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&path).unwrap()))
        .collect();
    all.sort();
    all
}

fn drive(name: &str) {
    let target = ringback_fuzz::target(name).expect("a target");
    let times: usize = std::env::var("RINGBACK_FUZZ").ok().and_then(|it| it.parse().ok()).unwrap_or(1);
    let all = corpus(target);
    assert!(all.len() >= 5, "a corpus of {} inputs says little", all.len());
    let mut ran = 0;
    for (n, (file, input)) in all.iter().enumerate() {
        let other = &all[(n + 1) % all.len()].1;
        for bytes in core::iter::once(input.clone()).chain(mutations(input, other, target.mutations * times)) {
            ran += 1;
            let ended = panic::catch_unwind(|| (target.run)(&bytes));
            assert!(ended.is_ok(), "{name}: {file}, input {:?} (as hex {})", String::from_utf8_lossy(&bytes), hex(&bytes));
        }
    }
    println!("fuzz {name}: {} inputs, {ran} runs", all.len());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

macro_rules! corpora {
    ($($name:ident)*) => {
        $(#[test] fn $name() { drive(stringify!($name)); })*

        #[test]
        fn none_is_left_out() {
            let here = [$(stringify!($name)),*];
            assert!(TARGETS.iter().map(|it| it.name).eq(here), "each target has a test here");
        }
    };
}

corpora! { answer filter http json keys retry_after signature sse tokens types url }

/// The signature's judge is shown a verifier that compares by the shorter one: a prefix, or nothing at all, would do.
#[test]
fn a_comparison_by_the_shorter_signature_is_seen() {
    fn shorter(headers: Headers<'_>, body: &[u8], secrets: &[&Secret], now: i64, tolerance: i64) -> Result<(), VerifyError> {
        let (Some(id), Some(given)) = (headers.id, headers.signature) else { return Err(VerifyError::NoMatch) };
        let at = headers.timestamp.and_then(|it| it.parse().ok()).unwrap_or(now);
        let fits = |secret: &&Secret| sign(&[secret], id, at, body).bytes().zip(given.bytes()).all(|(ours, theirs)| ours == theirs);
        if secrets.iter().any(fits) { Ok(()) } else { verify(headers, body, secrets, now, tolerance) }
    }
    let target = ringback_fuzz::target("signature").unwrap();
    let all = corpus(target);
    let judged = all.iter().filter(|it| it.1.len() > 60).map(|(_, input)| panic::catch_unwind(|| judge(input, shorter)).is_err());
    let red: Vec<bool> = judged.collect();
    assert!(!red.is_empty() && red.iter().all(|it| *it), "{red:?}");
}

/// A target that can't fail proves nothing: what a broken promise looks like is seen here.
#[test]
fn a_broken_promise_is_seen() {
    let broken = panic::catch_unwind(|| {
        let kept: Vec<u8> = b"{\"a\": 1}".iter().copied().filter(|it| !it.is_ascii_digit()).collect();
        ringback_fuzz::targets::json::same_but_for_space(b"{\"a\": 1}", &kept);
    });
    assert!(broken.is_err());
}
