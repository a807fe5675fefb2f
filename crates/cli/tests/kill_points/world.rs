//! One run: a directory, a receiver, a script, processes that die, and what a
//! client knows afterwards: which requests were answered, and with what.
//!
//! Not here: what must be true in the end (`judge`).

use super::{
    judge::{self, Answer, Delivery, Receipt, Seen},
    point::{Hit, Point},
    process::{DEADLINE, Process, Tracer},
    script::{self, DEAD, MINE, OTHER, READERS, Step},
    support::{self, Call},
};
use axum::{Router, body::Bytes, http::Uri, routing::post};
use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use ringback_client::{Client, ClientError, Response, Target};
use rustix::process::Signal;
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::watch;

/// The endpoints of all subscriptions, on loopback.
#[derive(Clone)]
pub(crate) struct Endpoints {
    address: std::net::SocketAddr,
    calls: Arc<Mutex<Vec<(String, Call, u16)>>>,
    count: watch::Receiver<usize>,
}

impl Endpoints {
    pub(crate) async fn start() -> Self {
        let calls: Arc<Mutex<Vec<(String, Call, u16)>>> = Arc::default();
        let (sender, count) = watch::channel(0);
        let (kept, sender) = (Arc::clone(&calls), Arc::new(sender));
        let handler = move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let (kept, sender) = (Arc::clone(&kept), Arc::clone(&sender));
            async move {
                let path = uri.path().trim_start_matches('/').to_owned();
                let call = Call { headers, body };
                let mut kept = kept.lock().unwrap();
                let answer = answer(&path, call.header("webhook-id"), &kept);
                kept.push((path, call, answer));
                sender.send_replace(kept.len());
                StatusCode::from_u16(answer).unwrap()
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(post(handler))).await.unwrap() });
        Self { address, calls, count }
    }

    pub(crate) fn calls(&self) -> Vec<(String, Call, u16)> {
        self.calls.lock().unwrap().clone()
    }

    /// Waits for another call, not for long.
    async fn another(&self) {
        let mut count = self.count.clone();
        count.mark_unchanged();
        let _ = tokio::time::timeout(Duration::from_millis(40), count.changed()).await;
    }
}

/// Now and then the first try of an event fails; one endpoint never takes anything.
fn answer(path: &str, id: &str, earlier: &[(String, Call, u16)]) -> u16 {
    let known: BTreeSet<&str> = earlier.iter().filter(|it| it.0 == path).map(|it| it.1.header("webhook-id")).collect();
    match path {
        DEAD => 500,
        _ if !known.contains(id) && known.len() % 3 == 1 => 503,
        _ => 200,
    }
}

/// A run and what its client knows.
pub(crate) struct World {
    dir: tempfile::TempDir,
    pub(crate) endpoints: Endpoints,
    groups: Vec<Vec<Step>>,
    pub(crate) answers: BTreeMap<String, Answer>,
    /// Steps that were sent and never answered.
    open: BTreeSet<String>,
    crashes: usize,
    broken: Vec<String>,
    /// What the judges saw last.
    pub(crate) seen: Option<Seen>,
}

