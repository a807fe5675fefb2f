//! Who may do what, for whom: keys, roles, scopes, tenants, and the types that
//! belong to nobody.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod world;

use ringback_model::{
    KeyId, TenantId,
    event::Scope,
    key::{Role, Scope as Permission, Scopes},
    tenant::Metadata,
};
use ringback_service::{Caller, Ctx, Error, IfMatch, KeyWritten, Needs, NewKey, WhyNot, Write};
use serde_json::json;
use std::time::Duration;
use world::{World, fresh};

fn new_key(role: Role) -> NewKey {
    NewKey { role, tenant: None, scopes: None, description: String::new(), expires_at: None, rate_max_per_s: None }
}

fn make(world: &World, ctx: &Ctx, new: NewKey) -> Result<KeyWritten, Error> {
    world.run(world.service.create_key(ctx, new, Write::plain())).map(fresh)
}

fn tenant(id: &str) -> Option<TenantId> {
    Some(TenantId::parse(id).unwrap())
}

fn as_caller(world: &World, made: &KeyWritten) -> Caller {
    world.service.authenticate(&made.text).unwrap()
}

fn scopes(all: &[Permission]) -> Scopes {
    Scopes::collect(all.iter().copied())
}

fn delete(world: &World, ctx: &Ctx, id: KeyId) -> Result<(), Error> {
    world.run(world.service.delete_key(ctx, id, Write::plain())).map(drop)
}

#[test]
fn a_key_is_who_it_was_made_for_until_it_ends() {
    let mut world = World::new();
    world.put_tenant("acme");
    let until = world.now() + Duration::from_secs(60);
    let made =
        make(&world, &world.server_ctx(), NewKey { tenant: tenant("acme"), expires_at: Some(until), ..new_key(Role::Tenant) }).unwrap();
    world.crash();
    let caller = as_caller(&world, &made);
    assert_eq!((caller.role, caller.tenant.clone()), (Role::Tenant, tenant("acme")));
    let refused = |text: &str, why: WhyNot| match world.service.authenticate(text) {
        Err(Error::Unauthenticated(it)) => assert_eq!(it, why, "{text}"),
        other => panic!("{other:?}"),
    };
    refused("", WhyNot::Malformed);
    refused("rbk_", WhyNot::Malformed);
    refused(&made.text[..made.text.len() - 1], WhyNot::Mistyped);
    let other = make(&world, &world.server_ctx(), new_key(Role::Operator)).unwrap();
    delete(&world, &world.server_ctx(), make(&world, &world.server_ctx(), new_key(Role::Operator)).unwrap().key.id).unwrap();
    world.clock.set(until);
    refused(&made.text, WhyNot::Expired);
    delete(&world, &world.server_ctx(), made.key.id).unwrap();
    refused(&made.text, WhyNot::Unknown);
    assert!(world.service.authenticate(&other.text).is_ok());
}

#[test]
fn the_tenant_of_a_request() {
    let world = World::new();
    let operator = make(&world, &world.server_ctx(), new_key(Role::Operator)).unwrap();
    let gateway = make(&world, &world.server_ctx(), new_key(Role::Gateway)).unwrap();
    let ctx = |made: &KeyWritten, named: Option<&str>, star: bool| {
        world.service.ctx(as_caller(&world, made), named, Permission::EventsRead, star).map(|it| it.scope)
    };
    let of = |id: &str| Scope::Tenant(TenantId::parse(id).unwrap());
    assert_eq!(ctx(&operator, None, false).unwrap(), of("default"), "while it is the only one");
    world.put_tenant("acme");
    let own = make(&world, &world.server_ctx(), NewKey { tenant: tenant("acme"), ..new_key(Role::Tenant) }).unwrap();
    for made in [&operator, &gateway] {
        assert!(matches!(ctx(made, None, true), Err(Error::TenantRequired { tenants: 2 })));
        assert_eq!(ctx(made, Some("acme"), false).unwrap(), of("acme"));
        assert!(matches!(ctx(made, Some("nobody"), true), Err(Error::TenantUnknown { .. })));
    }
    assert_eq!(ctx(&operator, Some("*"), true).unwrap(), Scope::All);
    assert!(matches!(ctx(&operator, Some("*"), false), Err(Error::StarNotPossible)));
    assert!(matches!(ctx(&gateway, Some("*"), true), Err(Error::TenantUnknown { .. })));
    assert_eq!(ctx(&own, None, true).unwrap(), of("acme"));
    assert_eq!(ctx(&own, Some("acme"), true).unwrap(), of("acme"));
    for other in ["default", "*", "nobody", ""] {
        assert!(matches!(ctx(&own, Some(other), true), Err(Error::TenantUnknown { .. })), "{other}");
    }
}

