//! Renders every sentence, and compares with `sentences.txt`.

use super::*;
use expect_test::expect_file;
use std::{collections::BTreeSet, fmt::Write};

/// A call with sample arguments, under its name.
macro_rules! samples {
    ($($name:ident($($argument:expr),* $(,)?);)*) => {
        vec![$((stringify!($name), $name($($argument),*))),*]
    };
}

fn problems() -> Vec<(&'static str, Problem)> {
    samples! {
        malformed_json(3, 7, "expected `:`");
        body_broken();
        body_missing("{\"amount\":1999}");
        bad_parameter("limit", "ten", "a whole number from 1 to 1000");
        parameter_refused("sort", "Lists are sorted by `-created_at`. Leave `sort` out.");
        unknown_parameter("limits", &["after", "limit", "wait"]);
        unknown_parameter("x", &[]);
        parameter_twice("after");
        parameters_exclude("after", "subscription");
        filter_refused(ErrorCode::FilterSyntax, None, "at character 9: a value is missing.");
        filter_refused(ErrorCode::FilterAmbiguous, None, "at character 27: AND and OR stand side by side: put parentheses around what belongs together.");
        filter_refused(ErrorCode::FilterInvalid, Some("/filter"), "at character 1: `data.amount` is an integer: `x` is none.");
        idempotency_key_malformed();
        cursor_unreadable("after");
        cursor_mismatch("after");
        tenant_required();
        one_tenant_required();
        tenant_malformed("Acme Inc.");
        no_key();
        ticket_unreadable();
        ticket_late();
        ticket_elsewhere();
        ticket_needs_stream();
        not_a_key();
        key_mistyped();
        key_unknown();
        key_expired();
        scope_missing("events:publish");
        operator_only("make tenants");
        transition_forbidden("payment", "complete");
        answered_for_another_key();
        key_beyond_own("the scope `types:write`");
        no_route("/v1/event", Some("/v1/events"));
        no_route("/nothing", None);
        not_found("subscription", "sub_123");
        resource_deleted("payment", "123");
        version_not_found("payment", "123", "9");
        transition_unknown("payment", "complet", &["process", "complete", "fail", "refund"]);
        transition_unknown("note", "go", &[]);
        tenant_unknown("acme");
        method_not_allowed("PUT", &["GET", "PATCH", "DELETE"]);
        not_acceptable(&["application/json"]);
        request_timeout(30);
        no_host();
        stream_too_slow(60);
        payload_too_large(1_048_576);
        uri_too_long();
        unsupported_media_type("text/xml", &["application/json", "application/merge-patch+json"]);
        headers_too_large();
        transition_not_allowed("payment", "123", "completed", "complete", &["created", "processing"], &["refund"]);
        transition_not_allowed("payment", "123", "refunded", "complete", &["created", "processing"], &[]);
        guard_failed("payment", "123", "refund", "input.amount <= self.amount", "input.amount is 5000, self.amount is 1999");
        guard_failed("payment", "123", "refund", "self.open", "");
        already_exists("payment", "123");
        event_key_taken("order-7", "evt_00000000000000000000000001");
        event_key_repeated("order-7");
        conflict("This is the last operator key. Make another operator key first.");
        in_use("type", "payment", "there are 12 payments");
        type_owned("payment.completed", "the type `payment`");
        mirrored("invoice", "/invoice");
        managed_by_file("payment");
        subscription_not_active("sub_123", "paused");
        subscription_not_active("sub_123", "done");
        limit_reached("subscriptions of this tenant", 10_000);
        idempotency_in_progress();
        cursor_expired("after");
        lease_expired("ledger");
        cursor_epoch("after");
        log_truncated("AQE…");
        precondition_failed("payment", "123", "\"3\"", serde_json::json!({"id": "123", "version": 3}));
        precondition_on_absence("subscription", "mine", true);
        precondition_on_absence("subscription", "mine", false);
        exists("payment", "123");
        precondition_required("payment");
        fields_refused(vec![fields::unknown_field("/url", Some("push.url"))]);
        fields_refused(vec![fields::read_only("/state", "Use `POST …/pause` or `POST …/resume`.")]);
        fields_refused(vec![fields::unknown_field("/x", None), fields::wrong_type("/types", "a list", "a string")]);
        fields_refused(vec![]);
        idempotency_key_reused();
        query_too_expensive("payment", &["currency", "created_at"]);
        index_being_filled("payment", &["currency", "created_at"]);
        schema_incompatible("order", 3, "3 resources would break it: the status `paid` is gone (3)");
        destination_not_allowed("/push/url", "This address isn't reachable from the public internet.");
        unknown_event_type("/types/0", "payment.complete", Some("payment.completed"));
        rate_limited(10, 1);
        tests_limited(7);
        not_http();
        too_many_waiters(20_000, false);
        internal();
        overloaded();
        answers_unread();
        draining();
        stream_draining();
        outcome_unknown();
        storage_full();
    }
}

