//! `/openapi.json`: what is in it, for whom, and that every example of it is true.

use crate::world::{World, settle};
use ringback_model::{delivery::Outcome, key::Authority, limits};
use ringback_ports::fake::sender::answered;
use ringback_server::{
    openapi::{
        self,
        examples::{CURSOR, ID, KEY, RESOURCE, SECRET, TIME},
    },
    routes::{About, Op, ROUTES},
};
use ringback_service::CompiledType;
use serde_json::{Map, Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("two below the root").to_owned()
}

/// The types that are shipped, in order of name.
fn shipped() -> Vec<Value> {
    ["deployment", "message", "payment", "table"]
        .iter()
        .map(|it| {
            let text = fs::read_to_string(root().join(format!("examples/types/{it}.yaml"))).expect("a type file");
            serde_saphyr::from_str(&text).expect("YAML")
        })
        .collect()
}

async fn shipped_world() -> World {
    World::of_types(limits::WAITERS_MAX, &shipped()).await
}

fn document_of_shipped(authority: Authority) -> Value {
    let types: Vec<_> = shipped().iter().map(|it| CompiledType::load(it).expect("a good type")).collect();
    openapi::document(&types.iter().map(|it| &it.decl).collect::<Vec<_>>(), authority, "http://127.0.0.1:7464")
}

fn updating() -> bool {
    std::env::var_os("UPDATE_EXPECT").is_some()
}

