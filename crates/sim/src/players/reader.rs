//! Reads a feed, page by page or by long-polls, and keeps its position through crashes.

use super::{Life, Player, Stage};
use crate::{chance::Chance, history::Feed};
use async_trait::async_trait;
use core::time::Duration;
use ringback_model::{Subject, Timestamp, event::Scope, subscription::TypePattern};
use ringback_ports::Clock as _;
use ringback_service::{Error, FeedQuery};

/// See the module.
#[derive(Debug)]
pub struct FeedReader {
    name: String,
    scope: Scope,
    operator: bool,
    prefix: Option<&'static str>,
    subject: Option<String>,
    chance: Chance,
    cursor: Option<String>,
    record: Option<usize>,
}

impl FeedReader {
    /// Number `no` of `scope`.
    #[must_use]
    pub fn new(seed: u64, scope: Scope, no: u64) -> Self {
        let name = format!("reader {}/{no}", scope.as_str());
        let chance = Chance::new(seed, &name);
        let operator = scope == Scope::All || chance.per_mille(200);
        let prefix = chance.per_mille(300).then(|| *chance.pick(&["a", "order", "b"]));
        let subject = chance.per_mille(250).then(|| chance.pick(&["/thing/1", "/order/o1", "/order/o0"]).to_string());
        Self { chance, name, scope, operator, prefix, subject, cursor: None, record: None }
    }

    async fn page(&mut self, life: &Life, closing: bool) -> Option<bool> {
        let mut ctx = match &self.scope {
            Scope::All => life.star(),
            Scope::Tenant(tenant) if self.operator => life.operator(tenant),
            Scope::Tenant(tenant) => life.tenant(tenant),
        };
        ctx.scope = self.scope.clone();
        let long = !closing && self.chance.per_mille(500);
        let query = FeedQuery {
            after: self.cursor.clone(),
            types: self.prefix.map(|it| TypePattern::parse(&format!("{it}.*")).expect("a pattern")).into_iter().collect(),
            subject: self.subject.as_deref().map(|it| Subject::parse(it).expect("a subject")),
            limit: usize::try_from(*self.chance.pick(&[1, 2, 3, 10, 100])).unwrap_or(1),
            wait: if long { self.chance.duration(100, 20_000) } else { Duration::ZERO },
            ..FeedQuery::default()
        };
        let asked = life.shared.clock.now();
        let page = match life.ask(&self.chance, life.service.feed(&ctx, query)).await? {
            Ok(page) => page,
            Err(Error::LogTruncated { .. }) => {
                // What was missed is gone; it begins again where the log does.
                life.say(format_args!("{}: the log is gone where it stood", self.name));
                if let Some(record) = self.record.take() {
                    life.shared.journal.with(|it| it.feeds[record].cut = true);
                }
                self.cursor = None;
                return None;
            }
            Err(Error::Internal(why)) => {
                life.trouble(&why);
                return None;
            }
            Err(_) => return None,
        };
        let record = *self.record.get_or_insert_with(|| {
            life.shared.journal.with(|it| {
                it.feeds.push(Feed {
                    name: self.name.clone(),
                    scope: self.scope.clone(),
                    operator: self.operator,
                    prefix: self.prefix.map(Into::into),
                    subject: self.subject.clone(),
                    pages: Vec::new(),
                    finished: false,
                    cut: false,
                    asked_last: Timestamp::from_micros(0),
                });
                it.feeds.len() - 1
            })
        });
        if !page.events.is_empty() {
            life.say(format_args!("{}: {} events up to {}", self.name, page.events.len(), page.events[page.events.len() - 1].id));
            let events = page.events.iter().map(|it| (it.id, it.bytes.clone())).collect();
            life.shared.journal.with(|it| it.feeds[record].pages.push(events));
        }
        // Of a server that says that there is more and shows nothing of it, one does not ask without a pause.
        let stuck = page.has_more && page.events.is_empty() && self.cursor.as_ref() == Some(&page.cursor);
        self.cursor = Some(page.cursor);
        if closing && !page.has_more {
            life.shared.journal.with(|it| {
                it.feeds[record].finished = true;
                it.feeds[record].asked_last = asked;
            });
        }
        (!stuck).then_some(page.has_more)
    }
}

#[async_trait]
impl Player for FeedReader {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn play(&mut self, life: &Life) {
        loop {
            let closing = life.stage() == Stage::Closing;
            match self.page(life, closing).await {
                Some(false) if closing => return,
                Some(true) => {}
                None => life.sleep(self.chance.duration(10, 500)).await,
                Some(false) => match life.stage() {
                    // Nothing to be missed by being slow.
                    Stage::Mending => life.sleep(Duration::from_secs(self.chance.between(60, 900))).await,
                    _ => life.pause(&self.chance).await,
                },
            }
        }
    }
}
