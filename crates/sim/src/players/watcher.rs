//! Reads streams as a browser does, frame by frame through the real encoder, and
//! goes on from the last id that it saw whole: the stream of events, or a watch
//! whose changes it applies to a list that it made before.
//!
//! A connection is cut anywhere, also inside a frame; and a reader is slow.

use super::{Life, Player, Stage};
use crate::{
    chance::Chance,
    history::{CONDITIONS, Feed, Listed, Watched},
};
use async_trait::async_trait;
use bytes::Bytes;
use core::time::Duration;
use ringback_model::{TenantId, Timestamp, TypeName, event::Scope};
use ringback_ports::Clock as _;
use ringback_service::{Ctx, Error, FeedQuery, ListQuery, Sent, Stream, WatchQuery};
use ringback_wire::{sse, watch};
use serde_json::Value;
use serde_json::value::RawValue;

/// One frame, as its lines say.
#[derive(Debug, Default)]
struct Frame {
    event: Option<String>,
    id: Option<String>,
    data: Option<String>,
}

/// The frames of a piece of a stream that came whole; what an unfinished one says counts for nothing.
fn frames(piece: &[u8]) -> Vec<Frame> {
    let text = String::from_utf8_lossy(piece);
    let (mut out, mut frame) = (Vec::new(), Frame::default());
    for line in text.split_inclusive('\n') {
        let Some(line) = line.strip_suffix('\n') else { break };
        if line.is_empty() {
            out.push(core::mem::take(&mut frame));
            continue;
        }
        let (name, value) = line.split_once(": ").unwrap_or((line, ""));
        match name {
            "event" => frame.event = Some(value.into()),
            "id" => frame.id = Some(value.into()),
            "data" => frame.data = Some(value.into()),
            _ => {}
        }
    }
    out
}

/// What the server writes for it.
fn encode(sent: Sent) -> Vec<u8> {
    let mut out = Vec::new();
    match sent {
        Sent::Begin { id } => sse::frame(&mut out, None, Some(&id), None),
        Sent::Rows(rows) => rows.iter().for_each(|row| sse::frame(&mut out, Some("snapshot"), None, Some(row))),
        Sent::Found(found) => {
            for (event, change, id) in found {
                match change {
                    None => sse::frame(&mut out, None, Some(&id), Some(&event.bytes)),
                    Some(change) => sse::frame(&mut out, None, Some(&id), Some(&watch::item(change.as_str(), event.id, &event.data()))),
                }
            }
        }
        Sent::Sync { id, lag } => sse::sync(&mut out, &id, lag),
        Sent::Comment => sse::comment(&mut out),
        Sent::Bye(why) => sse::bye(&mut out, "over", &format!("{why:?}")),
    }
    out
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Events,
    Watch { condition: usize },
}

/// An item of a watch.
#[derive(serde::Deserialize)]
struct Item<'a> {
    change: String,
    event: String,
    #[serde(borrow)]
    resource: &'a RawValue,
}

/// See the module.
#[derive(Debug)]
pub struct Watcher {
    name: String,
    tenant: TenantId,
    chance: Chance,
    kind: Kind,
    /// The last id that was seen.
    last: Option<String>,
    /// Rows of a list that is not told to its end.
    rows: Vec<Bytes>,
    record: Option<usize>,
}

/// What came of a connection.
enum Over {
    /// It was lost, or its server said so.
    Lost,
    /// Everything was read, and nothing more comes.
    Finished,
    /// Nothing more comes for now.
    Quiet,
}

impl Watcher {
    /// Number `no` of `tenant`.
    #[must_use]
    pub fn new(seed: u64, tenant: &TenantId, no: u64) -> Self {
        let name = format!("watcher {tenant}/{no}");
        let chance = Chance::new(seed, &name);
        let condition = usize::try_from(chance.below(CONDITIONS.len() as u64)).unwrap_or(0);
        let kind = if chance.per_mille(300) { Kind::Events } else { Kind::Watch { condition } };
        Self { name, tenant: tenant.clone(), chance, kind, last: None, rows: Vec::new(), record: None }
    }

    fn query(&self, after: Option<String>) -> FeedQuery {
        let watch = match self.kind {
            Kind::Events => None,
            Kind::Watch { condition } => Some(WatchQuery {
                type_name: TypeName::parse("order").expect("a name"),
                filter: CONDITIONS[condition].0.map(Into::into),
                params: Vec::new(),
            }),
        };
        FeedQuery { after, last_event_id: self.last.clone(), watch, ..FeedQuery::default() }
    }

    fn record(&mut self, life: &Life) -> usize {
        *self.record.get_or_insert_with(|| {
            life.shared.journal.with(|it| match self.kind {
                Kind::Events => {
                    it.feeds.push(Feed {
                        name: self.name.clone(),
                        scope: Scope::Tenant(self.tenant.clone()),
                        operator: false,
                        prefix: None,
                        subject: None,
                        // A stream has no pages.
                        pages: vec![Vec::new()],
                        finished: false,
                        cut: false,
                        asked_last: Timestamp::from_micros(0),
                    });
                    it.feeds.len() - 1
                }
                Kind::Watch { condition } => {
                    let (name, tenant) = (self.name.clone(), self.tenant.clone());
                    it.watched.push(Watched { name, tenant, condition, lists: Vec::new(), finished: false });
                    it.watched.len() - 1
                }
            })
        })
    }

    fn note(life: &Life, why: &Error) {
        if let Error::Internal(why) = why {
            life.trouble(why);
        }
    }

