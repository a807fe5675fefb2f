//! What holds for each route of the table.

use crate::world::World;
use ringback_model::key::{Role, Scope, Scopes};
use ringback_server::routes::{About, Params, ROUTES, Route, Shape};
use serde_json::json;

/// A target that the route serves.
pub(crate) fn target(route: &Route) -> String {
    // Only mirrored resources are put.
    let path = if route.method.as_str() == "PUT" { "/invoice" } else { "/payment" };
    route
        .path
        .replace("{path}", path)
        .replace("{transition}", "complete")
        .replace("{n}", "1")
        .replace("{name}", "payment")
        .replace("{id}", "123")
}

#[tokio::test]
async fn each_needs_a_key() {
    let world = World::new().await;
    for route in ROUTES.iter().filter(|it| it.about != About::Nobody) {
        let reply = world.ask(route.method.as_str(), &target(route)).without("authorization").await;
        assert_eq!(reply.code(), "401 unauthenticated", "{} {}", route.method, route.path);
        assert_eq!(reply.header("www-authenticate"), "Bearer realm=\"ringback\"");
    }
}

#[tokio::test]
async fn each_needs_its_scope() {
    let world = World::new().await;
    for route in ROUTES {
        let Some(needs) = route.needs else { continue };
        let others: Vec<_> = Scope::ALL.iter().filter(|it| **it != needs).map(|it| it.as_str()).collect();
        let key = world.new_key(json!({ "role": "operator", "scopes": others })).await;
        let reply = world.ask(route.method.as_str(), &target(route)).key(&key).await;
        assert_eq!(reply.code(), "403 forbidden", "{} {}", route.method, route.path);
        assert_eq!(reply.member("required_scope"), needs.as_str());
    }
}

#[tokio::test]
async fn each_refuses_a_parameter_that_it_does_not_have() {
    let world = World::new().await;
    for route in ROUTES.iter().filter(|it| it.about != About::Nobody) {
        // The conditions of a list are fields of the type: they have a test of their own.
        let Params::Only(_) = route.params else { continue };
        let reply = world.ask(route.method.as_str(), &format!("{}?colour=red", target(route))).await;
        assert_eq!(reply.code(), "400 bad-parameter", "{} {}", route.method, route.path);
    }
}

#[tokio::test]
async fn each_says_which_other_methods_it_has() {
    let world = World::new().await;
    for route in ROUTES {
        let reply = world.ask("OPTIONS", &target(route)).await;
        assert_eq!(reply.code(), "405 method-not-allowed", "{}", route.path);
        assert!(reply.header("allow").split(", ").any(|it| it == route.method.as_str()), "{}", reply.header("allow"));
    }
}

#[tokio::test]
async fn head_is_wherever_get_is() {
    let world = World::new().await;
    world.payment("123").await;
    for route in ROUTES.iter().filter(|it| it.method.as_str() == "GET") {
        let get = world.get(&target(route)).await;
        let head = world.ask("HEAD", &target(route)).await;
        assert_eq!(head.status, get.status, "{}", route.path);
        assert_eq!(head.body.len(), 0, "{}", route.path);
        // Metrics count the request before, so the second answer is another one.
        if get.status == 200 && route.shape != Shape::Feed && route.path != "/metrics" {
            assert_eq!(head.header("content-length"), get.body.len().to_string(), "{}", route.path);
        }
    }
}

#[tokio::test]
async fn each_takes_a_star_or_says_why_not() {
    let (world, ..) = World::of_two().await;
    for route in ROUTES {
        let reply = world.ask(route.method.as_str(), &target(route)).tenant("*").await;
        match route.about {
            About::Tenant => assert_eq!(reply.code(), "400 tenant-required", "{} {}", route.method, route.path),
            _ => assert_ne!(reply.status, 500, "{} {}", route.method, route.path),
        }
    }
}

#[tokio::test]
async fn each_needs_a_tenant_when_there_are_several() {
    let (world, ..) = World::of_two().await;
    for route in ROUTES {
        let reply = world.ask(route.method.as_str(), &target(route)).await;
        match route.about {
            About::Tenant | About::TenantOrAll => {
                assert_eq!(reply.code(), "400 tenant-required", "{} {}", route.method, route.path);
            }
            About::Server | About::Nobody => assert_ne!(reply.code(), "400 tenant-required", "{} {}", route.method, route.path),
        }
    }
}

#[test]
fn what_only_operators_do_is_not_in_tenants_scopes() {
    let tenants = Scopes::of_role(Role::Tenant);
    let operators: Vec<_> = ROUTES
        .iter()
        .filter(|it| it.needs.is_some_and(|needs| !tenants.has(needs)))
        .map(|it| format!("{} {}", it.method, it.path))
        .collect();
    assert_eq!(
        operators,
        [
            "PUT /v1/types/{name}",
            "DELETE /v1/types/{name}",
            "GET /v1/tenants",
            "GET /v1/tenants/{id}",
            "PUT /v1/tenants/{id}",
            "GET /v1/erasures",
            "POST /v1/erasures"
        ]
    );
}
