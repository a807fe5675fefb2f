//! One run of a client verb: who is asked, and how the answer is printed.

use crate::{
    cli::{Body, Connect, Page},
    config,
    exit::{Exit, Failure, Outcome},
    output::{self, Column, put, say},
};
use ringback_client::{Client, HeaderMap, HeaderValue, Method, Response, Target, header, path};
use serde_json::{Value, value::RawValue};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Read as _,
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

/// The largest body that is read from a file or from standard input, in bytes: more than any route takes.
const BODY_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Who is asked, and how the answer is printed.
#[derive(Debug)]
pub(crate) struct Session {
    /// Asks.
    pub(crate) client: Client,
    /// Whether the API's JSON is printed.
    pub(crate) json: bool,
    /// The tenant named on the command line.
    pub(crate) tenant: Option<String>,
}

impl Session {
    /// Finds the server: `--url` or `RINGBACK_URL`, else the socket in the data directory, else, when there is a key
    /// to show, the default address on this machine.
    pub(crate) fn open(connect: Connect, env: &BTreeMap<String, String>, dir: &Path) -> Result<Self, Failure> {
        let Connect { url, key, tenant, data, json } = connect;
        let some = |it: Option<String>| it.filter(|text| !text.is_empty());
        let (key, tenant) = (some(key), some(tenant));
        let target = target(some(url), key.is_some(), data.as_deref(), env, dir)?;
        let seed = seed()?;
        let count = AtomicU32::new(0);
        let client = Client::new(target, key)
            .tenant(tenant.clone())
            .idempotency(move || format!("{seed}-{}", count.fetch_add(1, Ordering::Relaxed)));
        Ok(Self { client, json, tenant })
    }

    /// Asks, and answers the whole answer.
    pub(crate) async fn get(&self, path: &str) -> Result<Response, Failure> {
        Ok(self.client.send(Method::GET, path, HeaderMap::new(), None).await?)
    }

    /// Writes: the body goes out as the text it is, so that number literals stay the caller's.
    pub(crate) async fn write(&self, method: Method, path: &str, body: Option<String>) -> Result<Response, Failure> {
        self.write_if(method, path, None, body).await
    }

    /// [`Session::write`] with `If-Match`.
    pub(crate) async fn write_if(
        &self,
        method: Method,
        path: &str,
        if_match: Option<&str>,
        body: Option<String>,
    ) -> Result<Response, Failure> {
        let mut headers = HeaderMap::new();
        if let Some(etag) = if_match {
            // `3`, `"3"` and `*` are all meant the same way by people.
            let quoted = if etag == "*" || etag.contains('"') { etag.to_owned() } else { format!("\"{etag}\"") };
            let value =
                HeaderValue::from_str(&quoted).map_err(|_| Failure::usage(format!("`{etag}` is not an ETag; write for instance 3")))?;
            headers.insert(header::IF_MATCH, value);
        }
        Ok(self.client.request(method, path, headers, body.unwrap_or_default().into()).await?.ok()?)
    }

    /// Prints one object: the API's JSON, or lines.
    pub(crate) fn record(&self, answer: &Response) -> Outcome {
        if self.json { put_raw(answer) } else { put(&output::record(&answer.json()?)) }
    }

    /// Prints one object that isn't a single answer.
    pub(crate) fn value(&self, value: &Value) -> Outcome {
        if self.json { put(&value.to_string()) } else { put(&output::record(value)) }
    }