    /// Reads the list page by page, slowly; from where its changes are to be followed.
    async fn list(&mut self, life: &Life, ctx: &Ctx) -> Option<String> {
        let Kind::Watch { condition } = self.kind else { return Some("start".into()) };
        let (mut rows, mut after) = (Vec::new(), None::<String>);
        loop {
            let ty = life.service.types().by_name("order")?;
            let limit = usize::try_from(self.chance.between(1, 4)).unwrap_or(1);
            let query = ListQuery { filter: CONDITIONS[condition].0, limit, after: after.as_deref(), ..ListQuery::default() };
            let page = match life.ask(&self.chance, life.service.list_resources(ctx, &ty, query)).await? {
                Ok(page) => page,
                Err(why) => {
                    Self::note(life, &why);
                    return None;
                }
            };
            rows.extend(page.rows);
            let Some(next) = page.next_cursor else {
                self.begin(life, rows);
                return Some(page.watch_cursor);
            };
            after = Some(next);
            if life.stage() == Stage::Faulty {
                life.sleep(self.chance.duration(0, 3_000)).await;
            }
        }
    }

    fn begin(&mut self, life: &Life, rows: Vec<Bytes>) {
        let record = self.record(life);
        life.say(format_args!("{}: begins with {} rows", self.name, rows.len()));
        life.shared.journal.with(|it| it.watched[record].lists.push(Listed { rows, changes: Vec::new() }));
    }

    async fn open(&mut self, life: &Life, ctx: &Ctx) -> Option<Stream> {
        let anew = matches!(self.kind, Kind::Watch { .. }) && life.stage() == Stage::Faulty && self.chance.per_mille(200);
        if anew {
            self.last = None;
        }
        let mut after = None;
        if self.last.is_none() {
            self.rows.clear();
            let by_stream = matches!(self.kind, Kind::Watch { .. }) && self.chance.per_mille(500);
            if !by_stream {
                after = Some(self.list(life, ctx).await?);
            }
        }
        let query = self.query(after);
        match life.ask(&self.chance, life.service.stream(ctx, &query, String::new())).await? {
            Ok(stream) => Some(stream),
            Err(why) => {
                Self::note(life, &why);
                None
            }
        }
    }

    /// Takes one frame; the lag that it tells, if it does.
    fn take(&mut self, life: &Life, frame: Frame) -> Option<u64> {
        let record = self.record(life);
        let mut lag = None;
        match (frame.event.as_deref(), frame.data) {
            (Some("snapshot"), Some(data)) => self.rows.push(data.into()),
            (Some("sync"), data) => {
                // The first one of a stream that began with rows says that these were all.
                if matches!(self.kind, Kind::Watch { .. }) && self.last.is_none() {
                    let rows = core::mem::take(&mut self.rows);
                    self.begin(life, rows);
                }
                lag = data.and_then(|it| serde_json::from_str::<Value>(&it).ok()?["lag"].as_u64());
            }
            (None, Some(data)) => match self.kind {
                Kind::Events => {
                    let bytes = Bytes::from(data);
                    let id = serde_json::from_slice::<Value>(&bytes).ok().and_then(|it| it["id"].as_str()?.parse().ok());
                    life.shared.journal.with(|it| it.feeds[record].pages[0].extend(id.map(|id| (id, bytes))));
                }
                Kind::Watch { .. } => {
                    let item: Item<'_> = serde_json::from_str(&data).expect("an item of a watch");
                    let id = item.event.parse().expect("an id");
                    let change = (item.change, id, Bytes::copy_from_slice(item.resource.get().as_bytes()));
                    life.shared.journal.with(|it| it.watched[record].lists.last_mut().expect("a list").changes.push(change));
                }
            },
            _ => {}
        }
        if let Some(id) = frame.id {
            self.last = Some(id);
        }
        lag
    }

    async fn follow(&mut self, life: &Life, stream: &mut Stream) -> Over {
        loop {
            let faulty = life.stage() == Stage::Faulty;
            if faulty && self.chance.per_mille(60) {
                life.sleep(self.chance.duration(0, 4_000)).await;
            }
            let next = stream.next();
            let Some(Some(sent)) = life.ask(&self.chance, next).await else { return Over::Lost };
            if let Sent::Bye(why) = &sent {
                Self::note(life, why);
            }
            let (quiet, bye) = (matches!(sent, Sent::Comment | Sent::Sync { .. }), matches!(sent, Sent::Bye(_)));
            let mut piece = encode(sent);
            let cut = faulty && self.chance.per_mille(30);
            if cut {
                piece.truncate(usize::try_from(self.chance.below(piece.len() as u64)).unwrap_or(0));
            }
            let mut lag = None;
            for frame in frames(&piece) {
                lag = self.take(life, frame).or(lag);
            }
            if cut || bye {
                return Over::Lost;
            }
            match life.stage() {
                Stage::Closing if lag == Some(0) => return Over::Finished,
                Stage::Mending if quiet => return Over::Quiet,
                _ => {}
            }
        }
    }
}

#[async_trait]
impl Player for Watcher {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn play(&mut self, life: &Life) {
        let ctx = life.tenant(&self.tenant);
        loop {
            let over = match self.open(life, &ctx).await {
                Some(mut stream) => self.follow(life, &mut stream).await,
                None => Over::Lost,
            };
            match over {
                Over::Lost => life.sleep(self.chance.duration(10, 2_000)).await,
                // Nothing to be missed by being slow.
                Over::Quiet => life.sleep(Duration::from_secs(self.chance.between(60, 900))).await,
                Over::Finished => {
                    let record = self.record(life);
                    life.shared.journal.with(|it| match self.kind {
                        Kind::Events => {
                            it.feeds[record].finished = true;
                            // It was told that nothing is left, a moment ago at most.
                            it.feeds[record].asked_last = life.shared.clock.now() - Duration::from_secs(1);
                        }
                        Kind::Watch { .. } => it.watched[record].finished = true,
                    });
                    return;
                }
            }
        }
    }
}
