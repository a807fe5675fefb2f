//! Following a feed, of events or of a watch: long-poll after long-poll, never losing the place.
//!
//! Not here: what to do when the server is away. [`Follow::next`] answers the error and, asked again,
//! goes on from the same place; how long to pause in between is the caller's choice.

use crate::{Client, ClientError, HeaderMap, Method, path};
use serde_json::{Value, value::RawValue};
use std::{collections::VecDeque, time::Duration};

/// What a deadline adds to `wait`, for the way there and back.
const GRACE: Duration = Duration::from_secs(15);

/// Which events of the feed are wanted. The default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Exact types or prefixes (`payment.*`); empty for all.
    pub types: Vec<String>,
    /// Only events about this subject.
    pub subject: Option<String>,
    /// Only events that meet this (`data.amount >= 1000`).
    pub filter: Option<String>,
    /// Events a page at most; `None` for the server's default.
    pub limit: Option<u32>,
}

impl EventFilter {
    /// What the query of every page has.
    fn pairs(&self) -> Vec<(String, String)> {
        let types = (!self.types.is_empty()).then(|| self.types.join(","));
        let limit = self.limit.map(|it| it.to_string());
        [("types", types), ("subject", self.subject.clone()), ("filter", self.filter.clone()), ("limit", limit)]
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }

    /// The query of a page of the feed.
    #[must_use]
    pub fn query(&self, after: Option<&str>, wait_secs: Option<u64>) -> String {
        let types = self.types.join(",");
        let limit = self.limit.map(|it| it.to_string());
        let wait = wait_secs.map(|it| it.to_string());
        let pairs = [
            ("after", after),
            ("types", (!types.is_empty()).then_some(types.as_str())),
            ("subject", self.subject.as_deref()),
            ("filter", self.filter.as_deref()),
            ("limit", limit.as_deref()),
            ("wait", wait.as_deref()),
        ];
        path::query(pairs.into_iter().filter_map(|(name, value)| value.map(|it| (name, it))))
    }
}

/// A page of the feed, as far as following needs it. Events stay text: published number literals are the publisher's.
#[derive(serde::Deserialize)]
struct Page {
    data: Vec<Box<RawValue>>,
    cursor: String,
}

/// A reader of a feed. Each item comes once, in the order of the log.
#[derive(Debug)]
pub struct Follow {
    client: Client,
    path: String,
    pairs: Vec<(String, String)>,
    after: String,
    wait_secs: u64,
    page: VecDeque<Box<RawValue>>,
}

impl Follow {
    pub(crate) fn events(client: Client, after: &str, filter: &EventFilter, wait_secs: u64) -> Self {
        Self::new(client, "/v1/events", filter.pairs(), after, wait_secs)
    }

    pub(crate) fn new(client: Client, path: &str, pairs: Vec<(String, String)>, after: &str, wait_secs: u64) -> Self {
        Self { client, path: path.to_owned(), pairs, after: after.to_owned(), wait_secs, page: VecDeque::new() }
    }

    /// The next event, as soon as there is one; what stands for no value as [`Response::json`](crate::Response::json) reads it.
    ///
    /// Dropping the future loses nothing. After an error the next call goes on from the same place.
    ///
    /// # Errors
    /// Every variant of [`ClientError`]; [`ClientError::is_passing`] tells whether asking again makes sense.
    pub async fn next(&mut self) -> Result<Value, ClientError> {
        let raw = self.next_raw().await?;
        serde_json::from_str(raw.get()).or_else(|it| ringback_wire::shown(raw.get().as_bytes()).ok_or(it)).map_err(|it| self.bad_page(&it))
    }

    /// [`Follow::next`], as the bytes that the server sent.
    ///
    /// # Errors
    /// As of [`Follow::next`].
    pub async fn next_raw(&mut self) -> Result<Box<RawValue>, ClientError> {
        loop {
            if let Some(event) = self.page.pop_front() {
                return Ok(event);
            }
            self.poll(self.wait_secs).await?;
        }
    }

    /// Fixes the place where reading starts, without waiting: after `now` has been turned into a position,
    /// an outage can't swallow what happens during it.
    ///
    /// # Errors
    /// Every variant of [`ClientError`].
    pub async fn start(&mut self) -> Result<(), ClientError> {
        if self.page.is_empty() { self.poll(0).await } else { Ok(()) }
    }

    /// Whether all of what was read has come from [`Follow::next`].
    #[must_use]
    pub fn is_between_pages(&self) -> bool {
        self.page.is_empty()
    }

    /// After the last page that was read: where another reader would go on. Events of that page may still be to come
    /// from [`Follow::next`].
    #[must_use]
    pub fn cursor(&self) -> &str {
        &self.after
    }

    async fn poll(&mut self, wait_secs: u64) -> Result<(), ClientError> {
        let wait = wait_secs.to_string();
        let asked = self.pairs.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let query = path::query([("after", self.after.as_str())].into_iter().chain(asked).chain([("wait", wait.as_str())]));
        let path = format!("{}{query}", self.path);
        let deadline = Duration::from_secs(wait_secs) + GRACE;
        let answer = self.client.request_within(deadline, Method::GET, &path, HeaderMap::new(), bytes::Bytes::new()).await?.ok()?;
        let page: Page = serde_json::from_slice(&answer.body).map_err(|it| self.bad_page(&it))?;
        // Both or neither, so that a page is never read twice nor skipped.
        self.page.extend(page.data);
        self.after = page.cursor;
        Ok(())
    }

    fn bad_page(&self, error: &serde_json::Error) -> ClientError {
        ClientError::BadAnswer { target: self.client.target().to_string(), reason: format!("it is no page of the feed ({error})") }
    }
}
