//! `docs/filters.md`, asked as it stands there.

use crate::world::{Ask, Reply, World};
use serde_json::json;
use std::time::Duration;

const DOC: &str = include_str!("../../../../../docs/filters.md");

/// The rows of the table whose first heading is this, without code marks.
fn table(heading: &str) -> Vec<Vec<String>> {
    let mut lines = DOC.lines().skip_while(|it| !it.starts_with(&format!("| {heading} |")));
    assert!(lines.next().is_some(), "no table of {heading}");
    let rows: Vec<Vec<String>> = lines
        .skip(1)
        .take_while(|it| it.starts_with('|'))
        .map(|it| it.trim_matches('|').split('|').map(|it| it.trim().trim_matches('`').to_owned()).collect())
        .collect();
    assert!(rows.len() >= 4, "{heading}: {rows:?}");
    rows
}

/// The payments of the document.
async fn four() -> World {
    let world = World::new().await;
    for row in table("id") {
        let [id, created_at, amount, currency, customer, status] = &row[..] else { panic!("{row:?}") };
        world.clock.advance(Duration::from_secs(1));
        let mut body = json!({ "id": id, "amount": amount.parse::<u32>().expect("a number"), "currency": currency });
        if !customer.is_empty() {
            body["customer"] = json!(customer);
        }
        let made = world.post("/payment", body).await;
        assert_eq!((made.status, made.member("created_at")), (201, created_at.replace('Z', ".000000Z")), "{}", made.text());
        match status.split(',').next() {
            Some("completed") => assert_eq!(world.step(&format!("/payment/{id}/complete")).await.status, 200),
            Some("failed") => assert_eq!(world.post(&format!("/payment/{id}/fail"), json!({ "code": "declined" })).await.status, 200),
            _ => assert_eq!(status, "created"),
        }
    }
    world
}

fn filtered(world: &World, filter: &str) -> Ask {
    world.get(&format!("/payment?filter={}", filter.bytes().map(|it| format!("%{it:02X}")).collect::<String>()))
}

#[track_caller]
fn ids(reply: &Reply) -> String {
    assert_eq!(reply.status, 200, "{}", reply.text());
    let rows = reply.json()["data"].as_array().cloned().unwrap_or_default();
    rows.iter().map(|it| it["id"].as_str().unwrap_or("?").to_owned()).collect::<Vec<_>>().join(", ")
}

#[tokio::test]
async fn the_examples_find_what_the_document_says() {
    let world = four().await;
    for row in table("filter | finds") {
        assert_eq!(ids(&filtered(&world, &row[0]).await), row[1], "{}", row[0]);
    }
}

#[tokio::test]
async fn what_is_refused_is_told_as_the_document_says() {
    let world = four().await;
    let without_marks = |text: &str| text.replace('`', "");
    for row in table("filter | code") {
        let reply = filtered(&world, &row[0]).await;
        let said = (reply.code(), without_marks(&reply.member("detail")));
        assert_eq!(said, (format!("400 {}", row[1]), without_marks(&row[2])), "{}", row[0]);
    }
}

#[tokio::test]
async fn parameters_mean_the_filter_beside_them() {
    let world = four().await;
    for row in table("parameters") {
        let found = ids(&world.get(&format!("/payment?{}", row[0])).await);
        assert_eq!(found, ids(&filtered(&world, &row[1]).await), "{}", row[0]);
        assert!(!found.is_empty(), "{}", row[0]);
    }
}
