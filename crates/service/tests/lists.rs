//! Pages of a list are of one moment (G3), whatever is written between them.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod world;

use proptest::prelude::*;
use ringback_model::{ResourceId, limits};
use ringback_service::{Error, IfMatch, ListPage, ListQuery, Write};
use serde_json::{Value, json};
use std::time::Duration;
use world::World;

fn list(world: &World, query: ListQuery<'_>) -> Result<ListPage, Error> {
    world.run(world.service.list_resources(&world.ctx(), &world.ty("ticket"), query))
}

fn rows(page: &ListPage) -> Vec<Value> {
    page.rows.iter().map(|it| serde_json::from_slice(it).unwrap()).collect()
}

/// What happens between two pages.
#[derive(Clone, Debug)]
enum Step {
    Create(u8, i64, &'static str),
    Patch(u8, i64),
    Delete(u8),
    Pass,
}

fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    let zone = prop_oneof![Just("a"), Just("b")];
    let step = prop_oneof![
        3 => (0..20_u8, 0..5_i64, zone).prop_map(|(id, seat, zone)| Step::Create(id, seat, zone)),
        4 => (0..20_u8, 0..5_i64).prop_map(|(id, seat)| Step::Patch(id, seat)),
        2 => (0..20_u8).prop_map(Step::Delete),
        1 => Just(Step::Pass),
    ];
    prop::collection::vec(step, 0..most)
}

