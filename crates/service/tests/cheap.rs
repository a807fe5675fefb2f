//! What asking costs: of what does not change, next to nothing.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod world;

use proptest::prelude::*;
use ringback_model::{ResourceId, subscription::Until};
use ringback_ports::store::Resources;
use ringback_service::{Ctx, Error, IfMatch, KnownTags, ListQuery, ListTag, Listing, ServedType, Service, StatusQuery, StatusView, Write};
use serde_json::json;
use std::{
    sync::{Arc, atomic::Ordering::SeqCst},
    time::Duration,
};
use tokio::task::JoinHandle;
use world::{World, fresh};

fn id(text: &str) -> ResourceId {
    ResourceId::parse(text).unwrap()
}

/// Reads of the store that `what` costs.
fn cost(world: &World, what: impl FnOnce()) -> usize {
    let before = world.faulty.reads.load(SeqCst);
    what();
    world.faulty.reads.load(SeqCst) - before
}

fn version(world: &World, at: &str) -> u64 {
    world.run(world.service.resource(&world.ctx(), &world.ty("ticket"), &id(at))).unwrap().version
}

fn waiting(world: &World, at: &str, query: StatusQuery) -> JoinHandle<Result<Option<StatusView>, Error>> {
    let (service, ctx, ty, id) = (world.service.clone(), world.ctx(), world.ty("ticket"), id(at));
    let task = world.spawn(async move { service.status(&ctx, &ty, &id, query).await });
    world.quiet();
    task
}

fn until_done() -> StatusQuery {
    StatusQuery { until: Some(Until::Done), wait: Duration::from_secs(60), ..StatusQuery::default() }
}

#[test]
fn a_thousand_pollers_of_one_unchanged_resource_read_once() {
    let world = World::new();
    world.create("ticket", json!({ "id": "1" }));
    let (ctx, ty) = (world.ctx(), world.ty("ticket"));
    let reads = cost(&world, || {
        for _ in 0..1_000 {
            assert_eq!(version(&world, "1"), 1);
            let known = StatusQuery { if_none_match: Some(IfMatch::Versions(vec![1])), ..StatusQuery::default() };
            assert!(world.run(world.service.status(&ctx, &ty, &id("1"), known)).unwrap().is_none());
            let known = IfMatch::Versions(vec![1]);
            assert!(world.run(world.service.resource_wait(&ctx, &ty, &id("1"), &known, Duration::ZERO)).unwrap().is_none());
        }
    });
    assert_eq!(reads, 1);
    let tenant = world.tenant_ctx("default");
    assert_eq!(
        cost(&world, || {
            let known = IfMatch::Versions(vec![1]);
            assert!(world.run(world.service.resource_wait(&tenant, &ty, &id("1"), &known, Duration::ZERO)).unwrap().is_none());
        }),
        0,
        "an authorised 304 touches no storage"
    );
}

#[test]
fn who_asks_while_it_is_read_shares_the_read_and_its_bytes() {
    let world = World::new();
    world.create("ticket", json!({ "id": "1" }));
    world.faulty.hold_rows(true);
    let (ctx, ty) = (world.ctx(), world.ty("ticket"));
    let mut asked = Vec::new();
    let reads = cost(&world, || {
        for _ in 0..100 {
            let (service, ctx, ty) = (world.service.clone(), ctx.clone(), Arc::clone(&ty));
            asked.push(world.spawn(async move { service.resource(&ctx, &ty, &id("1")).await }));
        }
        world.quiet();
        // The one who reads goes away: another one does it in his place.
        asked.remove(0).abort();
        world.quiet();
        world.faulty.hold_rows(false);
    });
    assert_eq!(reads, 2);
    let bodies: Vec<_> = asked.into_iter().map(|it| world.run(it).unwrap().unwrap().body).collect();
    assert!(bodies.iter().all(|it| it.as_ptr() == bodies[0].as_ptr()), "one buffer for all");
}

#[test]
fn what_was_written_is_read_at_once_and_from_memory() {
    let world = World::new();
    world.create("ticket", json!({ "id": "1" }));
    assert_eq!(version(&world, "1"), 1);
    let (ctx, ty) = (world.ctx(), world.ty("ticket"));
    for seat in 2..20 {
        let patch = json!({ "seat": seat });
        let made = fresh(world.run(world.service.patch_resource(&ctx, &ty, &id("1"), patch, IfMatch::None, Write::plain())).unwrap());
        let reads = cost(&world, || {
            let view = world.run(world.service.resource(&ctx, &ty, &id("1"))).unwrap();
            assert_eq!((&view.body, view.version), (&made.body, made.version));
        });
        assert_eq!(reads, 0, "its event says what it is now");
    }
    world.step("ticket", "1", "sell").unwrap();
    let view = world.run(world.service.status(&ctx, &ty, &id("1"), StatusQuery::default())).unwrap().unwrap();
    let row = world.run(world.store.resource(&view.tenant, &ty.compiled.decl.name, &id("1"))).unwrap().unwrap().resource;
    assert_eq!((view.status, view.since, view.version), (row.status.clone(), row.since, row.version));
    assert_eq!(world.run(world.service.resource(&ctx, &ty, &id("1"))).unwrap().body, row.encode());
    world.run(world.service.delete_resource(&ctx, &ty, &id("1"), IfMatch::None, Write::plain())).unwrap();
    assert!(matches!(world.run(world.service.resource(&ctx, &ty, &id("1"))), Err(Error::NotFound { .. })));
}