fn places() -> Vec<(&'static str, FieldProblem)> {
    use super::fields::*;
    samples! {
        place("/a/0", "code", "A whole sentence.");
        parameter("after", "code", "A whole sentence.");
        invalid("/push/url", "A whole sentence.");
        unknown_field("/url", Some("push.url"));
        unknown_field("/nothing", None);
        required("/push/url", "the address to call");
        wrong_type("/types", "a list of event types", "a string");
        wrong_type("", "an object", "a list");
        not_one_of("/payload", "ful", &["full", "thin"]);
        malformed("/subject", "a\nb", "1 to 512 bytes without control characters");
        out_of_range("/push/timeout_ms", "5", 1_000, 60_000);
        wrong_length("/description", 1_001, 0, 1_000);
        wrong_count("/types", 101, 0, 100);
        read_only("/state", "Use `POST …/pause` or `POST …/resume`.");
        header_reserved("/push/headers/host", "host");
        header_malformed("/push/headers/a b", "a b");
        header_twice("/push/headers/X-Env", "X-Env");
        needs("/until", "subject");
        secret_malformed("/push/secret", "a secret begins with `whsec_`");
        scope_beyond_role("/scopes/0", "tenants:write", "tenant");
    }
}

#[test]
fn every_sentence_reads_so() {
    let mut out =
        String::from("What callers are told, rendered with sample arguments. Made by a test; see crates/wire/src/sentences.rs.\n");
    let mut status = 0;
    let mut sorted = problems();
    sorted.sort_by_key(|(_, it)| (it.code.status(), it.code));
    for (name, it) in sorted {
        if it.code.status() != status {
            status = it.code.status();
            write!(out, "\n== {status}\n").unwrap();
        }
        let extra: Vec<_> = it.extra.iter().map(|(name, _)| *name).collect();
        let extra = if extra.is_empty() { String::new() } else { format!(" + {}", extra.join(" ")) };
        writeln!(out, "{} ({name}{extra})\n    {}", it.code, it.detail).unwrap();
    }
    out.push_str("\n== places\n");
    for (name, it) in places() {
        writeln!(out, "{} ({name})\n    {}", it.code, it.detail).unwrap();
    }
    expect_file!["../../sentences.txt"].assert_eq(&out);
}

#[test]
fn no_sentence_is_missing_above() {
    let functions = |source: &str| -> BTreeSet<String> {
        source.lines().filter_map(|it| it.strip_prefix("pub fn ")).filter_map(|it| it.split('(').next()).map(str::to_owned).collect()
    };
    let sampled = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    assert_eq!(functions(include_str!("../sentences.rs")), sampled(problems().into_iter().map(|(name, _)| name).collect()));
    assert_eq!(functions(include_str!("fields.rs")), sampled(places().into_iter().map(|(name, _)| name).collect()));
}

#[test]
fn every_code_has_a_sentence() {
    let told: BTreeSet<_> = problems().into_iter().map(|(_, it)| it.code).collect();
    assert_eq!(told, ErrorCode::ALL.iter().copied().collect());
}

#[test]
fn sentences_are_sentences() {
    for (name, it) in problems() {
        assert!(it.detail.ends_with(['.', '?', ')']), "{name}: {}", it.detail);
        assert!(!it.detail.contains("  "), "{name}: {}", it.detail);
        assert_eq!(
            it.retry_after_secs.is_some(),
            it.code.status() >= 503 || it.code.status() == 429 || it.code == ErrorCode::IdempotencyInProgress,
            "{name}"
        );
    }
}

#[test]
fn what_was_sent_is_repeated_only_in_part() {
    let long = "x".repeat(10_000);
    for it in [bad_parameter("a", &long, "short"), no_route(&long, None), not_found("payment", &long), unknown_parameter(&long, &["a"])] {
        assert!(it.detail.len() < 400, "{}", it.detail);
    }
    assert!(!bad_parameter("a", "b\r\nc", "plain").detail.contains('\n'));
}
