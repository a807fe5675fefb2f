//! Every judge has planted bugs that it must catch, in seeds that are clean without them.

use ringback_sim::{Plant, judges, run};
use std::collections::BTreeSet;

/// Seeds that are tried until the judge turns red. `seeds.rs` runs them without a plant.
const SEEDS: u64 = 40;

fn check(plant: Plant, judge: &str) {
    let mut others = BTreeSet::new();
    for seed in 0..SEEDS {
        let report = run(seed, Some(plant));
        if let Some(it) = report.verdicts.iter().find(|it| it.judge == judge) {
            println!("{plant:?}: seed {seed}: {judge}: {}", it.why);
            return;
        }
        others.extend(report.verdicts.iter().map(|it| it.judge));
    }
    panic!("{plant:?} was not caught by `{judge}` in {SEEDS} seeds, but by {others:?}");
}

macro_rules! plants {
    ($($name:ident: $plant:ident => $judge:literal,)*) => {
        $(#[test] fn $name() { check(Plant::$plant, $judge); })*
        const CAUGHT: &[(Plant, &str)] = &[$((Plant::$plant, $judge)),*];
    };
}

plants! {
    acknowledged_before_it_is_synced: AckBeforeSync => "durable",
    a_row_is_forgotten: RowForgotten => "changes",
    a_page_is_cut_inside_a_change_set: PageCutInsideSet => "feeds",
    places_are_taken_before_the_commit: PlacesOutOfOrder => "feeds",
    a_tenant_filter_is_missing: TenantFilterMissing => "tenants",
    a_settlement_forgets_an_exception: ExceptionLost => "conservation",
    a_replay_leaves_the_exception_that_it_replaces: ReplayLeavesException => "conservation",
    a_cursor_passes_what_is_in_flight: CursorPastInFlight => "conservation",
    what_counts_as_delivered_never_was: RefusalTakenAsSuccess => "obligations",
    a_settlement_forgets_the_shadow: ShadowLost => "conservation",
    skipped_ranges_are_forgotten: SkipsForgotten => "conservation",
    what_came_while_paused_is_dropped: DroppedWhenPaused => "conservation",
    a_restart_begins_too_early: CursorMovedBack => "duplicates",
    a_retry_comes_too_early: DueTooEarly => "due",
    the_order_is_forgotten: OrderForgotten => "order",
    the_concurrency_is_forgotten: ConcurrencyForgotten => "caps",
    a_byte_is_altered: BytesAltered => "receipts",
    another_tenant_is_called: WrongEndpoint => "tenants",
    an_answer_is_not_kept: AnswerNotKept => "durable",
    a_request_is_done_twice: AnswerNotKept => "replays",
    an_answer_is_changed: AnswerChanged => "replays",
    the_end_of_a_one_shot_is_not_stored: DoneNotStored => "one-shots",
    settlements_hang: SettleStuck => "drained",
    chance_repeats_itself: IdsRepeat => "drained",
    hints_are_lost: HintLost => "waits",
    verify_finds_a_forgotten_row: RowForgotten => "verified",
    verify_finds_a_lost_exception: ExceptionLost => "verified",
    verify_finds_a_cursor_that_passed_something: CursorPastInFlight => "verified",
    retention_takes_what_is_young: FloorPassesTooMuch => "retention",
    a_feed_passes_what_retention_took: FloorForgotten => "feeds",
    a_deadline_is_forgotten: DeadlineForgotten => "deadlines",
    the_log_has_a_gap: SequenceGap => "sequence",
    what_is_held_is_handed_out_again: LeaseForgotten => "pulled",
    what_was_acked_is_handed_out_again: CursorMovedBack => "pulled",
    what_nobody_acked_counts_as_delivered: CursorPastInFlight => "obligations",
    two_of_a_subject_are_handed_out_together: OrderForgotten => "pulled",
    a_list_forgets_what_changed: ListForgetsChanges => "watches",
    a_watch_passes_what_it_never_saw: PlacesOutOfOrder => "watches",
    rows_are_rebuilt_from_what_retention_left: RebuiltAfterTruncation => "changes",
    an_old_generation_counts_as_done: OldGenerationCounts => "conservation",
    a_slot_leaks_on_panic: SlotLeaked => "drained",
}

#[test]
fn every_plant_is_tried_and_every_judge_has_one() {
    for plant in Plant::ALL {
        assert!(CAUGHT.iter().any(|it| it.0 == plant), "{plant:?} is tried by no test");
    }
    for judge in judges::names() {
        assert!(CAUGHT.iter().any(|it| it.1 == judge), "`{judge}` has no planted bug");
    }
}
