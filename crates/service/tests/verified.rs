//! `verify` over what the service does: nothing that is as it should be is a finding.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod world;

use ringback_service::verify::verify;
use std::time::Duration;
use world::{World, types};

#[test]
fn a_condition_that_leaves_events_out_is_no_finding() {
    let world = World::new();
    let id = world.subscribe(|it| it.filter = Some("data.n >= 2".into())).view.subscription.id.clone();
    for no in 0..4 {
        world.publish("a.b", None, &format!("{{\"n\":{no}}}"));
    }
    world.pass(Duration::from_secs(1));
    assert_eq!(world.states(&id), ["delivered"; 2]);
    let report = world.run(verify(&*world.store, types())).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
}
