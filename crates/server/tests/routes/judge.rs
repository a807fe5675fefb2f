//! Every answer that any test here gets is compared with the OpenAPI document:
//! its status, headers, media type and body, and the parameters and the body of
//! every request that was taken. So the document can't say what isn't so, and a
//! member, header or code that it lacks is a failing test.
//!
//! In the document objects are open, so that old clients bear new members; here
//! they are closed.

use crate::world::Reply;
use bytes::Bytes;
use http::HeaderMap;
use jsonschema::Validator;
use ringback_model::key::Authority;
use ringback_server::{
    openapi,
    routes::{self, Found, Method, Params},
};
use ringback_service::Service;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

struct Judge {
    document: Value,
    validators: Mutex<BTreeMap<String, Arc<Validator>>>,
}

static JUDGES: Mutex<BTreeMap<String, Arc<Judge>>> = Mutex::new(BTreeMap::new());

fn judge(service: &Service) -> Arc<Judge> {
    let types = service.types().list();
    let key: String = types.iter().map(|it| it.compiled.decl.source.to_string()).collect();
    let mut all = JUDGES.lock().unwrap_or_else(PoisonError::into_inner);
    let made = || {
        let decls: Vec<_> = types.iter().map(|it| &it.compiled.decl).collect();
        let mut document = openapi::document(&decls, Authority::Operator, "https://api.example.com");
        close(&mut document["paths"]);
        for (name, schema) in document["components"]["schemas"].as_object_mut().expect("schemas") {
            // What a type declares as open stays open.
            if !name.starts_with("resource.") {
                close(schema);
            }
        }
        Arc::new(Judge { document, validators: Mutex::default() })
    };
    Arc::clone(all.entry(key).or_insert_with(made))
}

/// Refuses members that aren't listed.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.iter_mut().filter(|it| it.0 != "examples").for_each(|it| close(it.1));
            if members.get("type").is_some_and(|it| it == "object") && members.contains_key("properties") {
                members.entry("additionalProperties").or_insert(false.into());
            }
        }
        Value::Array(all) => all.iter_mut().for_each(close),
        _ => {}
    }
}

impl Judge {
    /// What `value` breaks of the schema at `place`.
    fn violations(&self, place: &str, schema: &Value, value: &Value) -> Vec<String> {
        let made = || {
            let root = json!({ "components": self.document["components"], "allOf": [schema] });
            let built = jsonschema::options().with_draft(jsonschema::Draft::Draft202012).should_validate_formats(true).build(&root);
            Arc::new(built.unwrap_or_else(|it| panic!("{place}: no schema: {it}")))
        };
        let mut all = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        let validator = Arc::clone(all.entry(place.to_owned()).or_insert_with(made));
        validator.iter_errors(value).map(|it| format!("{}: {it}", it.instance_path())).collect()
    }
}

/// The path of the document that a request is about.
fn template(service: &Service, method: Method, path: &str) -> Option<(String, Params)> {
    if let Found::Route(route, _) = routes::find("", Some(method), path) {
        return Some((route.path.to_owned(), route.params));
    }
    let types = service.types();
    let (ty, rest) = types.route(path)?;
    let Found::Route(route, params) = routes::find("{path}", Some(method), rest) else { return None };
    let path = route.path.replace("{path}", &ty.compiled.decl.path);
    Some((path.replace("{transition}", params.get(1).unwrap_or(&"")), route.params))
}

/// The same of an answer whose body comes bit by bit, and is looked at by nobody here.
#[track_caller]
pub(crate) fn check_head(service: &Service, method: &str, target: &str, status: u16, headers: &HeaderMap) {
    let reply = Reply { status, headers: headers.clone(), body: Bytes::new() };
    if reply.headers.get("content-type").is_some_and(|it| it == "text/event-stream") {
        check(service, method, target, b"", &reply);
    }
}