#[test]
fn nobody_makes_a_key_that_may_do_more() {
    let world = World::new();
    world.put_tenant("acme");
    let server = world.server_ctx();
    let narrow = scopes(&[Permission::KeysWrite, Permission::EventsRead]);
    let operator = make(&world, &server, NewKey { scopes: Some(narrow), ..new_key(Role::Operator) }).unwrap();
    let gateway = make(&world, &server, new_key(Role::Gateway)).unwrap();
    let own = make(&world, &server, NewKey { tenant: tenant("acme"), scopes: Some(narrow), ..new_key(Role::Tenant) }).unwrap();
    let ctx = |made: &KeyWritten, named: Option<&str>| {
        let caller = as_caller(&world, made);
        match named {
            None => world.service.server_ctx(caller, Permission::KeysWrite),
            named => world.service.ctx(caller, named, Permission::KeysWrite, true),
        }
        .unwrap()
    };
    // Unless it is said otherwise, what both may do.
    let child = make(&world, &ctx(&operator, None), NewKey { tenant: tenant("acme"), ..new_key(Role::Tenant) }).unwrap();
    assert_eq!(child.key.scopes, narrow);
    assert_eq!(make(&world, &ctx(&operator, None), new_key(Role::Operator)).unwrap().key.scopes, narrow);
    let more = Some(scopes(&[Permission::EventsRead, Permission::EventsPublish]));
    for (made, role, of) in [(&operator, Role::Operator, None), (&operator, Role::Tenant, tenant("acme")), (&own, Role::Tenant, None)] {
        let refused = make(&world, &ctx(made, None), NewKey { tenant: of, scopes: more, ..new_key(role) });
        assert!(matches!(&refused, Err(Error::Field { pointer, .. }) if pointer == "/scopes"), "{refused:?}");
    }
    // A tenant's key never has what is an operator's.
    let refused = make(
        &world,
        &server,
        NewKey { tenant: tenant("acme"), scopes: Some(scopes(&[Permission::TenantsWrite])), ..new_key(Role::Tenant) },
    );
    assert!(matches!(&refused, Err(Error::Field { pointer, .. }) if pointer == "/scopes"), "{refused:?}");
    // Roles above one's own.
    for made in [&gateway, &own] {
        for role in [Role::Operator, Role::Gateway] {
            let refused = make(&world, &ctx(made, Some("acme")), new_key(role));
            assert!(matches!(refused, Err(Error::Forbidden(Needs::Operator { .. }))), "{refused:?}");
        }
        // Other tenants.
        let refused = make(&world, &ctx(made, Some("acme")), NewKey { tenant: tenant("default"), ..new_key(Role::Tenant) });
        assert!(matches!(refused, Err(Error::TenantUnknown { .. })), "{refused:?}");
    }
    let made = make(&world, &ctx(&gateway, Some("acme")), new_key(Role::Tenant)).unwrap();
    assert_eq!(made.key.tenant, tenant("acme"));
    let refused = make(&world, &server, new_key(Role::Tenant));
    assert!(matches!(refused, Err(Error::TenantRequired { .. })));
    let refused = make(&world, &server, NewKey { tenant: tenant("acme"), ..new_key(Role::Gateway) });
    assert!(matches!(&refused, Err(Error::Field { pointer, .. }) if pointer == "/tenant"));
    let refused = make(&world, &server, NewKey { tenant: tenant("nobody"), ..new_key(Role::Tenant) });
    assert!(matches!(refused, Err(Error::TenantUnknown { .. })));
    // What a narrowed key lacks, it lacks everywhere.
    let refused = world.service.ctx(as_caller(&world, &own), None, Permission::EventsPublish, false);
    assert!(matches!(refused, Err(Error::Forbidden(Needs::Scope(Permission::EventsPublish)))));
    let refused = world.service.server_ctx(as_caller(&world, &operator), Permission::TenantsWrite);
    assert!(matches!(refused, Err(Error::Forbidden(Needs::Scope(Permission::TenantsWrite)))));
}

