//! Metrics are documented, named by their rules, and named rightly by the dashboard and the alerts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use ringback_ports::meters::meters;
use std::{collections::BTreeSet, path::Path};

fn read(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two above");
    std::fs::read_to_string(root.join(name)).unwrap_or_else(|why| panic!("{name}: {why}"))
}

fn all() -> BTreeSet<String> {
    meters().touch();
    meters().names().into_iter().collect()
}

/// Every word in `text` that looks like a metric of ours.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|it: char| !(it.is_ascii_alphanumeric() || it == '_'));
    words.filter(|it| it.starts_with("ringback_")).map(Into::into).collect()
}

#[test]
fn every_metric_is_documented_and_every_documented_one_is_there() {
    let page = read("docs/metrics.md");
    let rows: BTreeSet<String> =
        page.lines().filter_map(|it| it.strip_prefix("| `")).filter_map(|it| it.split('`').next()).map(Into::into).collect();
    assert_eq!(rows, all());
    let strange: Vec<_> = named(&page).difference(&all()).cloned().collect();
    assert!(strange.is_empty(), "docs/metrics.md names {strange:?}");
}

#[test]
fn the_dashboard_and_the_alerts_name_only_metrics_that_exist() {
    let all = all();
    for file in ["ops/dashboard.json", "ops/alerts.yaml"] {
        let text = read(file);
        let found = named(&text);
        assert!(found.len() > 5, "{file} names {found:?}");
        for name in found {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|it| name.strip_suffix(it)).filter(|it| all.contains(*it));
            assert!(all.contains(&name) || base.is_some(), "{file} names {name}, which does not exist");
        }
    }
    let dashboard: serde_json::Value = serde_json::from_str(&read("ops/dashboard.json")).unwrap();
    let shown = named(&dashboard["panels"].to_string());
    let base = |it: &String| ["", "_bucket", "_sum", "_count"].iter().any(|suffix| shown.contains(&format!("{it}{suffix}")));
    let unseen: Vec<_> = all
        .iter()
        .filter(|it| !base(it) && !["ringback_deliveries_held", "ringback_commits_failed_total"].contains(&it.as_str()))
        .collect();
    assert!(unseen.is_empty(), "no panel shows {unseen:?}, and an alert is not said to");
}

#[test]
fn the_dashboard_and_the_alerts_name_only_labels_that_exist() {
    meters().touch();
    let text = meters().text();
    // `le` is the histograms', `job` Prometheus' own.
    let mut known: BTreeSet<&str> = ["le", "job"].into();
    for line in text.lines().filter(|it| !it.starts_with('#')) {
        let Some((_, labels)) = line.split_once('{') else { continue };
        let labels = labels.split_once('}').map_or(labels, |it| it.0);
        known.extend(labels.split(',').filter_map(|it| it.split_once('=')).map(|it| it.0));
    }
    for file in ["ops/dashboard.json", "ops/alerts.yaml"] {
        let text = read(file).replace("\\\"", "'");
        let mut asked: BTreeSet<String> = BTreeSet::new();
        for part in text.split("by (").skip(1) {
            let names = part.split(')').next().unwrap_or_default();
            asked.extend(names.split(',').map(|it| it.trim().to_owned()));
        }
        for part in text.split("ringback_").skip(1) {
            let name_end = part.find(|it: char| !(it.is_ascii_alphanumeric() || it == '_')).unwrap_or(part.len());
            let Some(matchers) = part[name_end..].strip_prefix('{').and_then(|it| it.split('}').next()) else { continue };
            asked.extend(matchers.split(',').filter_map(|it| it.find(['=', '!']).map(|at| it[..at].trim().to_owned())));
        }
        assert!(asked.len() >= 3, "{file} asks for {asked:?}");
        let strange: Vec<_> = asked.iter().filter(|it| !known.contains(it.as_str())).collect();
        assert!(strange.is_empty(), "{file} asks for labels {strange:?}, and there are {known:?}");
    }
}

#[test]
fn names_follow_the_rules_of_prometheus() {
    meters().touch();
    let text = meters().text();
    for line in text.lines().filter_map(|it| it.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
        assert!(kind != "histogram" || name.ends_with("_seconds") || name == "ringback_commit_jobs", "{line} has no unit");
        assert!(!name.ends_with("_ms") && !name.contains("milli"), "{line}: base units");
        assert!(text.lines().any(|it| it.starts_with(&format!("# HELP {name} "))), "{name} has no help");
    }
}