#[test]
fn a_restart_forgets_and_reads_again() {
    let mut world = World::new();
    world.create("ticket", json!({ "id": "1" }));
    assert_eq!(version(&world, "1"), 1);
    world.crash();
    assert_eq!(cost(&world, || assert_eq!(version(&world, "1"), 1)), 1);
}

#[test]
fn one_change_costs_those_who_wait_for_others_nothing() {
    let world = World::new();
    let all: Vec<_> = (0..90)
        .map(|n| {
            world.create("ticket", json!({ "id": format!("t{n}") }));
            waiting(&world, &format!("t{n}"), until_done())
        })
        .collect();
    let reads = cost(&world, || {
        world.step("ticket", "t7", "sell").unwrap();
        world.quiet();
    });
    assert_eq!(reads, 1, "the step reads its row; nobody reads anything for having waited");
    let known: Vec<usize> = all.iter().enumerate().filter_map(|(n, it)| it.is_finished().then_some(n)).collect();
    assert_eq!(known, [7]);
}

#[test]
fn all_who_wait_for_one_know_and_read_nothing() {
    let world = World::new();
    world.create("ticket", json!({ "id": "1" }));
    let all: Vec<_> = (0..100).map(|_| waiting(&world, "1", until_done())).collect();
    let reads = cost(&world, || {
        world.step("ticket", "1", "sell").unwrap();
        world.quiet();
    });
    assert_eq!(reads, 1, "the step's own");
    assert!(all.iter().all(JoinHandle::is_finished));
}

#[test]
fn when_to_ask_again_is_learned_from_others() {
    let world = World::new();
    let retry_after = |at: &str| {
        let view = world.run(world.service.status(&world.ctx(), &world.ty("ticket"), &id(at), StatusQuery::default()));
        view.unwrap().unwrap().retry_after.map(|it| it.as_secs())
    };
    for n in 0..20 {
        assert_eq!(retry_after(world.create("ticket", json!({ "id": format!("t{n}") })).id.as_str()), Some(1), "{n} stays say nothing");
        world.pass(Duration::from_secs(7));
        let (ctx, ty, at) = (world.ctx(), world.ty("ticket"), id(&format!("t{n}")));
        // A patch ends no stay.
        let patch = world.service.patch_resource(&ctx, &ty, &at, json!({ "seat": n }), IfMatch::None, Write::plain());
        world.run(patch).unwrap();
        world.step("ticket", &format!("t{n}"), "sell").unwrap();
    }
    world.create("ticket", json!({ "id": "next" }));
    assert_eq!(retry_after("next"), Some(7));
    world.step("ticket", "next", "sell").unwrap();
    assert_eq!(retry_after("next"), None, "it is done");
}

type Asker = (Service, Ctx, Arc<ServedType>);

/// A list of two rows at most, of one zone or of all.
async fn list((service, ctx, ty): Asker, zone: Option<&str>, has: Option<ListTag>, wait: u64) -> Result<Listing, Error> {
    let params: Vec<_> = zone.map(|it| ("zone".to_owned(), it.to_owned())).into_iter().collect();
    let query = ListQuery { params: &params, limit: 2, ..ListQuery::default() };
    let known = has.map(|it| KnownTags::These(vec!["other".into(), it.to_string()]));
    service.list_unless_known(&ctx, &ty, query, known.as_ref(), Duration::from_secs(wait)).await
}

fn of(world: &World, type_name: &str) -> Asker {
    (world.service.clone(), world.ctx(), world.ty(type_name))
}

fn sent(listing: Listing) -> ListTag {
    match listing {
        Listing::Page { tag, .. } => tag,
        Listing::Known(tag) => panic!("{tag} is known"),
    }
}

