//! One suite for every store: each sentence of the doc comments in `store` has a case here.
//!
//! A backend's whole test file is one line:
//!
//! ```text
//! ringback_ports::conformance::suite!(async || (MyStore::open().await, ()));
//! ```
//!
//! The expression makes a fresh store and something that is dropped after it (a
//! temporary directory, or nothing). Every case becomes a `#[test]` of its own.
//!
//! Not here: what survives a crash. That is each backend's own matter, and its own tests'.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "this module is tests: a case fails by panicking"
)]

pub mod change_sets;
pub mod concurrency;
pub mod control;
pub mod deliveries;
pub mod erasures;
pub mod idempotency;
pub mod listener;
pub mod log;
pub mod make;
pub mod replays;
pub mod resources;
pub mod retention;
pub mod subscriptions;

use crate::Store;
use std::sync::Arc;

/// Opens a store and runs one case on it. `suite!` calls this.
pub fn run<S: Store, G>(open: impl AsyncFnOnce() -> (S, G), case: impl for<'a> AsyncFnOnce(&'a Arc<S>)) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime for the case");
    runtime.block_on(async {
        let (store, guard) = open().await;
        let store = Arc::new(store);
        case(&store).await;
        drop(store);
        drop(guard);
    });
}

/// Makes a `#[test]` of every case, for the stores that the expression opens.
#[macro_export]
#[doc(hidden)]
macro_rules! conformance_suite {
    ($open:expr) => {
        $crate::conformance_suite! { @cases $open;
            change_sets:
                all_of_it_is_there_when_commit_returns
                places_are_dense_from_one_in_every_count
                the_answer_names_the_places_also_without_events
                the_bytes_are_made_once_with_the_place_in_them
                only_the_last_event_ends_a_set
                an_event_reads_back_as_it_was_given
                a_thousand_events_fit_and_one_more_does_not
                another_version_is_refused_and_named
                a_missing_row_is_refused
                a_row_that_is_there_is_refused_also_a_deleted_one
                a_missing_key_cannot_be_deleted
                changes_see_what_earlier_changes_of_the_set_wrote
                an_event_key_belongs_to_one_event_of_a_tenant
                an_event_key_twice_in_a_set_is_refused
                an_event_id_twice_is_refused
                an_answer_is_taken_until_it_expires
                the_answer_is_made_once_with_the_places
                a_refused_set_makes_no_answer
                the_answer_is_refused_before_changes_and_changes_before_events
                a_refusal_leaves_no_trace
                a_refusal_leaves_no_gap
                an_answer_that_panics_refuses_its_set_alone;
            listener:
                it_hears_every_event_once_in_order_before_commit_returns
                what_it_hears_can_be_read
                a_refused_set_is_not_heard
                a_new_one_replaces_the_old_one;
            log:
                an_empty_log_has_bounds
                bounds_are_of_their_scope
                pages_make_up_the_log_and_never_end_inside_a_set
                a_page_exceeds_its_events_only_by_the_rest_of_a_set
                the_first_set_of_a_page_is_whole_whatever_its_bytes
                a_later_set_has_to_fit_the_bytes
                a_page_may_begin_inside_a_set
                no_events_wanted_is_none_read
                events_before_come_last_first
                events_of_a_subject_are_of_its_scope_and_in_order
                events_of_a_subject_may_cut_a_set
                an_event_is_found_in_its_scope_only
                an_event_is_found_at_its_place
                an_event_is_found_by_its_key
                an_event_is_found_by_the_version_it_made
                the_place_before_a_time_never_goes_back
                a_type_is_seen_in_its_scope_only
                types_that_were_seen_are_listed_by_scope_and_authority;
            resources:
                a_row_reads_back_as_it_was_given
                numbers_read_back_exactly
                a_deleted_row_stays_readable_and_leaves_lists
                a_list_is_newest_first_then_by_the_bytes_of_the_id
                pages_make_up_the_list
                a_list_runs_both_ways_within_a_span
                what_changed_after_a_place_is_said_up_to_a_limit
                resources_are_read_as_they_were_at_a_place
                a_list_is_of_one_tenant_and_type
                equal_narrows_by_value
                declared_indexes_change_no_list
                indexes_are_filled_beside_writes
                names_that_look_like_sql_are_only_names
                counts_are_of_all_tenants_without_deleted_ones
                rows_of_a_type_come_in_pages_over_all_tenants
                timers_are_due_in_order
                a_timer_goes_with_its_row
                pages_of_rows_hold_every_row_once;
            subscriptions:
                a_subscription_reads_back_as_it_was_given
                they_come_by_tenant_then_age_then_id
                they_are_unique_by_id_and_by_number
                a_cursor_moves_only_when_it_is_given
                skipped_ranges_are_added_and_move_nothing
                a_new_life_has_no_exception_in_what_it_skips
                a_deletion_takes_everything_along;
            deliveries:
                a_settlement_is_there_when_it_returns
                nobody_and_another_generation_are_fenced
                a_fenced_settlement_leaves_no_trace
                the_cursor_never_moves_backwards
                settling_twice_is_settling_once
                a_stretch_that_is_skipped_grows
                what_is_there_is_written_over
                delivered_above_is_of_the_cursor_and_the_generation
                another_life_removes_exceptions_above_where_it_begins
                attempts_of_an_earlier_life_are_not_written_over
                attempts_of_replays_and_others_keep_beside_each_other
                what_a_replay_delivered_is_counted_apart
                a_settlement_may_skip
                exceptions_come_in_order_of_place
                every_state_of_an_exception_reads_back
                attempts_come_in_order_of_n
                attempts_of_an_event_outside_the_scope_are_none
                summaries_are_of_the_places_asked_for
                an_unknown_subscription_has_nothing
                an_account_is_of_the_places_asked_for
                whoever_has_rows_is_accounted;
            replays:
                a_replay_reads_back_as_it_was_given
                an_id_belongs_to_one_replay
                settlements_say_how_far_it_is
                they_come_last_first_and_by_whose_they_are
                they_go_alone_or_with_their_subscription;
            control:
                tenants_come_in_order_of_id
                keys_come_in_order_of_id
                types_come_in_order_of_name
                meta_keeps_the_first_value
                deliveries_are_held_until_they_are_let_go;
            erasures:
                erasures_read_back_and_are_listed
                what_is_left_keeps_its_place_and_is_found_by_id_alone
                erasing_twice_is_erasing_once
                what_hung_on_erased_events_goes_and_nothing_else;
            retention:
                the_front_goes_in_whole_change_sets
                a_change_set_that_the_end_cuts_stays
                floors_move_with_the_log_and_never_back
                places_are_never_given_again
                a_key_is_free_again_with_its_event
                types_that_were_seen_stay_known
                what_stands_below_is_found_no_more
                rows_and_cursors_stay
                sweeping_takes_what_lies_at_or_below_the_floor
                a_sweep_is_bounded_and_goes_on
                a_range_that_the_cursor_has_not_passed_stays;
            idempotency:
                an_answer_is_kept_until_it_expires
                pruning_removes_what_expired_first_and_no_more;
            concurrency:
                commits_are_dense_and_adjacent
                refused_sets_never_touch_their_neighbours
                one_of_many_wins_a_version
                one_of_many_wins_a_key_and_an_answer
                the_listener_hears_all_of_them_in_order
                a_reader_that_follows_misses_nothing
                settlements_ride_along;
        }
    };
    (@cases $open:expr; $($noun:ident: $($case:ident)*;)*) => {$(
        mod $noun {
            #[allow(unused_imports, reason = "the expression names what the test file imports")]
            use super::*;
            $(
                #[test]
                fn $case() {
                    $crate::conformance::run($open, $crate::conformance::$noun::$case);
                }
            )*
        }
    )*};
}

pub use crate::conformance_suite as suite;

#[cfg(test)]
mod tests {
    /// A case that is written and not listed would never run.
    #[test]
    fn every_case_is_listed() {
        let list = include_str!("mod.rs");
        for (noun, text) in [
            ("change_sets", include_str!("change_sets.rs")),
            ("concurrency", include_str!("concurrency.rs")),
            ("control", include_str!("control.rs")),
            ("deliveries", include_str!("deliveries.rs")),
            ("idempotency", include_str!("idempotency.rs")),
            ("listener", include_str!("listener.rs")),
            ("log", include_str!("log.rs")),
            ("replays", include_str!("replays.rs")),
            ("resources", include_str!("resources.rs")),
            ("retention", include_str!("retention.rs")),
            ("subscriptions", include_str!("subscriptions.rs")),
        ] {
            let cases: Vec<_> = text.lines().filter_map(|it| it.strip_prefix("pub async fn ")?.split('<').next()).collect();
            assert!(!cases.is_empty(), "{noun} has no cases");
            for case in cases {
                assert!(list.lines().any(|it| it.trim().trim_end_matches(';') == case), "{noun}::{case} is in no list");
            }
        }
    }
}