/// Does it; refusals (a taken id, nothing there) are part of the game.
fn act(world: &World, step: &Step) {
    let (ctx, ty) = (world.ctx(), world.ty("ticket"));
    let id = |n: &u8| ResourceId::parse(&format!("t{n}")).unwrap();
    match step {
        Step::Create(n, seat, zone) => {
            let body = json!({ "id": format!("t{n}"), "seat": seat, "zone": zone });
            let _ = world.run(world.service.create_resource(&ctx, &ty, body.as_object().unwrap().clone(), Write::plain()));
        }
        Step::Patch(n, seat) => {
            let _ = world.run(world.service.patch_resource(&ctx, &ty, &id(n), json!({ "seat": seat }), IfMatch::None, Write::plain()));
        }
        Step::Delete(n) => {
            let _ = world.run(world.service.delete_resource(&ctx, &ty, &id(n), IfMatch::None, Write::plain()));
        }
        Step::Pass => world.clock.advance(Duration::from_millis(1)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn all_pages_show_the_moment_of_the_first(
        before in steps(40),
        between in prop::collection::vec(steps(6), 20),
        limit in 1..6_usize,
        sort in prop_oneof![Just(None), Just(Some("created_at")), Just(Some("seat")), Just(Some("-seat,zone")), Just(Some("zone,-version"))],
        filter in prop_oneof![Just(None), Just(Some("zone = \"a\"")), Just(Some("seat >= 2")), Just(Some("NOT seat = 3 AND zone:*"))],
    ) {
        let world = World::new();
        before.iter().for_each(|it| act(&world, it));
        // The whole list in one page, read before anything else happens, is the fold of the log so far.
        let whole = list(&world, ListQuery { filter, sort, limit: 1_000, ..ListQuery::default() }).unwrap();
        prop_assert!(whole.next_cursor.is_none());
        let (mut read, mut after, mut between) = (Vec::new(), None, between.into_iter());
        loop {
            let page = list(&world, ListQuery { filter, sort, limit, after: after.as_deref(), ..ListQuery::default() }).unwrap();
            prop_assert_eq!(&page.watch_cursor, &whole.watch_cursor);
            prop_assert!(page.rows.len() <= limit);
            prop_assert!(page.next_cursor.is_none() || !page.rows.is_empty());
            read.extend(rows(&page));
            match page.next_cursor {
                None => break,
                next => after = next,
            }
            between.next().unwrap_or_default().iter().for_each(|it| act(&world, it));
        }
        prop_assert_eq!(read, rows(&whole));
    }
}

#[test]
fn a_list_that_is_too_old_begins_anew() {
    let world = World::new();
    for n in 0..3 {
        world.create("ticket", json!({ "id": format!("t{n}"), "seat": n }));
    }
    let first = list(&world, ListQuery { limit: 1, ..ListQuery::default() }).unwrap();
    let again = |after: &ListPage| list(&world, ListQuery { limit: 1, after: after.next_cursor.as_deref(), ..ListQuery::default() });
    world.clock.advance(Duration::from_secs(limits::LIST_AGE_SECS_MAX));
    assert_eq!(rows(&again(&first).unwrap())[0]["id"], "t1");
    world.clock.advance(Duration::from_millis(1));
    assert!(matches!(again(&first), Err(Error::CursorExpired)));
}

#[test]
fn a_list_outlives_no_more_changes_than_it_can_merge() {
    let world = World::new();
    world.create("ticket", json!({ "id": "a", "seat": 1 }));
    world.create("ticket", json!({ "id": "b", "seat": 1 }));
    let first = list(&world, ListQuery { limit: 1, ..ListQuery::default() }).unwrap();
    let next = || list(&world, ListQuery { limit: 1, after: first.next_cursor.as_deref(), ..ListQuery::default() });
    for n in 0..limits::LIST_CHANGES_MAX {
        world.create("ticket", json!({ "id": format!("n{n}"), "seat": 1 }));
    }
    assert_eq!(rows(&next().unwrap())[0]["id"], "a");
    world.create("ticket", json!({ "id": "one-more", "seat": 1 }));
    assert!(matches!(next(), Err(Error::CursorExpired)));
}

#[test]
fn fields_are_shown_as_they_were_asked_for() {
    let world = World::new();
    world.create("ticket", json!({ "id": "t", "seat": 7, "zone": "a" }));
    let shown = |fields| list(&world, ListQuery { fields: Some(fields), limit: 10, ..ListQuery::default() });
    assert_eq!(&*shown("zone,id").unwrap().rows[0], br#"{"zone":"a","id":"t"}"#);
    assert_eq!(&*shown("id,status,version").unwrap().rows[0], br#"{"id":"t","status":"open","version":1}"#);
    assert!(matches!(shown("zoen"), Err(Error::Parameter { parameter: "fields", .. })));
    let sorted = |sort| list(&world, ListQuery { sort: Some(sort), limit: 10, ..ListQuery::default() });
    assert!(matches!(sorted("zoen"), Err(Error::Parameter { parameter: "sort", .. })));
}

#[test]
fn a_cursor_is_for_the_same_filter_and_sort() {
    let world = World::new();
    for n in 0..3 {
        world.create("ticket", json!({ "id": format!("t{n}"), "seat": n }));
    }
    let ask = |filter, sort, after: Option<&str>| list(&world, ListQuery { filter, sort, limit: 1, after, ..ListQuery::default() });
    let page = ask(Some("seat >= 0 AND zone = \"x\" OR seat = 1"), None, None);
    assert!(matches!(page, Err(Error::List(_))));
    let page = ask(Some("seat >= 0"), Some("seat"), None).unwrap();
    let cursor = page.next_cursor.as_deref();
    assert_eq!(rows(&ask(Some("seat>=0"), Some("seat"), cursor).unwrap())[0]["id"], "t1");
    for (filter, sort) in
        [(Some("seat >= 1"), Some("seat")), (None, Some("seat")), (Some("seat >= 0"), Some("-seat")), (Some("seat >= 0"), None)]
    {
        assert!(matches!(ask(filter, sort, cursor), Err(Error::CursorMismatch)), "{filter:?} {sort:?}");
    }
    // A page cursor is no position, and a position no page cursor.
    assert!(matches!(ask(Some("seat >= 0"), Some("seat"), Some(&page.watch_cursor)), Err(Error::CursorMismatch)));
    assert!(matches!(world.run(world.service.reached(&world.ctx(), cursor.unwrap())), Err(Error::Parameter { .. })));
    assert!(world.run(world.service.reached(&world.ctx(), &page.watch_cursor)).is_ok());
}
