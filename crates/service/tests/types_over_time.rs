//! Type files that change between two starts.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test ends where its expectation does")]

use ringback_model::{TenantId, Timestamp, event::Scope};
use ringback_ports::{
    fake::{FakeSeal, ManualClock, MemoryStore, ScriptedSender, SeededEntropy},
    store::{CommitError, Control, StoreError},
};
use ringback_service::{
    Caller, CompiledEvent, CompiledType, Config, Ctx, Declared, Deps, Error, FileType, NewEvent, Service, StartError, Write,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// A data directory that outlives its servers.
struct Home {
    store: Arc<MemoryStore>,
    starts: u64,
}

impl Home {
    fn new() -> Self {
        Self { store: Arc::new(MemoryStore::new()), starts: 0 }
    }

    async fn start(&mut self, files: &[Value]) -> Result<Service, StartError> {
        self.start_with(files, &[]).await
    }

    async fn start_with(&mut self, files: &[Value], events: &[Value]) -> Result<Service, StartError> {
        self.starts += 1;
        let deps = Deps {
            store: self.store.clone(),
            sender: Arc::new(ScriptedSender::new()),
            clock: Arc::new(ManualClock::at(Timestamp::from_secs(1_795_458_284))),
            entropy: Arc::new(SeededEntropy::new(self.starts)),
            seal: Arc::new(FakeSeal::default()),
        };
        let config = Config {
            public_url: "https://api.example.com".into(),
            dev: false,
            user_agent: "Ringback/test".into(),
            slots: 64,
            waiters_max: 100,
            waiters_per_key_max: 100,
            keep_events: std::time::Duration::from_secs(30 * 86_400),
        };
        let file = |it: &Value| FileType {
            file: format!("types/{}.yaml", it["type"].as_str().unwrap()),
            compiled: CompiledType::load(it).unwrap(),
        };
        let events = events.iter().map(|it| CompiledEvent::load(it).unwrap()).collect();
        Service::start_with(deps, config, Declared { types: files.iter().map(file).collect(), events }).await
    }

    async fn refused(&mut self, files: &[Value]) -> String {
        match self.start(files).await {
            Ok(_) => panic!("it started"),
            Err(why @ StartError::TypesChanged(_)) => why.to_string(),
            Err(other) => panic!("{other}"),
        }
    }
}

fn order(lifecycle: &str) -> Value {
    json!({ "type": "order", "lifecycle": lifecycle })
}

fn operator() -> Ctx {
    Ctx { caller: Caller::socket_operator(), scope: Scope::Tenant(TenantId::default_tenant()) }
}

async fn make(service: &Service, body: Value) {
    let ty = service.types().by_name("order").unwrap();
    let Value::Object(body) = body else { panic!("not a body") };
    service.create_resource(&operator(), &ty, body, Write::plain()).await.unwrap();
}

#[tokio::test]
async fn what_a_file_declares_is_kept_and_its_version_counts_its_changes() {
    let mut home = Home::new();
    for (lifecycle, version) in [("created -> paid", 1), ("created -> paid", 1), ("created -> paid | lost", 2)] {
        let service = home.start(&[order(lifecycle)]).await.unwrap();
        assert_eq!(service.types().by_name("order").unwrap().version, version);
        let kept = home.store.types().await.unwrap();
        assert_eq!((kept.len(), kept[0].version, kept[0].from_file, &kept[0].source), (1, version, true, &order(lifecycle)));
    }
}

#[tokio::test]
async fn a_start_stops_before_it_strands_what_is_stored() {
    let mut home = Home::new();
    let service = home.start(&[order("created -> paid")]).await.unwrap();
    make(&service, json!({ "id": "1" })).await;
    drop(service);
    assert_eq!(
        home.refused(&[order("new -> paid")]).await,
        "types/order.yaml: the declaration of `order` has changed, and what is stored doesn't fit it: 1 resource would break it: the status `created` is gone (1). Keep the old meaning, change those resources first, or declare a new type; `ringback types check --against` shows what a change takes away"
    );
    assert_eq!(
        home.refused(&[]).await,
        "no file declares the type `order` any more, and 1 resource of it is stored. Put its file back (`ringback types check` says whether it fits), or delete these resources first"
    );
    assert!(
        home.refused(&[json!({ "type": "order", "path": "/orders", "lifecycle": "created -> paid" })])
            .await
            .contains("1 resource of it is stored")
    );
    // A refused start has changed nothing: the old file still fits, and the status that nobody is in may go.
    let service = home.start(&[order("created -> paid")]).await.unwrap();
    assert_eq!(service.types().by_name("order").unwrap().version, 1);
    drop(service);
    home.start(&[order("created -> sent")]).await.unwrap();
}

#[tokio::test]
async fn a_file_goes_when_nothing_is_left_of_its_type() {
    let mut home = Home::new();
    home.start(&[order("created -> paid")]).await.unwrap();
    let service = home.start(&[]).await.unwrap();
    assert!(service.types().by_name("order").is_none());
    assert_eq!(home.store.types().await, Ok(Vec::new()));
}

#[tokio::test]
async fn a_type_that_was_put_is_not_missed_among_the_files() {
    let mut home = Home::new();
    let service = home.start(&[]).await.unwrap();
    let source = order("created -> paid");
    service.put_type(&operator(), "order".parse().unwrap(), source, ringback_service::IfMatch::None, Write::plain()).await.unwrap();
    make(&service, json!({})).await;
    drop(service);
    let service = home.start(&[]).await.unwrap();
    assert!(!service.types().by_name("order").unwrap().from_file);
    drop(service);
    // A file that takes it over is compared with what was put.
    assert!(home.refused(&[order("new -> paid")]).await.contains("the status `created` is gone (1)"));
    let service = home.start(&[order("created -> paid -> sent")]).await.unwrap();
    assert_eq!(service.types().by_name("order").map(|it| (it.from_file, it.version)), Some((true, 2)));
}

#[tokio::test]
async fn a_full_disk_stops_no_start() {
    let mut home = Home::new();
    home.start(&[order("created -> paid")]).await.unwrap();
    home.store.fail_next_commit(CommitError::Store(StoreError::Full));
    let service = home.start(&[order("created -> paid | lost")]).await.unwrap();
    assert!(service.types().by_name("order").unwrap().compiled.decl.lifecycle.statuses.len() == 3);
    drop(service);
    // What could not be kept is kept by the next one.
    home.start(&[order("created -> paid | lost")]).await.unwrap();
    assert_eq!(home.store.types().await.unwrap()[0].version, 2);
}

#[tokio::test]
async fn publishers_are_held_to_what_a_file_declares() {
    let mut home = Home::new();
    let shipped = json!({
        "type": "shipment.left",
        "schema": { "type": "object", "required": ["id"], "properties": { "id": { "type": "string" } } },
    });
    let service = home.start_with(&[], std::slice::from_ref(&shipped)).await.unwrap();
    let event = |data: &'static str| NewEvent {
        event_type: "shipment.left".parse().unwrap(),
        subject: None,
        data: data.into(),
        key: None,
        occurred_at: None,
        expires_at: None,
        audience: ringback_model::key::Authority::Tenant,
    };
    service.publish(&operator(), vec![event(r#"{"id":"7"}"#)], Write::plain()).await.unwrap();
    match service.publish(&operator(), vec![event(r#"{"id":"8"}"#), event(r#"{"id":8}"#)], Write::plain()).await {
        Err(Error::EventInvalid { index: Some(1), violations, .. }) => assert_eq!(violations[0].pointer, "/id"),
        other => panic!("{other:?}"),
    }
    let bounds = ringback_ports::store::Log::bounds(&*home.store, &Scope::All).await.unwrap();
    assert_eq!(bounds.last, 1, "all or nothing");
    drop(service);
    let clash = home.start_with(&[json!({ "type": "shipment", "lifecycle": "on -> off" })], &[shipped]).await;
    assert!(matches!(clash, Err(StartError::Types(why)) if why.contains("made by the type `shipment`")));
}