#[test]
fn keys_of_others_are_not_there() {
    let world = World::new();
    world.put_tenant("acme");
    let server = world.server_ctx();
    let operator = make(&world, &server, new_key(Role::Operator)).unwrap().key.id;
    let gateway = make(&world, &server, new_key(Role::Gateway)).unwrap();
    let acme = make(&world, &server, NewKey { tenant: tenant("acme"), ..new_key(Role::Tenant) }).unwrap();
    let other = make(&world, &server, NewKey { tenant: tenant("default"), ..new_key(Role::Tenant) }).unwrap().key.id;
    let seen = |ctx: &Ctx| world.service.keys(ctx, 10, None).unwrap().items.len();
    let own = world.service.ctx(as_caller(&world, &acme), None, Permission::KeysWrite, true).unwrap();
    let named = world.service.ctx(as_caller(&world, &gateway), Some("acme"), Permission::KeysWrite, true).unwrap();
    for ctx in [&own, &named] {
        assert_eq!(seen(ctx), 1);
        for id in [operator, gateway.key.id, other] {
            assert!(matches!(world.service.key(ctx, id), Err(Error::NotFound { .. })));
            assert!(matches!(delete(&world, ctx, id), Err(Error::NotFound { .. })));
        }
    }
    // A gateway that names no tenant has none's keys before it.
    let nobody = world.service.server_ctx(as_caller(&world, &gateway), Permission::KeysWrite).unwrap();
    assert_eq!(seen(&nobody), 0);
    assert!(matches!(delete(&world, &nobody, other), Err(Error::NotFound { .. })));
    assert_eq!(seen(&server), 4);
    // Pages of them.
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = world.service.keys(&server, 3, after.as_deref()).unwrap();
        all.extend(page.items.iter().map(|it| it.id));
        match page.next_cursor {
            None => break,
            next => after = next,
        }
    }
    assert_eq!(all.len(), 4);
    assert!(all.is_sorted());
}

#[test]
fn the_last_key_that_opens_the_door_stays() {
    let world = World::new();
    let server = world.server_ctx();
    let first = make(&world, &server, new_key(Role::Operator)).unwrap().key.id;
    assert!(matches!(delete(&world, &server, first), Err(Error::Conflict { .. })));
    // Neither one that ends nor one that may not make keys replaces it.
    let soon = Some(world.now() + Duration::from_secs(1));
    let short = make(&world, &server, NewKey { expires_at: soon, ..new_key(Role::Operator) }).unwrap().key.id;
    let narrow = Some(scopes(&[Permission::EventsRead]));
    let weak = make(&world, &server, NewKey { scopes: narrow, ..new_key(Role::Operator) }).unwrap().key.id;
    world.clock.advance(Duration::from_secs(2));
    assert!(matches!(delete(&world, &server, first), Err(Error::Conflict { .. })));
    delete(&world, &server, short).unwrap();
    delete(&world, &server, weak).unwrap();
    make(&world, &server, new_key(Role::Operator)).unwrap();
    delete(&world, &server, first).unwrap();
}

#[test]
fn an_operators_own_key_is_accepted_once_and_the_first_made_once() {
    let mut world = World::new();
    let first = world.run(world.service.first_key(|_| Ok(()))).unwrap().unwrap();
    assert!(world.run(world.service.first_key(|_| Ok(()))).unwrap().is_none());
    assert_eq!(world.service.authenticate(&first).unwrap().role, Role::Operator);
    world.run(world.service.accept_operator_key(&first)).unwrap();
    assert_eq!(world.service.keys(&world.server_ctx(), 10, None).unwrap().items.len(), 1);
    assert!(world.run(world.service.accept_operator_key("secret")).is_err());
    world.crash();
    assert!(world.run(world.service.first_key(|_| Ok(()))).unwrap().is_none());
    assert!(world.service.authenticate(&first).is_ok());
    let world = World::new();
    assert!(world.run(world.service.first_key(|_| Err("the file is not writable".into()))).is_err());
    assert!(world.service.keys(&world.server_ctx(), 10, None).unwrap().items.is_empty(), "no key that nobody knows");
}

#[test]
fn tenants_are_made_by_operators_and_changed_by_what_is_given() {
    let mut world = World::new();
    let put = |world: &World, ctx: &Ctx, name: Option<&str>, metadata: Option<Metadata>, if_match: IfMatch| {
        let id = TenantId::parse("acme").unwrap();
        world.run(world.service.put_tenant(ctx, id, name.map(Into::into), metadata, if_match, Write::plain())).map(fresh)
    };
    let server = world.server_ctx();
    let refused = put(&world, &world.tenant_ctx("default"), None, None, IfMatch::None);
    assert!(matches!(refused, Err(Error::Forbidden(Needs::Operator { .. }))));
    assert!(matches!(put(&world, &server, None, None, IfMatch::Any), Err(Error::PreconditionFailed { current: 0, .. })));
    let metadata = Metadata::from([("plan".into(), "gold".into())]);
    let made = put(&world, &server, Some("Acme"), Some(metadata.clone()), IfMatch::None).unwrap();
    assert!(made.created);
    let changed = put(&world, &server, Some("Acme Inc"), None, IfMatch::Versions(vec![1])).unwrap();
    assert!(!changed.created);
    assert_eq!((changed.tenant.version, changed.tenant.name.as_str(), &changed.tenant.metadata), (2, "Acme Inc", &metadata));
    assert_eq!(changed.tenant.data_key, made.tenant.data_key, "what is sealed with it still opens");
    assert!(matches!(put(&world, &server, None, None, IfMatch::Versions(vec![1])), Err(Error::PreconditionFailed { current: 2, .. })));
    world.crash();
    let acme = TenantId::parse("acme").unwrap();
    assert_eq!(world.service.tenant(&world.server_ctx(), &acme).unwrap(), changed.tenant);
    assert!(matches!(world.service.tenant(&world.tenant_ctx("default"), &acme), Err(Error::NotFound { .. })));
    let names = |limit, after: Option<&str>| world.service.tenants(&world.server_ctx(), limit, after).unwrap();
    let first = names(1, None);
    assert_eq!(first.items[0].id, acme);
    let second = names(1, first.next_cursor.as_deref());
    assert_eq!((second.items[0].id.as_str(), second.next_cursor), ("default", None));
}

