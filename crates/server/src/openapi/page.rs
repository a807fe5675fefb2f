//! The reference as a page: made from the OpenAPI document, and from nothing else.
//!
//! One file without scripts: it is read offline, printed, and searched with the
//! browser's own means. Everything that comes from the document is escaped; a
//! type's descriptions are written by people.

use core::fmt::Write as _;
use serde_json::{Map, Value};

const STYLE: &str = include_str!("page.css");
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
/// How deep the members of inline objects are shown.
const DEPTH_MAX: usize = 6;

/// The page of a document.
#[must_use]
pub fn page(document: &Value) -> String {
    let mut out = String::with_capacity(256 * 1024);
    let title = text_of(document, "/info/title");
    out.push_str("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">");
    put(&mut out, format_args!("<title>{}: reference</title><style>{STYLE}</style></head><body>\n", escape(title)));
    navigation(document, title, &mut out);
    out.push_str("<main>");
    put(&mut out, format_args!("<h1>{}</h1>{}", escape(title), marked(text_of(document, "/info/description"))));
    put(
        &mut out,
        format_args!(
            "<p class=\"soft\">Version {} at <code>{}</code>. The same for programs: <a href=\"/openapi.json\">openapi.json</a>.</p>",
            escape(text_of(document, "/info/version")),
            escape(server(document))
        ),
    );
    for tag in list(document, "tags") {
        let name = text(tag, "name");
        put(
            &mut out,
            format_args!("\n<section><h2 id=\"{}\">{}</h2>{}", anchor("tag", name), escape(name), marked(text(tag, "description"))),
        );
        for (path, method, it) in operations(document, name) {
            operation(document, path, method, it, &mut out);
        }
        out.push_str("</section>");
    }
    schemas(document, &mut out);
    out.push_str("</main></body></html>\n");
    out
}

fn navigation(document: &Value, title: &str, out: &mut String) {
    put(out, format_args!("<nav aria-label=\"Contents\"><strong>{}</strong>", escape(title)));
    for tag in list(document, "tags") {
        let name = text(tag, "name");
        put(out, format_args!("<h2><a href=\"#{}\">{}</a></h2><ul>", anchor("tag", name), escape(name)));
        for (path, method, it) in operations(document, name) {
            let short = text(it, "summary");
            let short = short.strip_suffix(&format!(": {name}")).unwrap_or(short);
            let at = anchor("op", text(it, "operationId"));
            put(
                out,
                format_args!(
                    "<li><a href=\"#{at}\" title=\"{}\"><span class=\"m {method}\">{method}</span>{}</a></li>",
                    escape(path),
                    escape(short)
                ),
            );
        }
        out.push_str("</ul>");
    }
    out.push_str("<h2><a href=\"#schemas\">Schemas</a></h2></nav>\n");
}

fn operation(document: &Value, path: &str, method: &str, it: &Value, out: &mut String) {
    put(out, format_args!("\n<article id=\"{}\"><h3>{}</h3>", anchor("op", text(it, "operationId")), escape(text(it, "summary"))));
    put(
        out,
        format_args!(
            "<div class=\"at\"><span class=\"m {method}\">{method}</span> {}</div>{}",
            escape(path),
            marked(text(it, "description"))
        ),
    );
    let parameters: Vec<&Value> = list(it, "parameters").iter().map(|it| resolve(document, it)).collect();
    for (place, heading) in [("path", "In the path"), ("query", "In the query"), ("header", "Headers")] {
        let here: Vec<_> = parameters.iter().filter(|it| text(it, "in") == place).collect();
        if here.is_empty() {
            continue;
        }
        put(out, format_args!("<h4>{heading}</h4><dl>"));
        for it in here {
            let schema = it.get("schema").unwrap_or(&Value::Null);
            put(out, format_args!("<dt>{}</dt><dd>{} {}</dd>", escape(text(it, "name")), kind(schema), inline(text(it, "description"))));
        }
        out.push_str("</dl>");
    }
    if let Some(schema) = it.pointer("/requestBody/content/application~1json/schema") {
        let optional = it.pointer("/requestBody/required").is_some_and(|it| it == false);
        put(out, format_args!("<h4>Body{}</h4>", if optional { ", may be left out" } else { "" }));
        members(schema, 0, out);
    }
    examples(document, path, method, it, &parameters, out);
    answers(document, it, out);
    out.push_str("</article>");
}

fn examples(document: &Value, path: &str, method: &str, it: &Value, parameters: &[&Value], out: &mut String) {
    let bodies = it.pointer("/requestBody/content/application~1json/examples").and_then(Value::as_object);
    let answers = it.get("responses").and_then(Value::as_object);
    let answers: Vec<_> = answers
        .into_iter()
        .flatten()
        .filter_map(|(status, it)| Some((status, it.get("content")?.as_object()?.values().next()?.get("examples")?)))
        .collect();
    let mut names: Vec<&str> = Vec::new();
    let all = parameters.iter().filter_map(|it| it.get("examples")).chain(answers.iter().map(|it| it.1));
    for name in all.filter_map(Value::as_object).chain(bodies).flat_map(Map::keys) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    if names.is_empty() {
        return;
    }
    out.push_str("<h4>Examples</h4>");
    for name in names {
        let body = bodies.and_then(|it| it.get(name)).and_then(|it| it.get("value"));
        let mut target = path.to_owned();
        let mut query = Vec::new();
        for it in parameters {
            let Some(value) = it.pointer(&format!("/examples/{name}/value")) else { continue };
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            if text(it, "in") == "path" {
                target = target.replace(&format!("{{{}}}", text(it, "name")), &value);
            } else {
                query.push(format!("{}={}", text(it, "name"), encoded(&value)));
            }
        }
        if !query.is_empty() {
            target = format!("{target}?{}", query.join("&"));
        }
        let key = if list(it, "security").is_empty() && it.get("security").is_some() { "" } else { "-u $RINGBACK_KEY: " };
        let implied = method == "get" || (method == "post" && body.is_some());
        let how = if implied { String::new() } else { format!("-X {} ", method.to_uppercase()) };
        let kind = if method == "patch" { "-H 'content-type: application/json' " } else { "" };
        let data = body.map_or_else(String::new, |it| format!("{kind}-d '{}' ", it.to_string().replace('\'', "'\\''")));
        put(out, format_args!("<pre><code>{}</code></pre>", escape(&format!("curl {key}{how}{data}'{}{target}'", server(document)))));
        for (status, answer) in &answers {
            let Some(answer) = answer.pointer(&format!("/{name}/value")) else { continue };
            let shown = answer.as_str().map_or_else(|| serde_json::to_string_pretty(answer).unwrap_or_default(), str::to_owned);
            put(out, format_args!("<details><summary>Answer: {status}</summary><pre><code>{}</code></pre></details>", escape(&shown)));
        }
    }
}

fn answers(document: &Value, it: &Value, out: &mut String) {
    out.push_str("<h4>Answers</h4><dl>");
    for (status, answer) in it.get("responses").and_then(Value::as_object).into_iter().flatten() {
        let answer = resolve(document, answer);
        put(out, format_args!("<dt class=\"status\">{}</dt><dd>{}", escape(status), inline(text(answer, "description"))));
        if status.starts_with('2') || status.starts_with('3') {
            let headers = answer.get("headers").and_then(Value::as_object).into_iter().flatten().map(|it| it.0.as_str());
            let own: Vec<_> = headers
                .filter(|it| !["X-Request-Id", "Ringback-Tenant", "RateLimit", "RateLimit-Policy", "Idempotency-Replayed"].contains(it))
                .map(|it| format!("<code>{}</code>", escape(it)))
                .collect();
            if !own.is_empty() {
                put(out, format_args!(" <span class=\"kind\">Headers: {}</span>", own.join(" ")));
            }
            if answer.pointer("/content/text~1event-stream").is_some() {
                out.push_str(" <span class=\"kind\">Also as <code>text/event-stream</code>.</span>");
            }
            if let Some(schema) =
                answer.get("content").and_then(Value::as_object).and_then(|it| it.values().next()).and_then(|it| it.get("schema"))
            {
                members(schema, 0, out);
            }
        }
        out.push_str("</dd>");
    }
    out.push_str("</dl>");
}

fn schemas(document: &Value, out: &mut String) {
    out.push_str("\n<section><h2 id=\"schemas\">Schemas</h2>");
    for (name, schema) in document.pointer("/components/schemas").and_then(Value::as_object).into_iter().flatten() {
        put(
            out,
            format_args!("<article id=\"{}\"><h3>{}</h3>{}", anchor("schema", name), escape(name), marked(text(schema, "description"))),
        );
        members(schema, 0, out);
        out.push_str("</article>");
    }
    out.push_str("</section>");
}

/// A schema: a word for it, and the members of an object.
fn members(schema: &Value, depth: usize, out: &mut String) {
    let either = ["anyOf", "oneOf"].iter().find_map(|it| schema.get(*it)).and_then(Value::as_array);
    if let Some(all) = either.filter(|it| depth < DEPTH_MAX && it.iter().any(|it| it.get("properties").is_some())) {
        for (at, one) in all.iter().enumerate() {
            out.push_str(if at == 0 { "" } else { "<div class=\"kind\">or</div>" });
            members(one, depth, out);
        }
        return;
    }
    put(out, format_args!("<div>{}</div>", kind(schema)));
    let schema =
        if schema.get("items").is_some_and(|it| it.get("properties").is_some()) { schema.get("items").unwrap_or(schema) } else { schema };
    let Some(properties) = schema.get("properties").and_then(Value::as_object).filter(|it| !it.is_empty() && depth < DEPTH_MAX) else {
        return;
    };
    let needed = list(schema, "required");
    // Of what is answered nearly everything is there; of a body, what has to be.
    let body = schema.get("additionalProperties").is_some_and(|it| it == false);
    out.push_str("<dl>");
    for (name, it) in properties {
        let must = body && needed.iter().any(|it| it == name);
        put(out, format_args!("<dt>{}{}</dt><dd>", escape(name), if must { " <span class=\"need\">needed</span>" } else { "" }));
        if it.get("properties").is_some() || it.get("items").is_some_and(|it| it.get("properties").is_some()) {
            out.push_str(&inline(text(it, "description")));
            members(it, depth + 1, out);
        } else {
            put(out, format_args!("{} {}", kind(it), inline(text(it, "description"))));
        }
        out.push_str("</dd>");
    }
    out.push_str("</dl>");
}

/// What kind of value a schema takes, in a few words.
fn kind(schema: &Value) -> String {
    // One that leads into a schema is found by the whole of it.
    let target = schema.get("$ref").and_then(Value::as_str).and_then(|it| it.strip_prefix("#/components/schemas/"));
    if let Some(name) = target.and_then(|it| it.split('/').next()) {
        return format!("<a href=\"#{}\">{}</a>", anchor("schema", name), escape(name));
    }
    for name in ["oneOf", "anyOf", "allOf"] {
        if let Some(all) = schema.get(name).and_then(Value::as_array) {
            return all.iter().map(kind).collect::<Vec<_>>().join(if name == "allOf" { " and " } else { " or " });
        }
    }
    if let Some(items) = schema.get("items") {
        return format!("<span class=\"kind\">list of</span> {}", kind(items));
    }
    let mut words = match schema.get("type") {
        Some(Value::String(it)) => it.clone(),
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => String::new(),
    };
    if let Some(it) = schema.get("format").and_then(Value::as_str) {
        let _ = write!(words, ", {it}");
    }
    match (schema.get("minimum"), schema.get("maximum")) {
        (Some(least), Some(most)) => drop(write!(words, ", {least} to {most}")),
        (Some(least), None) => drop(write!(words, ", at least {least}")),
        (None, Some(most)) => drop(write!(words, ", at most {most}")),
        (None, None) => {}
    }
    if let Some(it) = schema.get("default") {
        let _ = write!(words, ", default {it}");
    }
    let mut out = if words.is_empty() { String::new() } else { format!("<span class=\"kind\">{}</span>", escape(&words)) };
    if let Some(all) = schema.get("enum").and_then(Value::as_array) {
        let values: Vec<_> =
            all.iter().map(|it| format!("<code>{}</code>", escape(&it.as_str().map_or_else(|| it.to_string(), str::to_owned)))).collect();
        let _ = write!(out, " {}", values.join(" "));
    }
    out
}

fn operations<'a>(document: &'a Value, tag: &str) -> Vec<(&'a str, &'a str, &'a Value)> {
    let mut all = Vec::new();
    for (path, methods) in document.get("paths").and_then(Value::as_object).into_iter().flatten() {
        for method in METHODS {
            if let Some(it) = methods.get(method).filter(|it| list(it, "tags").iter().any(|it| it == tag)) {
                all.push((path.as_str(), method, it));
            }
        }
    }
    all
}