/// Panics when the document doesn't have what was asked or answered.
#[track_caller]
pub(crate) fn check(service: &Service, method: &str, target: &str, sent: &[u8], reply: &Reply) {
    let asked = if method == "HEAD" { "GET" } else { method };
    let Some(known) = [Method::Get, Method::Post, Method::Put, Method::Patch, Method::Delete].into_iter().find(|it| it.as_str() == asked)
    else {
        return;
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let Some((template, params)) = template(service, known, path) else { return };
    let judge = judge(service);
    let operation = &judge.document["paths"][&template][asked.to_lowercase()];
    if operation.is_null() && matches!(reply.status, 401 | 403 | 404 | 405 | 409 | 429) {
        return;
    }
    let status = reply.status.to_string();
    let code = serde_json::from_slice::<Value>(&reply.body)
        .ok()
        .and_then(|it| Some(format!(" `{}`", it.get("code")?.as_str()?)))
        .unwrap_or_default();
    let mut wrong = Vec::new();
    let answer = &operation["responses"][&status];
    let answer = answer["$ref"].as_str().and_then(|it| judge.document.pointer(&it[1..])).unwrap_or(answer);
    if answer.is_null() {
        wrong.push("no answer with this status is listed".to_owned());
    } else {
        wrong.extend(answer_violations(&judge, &format!("{asked} {template} {status}"), method, answer, reply));
    }
    if (200..300).contains(&reply.status) {
        wrong.extend(request_violations(&judge, &format!("{asked} {template}"), operation, params, query, sent));
    }
    assert!(
        wrong.is_empty(),
        "{method} {target} answered {status}{code}, and the OpenAPI document doesn't have it so.\n\
         Answers, headers and codes of a route are listed in crates/server/src/openapi/operation.rs (common ones in common.rs), \
         members of bodies in crates/wire/src/schemas.rs:\n{}\n{}",
        wrong.join("\n"),
        String::from_utf8_lossy(&reply.body).chars().take(2_000).collect::<String>(),
    );
}

fn answer_violations(judge: &Judge, place: &str, method: &str, answer: &Value, reply: &Reply) -> Vec<String> {
    let mut wrong = Vec::new();
    // What browsers are told of origins is the Fetch standard's, and of no single route.
    let everywhere = |it: &str| ["content-type", "content-length", "vary"].contains(&it) || it.starts_with("access-control-");
    for name in reply.headers.keys().filter(|it| !everywhere(it.as_str())) {
        let listed = answer["headers"].as_object().is_some_and(|it| it.keys().any(|known| known.eq_ignore_ascii_case(name.as_str())));
        if !listed {
            wrong.push(format!("the header `{name}` is not listed"));
        }
    }
    let kind = reply.headers.get("content-type").and_then(|it| it.to_str().ok()).and_then(|it| it.split(';').next()).unwrap_or_default();
    let media = &answer["content"][kind];
    if media.is_null() {
        if !reply.body.is_empty() || !answer["content"].is_null() {
            wrong.push(format!("the media type `{kind}` is not listed"));
        }
    } else if kind.ends_with("json") && method != "HEAD" {
        // Published data may hold what no JSON value can stand for.
        match ringback_wire::shown(&reply.body) {
            Some(body) => wrong.extend(judge.violations(place, &media["schema"], &body)),
            None => panic!("{place}: {}", reply.text()),
        }
    }
    wrong
}

fn request_violations(judge: &Judge, place: &str, operation: &Value, params: Params, query: &str, sent: &[u8]) -> Vec<String> {
    let mut wrong = Vec::new();
    let listed =
        |name: &str| operation["parameters"].as_array().is_some_and(|it| it.iter().any(|it| it["in"] == "query" && it["name"] == name));
    for name in query.split('&').filter_map(|it| it.split('=').next()).filter(|it| !it.is_empty()) {
        if !listed(name) && matches!(params, Params::Only(_)) {
            wrong.push(format!("the parameter `{name}` is not listed"));
        }
    }
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    match serde_json::from_slice(sent) {
        Ok(body) if !schema.is_null() => {
            wrong.extend(
                judge.violations(&format!("{place} body"), schema, &body).into_iter().map(|it| format!("the body that was taken: {it}")),
            );
        }
        Ok(Value::Object(it)) if it.is_empty() => {}
        Ok(_) if operation["requestBody"].is_null() => wrong.push("the body that was taken is not listed".into()),
        _ => {}
    }
    wrong
}
