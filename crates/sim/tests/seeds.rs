//! Seeds. `RINGBACK_SIM_SEEDS=N` runs more of them, from `RINGBACK_SIM_FROM=S` on; `RINGBACK_SIM_SEED=S` runs one.

use ringback_sim::{Report, run, run_as_before, run_forwards};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Seeds that once failed.
const REGRESSIONS: &[u64] = &[
    2, 9, 16, 20, 35, 46, 74, 80, 85, 88, 95, 110, 143, 164, 206, 258, 276, 334, 593, 710, 965, 2396, 2951, 7750, 15843, 17278, 17315,
    18163,
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn told(report: &Report) -> String {
    let mut out = String::new();
    for it in &report.verdicts {
        out.push_str(&format!("  {}: {}\n", it.judge, it.why));
    }
    out.push_str(&format!("  replay: RINGBACK_SIM_SEED={} cargo test -p ringback-sim --test seeds a_seed -- --nocapture\n", report.seed));
    out
}

/// Runs seeds on all cores; what is wrong with them.
fn run_all(seeds: &[u64]) -> (Vec<String>, [usize; 3]) {
    run_all_by(|seed| run(seed, None), seeds)
}

fn run_all_by(run: impl Fn(u64) -> Report + Sync, seeds: &[u64]) -> (Vec<String>, [usize; 3]) {
    let next = AtomicUsize::new(0);
    let counts = [AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0)];
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let work = || {
        let mut failed = Vec::new();
        while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::SeqCst)) {
            let report = run(*seed);
            counts[0].fetch_add(report.counts.0, Ordering::SeqCst);
            counts[1].fetch_add(report.counts.1, Ordering::SeqCst);
            counts[2].fetch_add(report.counts.2, Ordering::SeqCst);
            if !report.verdicts.is_empty() {
                failed.push((*seed, format!("seed {seed}:\n{}", told(&report))));
            }
        }
        failed
    };
    let mut failed: Vec<(u64, String)> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        all.into_iter().flat_map(|it| it.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    failed.sort();
    (failed.into_iter().map(|it| it.1).collect(), counts.map(AtomicUsize::into_inner))
}

#[test]
fn seeds_hold_every_promise() {
    let from = number("RINGBACK_SIM_FROM").unwrap_or(0);
    let seeds: Vec<u64> = (from..from + number("RINGBACK_SIM_SEEDS").unwrap_or(100)).collect();
    let (failed, [events, tries, crashes]) = run_all(&seeds);
    println!("{} seeds: {events} events, {tries} tries, {crashes} crashes", seeds.len());
    assert!(failed.is_empty(), "{} of {} seeds failed\n{}", failed.len(), seeds.len(), failed.join("\n"));
    // A simulation in which nothing happens holds every promise, too.
    let each = seeds.len();
    assert!(events > 50 * each && tries > 50 * each && crashes > each, "{events} events, {tries} tries, {crashes} crashes");
}

#[test]
fn regressions_stay_mended() {
    let (mut failed, _) = run_all_by(run_as_before, REGRESSIONS);
    failed.extend(run_all_by(run_forwards, REGRESSIONS).0);
    failed.extend(run_all(REGRESSIONS).0);
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// Replays the seed that `RINGBACK_SIM_SEED` names (else the first), and prints its trace.
#[test]
fn a_seed_can_be_replayed() {
    let report = run(number("RINGBACK_SIM_SEED").unwrap_or(0), None);
    if number("RINGBACK_SIM_SEED").is_some() {
        for line in &report.trace {
            println!("{line}");
        }
    }
    assert!(report.verdicts.is_empty(), "seed {}:\n{}", report.seed, told(&report));
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let again: AtomicU64 = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = 1_000 + again.fetch_add(1, Ordering::SeqCst);
                    if seed >= 1_006 {
                        return;
                    }
                    let (first, second) = (run(seed, None), run(seed, None));
                    for (at, (a, b)) in first.trace.iter().zip(&second.trace).enumerate() {
                        assert_eq!(a, b, "seed {seed}, line {at}");
                    }
                    assert_eq!(first.trace.len(), second.trace.len(), "seed {seed}");
                    assert_eq!(first.verdicts, second.verdicts);
                }
            });
        }
    });
}