fn resolve<'a>(document: &'a Value, it: &'a Value) -> &'a Value {
    let target = it.get("$ref").and_then(Value::as_str).and_then(|it| it.strip_prefix('#'));
    target.and_then(|it| document.pointer(it)).unwrap_or(it)
}

fn server(document: &Value) -> &str {
    text_of(document, "/servers/0/url")
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn text_of<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn put(out: &mut String, what: core::fmt::Arguments<'_>) {
    // A String takes everything that it is given.
    let _ = out.write_fmt(what);
}

fn anchor(room: &str, name: &str) -> String {
    let keep = |it: char| if it.is_ascii_alphanumeric() || it == '-' || it == '.' { it } else { '-' };
    format!("{room}-{}", name.chars().map(keep).collect::<String>())
}

/// A value as a query has it; readable as far as that goes.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for it in text.bytes() {
        if it.is_ascii_alphanumeric() || b"-._~*,:/=".contains(&it) {
            out.push(char::from(it));
        } else {
            let _ = write!(out, "%{it:02X}");
        }
    }
    out
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for it in text.chars() {
        match it {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// Paragraphs of Markdown as far as our texts use it.
fn marked(text: &str) -> String {
    text.split("\n\n").filter(|it| !it.trim().is_empty()).map(|it| format!("<p>{}</p>", inline(it))).collect()
}

/// Code between backticks, strong words between double asterisks; a mark without its second one is itself.
fn inline(text: &str) -> String {
    let mut out = String::new();
    for (at, part) in text.split('`').enumerate() {
        if at % 2 == 1 {
            put(&mut out, format_args!("<code>{}</code>", escape(part)));
            continue;
        }
        for (at, part) in part.split("**").enumerate() {
            if at % 2 == 1 {
                put(&mut out, format_args!("<strong>{}</strong>", escape(part)));
            } else {
                out.push_str(&escape(part));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_from_outside_is_only_text() {
        assert_eq!(inline("a `<b>` **c & d** <e>"), "a <code>&lt;b&gt;</code> <strong>c &amp; d</strong> &lt;e&gt;");
        assert_eq!(marked("one\n\n\n\ntwo"), "<p>one</p><p>two</p>");
        assert_eq!(anchor("tag", "a b\"<"), "tag-a-b--");
        assert_eq!(encoded("a >= \"x\" & 'y'+%"), "a%20%3E=%20%22x%22%20%26%20%27y%27%2B%25");
        let evil = serde_json::json!({ "info": { "title": "<script>1</script>" }, "tags": [{ "name": "\"><script>", "description": "`<script>`" }] });
        assert!(!page(&evil).contains("<script"), "{}", page(&evil));
    }
}
