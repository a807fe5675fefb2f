//! Objects by themselves.

use super::*;

#[track_caller]
fn refused(text: &str, want: &str) {
    let why = match Object::read(text) {
        Err(why) => why,
        Ok(object) => object.check().expect_err("it should be refused"),
    };
    assert!(why.contains(want), "{why}");
}

#[test]
fn an_object_keeps_its_text() {
    let it =
        Object::read(r#"{"kind":"resource","type":"invoice","id":"7","tenant":"acme","source_version":3,"amount":1.10}"#).expect("one");
    assert_eq!((it.to_string().as_str(), it.text().as_str()), ("invoice 7 of acme", r#"{"amount":1.10,"source_version":3}"#));
    let it = Object::read(r#"{"kind":"subscription","id":"all","tenant":"*","types":["a.*"]}"#).expect("one");
    assert_eq!((it.tenant.as_deref(), it.text().as_str()), (Some("*"), r#"{"tenant":"*","types":["a.*"]}"#));
}

#[test]
fn what_is_wrong_is_named() {
    refused("[]", "not a JSON object");
    refused("{}", "`kind` is missing");
    refused(r#"{"kind":"hook","id":"x"}"#, "`hook` is no kind");
    refused(r#"{"kind":"tenant"}"#, "`id` is missing");
    refused(r#"{"kind":"tenant","id":7}"#, "`id` should be a string");
    refused(r#"{"kind":"resource","id":"x"}"#, "`type` is missing");
    refused(r#"{"kind":"tenant","id":"acme","plan":"x"}"#, "`/plan`");
    refused(r#"{"kind":"subscription","id":"x","push":{"url":7}}"#, "`/push/url`");
    refused(r#"{"kind":"subscription","id":"x","push":{"url":"https://a.example","secret":{"file":"/nowhere/at/all"}}}"#, "can't be read");
    refused(r#"{"kind":"subscription","id":"x","push":{"auth":{"token":{"env":"RINGBACK_TEST_NOT_SET"}}}}"#, "is not set");
}

#[test]
fn secrets_are_read_from_where_they_are() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("s");
    fs::write(&file, "hush\n").expect("a file");
    let text = serde_json::json!({
        "kind": "subscription", "id": "x",
        "push": { "url": "https://a.example", "auth": { "type": "bearer", "token": { "file": file } }, "headers": { "x-api-key": { "set": true } } }
    });
    let it = Object::read(&text.to_string()).expect("one");
    assert_eq!(it.value()["push"]["auth"]["token"], "hush");
    assert_eq!(it.value()["push"]["headers"]["x-api-key"]["set"], true);
    it.check().expect("it is right");
}