#[test]
fn a_list_that_the_caller_has_costs_nothing_until_its_type_changes() {
    let world = World::new();
    world.create("ticket", json!({ "id": "1", "zone": "a" }));
    let ask = |has| world.run(list(of(&world, "ticket"), Some("a"), has, 0)).unwrap();
    let tag = sent(ask(None));
    let look = cost(&world, || drop(ask(None)));
    assert!(look > 0);
    let unchanged = |why: &str| assert!(matches!(ask(Some(tag)), Listing::Known(it) if it == tag), "{why}");
    let reads = cost(&world, || (0..1_000).for_each(|_| unchanged("nothing happened")));
    assert_eq!(reads, 0);
    // Other types are none of its business, and neither are published events.
    world.create("order", json!({ "amount": 1 }));
    world.publish("a.b", None, "1");
    assert_eq!(cost(&world, || unchanged("another type")), 0);
    // A ticket that the condition leaves out costs one look, and the list is the same.
    world.create("ticket", json!({ "id": "2", "zone": "b" }));
    assert_eq!(cost(&world, || (0..100).for_each(|_| unchanged("another zone"))), look);
    world.step("ticket", "1", "sell").unwrap();
    let next = sent(ask(Some(tag)));
    assert!(next != tag);
    assert_eq!(sent(ask(Some(tag))), next, "who has the old one is sent the new one again");
}

#[test]
fn a_list_is_not_answered_from_memory_while_its_type_is_written() {
    let world = World::new();
    world.create("ticket", json!({ "id": "1" }));
    let tag = sent(world.run(list(of(&world, "ticket"), None, None, 0)).unwrap());
    world.faulty.hold_commits(true);
    let (service, ctx, ty) = of(&world, "ticket");
    let write =
        world.spawn(async move { service.patch_resource(&ctx, &ty, &id("1"), json!({ "seat": 1 }), IfMatch::None, Write::plain()).await });
    world.quiet();
    let reads = cost(&world, || {
        assert!(matches!(world.run(list(of(&world, "ticket"), None, Some(tag), 0)).unwrap(), Listing::Known(_)));
    });
    assert!(reads > 0, "only the store knows how far the write is");
    world.faulty.hold_commits(false);
    world.run(write).unwrap().unwrap();
    assert!(sent(world.run(list(of(&world, "ticket"), None, Some(tag), 0)).unwrap()) != tag);
}

#[test]
fn who_waits_for_a_list_is_answered_when_it_differs() {
    let world = World::new();
    world.create("ticket", json!({ "id": "1", "zone": "a" }));
    let tag = sent(world.run(list(of(&world, "ticket"), Some("a"), None, 0)).unwrap());
    let look = cost(&world, || drop(world.run(list(of(&world, "ticket"), Some("a"), None, 0))));
    let wait = |secs| {
        let it = of(&world, "ticket");
        let task = world.spawn(async move { list(it, Some("a"), Some(tag), secs).await });
        world.quiet();
        task
    };
    let all: Vec<_> = (0..50).map(|_| wait(60)).collect();
    let short = wait(5);
    // Other types wake none of them; a ticket of another zone makes them look once, together.
    assert_eq!(
        cost(&world, || {
            world.create("order", json!({}));
            world.quiet();
        }),
        1,
        "the order's own"
    );
    let reads = cost(&world, || {
        world.create("ticket", json!({ "id": "2", "zone": "b" }));
        world.quiet();
    });
    assert!(reads <= look + 1, "{reads} reads, one of them the ticket's own, of a page {look}");
    assert!(all.iter().all(|it| !it.is_finished()));
    world.pass(Duration::from_secs(6));
    assert!(matches!(world.run(short).unwrap().unwrap(), Listing::Known(it) if it == tag), "its time was over");
    world.step("ticket", "1", "sell").unwrap();
    world.quiet();
    let tags: Vec<_> = all.into_iter().map(|it| sent(world.run(it).unwrap().unwrap())).collect();
    assert!(tags.iter().all(|it| *it == tags[0] && *it != tag));
    // Without knowing a page there is nothing to wait for.
    assert_eq!(sent(world.run(list(of(&world, "ticket"), Some("a"), None, 60)).unwrap()), tags[0]);
}

#[test]
fn what_differs_in_a_question_differs_in_its_tag() {
    let world = World::new();
    world.create("ticket", json!({ "id": "1" }));
    world.create("dossier", json!({ "id": "1" }));
    let asked_by =
        |ctx: Ctx, type_name: &str, has| sent(world.run(list((world.service.clone(), ctx, world.ty(type_name)), None, has, 0)).unwrap());
    let (dossiers, tickets) = (asked_by(world.ctx(), "dossier", None), asked_by(world.ctx(), "ticket", None));
    // A tenant sees none of these, whatever an operator was answered a moment ago.
    assert!(asked_by(world.tenant_ctx("default"), "dossier", Some(dossiers)) != dossiers);
    world.put_tenant("acme");
    assert!(asked_by(world.operator_ctx("acme"), "ticket", Some(tickets)) != tickets);
}