/// How a run ended.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// What must not be.
    pub(crate) violations: Vec<String>,
    /// Hits that happened, of those that were planned: a run may be over before.
    pub(crate) reached: usize,
    /// How each process that was hit ended.
    pub(crate) ends: Vec<String>,
    /// The last words of the processes.
    pub(crate) talk: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            endpoints: Endpoints::start().await,
            groups: script::groups(),
            answers: BTreeMap::new(),
            open: BTreeSet::new(),
            crashes: 0,
            broken: Vec::new(),
            seen: None,
        }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("d")
    }

    pub(crate) fn talk(&self) -> String {
        let all = fs::read_to_string(self.data().with_extension("stderr")).unwrap_or_default();
        let lines: Vec<_> = all.lines().collect();
        lines[lines.len().saturating_sub(12)..].join("\n")
    }

    /// Runs the script through all hits of `point` and to its end, and judges.
    pub(crate) async fn run(point: &Point) -> Report {
        let mut world = Self::new().await;
        let mut report = Report::default();
        for hit in &point.0 {
            let (reached, end) = world.until(hit).await;
            report.reached += usize::from(reached);
            report.ends.push(end);
        }
        report.violations = world.recover_and_judge().await;
        report.talk = world.talk();
        report
    }

    /// A process that plays the script until `hit` ends it. A process that outlives it is told to end, and may be hit
    /// while it does. Whether it was hit, and how it ended.
    pub(crate) async fn until(&mut self, hit: &Hit) -> (bool, String) {
        let end = match Process::start(&self.data(), &Tracer::of(hit)).await {
            Err(end) => end,
            Ok(mut process) => {
                let steps = if let Hit::Step(n) = hit { *n } else { usize::MAX };
                self.play(&process, steps).await;
                process.signal(if matches!(hit, Hit::Step(_)) { Signal::KILL } else { Signal::TERM });
                process.end().await
            }
        };
        self.crashes += usize::from(!end.success());
        (!end.success(), end.to_string())
    }

    /// A process that nothing befalls: what was acknowledged must be there at once; then the script is played to its
    /// end, what is owed is delivered, and everything is looked at.
    pub(crate) async fn recover_and_judge(&mut self) -> Vec<String> {
        let mut process = match Process::start(&self.data(), &Tracer::None).await {
            Ok(it) => it,
            Err(end) => return vec![format!("after the kill it does not start any more: {end}")],
        };
        let mut violations = self.acknowledged(&process).await;
        self.play(&process, usize::MAX).await;
        violations.append(&mut self.broken);
        if !self.open.is_empty() {
            violations.push(format!("not answered by a server that nothing befell: {:?}", self.open));
        } else if violations.is_empty() {
            // Whoever finds nothing must not wait for it to be delivered.
            violations.extend(self.drain(&process).await);
            match self.look(&process).await {
                Ok(seen) => {
                    violations.extend(judge::all(&seen));
                    self.seen = Some(seen);
                }
                Err(why) => violations.push(format!("a healthy server can't be read: {why}")),
            }
        }
        process.signal(Signal::TERM);
        let end = process.end().await;
        if !end.success() {
            violations.push(format!("told to end, it ended with {end}"));
        }
        violations
    }

    pub(crate) fn client(&self, process: &Process, tenant: &str) -> Client {
        let key = fs::read_to_string(self.data().join("operator.key")).unwrap_or_default();
        let target = Target::parse(&process.url).unwrap();
        Client::new(target, Some(key.trim().to_owned())).tenant(Some(tenant.to_owned())).timeout(Duration::from_secs(30))
    }

    /// Sends what has no answer yet, group by group, until `steps` have one or the server is gone.
    pub(crate) async fn play(&mut self, process: &Process, steps: usize) {
        let clients = BTreeMap::from([MINE, OTHER].map(|it| (it, self.client(process, it))));
        for group in self.groups.clone() {
            let todo: Vec<Step> = group.into_iter().filter(|it| !self.answers.contains_key(&it.name)).collect();
            let sent: Vec<_> = todo.iter().map(|it| self.send(&clients[it.tenant], it)).collect();
            let results = join_all(sent).await;
            let mut gone = false;
            for (step, result) in todo.iter().zip(results) {
                gone |= !self.take(step, result);
            }
            if gone || self.answers.len() >= steps {
                return;
            }
            // The bytes of what was acknowledged, as the server had them before anything befell it.
            for step in &todo {
                let Some(event) = self.answers.get(&step.name).and_then(|it| it.event.clone()) else { continue };
                let path = format!("/v1/events/{event}");
                let Ok(got) = clients[step.tenant].request(Method::GET, &path, HeaderMap::new(), Bytes::new()).await else { return };
                if got.status == StatusCode::OK
                    && let Some(answer) = self.answers.get_mut(&step.name)
                {
                    answer.event_bytes = Some(got.body);
                }
            }
        }
    }

    /// Keeps what came back. Whether the server still answers.
    fn take(&mut self, step: &Step, result: Result<Response, ClientError>) -> bool {
        match result {
            Ok(got) if got.status.as_u16() == step.status => {
                let event = got.header("ringback-event").map(ToOwned::to_owned);
                self.open.remove(&step.name);
                self.answers.insert(step.name.clone(), Answer { status: step.status, body: got.body, event, event_bytes: None });
                true
            }
            // It says that it could not, or that it doesn't know: send it again.
            Ok(got) if got.status.is_server_error() => {
                self.open.insert(step.name.clone());
                false
            }
            Ok(got) => {
                self.broken.push(format!(
                    "{}: {} in place of {}: {}",
                    step.name,
                    got.status,
                    step.status,
                    String::from_utf8_lossy(&got.body)
                ));
                self.open.insert(step.name.clone());
                false
            }
            Err(_) => {
                self.open.insert(step.name.clone());
                false
            }
        }
    }

    fn send(&self, client: &Client, step: &Step) -> impl Future<Output = Result<Response, ClientError>> + use<> {
        let mut headers = HeaderMap::new();
        let key = format!("step-{}", step.name.replace(' ', "-"));
        headers.insert("idempotency-key", HeaderValue::from_str(&key).unwrap());
        let body = step.body.as_ref().map(|it| it.to_string().replace("{receiver}", &format!("http://{}", self.endpoints.address)));
        let (client, method, path) = (client.clone(), step.method.clone(), self.path(step));
        async move { client.request(method, &path, headers, Bytes::from(body.unwrap_or_default())).await }
    }

    fn path(&self, step: &Step) -> String {
        let Some((before, rest)) = step.path.split_once('{') else { return step.path.clone() };
        let (name, after) = rest.split_once('}').unwrap();
        format!("{before}{}{after}", self.answers[name].id())
    }

    /// What a client may rely on right after a restart: every answer stands, under its key and by its id.
    pub(crate) async fn acknowledged(&self, process: &Process) -> Vec<String> {
        let mut violations = Vec::new();
        let clients = BTreeMap::from([MINE, OTHER].map(|it| (it, self.client(process, it))));
        for step in self.groups.iter().flatten() {
            let Some(answer) = self.answers.get(&step.name) else { continue };
            let client = &clients[step.tenant];
            let mut lost = |why: String| violations.push(format!("acknowledged and lost: {}: {why}", step.name));
            if let Some(event) = &answer.event {
                match client.request(Method::GET, &format!("/v1/events/{event}"), HeaderMap::new(), Bytes::new()).await {
                    Ok(it) if it.status != StatusCode::OK => lost(format!("its event {event} answers {}", it.status)),
                    Ok(it) if answer.event_bytes.as_ref().is_some_and(|known| *known != it.body) => {
                        lost(format!("its event {event} has other bytes than before"));
                    }
                    Ok(_) => {}
                    Err(why) => lost(why.to_string()),
                }
            }
            match self.send(client, step).await {
                Err(why) => lost(why.to_string()),
                Ok(it) if it.status.as_u16() != answer.status => lost(format!("sent again under its key it answers {}", it.status)),
                // Only successes are kept; a refusal is decided afresh.
                Ok(it) if it.status.is_success() && it.body != answer.body => {
                    lost("sent again under its key it answers another body".into());
                }
                Ok(it) if it.status.is_success() && it.header("idempotency-replayed") != Some("true") => {
                    lost("sent again under its key it is carried out again".into());
                }
                Ok(_) => {}
            }
            if let Some(why) = self.object(process, client, step, answer).await {
                lost(why);
            }
        }
        violations
    }

    /// What is wrong with the object that a step made or changed, asked for by its id.
    async fn object(&self, process: &Process, client: &Client, step: &Step, answer: &Answer) -> Option<String> {
        let tried = |name: &str| self.answers.contains_key(name) || self.open.contains(name);
        let get = async |path: String| client.get(&path).await;
        let id = answer.id();
        if answer.status >= 400 || answer.status == 204 || id.starts_with("evt_") || answer.json()["data"].is_array() {
            return None;
        }
        if step.path.starts_with("/payment") {
            if id == "p3" && tried("delete p3") {
                return None;
            }
            return match get(format!("/payment/{id}")).await {
                Ok(it) if it["version"].as_u64() < answer.json()["version"].as_u64() => Some(format!("it is at version {}", it["version"])),
                Ok(_) => None,
                Err(why) => Some(why.to_string()),
            };
        }
        if step.path.starts_with("/v1/subscriptions") {
            if step.name == "gone" && tried("delete gone") {
                return None;
            }
            let allowed: &[&str] = match (step.name.as_str(), tried("pause ticks"), tried("resume ticks")) {
                ("ticks" | "pause ticks" | "patch ticks", true, false) if self.answers.contains_key("pause ticks") => &["paused"],
                ("ticks" | "pause ticks" | "patch ticks", true, _) if !self.answers.contains_key("resume ticks") => &["active", "paused"],
                ("once", ..) => &["active", "done"],
                _ => &["active"],
            };
            return match get(format!("/v1/subscriptions/{id}")).await {
                Ok(it) if !allowed.contains(&it["state"].as_str().unwrap_or_default()) => {
                    Some(format!("it is {}, not {allowed:?}", it["state"]))
                }
                Ok(_) => None,
                Err(why) => Some(why.to_string()),
            };
        }
        if step.path.starts_with("/v1/keys") {
            let mine = Client::new(Target::parse(&process.url).unwrap(), answer.json()["key"].as_str().map(ToOwned::to_owned));
            let works = mine.get("/v1/events").await;
            return match (works, step.name == "lost key" && tried("delete lost key")) {
                (Err(why), false) => Some(format!("the key does not open: {why}")),
                (Ok(_), true) if self.answers.contains_key("delete lost key") => Some("the key still opens".into()),
                _ => None,
            };
        }
        get(format!("/v1/tenants/{id}")).await.err().map(|it| it.to_string())
    }

    fn subscription(&self, name: &str) -> String {
        self.answers[name].id()
    }

    async fn deliveries(&self, client: &Client, name: &str) -> Result<Vec<Value>, ClientError> {
        let page = client.get(&format!("/v1/deliveries?subscription={}&limit=1000", self.subscription(name))).await?;
        Ok(page["data"].as_array().cloned().unwrap_or_default())
    }

    /// Waits until nothing is owed any more; what waits for its time is tried now.
    pub(crate) async fn drain(&self, process: &Process) -> Option<String> {
        let clients = BTreeMap::from([MINE, OTHER].map(|it| (it, self.client(process, it))));
        let mut owed = Vec::new();
        let drained = async {
            loop {
                owed.clear();
                for (name, tenant, ..) in READERS {
                    let client = &clients[tenant];
                    for it in self.deliveries(client, name).await? {
                        if !matches!(it["state"].as_str(), Some("delivered" | "parked" | "skipped")) {
                            owed.push(format!("{name} {it}"));
                        }
                        if it["state"] == "retrying" {
                            // Refused when it is tried just now, or waits behind another.
                            let _ = client.post(&format!("/v1/deliveries/{}/retry", it["id"].as_str().unwrap()), None).await;
                        }
                    }
                }
                if owed.is_empty() {
                    return Ok::<_, ClientError>(());
                }
                self.endpoints.another().await;
            }
        };
        match tokio::time::timeout(DEADLINE, drained).await {
            Ok(Ok(())) => None,
            Ok(Err(why)) => Some(format!("what is owed can't be asked for: {why}")),
            Err(_) => Some(format!("not delivered after {DEADLINE:?}: {owed:?}")),
        }
    }

    /// Everything that can be seen from outside, for the judges.
    pub(crate) async fn look(&self, process: &Process) -> Result<Seen, ClientError> {
        let mut seen = Seen { crashes: self.crashes, ..Seen::default() };
        for tenant in [MINE, OTHER] {
            let client = self.client(process, tenant);
            let expected = self.groups.iter().flatten().filter(|it| it.tenant == tenant).flat_map(|it| it.events.clone());
            seen.expected.insert(tenant.into(), expected.collect());
            let feed = feed(&client).await?;
            for event in &feed {
                let id = event["id"].as_str().unwrap_or_default();
                let got = client.send(Method::GET, &format!("/v1/events/{id}"), HeaderMap::new(), None).await?;
                seen.bytes.insert(id.to_owned(), got.body.to_vec());
            }
            let list = client.get("/payment?limit=1000").await?;
            for it in list["data"].as_array().into_iter().flatten() {
                let id = it["id"].as_str().unwrap_or_default();
                let one = client.get(&format!("/payment/{id}")).await?;
                if one != *it {
                    seen.broken.push(format!("/payment/{id} is listed as {it} and answers {one}"));
                }
                seen.resources.insert((tenant.into(), format!("/payment/{id}")), one);
            }
            seen.feeds.insert(tenant.into(), feed);
        }
        for (name, tenant, ..) in READERS {
            let client = self.client(process, tenant);
            for it in self.deliveries(&client, name).await? {
                let state = it["state"].as_str().unwrap_or_default().to_owned();
                seen.deliveries.push(Delivery { reader: (*name).into(), event: it["event"].as_str().unwrap_or_default().into(), state });
            }
            let made = self.answers[*name].json();
            let cursor = made["cursor"].as_str().unwrap_or_default();
            let after = client.get(&format!("/v1/events?after={cursor}&limit=1")).await?;
            seen.begins.insert((*name).into(), after["data"][0]["sequence"].as_u64().unwrap_or(u64::MAX));
        }
        let subscriptions = self.client(process, MINE).get("/v1/subscriptions").await?["data"].as_array().map_or(0, Vec::len);
        let keys = self.client(process, OTHER).get("/v1/keys").await?["data"].as_array().map_or(0, Vec::len);
        seen.counts = (subscriptions, keys);
        let secrets: BTreeMap<&str, Value> = READERS.iter().map(|it| (it.0, self.answers[it.0].json())).collect();
        for (reader, call, status) in self.endpoints.calls() {
            let Some(secret) = secrets.get(reader.as_str()) else { continue };
            let signed = support::verify(&call, secret["push"]["secret"].as_str().unwrap_or_default()).is_ok();
            seen.receipts.push(Receipt { reader, event: call.header("webhook-id").into(), body: call.body.to_vec(), signed, status });
        }
        Ok(seen)
    }
}

/// The whole log of a tenant, in pages.
async fn feed(client: &Client) -> Result<Vec<Value>, ClientError> {
    let (mut events, mut after) = (Vec::new(), "start".to_owned());
    loop {
        let page = client.get(&format!("/v1/events?after={after}&limit=5")).await?;
        events.extend(page["data"].as_array().cloned().unwrap_or_default());
        after = page["cursor"].as_str().unwrap_or_default().to_owned();
        if page["has_more"] != json!(true) {
            return Ok(events);
        }
    }
}