/// Every operation of a document: method, path, operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let paths = document["paths"].as_object().expect("paths");
    let each = |(path, methods): (&String, &Value)| {
        let methods = methods.as_object().expect("methods");
        methods.iter().map(|(method, it)| (method.to_uppercase(), path.clone(), it.clone())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(each).collect()
}

// ---- what is in it

#[test]
fn the_committed_document_is_what_the_code_makes() {
    let file = root().join("openapi/v1.json");
    let made = openapi::text(&document_of_shipped(Authority::Operator));
    if updating() {
        fs::write(&file, &made).expect("it is written");
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == made,
        "openapi/v1.json is not what the code makes: `cargo run -- openapi > openapi/v1.json`, or run this test with UPDATE_EXPECT=1, and look at the difference"
    );
}

#[test]
fn every_route_is_in_it_whole() {
    let document = document_of_shipped(Authority::Operator);
    for route in ROUTES {
        let path = route.path.replace("{path}", "/payment").replace("{transition}", "refund");
        let operation = &document["paths"][&path][route.method.as_str().to_lowercase()];
        let here = format!("{} {path}", route.method);
        if operation.is_null() && is_of_mirrors(route.op) {
            continue;
        }
        assert!(operation["summary"].is_string(), "{here} is not described: say what it is in crates/server/src/openapi/operation.rs");
        let of = |place: &str| -> BTreeSet<String> {
            let all = operation["parameters"].as_array().into_iter().flatten();
            all.filter(|it| it["in"] == place).map(|it| it["name"].as_str().expect("a name").to_owned()).collect()
        };
        let in_path: BTreeSet<String> =
            path.split('/').filter_map(|it| Some(it.strip_prefix('{')?.strip_suffix('}')?.to_owned())).collect();
        assert_eq!(of("path"), in_path, "{here}: parameters in the path are described in crates/server/src/openapi/common.rs");
        for name in route.params.names().iter().filter(|it| **it != "source_version") {
            assert!(of("query").contains(*name), "{here}: the parameter `{name}` is described in crates/server/src/openapi/common.rs");
        }
        let answers = operation["responses"].as_object().expect("responses");
        assert!(answers.keys().any(|it| it.starts_with('2')), "{here} has no answer for when all went well");
        assert_eq!(answers.contains_key("401"), route.about != About::Nobody || matches!(route.op, Op::OpenApi | Op::Docs), "{here}");
    }
}

/// Routes that the payment type doesn't have, because it isn't mirrored.
fn is_of_mirrors(op: Op) -> bool {
    op == Op::ResourcePut
}

#[test]
fn every_reference_leads_somewhere_and_every_id_is_one() {
    for authority in [Authority::Operator, Authority::Tenant] {
        let document = document_of_shipped(authority);
        let text = document.to_string();
        for target in text.split("\"#/").skip(1).filter_map(|it| it.split('"').next()) {
            assert!(document.pointer(&format!("/{target}")).is_some(), "#/{target} leads nowhere");
        }
        let mut ids = BTreeSet::new();
        for (method, path, it) in operations(&document) {
            assert!(ids.insert(it["operationId"].as_str().expect("an id").to_owned()), "{method} {path} has the id of another");
            for tag in it["tags"].as_array().expect("tags") {
                assert!(document["tags"].as_array().expect("tags").iter().any(|it| it["name"] == *tag), "{method} {path}: {tag}");
            }
        }
    }
}

#[test]
fn every_code_is_on_some_route() {
    let text = document_of_shipped(Authority::Operator)["components"]["responses"].to_string();
    for code in ringback_wire::ErrorCode::ALL {
        // That one is answered where no operation is.
        let nowhere = code.as_str() == "method-not-allowed" || code.as_str() == "mirrored";
        assert!(
            nowhere || text.contains(&format!("\"{code}\"")),
            "no route lists `{code}`: add it in crates/server/src/openapi/operation.rs"
        );
    }
}

// ---- for whom

#[tokio::test]
async fn who_asks_decides_what_is_in_it() {
    let (world, acme, _) = World::of_two().await;
    let paths = |it: &Value| it["paths"].as_object().expect("paths").keys().cloned().collect::<BTreeSet<_>>();
    let all = world.get("/openapi.json").await.json();
    let tenants = world.get("/openapi.json").key(&acme).await.json();
    let nobodys = world.get("/openapi.json").without("authorization").await.json();
    assert_eq!(tenants, nobodys, "an API is read about before one has a key");
    assert_eq!(world.get("/openapi.json").over_the_socket().await.json(), all);
    for path in ["/v1/tenants", "/internal/dossier", "/payment/{id}/complete"] {
        assert!(paths(&all).contains(path) && !paths(&tenants).contains(path), "{path}");
    }
    for path in ["/payment", "/payment/{id}/refund", "/note/{id}", "/v1/subscriptions"] {
        assert!(paths(&tenants).contains(path), "{path}");
    }
    assert!(tenants["paths"]["/payment"]["post"].is_null() && all["paths"]["/payment"]["post"].is_object());
    assert!(!tenants.to_string().contains("dossier"), "what only operators may know of");
    assert_eq!(world.get("/openapi.json").key("rbk_no").await.code(), "401 unauthenticated");
    assert_eq!(world.get("/openapi.json?for=me").await.code(), "400 bad-parameter");
    for path in ["/openapi.json", "/docs"] {
        let tag = world.get(path).await.header("etag").to_owned();
        let known = world.get(path).header("if-none-match", &tag).await;
        assert_eq!((known.status, known.body.len(), known.header("etag"), known.header("vary")), (304, 0, tag.as_str(), "authorization"));
        assert_eq!(world.get(path).key(&acme).header("if-none-match", &tag).await.status, 200, "a tenant has another one");
        assert_eq!(world.get(path).header("if-none-match", "no tag").await.code(), "400 bad-parameter");
    }
    let head = world.ask("HEAD", "/openapi.json").await;
    assert_eq!((head.status, head.body.len()), (200, 0));
}

#[tokio::test]
async fn it_follows_the_types() {
    let world = World::new().await;
    let before = world.get("/openapi.json").await;
    assert_eq!(before.body, world.get("/openapi.json").await.body);
    world.put("/v1/types/parcel", json!({ "type": "parcel", "lifecycle": "packed -> sent" })).await;
    let after = world.get("/openapi.json").await.json();
    assert!(after["paths"]["/parcel/{id}/sent"].is_object() && before.json()["paths"]["/parcel/{id}/sent"].is_null());
    world.delete("/v1/types/parcel").await;
    assert_eq!(world.get("/openapi.json").await.body, before.body);
}

/// A type that uses all that schemas can refer with.
fn tangled() -> Value {
    json!({
        "type": "knot",
        "lifecycle": {
            "initial": "a",
            "statuses": { "a": {}, "b": { "done": true } },
            "transitions": {
                "new": { "from": ["a"], "to": "a", "event": "knot.new", "input": { "type": "object", "required": ["new"], "properties": { "new": { "$ref": "#/$defs/n" } }, "$defs": { "n": { "type": "integer" } } } },
                "fields": { "from": ["a"], "to": "b", "event": "knot.fields" },
            },
        },
        "schema": {
            "$id": "https://example.com/knot",
            "type": "object",
            "required": ["k"],
            "properties": {
                "k": { "type": "string", "description": "</code><script>alert(1)</script> [x](javascript:alert(1))" },
                "child": { "$ref": "#" },
                "tree": { "$ref": "#/$defs/tree" },
                "small": { "$ref": "#small" },
                "same": { "$ref": "https://example.com/knot#/$defs/small" },
                "free": { "$dynamicRef": "#free" },
                "other": { "$ref": "#/$defs/other" },
                "nested": { "type": ["object", "null"], "required": ["x", "y"], "properties": { "x": { "type": "integer" }, "y": { "type": "integer" } } },
                "any": true,
                "$ref": { "type": "string" },
                "const": { "$ref": "#/$defs/small" },
            },
            "patternProperties": { "^s": { "type": "integer" } },
            "additionalProperties": { "type": "string" },
            "$defs": {
                "small": { "$anchor": "small", "type": "integer", "maximum": 9 },
                "free": { "$dynamicAnchor": "free", "type": "integer" },
                "tree": { "type": "object", "properties": { "kids": { "type": "array", "items": { "$ref": "#/$defs/tree" } } } },
                "other": { "$id": "https://example.com/other", "properties": { "it": { "$ref": "#/$defs/it" } }, "$defs": { "it": { "type": "boolean" } } },
            },
        },
        "examples": [{ "k": "x" }],
    })
}

#[tokio::test]
async fn schemas_that_refer_to_themselves_are_described() {
    let world = World::of_types(limits::WAITERS_MAX, &[tangled()]).await;
    let document = world.get("/openapi.json").await.json();
    let text = document.to_string();
    for target in text.split("\"$ref\":\"").skip(1).filter_map(|it| it.split('"').next()) {
        let found = target.strip_prefix('#').filter(|it| it.starts_with('/')).and_then(|it| document.pointer(it));
        assert!(found.is_some(), "{target} leads nowhere");
    }
    assert_eq!(
        document["components"]["schemas"]["resource.knot.step.new"]["required"],
        json!(["new"]),
        "an input, and not the body of a new one"
    );
    let page = world.get("/docs").await;
    let ids: BTreeSet<_> = page.text().split(" id=\"").skip(1).filter_map(|it| it.split('"').next()).collect();
    for link in page.text().split("href=\"#").skip(1).filter_map(|it| it.split('"').next()) {
        assert!(ids.contains(link), "the page links to #{link}, which isn't there");
    }
    assert!(!page.text().contains("<script") && !page.text().contains("href=\"javascript"), "what a type says is text");
    // Each of these is compared with the document.
    let whole = json!({
        "id": "1", "k": "a", "child": { "k": "b", "child": { "k": "c" } }, "tree": { "kids": [{ "kids": [] }] }, "small": 3, "same": 4,
        "free": 5, "other": { "it": true }, "nested": { "x": 1, "y": 2 }, "any": [1], "$ref": "r", "const": 6, "s1": 7, "more": "m",
    });
    let made = world.post("/knot", whole).await;
    assert_eq!(made.status, 201, "{}", made.show());
    assert_eq!(world.get("/knot").await.status, 200);
    let patch = json!({ "nested": { "x": 2 }, "child": { "child": null }, "tree": { "kids": null }, "other": null, "more": null, "s2": 1 });
    let patched = world.patch("/knot/1", patch).await;
    assert_eq!(patched.status, 200, "{}", patched.show());
    assert_eq!(patched.json()["nested"], json!({ "x": 2, "y": 2 }));
    assert_eq!(world.post("/knot/1/new", json!({ "new": 1 })).await.status, 200);
    assert_eq!(world.post("/knot", json!({ "k": "a", "child": {} })).await.code(), "422 validation-failed");
}

// ---- examples

/// What chance and time decide, as the examples show it.
fn canonical(value: &Value, name: &str) -> Value {
    match value {
        Value::Object(all) => all.iter().map(|(name, it)| (name.clone(), canonical(it, name))).collect::<Map<_, _>>().into(),
        Value::Array(all) => all.iter().map(|it| canonical(it, name)).collect::<Vec<_>>().into(),
        Value::String(text) => {
            let is_time = text.len() == TIME.len() && text.ends_with('Z') && text.as_bytes()[10] == b'T';
            let made = text.rsplit_once('_').filter(|it| it.1.len() == ID.len()).map(|it| format!("{}_{ID}", it.0));
            match name {
                "cursor" | "next_cursor" | "watch_cursor" | "ack" | "ticket" => CURSOR.into(),
                "url" if text.contains("ticket=") => format!("{}ticket={CURSOR}", text.split("ticket=").next().unwrap_or_default()).into(),
                "key" if text.starts_with("rbk_") => KEY.into(),
                "secret" => SECRET.into(),
                "why" if text.contains(" due at ") => format!("{} due at {TIME}", text.split(" due at ").next().unwrap_or_default()).into(),
                _ if is_time => TIME.into(),
                _ => made.map_or_else(|| text.as_str().into(), Value::from),
            }
        }
        other => other.clone(),
    }
}

/// What the examples of our own routes are about; what is shown of each id, and what it really is.
async fn stage(world: &World, method: &str, path: &str) -> BTreeMap<String, String> {
    const URL: &str = "https://yourapp.com/webhook/payment";
    let failed = Outcome::Failed { status_code: Some(503), reason: "status", retry_after: None };
    world.sender.script(URL, [answered(failed)]);
    world.put("/v1/types/parcel", json!({ "type": "parcel", "lifecycle": "packed -> sent" })).await;
    let subscription = world.post("/v1/subscriptions", json!({ "types": ["payment.*"], "push": { "url": URL } })).await.member("id");
    let key = world.post("/v1/keys", json!({ "role": "tenant", "tenant": "default" })).await.member("id");
    let made = world.post("/payment", json!({ "id": RESOURCE, "amount": 1999, "currency": "eur" })).await;
    world.sender.wait_for(1).await;
    settle().await;
    // Settlements are written in groups; the next try comes after a second or more.
    world.clock.advance(Duration::from_millis(500));
    settle().await;
    // One example makes it, the others pull from it.
    if method != "PUT" {
        let ledger = json!({ "types": ["payment.*"], "filter": "data.amount >= 1000", "from": "start", "order": "subject" });
        assert_eq!(world.put("/v1/subscriptions/ledger", ledger).await.status, 201);
    }
    let said = ["/ack", "/nack", "/extend"].iter().any(|it| path.ends_with(it));
    let ack = if said { world.post("/v1/subscriptions/ledger/pull", json!({})).await.member("ack") } else { CURSOR.to_owned() };
    let delivery = world.get("/v1/deliveries").await.json()["data"][0]["id"].as_str().expect("a delivery").to_owned();
    let event = made.header("ringback-event").to_owned();
    let replay = if path.starts_with("/v1/replays") {
        world.post("/v1/replays", json!({ "subscription": subscription })).await.member("id")
    } else {
        String::new()
    };
    [("sub", subscription), ("key", key), ("evt", event), ("dlv", delivery), ("rpl", replay)]
        .into_iter()
        .map(|(prefix, id)| (format!("{prefix}_{ID}"), id))
        .chain([(CURSOR.to_owned(), ack)])
        .collect()
}

/// Makes the resource that the examples of a type are about, and leads it to where `transition` starts.
async fn stage_type(world: &World, document: &Value, path: &str, transition: Option<&str>) {
    let types = world.service.types();
    let (ty, _) = types.route(path).expect("a type");
    let decl = &ty.compiled.decl;
    let mut body = decl.examples[0].clone();
    body["id"] = RESOURCE.into();
    let made = world.post(&decl.path, body).await;
    assert_eq!(made.status, 201, "{}", made.show());
    let Some(wanted) = transition.and_then(|it| decl.transition(it)) else { return };
    // The shortest way from the initial status, step by step.
    let mut ways: Vec<(String, Vec<String>)> = vec![(decl.lifecycle.initial.to_string(), Vec::new())];
    let mut at = 0;
    let way = loop {
        let (status, way) = ways[at].clone();
        if wanted.from.iter().any(|it| it.as_str() == status) {
            break way;
        }
        for step in decl.lifecycle.transitions.iter().filter(|it| it.from.iter().any(|it| it.as_str() == status)) {
            for to in &step.to {
                if !ways.iter().any(|it| it.0 == to.status.as_str()) {
                    ways.push((to.status.to_string(), way.iter().cloned().chain([step.name.to_string()]).collect()));
                }
            }
        }
        at += 1;
    };
    for step in way {
        let operation = &document["paths"][format!("{}/{{id}}/{step}", decl.path)]["post"];
        let input = &operation["requestBody"]["content"]["application/json"]["examples"]["one"]["value"];
        let ask = world.step(&format!("{}/{RESOURCE}/{step}", decl.path));
        let taken = if input.is_null() { ask.await } else { ask.json(input).await };
        assert_eq!(taken.status, 200, "{step}: {}", taken.show());
    }
}

/// The names of an operation's examples.
fn names(operation: &Value) -> BTreeSet<String> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let bodies = operation["requestBody"]["content"].as_object().into_iter().flat_map(|it| it.values());
    let answers = operation["responses"].as_object().into_iter().flat_map(|it| it.values());
    let answers = answers.filter_map(|it| it["content"].as_object()).flat_map(|it| it.values());
    parameters.chain(bodies).chain(answers).filter_map(|it| it["examples"].as_object()).flat_map(|it| it.keys().cloned()).collect()
}