/// Whatever is written: who is told that he has the list has it, and the other way around.
#[derive(Clone, Debug)]
enum Deed {
    Make(u8, bool),
    Sell(u8),
    Move(u8, bool),
    Delete(u8),
    Order,
    Ask(bool),
    Restart,
}

fn deed() -> impl Strategy<Value = Deed> {
    let n = 0..4_u8;
    prop_oneof![
        2 => (n.clone(), any::<bool>()).prop_map(|(n, zone)| Deed::Make(n, zone)),
        1 => n.clone().prop_map(Deed::Sell),
        2 => (n.clone(), any::<bool>()).prop_map(|(n, zone)| Deed::Move(n, zone)),
        1 => n.prop_map(Deed::Delete),
        1 => Just(Deed::Order),
        6 => any::<bool>().prop_map(Deed::Ask),
        1 => Just(Deed::Restart),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn who_is_told_that_he_has_it_has_it(deeds in proptest::collection::vec(deed(), 1..40)) {
        let mut world = World::new();
        let zone = |it: bool| if it { "a" } else { "b" };
        let mut last: [Option<(ListTag, Vec<bytes::Bytes>)>; 2] = [None, None];
        for deed in deeds {
            let (service, ctx, ty) = of(&world, "ticket");
            let at = |n: u8| id(&format!("t{n}"));
            match deed {
                Deed::Make(n, it) => {
                    let serde_json::Value::Object(body) = json!({ "id": at(n).as_str(), "zone": zone(it) }) else { unreachable!() };
                    let _ = world.run(service.create_resource(&ctx, &ty, body, Write::plain()));
                }
                Deed::Sell(n) => drop(world.step("ticket", at(n).as_str(), "sell")),
                Deed::Move(n, it) => {
                    let patch = json!({ "zone": zone(it) });
                    let _ = world.run(service.patch_resource(&ctx, &ty, &at(n), patch, IfMatch::None, Write::plain()));
                }
                Deed::Delete(n) => drop(world.run(service.delete_resource(&ctx, &ty, &at(n), IfMatch::None, Write::plain()))),
                Deed::Order => drop(world.create("order", json!({}))),
                Deed::Restart => world.crash(),
                Deed::Ask(it) => {
                    let known = &mut last[usize::from(it)];
                    let Listing::Page { page, .. } = world.run(list(of(&world, "ticket"), Some(zone(it)), None, 0)).unwrap() else { unreachable!() };
                    let has = known.as_ref().map(|it| it.0);
                    match world.run(list(of(&world, "ticket"), Some(zone(it)), has, 0)).unwrap() {
                        Listing::Known(tag) => prop_assert_eq!(&Some((tag, page.rows)), &*known),
                        Listing::Page { page: got, tag } => {
                            prop_assert_eq!(&got.rows, &page.rows);
                            prop_assert!(known.as_ref().is_none_or(|it| it.1 != got.rows || it.0 != tag));
                            *known = Some((tag, got.rows));
                        }
                    }
                }
            }
        }
    }
}

/// Several threads: what is read is never older than what the store said before it was asked.
#[test]
fn nothing_stale_is_read_while_others_write() {
    let world = World::new();
    for n in 0..3 {
        world.create("ticket", json!({ "id": format!("t{n}") }));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap();
    let (service, store, ctx, ty) = (&world.service, &world.store, world.ctx(), world.ty("ticket"));
    let tenant = ctx.tenant().unwrap().clone();
    runtime.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..3 {
            let (service, ctx, ty) = (service.clone(), ctx.clone(), Arc::clone(&ty));
            tasks.spawn(async move {
                let at = id(&format!("t{n}"));
                for seat in 0..300 {
                    let patch = json!({ "seat": seat });
                    let made = fresh(service.patch_resource(&ctx, &ty, &at, patch, IfMatch::None, Write::plain()).await.unwrap());
                    let read = service.resource(&ctx, &ty, &at).await.unwrap();
                    assert_eq!((read.version, read.body), (made.version, made.body), "only this task writes it");
                }
            });
        }
        for reader in 0..6 {
            let (service, store, ctx, ty, tenant) = (service.clone(), Arc::clone(store), ctx.clone(), Arc::clone(&ty), tenant.clone());
            tasks.spawn(async move {
                let at = id(&format!("t{}", reader % 3));
                let mut last = 0;
                while last < 301 {
                    let floor = store.resource(&tenant, &ty.compiled.decl.name, &at).await.unwrap().unwrap().resource.version;
                    let read = service.resource(&ctx, &ty, &at).await.unwrap().version;
                    assert!(read >= floor && read >= last, "{read} after {floor} and {last}");
                    last = read;
                    tokio::task::yield_now().await;
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
    });
}