#[test]
fn many_that_make_one_tenant_make_it_once() {
    let world = World::new();
    let all: Vec<_> = (0..10)
        .map(|_| {
            let (service, ctx) = (world.service.clone(), world.server_ctx());
            world.spawn(async move {
                let id = TenantId::parse("acme").unwrap();
                service.put_tenant(&ctx, id, None, None, IfMatch::None, Write::plain()).await.map(fresh)
            })
        })
        .collect();
    let made: Vec<_> = all.into_iter().map(|it| world.run(it).unwrap().unwrap()).collect();
    assert_eq!(made.iter().filter(|it| it.created).count(), 1);
}

#[test]
fn types_of_files_are_read_only_and_others_take_part_in_the_whole() {
    let mut world = World::new();
    let server = world.server_ctx();
    let put = |world: &World, source: serde_json::Value, if_match: IfMatch| {
        let name = source["type"].as_str().unwrap().parse().unwrap();
        world.run(world.service.put_type(&world.server_ctx(), name, source, if_match, Write::plain())).map(fresh)
    };
    let order = "order".parse().unwrap();
    assert!(matches!(put(&world, json!({ "type": "order", "lifecycle": "a -> b" }), IfMatch::None), Err(Error::ManagedByFile { .. })));
    let deleted = world.run(world.service.delete_type(&server, &order, IfMatch::None, Write::plain()));
    assert!(matches!(deleted, Err(Error::ManagedByFile { .. })));
    let clash = put(&world, json!({ "type": "parcel", "path": "/order/parcel", "lifecycle": "a -> b" }), IfMatch::None);
    assert!(matches!(clash, Err(Error::TypeProblems(_))));
    let named = world.run(world.service.put_type(
        &server,
        "other".parse().unwrap(),
        json!({ "type": "parcel", "lifecycle": "a -> b" }),
        IfMatch::None,
        Write::plain(),
    ));
    assert!(matches!(&named, Err(Error::Field { pointer, .. }) if pointer == "/type"));
    let tenant = world.tenant_ctx("default");
    let refused = world.run(world.service.put_type(
        &tenant,
        "parcel".parse().unwrap(),
        json!({ "type": "parcel", "lifecycle": "a -> b" }),
        IfMatch::None,
        Write::plain(),
    ));
    assert!(matches!(refused, Err(Error::Forbidden(_))));
    assert!(put(&world, json!({ "type": "parcel", "lifecycle": "sent -> arrived" }), IfMatch::None).unwrap().created);
    world.crash();
    world.create("parcel", json!({ "id": "1" }));
    // Wider is fine, narrower is not while one is there.
    let wider = json!({ "type": "parcel", "lifecycle": "sent -> arrived | lost" });
    assert_eq!(put(&world, wider, IfMatch::Versions(vec![1])).unwrap().served.unwrap().version, 2);
    let moved = put(&world, json!({ "type": "parcel", "path": "/parcels", "lifecycle": "sent -> arrived | lost" }), IfMatch::None);
    assert!(matches!(moved, Err(Error::SchemaIncompatible { count: 1, .. })));
    let parcel = "parcel".parse().unwrap();
    let deleted = world.run(world.service.delete_type(&world.server_ctx(), &parcel, IfMatch::None, Write::plain()));
    assert!(matches!(deleted, Err(Error::TypeInUse { count: 1, .. })));
    let ty = world.ty("parcel");
    let id = "1".parse().unwrap();
    fresh(world.run(world.service.delete_resource(&world.ctx(), &ty, &id, IfMatch::None, Write::plain())).unwrap());
    fresh(world.run(world.service.delete_type(&world.server_ctx(), &parcel, IfMatch::Versions(vec![2]), Write::plain())).unwrap());
    assert!(world.service.types().by_name("parcel").is_none());
    assert!(world.service.types().route("/parcel/1").is_none());
}