#[tokio::test]
async fn every_example_is_true() {
    let document = document_of_shipped(Authority::Operator);
    let mut recorded = BTreeMap::new();
    let mut ran = 0;
    let mut wrong = Vec::new();
    for (method, path, operation) in operations(&document) {
        let ours = path.starts_with("/v1/") || operation["security"] == json!([]);
        let own = ROUTES.iter().find(|it| ours && it.path == path && it.method.as_str() == method);
        // An example without parameters and body shows up in the document once its answer is recorded.
        let all = own.map_or_else(|| names(&operation), |it| openapi::examples::names(it.op).into_iter().map(str::to_owned).collect());
        assert!(!all.is_empty() || own.is_none(), "{method} {path} has no example: give it one in crates/server/src/openapi/examples.rs");
        for name in all {
            let world = shipped_world().await;
            let mut ids = BTreeMap::new();
            if ours {
                ids = stage(&world, &method, &path).await;
            } else if method != "POST" || path.contains("{id}") {
                let transition = path.split("{id}/").nth(1).filter(|_| method == "POST");
                stage_type(&world, &document, &path, transition).await;
            }
            let (target, body) = request(&operation, &path, &name);
            let target = ids.iter().fold(target, |it, (shown, real)| it.replace(shown, real));
            let mut ask = world.ask(&method, &target);
            if !body.is_null() {
                let body = ids.iter().fold(body.to_string(), |it, (shown, real)| it.replace(shown, real));
                ask = ask.body(body).header("content-type", "application/json");
            }
            let reply = patiently(&world, ask).await;
            ran += 1;
            assert!((200..300).contains(&reply.status), "{method} {path} {name}: {}", reply.show());
            let answer = match serde_json::from_slice(&reply.body) {
                Ok(it) => canonical(&it, ""),
                Err(_) if reply.body.is_empty() => Value::Null,
                Err(_) => reply.text().into(),
            };
            if ours && !["/openapi.json", "/docs"].contains(&path.as_str()) {
                recorded.insert(format!("{method} {path} {name}"), answer.clone());
            }
            let media = operation["responses"][reply.status.to_string()]["content"].as_object().and_then(|it| it.values().next()).cloned();
            let shown = media.unwrap_or_default()["examples"][&name]["value"].clone();
            if !shown.is_null() && shown != answer {
                wrong.push(format!("{method} {path} {name} shows\n{shown}\nand answers\n{answer}"));
            }
        }
    }
    assert!(ran > 80, "{ran} examples were run");
    let file = root().join("crates/server/src/openapi/answers.json");
    let text = serde_json::to_string_pretty(&recorded).expect("JSON") + "\n";
    if updating() {
        fs::write(&file, &text).expect("it is written");
    }
    assert!(
        fs::read_to_string(&file).unwrap_or_default() == text,
        "crates/server/src/openapi/answers.json is not what is answered: run this test with UPDATE_EXPECT=1, look at the difference, and then make openapi/v1.json anew in the same way"
    );
    assert!(wrong.is_empty() || updating(), "{}", wrong.join("\n\n"));
}

/// The request of one example.
fn request(operation: &Value, path: &str, name: &str) -> (String, Value) {
    let mut target = path.to_owned();
    let mut query = Vec::new();
    for it in operation["parameters"].as_array().into_iter().flatten() {
        let value = match &it["examples"][name]["value"] {
            Value::Null => continue,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let place = it["name"].as_str().expect("a name");
        match it["in"].as_str() {
            Some("path") => target = target.replace(&format!("{{{place}}}"), &value),
            _ => query.push(format!("{place}={}", value.replace('%', "%25").replace(' ', "%20").replace('"', "%22").replace('>', "%3E"))),
        }
    }
    if !query.is_empty() {
        target = format!("{target}?{}", query.join("&"));
    }
    (target, operation["requestBody"]["content"]["application/json"]["examples"][name]["value"].clone())
}

/// Lets the clock go on while it waits.
async fn patiently(world: &World, ask: crate::world::Ask) -> crate::world::Reply {
    let mut reply = std::pin::pin!(ask.into_future());
    for _ in 0..10 {
        tokio::select! {
            biased;
            it = &mut reply => return it,
            () = settle() => world.clock.advance(Duration::from_secs(61)),
        }
    }
    panic!("no answer came in ten minutes of the clock");
}