    /// Prints a list: the API's JSON, or a table; says how to go on.
    pub(crate) fn list(&self, answer: &Response, columns: &[Column<'_>]) -> Outcome {
        if self.json {
            return put_raw(answer);
        }
        let body = answer.json()?;
        let rows = body.get("data").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        if rows.is_empty() {
            say("Nothing here.");
        } else {
            put(&output::table(rows, columns))?;
        }
        if let Some(next) = body.get("next_cursor").and_then(Value::as_str) {
            say(&format!("More: --after {}", output::clean(next)));
        } else if body.get("has_more").and_then(Value::as_bool) == Some(true)
            && let Some(next) = body.get("cursor").and_then(Value::as_str)
        {
            say(&format!("More: --after {}", output::clean(next)));
        }
        Ok(())
    }

    /// Ends a verb whose answer has no body, or none that is worth printing.
    pub(crate) fn done(&self, text: &str) {
        if !self.json {
            say(text);
        }
    }
}

/// The query of a page of a list, with further parameters.
pub(crate) fn page_query(page: &Page, further: &[(&str, Option<&str>)]) -> String {
    let limit = page.limit.map(|it| it.to_string());
    let own = [("limit", limit.as_deref()), ("after", page.after.as_deref())];
    path::query(further.iter().copied().chain(own).filter_map(|(name, value)| value.map(|it| (name, it))))
}

/// Reads a body and checks that it is JSON, without touching its text.
pub(crate) fn read_body(body: &Body) -> Result<Box<RawValue>, Failure> {
    let (text, from) = match body {
        Body::Text(text) => (text.clone(), "the argument".to_owned()),
        Body::File(file) => {
            let open = std::fs::File::open(file);
            (open.and_then(read_text).map_err(|it| unreadable(&file.display().to_string(), &it))?, file.display().to_string())
        }
        Body::Stdin => (read_text(std::io::stdin()).map_err(|it| unreadable("standard input", &it))?, "standard input".to_owned()),
    };
    serde_json::from_str::<Box<RawValue>>(&text).map_err(|it| Failure::invalid(format!("{from} is not JSON: {it}")))
}

/// Reads a body that must be an object.
pub(crate) fn read_object(body: &Body) -> Result<serde_json::Map<String, Value>, Failure> {
    let raw = read_body(body)?;
    serde_json::from_str(raw.get()).map_err(|_| Failure::invalid("the body must be a JSON object: {\"…\": …}"))
}

fn read_text(from: impl std::io::Read) -> std::io::Result<String> {
    let mut text = String::new();
    from.take(BODY_BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > BODY_BYTES_MAX {
        return Err(std::io::Error::other(format!("it is larger than {BODY_BYTES_MAX} bytes, more than any request may be")));
    }
    Ok(text)
}

fn unreadable(what: &str, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failure, format!("{what} can't be read: {error}"))
}

fn put_raw(answer: &Response) -> Outcome {
    // A 204 has no JSON to print.
    if answer.body.is_empty() { Ok(()) } else { put(&String::from_utf8_lossy(&answer.body)) }
}

fn target(url: Option<String>, has_key: bool, data: Option<&str>, env: &BTreeMap<String, String>, dir: &Path) -> Result<Target, Failure> {
    if let Some(url) = url {
        return Target::parse(&url).map_err(|it| Failure::usage(it.to_string()));
    }
    let socket = config::socket_in(&config::data_dir(data, env, dir));
    if dir.join(&socket).exists() {
        return Ok(Target::unix(dir.join(&socket)));
    }
    if has_key && data.is_none() {
        return Target::parse(&config::LISTEN_DEFAULT.to_string()).map_err(|it| Failure::usage(it.to_string()));
    }
    Err(Failure::new(
        Exit::Unreachable,
        format!(
            "no server was named, and none has its socket at {}. Start one with `ringback serve --dev`, or name one with --url (RINGBACK_URL), or its directory with --data.",
            socket.display()
        ),
    ))
}

/// 128 bits of chance, in hex: the beginning of all idempotency keys of this run.
#[expect(clippy::disallowed_methods, reason = "idempotency keys of this run; nothing of the server depends on them")]
fn seed() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|it| Failure::new(Exit::Failure, format!("this system gives no random numbers: {it}")))?;
    Ok(bytes.iter().fold(String::new(), |mut out, it| {
        // Writing to a String can't fail.
        let _ = write!(out, "{it:02x}");
        out
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(connect: Connect, dir: &Path, want: Result<&str, u8>) {
        let found = Session::open(connect, &BTreeMap::new(), dir);
        let found = found.as_ref().map(|it| it.client.target().to_string()).map_err(|it| it.exit.code());
        assert_eq!(found.as_deref().map_err(|it| *it), want);
    }

    #[test]
    fn a_server_is_found_by_url_then_socket_then_default_address() {
        let dir = tempfile::tempdir().expect("a directory");
        let key = Some("rbk_x".to_owned());
        let url = Some("https://example.com".to_owned());
        check(Connect { url: url.clone(), ..Connect::default() }, dir.path(), Ok("https://example.com"));
        check(Connect::default(), dir.path(), Err(6));
        check(Connect { key: key.clone(), ..Connect::default() }, dir.path(), Ok("http://127.0.0.1:7464"));
        check(Connect { key: key.clone(), data: Some("d".into()), ..Connect::default() }, dir.path(), Err(6));
        check(Connect { url: Some("ftp://x".into()), ..Connect::default() }, dir.path(), Err(2));

        std::fs::create_dir(dir.path().join("d")).expect("a directory");
        std::fs::write(dir.path().join("d/ringback.sock"), "").expect("a file");
        let socket = format!("unix:{}", dir.path().join("d/ringback.sock").display());
        check(Connect { data: Some("d".into()), ..Connect::default() }, dir.path(), Ok(&socket));
        check(Connect { key, url, data: Some("d".into()), ..Connect::default() }, dir.path(), Ok("https://example.com"));
        check(Connect { url: Some(String::new()), data: Some("d".into()), ..Connect::default() }, dir.path(), Ok(&socket));
    }

    #[test]
    fn a_body_keeps_its_text() {
        let text = |body: &str| read_body(&Body::from(body.to_owned())).map(|it| it.get().to_owned()).map_err(|it| it.exit.code());
        assert_eq!(text(r#"{"a":1.10,"a":2}"#), Ok(r#"{"a":1.10,"a":2}"#.into()));
        assert_eq!(text("{"), Err(5));
        assert_eq!(text("@/nowhere/at/all"), Err(1));
        assert_eq!(Body::from("-".to_owned()), Body::Stdin);
        assert_eq!(read_object(&Body::from("[]".to_owned())).map_err(|it| it.exit.code()), Err(5));
    }

    #[test]
    fn a_page_is_asked_for_with_what_was_given() {
        let page = Page { limit: Some(5), after: Some("a+b".into()) };
        assert_eq!(page_query(&page, &[("state", Some("parked")), ("event", None)]), "?state=parked&limit=5&after=a%2Bb");
        assert_eq!(page_query(&Page::default(), &[]), "");
    }
}
