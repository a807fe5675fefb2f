//! Lists that the caller has already: their entity tags, and how to wait until they differ.
//!
//! A page's tag is a hash of its rows. It is remembered under what was asked, together with
//! the stamp of tenant and type (`images`): while nothing of that type changes, asking again
//! costs neither a read of the store nor the evaluation of a filter. Who asks for the same
//! page at the same moment shares one read.
//!
//! Cursors are not a part of the tag: they move with every event of the tenant, and those
//! that came with the page go on being right. But they do not live for ever, so the tag
//! changes once in a while of itself: whoever is answered 304 holds cursors that still work.
//!
//! Not here: which rows belong to a list (`lists`).

use crate::{Ctx, Error, ListPage, ListQuery, Service, types::ServedType, waker::WakeOn};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use core::fmt;
use ringback_model::{Timestamp, limits};
use sha2::{Digest, Sha256};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::OnceCell;

/// How long a page may go unsent that has a next one: well below the life of its `next_cursor`.
const MORE_SECS: u64 = 120;
/// How long any other: well below the time for which the log is kept.
const WHOLE_SECS: u64 = 24 * 3600;

/// What a page of a list is called: a hash of its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListTag([u8; 12]);

impl fmt::Display for ListTag {
    /// The opaque text of an entity tag, without quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "l{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// The pages of a list that a caller has, as If-None-Match says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownTags {
    /// `*`: whatever there is.
    Any,
    /// Entity tags, without quotes; those that are not ours match nothing.
    These(Vec<String>),
}

impl KnownTags {
    fn has(&self, tag: ListTag) -> bool {
        match self {
            Self::Any => true,
            Self::These(all) => {
                let tag = tag.to_string();
                all.contains(&tag)
            }
        }
    }
}

/// A page of a list, or that the caller has it.
#[derive(Clone, Debug)]
pub enum Listing {
    /// The page.
    Page {
        /// Its rows and cursors.
        page: ListPage,
        /// What it is called.
        tag: ListTag,
    },
    /// The caller has it.
    Known(ListTag),
}

/// What is asked: all that rows depend on besides the rows in the store.
type Key = [u8; 32];

/// The entity tags of pages that were asked for lately.
#[derive(Debug, Default)]
pub(crate) struct ListTags(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    kept: BTreeMap<Key, Kept>,
    /// Keys by when they were last asked for.
    by_use: BTreeMap<u64, Key>,
    uses: u64,
    flights: BTreeMap<(Key, u64), Arc<Flight>>,
}

#[derive(Debug)]
struct Kept {
    stamp: u64,
    tag: ListTag,
    /// From when on the page is sent again.
    until: Timestamp,
    used: u64,
}

/// One read of a page. Who is first reads; when he goes away, the next one does.
type Flight = OnceCell<(ListPage, ListTag)>;

impl ListTags {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The tag of a page that has not changed since the stamp was this one.
    fn tag(&self, key: &Key, stamp: u64, now: Timestamp) -> Option<ListTag> {
        let mut inner = self.inner();
        let Inner { kept, by_use, uses, .. } = &mut *inner;
        let it = kept.get_mut(key).filter(|it| it.stamp == stamp && now < it.until)?;
        by_use.remove(&it.used);
        *uses += 1;
        it.used = *uses;
        by_use.insert(it.used, *key);
        Some(it.tag)
    }

    fn keep(&self, key: Key, stamp: u64, tag: ListTag, until: Timestamp) {
        let mut inner = self.inner();
        // Whoever reads slowly does not take the place of what was read later.
        if inner.kept.get(&key).is_some_and(|it| it.stamp > stamp) {
            return;
        }
        inner.uses += 1;
        let used = inner.uses;
        if let Some(before) = inner.kept.insert(key, Kept { stamp, tag, until, used }) {
            inner.by_use.remove(&before.used);
        }
        inner.by_use.insert(used, key);
        if inner.kept.len() > limits::LIST_TAGS_MAX
            && let Some((_, oldest)) = inner.by_use.pop_first()
        {
            inner.kept.remove(&oldest);
        }
    }

    /// A read of this page that others may join, who ask while the stamp is the same.
    fn join(&self, key: Key, stamp: u64) -> Joined<'_> {
        let flight = Arc::clone(self.inner().flights.entry((key, stamp)).or_default());
        Joined { tags: self, at: (key, stamp), flight }
    }
}

/// Somebody who waits for a read of a page, or does it.
struct Joined<'a> {
    tags: &'a ListTags,
    at: (Key, u64),
    flight: Arc<Flight>,
}

impl Drop for Joined<'_> {
    fn drop(&mut self) {
        let mut inner = self.tags.inner();
        // Counted under the lock, where all joining happens: the map's own and ours. A read that is
        // over is of no use to those who come later: what they may know is in `kept`.
        let over = self.flight.initialized() || Arc::strong_count(&self.flight) == 2;
        if over && inner.flights.get(&self.at).is_some_and(|it| Arc::ptr_eq(it, &self.flight)) {
            inner.flights.remove(&self.at);
        }
    }
}

/// The tag of a page, and from when on it is another one even if the rows are the same.
fn tag(key: &Key, page: &ListPage, now: Timestamp) -> (ListTag, Timestamp) {
    let more = page.next_cursor.is_some();
    let span = if more { MORE_SECS } else { WHOLE_SECS };
    let span_micros = i64::try_from(span * 1_000_000).unwrap_or(i64::MAX);
    // Each list has its own moment, so that not all of them are sent again at once.
    let shift = i64::from(u32::from_be_bytes(key.first_chunk().copied().unwrap_or_default())) * 1_000;
    let window = now.as_micros().saturating_add(shift).div_euclid(span_micros);
    let mut hash = Sha256::new();
    hash.update([u8::from(more)]);
    hash.update(window.to_be_bytes());
    for row in &page.rows {
        hash.update((row.len() as u64).to_be_bytes());
        hash.update(row);
    }
    let tag = ListTag(hash.finalize().first_chunk().copied().unwrap_or_default());
    (tag, Timestamp::from_micros(window.saturating_add(1).saturating_mul(span_micros).saturating_sub(shift)))
}

/// The key of what is asked. Two questions that could be answered differently have different ones.
fn key(ctx: &Ctx, ty: &ServedType, query: &ListQuery<'_>) -> Key {
    // Taken apart, so that a new part of the question can't be forgotten here.
    let ListQuery { filter, params, sort, fields, limit, after } = *query;
    let decl = &ty.compiled.decl;
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(ctx.tenant_text().as_bytes());
    part(decl.name.as_str().as_bytes());
    part(&ty.version.to_be_bytes());
    part(&ty.updated_at.as_micros().to_be_bytes());
    part(&[u8::from(ctx.authority().covers(decl.access.read))]);
    part(&limit.to_be_bytes());
    for optional in [filter, sort, fields, after] {
        part(&[u8::from(optional.is_some())]);
        part(optional.unwrap_or_default().as_bytes());
    }
    for (name, value) in params {
        part(name.as_bytes());
        part(value.as_bytes());
    }
    hash.finalize().into()
}

impl Service {
    /// One page of a list, once it is none that the caller has; or that he has it, when `wait`
    /// ends before. Without `known` there is nothing to wait for.
    ///
    /// A page that the caller has costs no read while nothing of its tenant and type changes.
    ///
    /// # Errors
    /// As `list_resources`, and `TooManyWaiters`.
    pub async fn list_unless_known(
        &self,
        ctx: &Ctx,
        ty: &ServedType,
        query: ListQuery<'_>,
        known: Option<&KnownTags>,
        wait: Duration,
    ) -> Result<Listing, Error> {
        let tenant = ctx.tenant()?;
        let key = key(ctx, ty, &query);
        let Some(known) = known else {
            let (page, tag) = self.page_and_tag(ctx, ty, query, key).await?;
            return Ok(Listing::Page { page, tag });
        };
        let waits = !wait.is_zero();
        let deadline = self.now() + wait;
        let _admitted = if waits { Some(self.inner.waker.admit(ctx.caller.key)?) } else { None };
        // Taken before looking: a change in between is not missed.
        let on = || WakeOn::Type(tenant.clone(), ty.compiled.decl.name.clone());
        let mut ticket = waits.then(|| self.inner.waker.ticket(on()));
        loop {
            let stamp = self.inner.images.stamp(tenant, &ty.compiled.decl.name);
            let from_memory = stamp.and_then(|it| self.inner.list_tags.tag(&key, it, self.now())).filter(|it| known.has(*it));
            let tag = match from_memory {
                Some(tag) => tag,
                None => {
                    let (page, tag) = self.page_and_tag(ctx, ty, query, key).await?;
                    if !known.has(tag) {
                        return Ok(Listing::Page { page, tag });
                    }
                    tag
                }
            };
            let Some(ticket) = &mut ticket else { return Ok(Listing::Known(tag)) };
            if !self.ready() || ringback_ports::clock::until(self.clock(), deadline, ticket.woken()).await.is_none() {
                return Ok(Listing::Known(tag));
            }
        }
    }

    /// Reads a page; who asks for the same at the same moment shares the read.
    async fn page_and_tag(&self, ctx: &Ctx, ty: &ServedType, query: ListQuery<'_>, key: Key) -> Result<(ListPage, ListTag), Error> {
        // Before reading: what is read is at least as new as the stamp says.
        let Some(stamp) = self.inner.images.stamp(ctx.tenant()?, &ty.compiled.decl.name) else {
            let page = self.list_resources(ctx, ty, query).await?;
            let (tag, _) = tag(&key, &page, self.now());
            return Ok((page, tag));
        };
        let joined = self.inner.list_tags.join(key, stamp);
        let read = async || {
            let page = self.list_resources(ctx, ty, query).await?;
            let (tag, until) = tag(&key, &page, self.now());
            self.inner.list_tags.keep(key, stamp, tag, until);
            Ok::<_, Error>((page, tag))
        };
        joined.flight.get_or_try_init(read).await.cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn page(rows: &[&'static str], more: bool) -> ListPage {
        let rows = rows.iter().map(|it| Bytes::from_static(it.as_bytes())).collect();
        ListPage { rows, next_cursor: more.then(|| "next".to_owned()), watch_cursor: "here".into() }
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    const KEY: Key = [0; 32];

    #[test]
    fn a_tag_is_that_of_the_rows() {
        let of = |rows: &[&'static str], more| tag(&KEY, &page(rows, more), at(0)).0;
        assert_eq!(of(&["ab", "c"], false), of(&["ab", "c"], false));
        let all =
            [of(&[], false), of(&[""], false), of(&["ab", "c"], false), of(&["a", "bc"], false), of(&["ab"], false), of(&["ab"], true)];
        for (n, one) in all.iter().enumerate() {
            assert!(all.iter().skip(n + 1).all(|it| it != one), "{n}");
        }
        let mut other = page(&["ab"], true);
        (other.next_cursor, other.watch_cursor) = (Some("moved".into()), "moved".into());
        assert_eq!(tag(&KEY, &other, at(0)).0, of(&["ab"], true), "cursors are no part of it");
    }

    #[test]
    fn a_tag_changes_before_the_cursors_die() {
        for (more, span) in [(false, 86_400), (true, 120)] {
            for key in [KEY, [7; 32], [0xff; 32]] {
                let page = page(&["a"], more);
                let (first, until) = tag(&key, &page, at(1_000_000));
                assert!(at(1_000_000) < until && until <= at(1_000_000 + span));
                let before = Timestamp::from_micros(until.as_micros() - 1);
                assert_eq!(tag(&key, &page, before), (first, until));
                assert_eq!(tag(&key, &page, Timestamp::from_micros(until.as_micros() - span * 1_000_000)), (first, until));
                let (next, later) = tag(&key, &page, until);
                assert!(next != first && later == Timestamp::from_micros(until.as_micros() + span * 1_000_000));
            }
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_never_of_another_moment() {
        let tags = ListTags::default();
        let (one, _) = tag(&KEY, &page(&["a"], false), at(0));
        let (two, _) = tag(&KEY, &page(&["b"], false), at(0));
        let key = |n: usize| {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&n.to_be_bytes());
            key
        };
        tags.keep(key(0), 5, one, at(10));
        assert_eq!(tags.tag(&key(0), 5, at(9)), Some(one));
        assert_eq!(tags.tag(&key(0), 6, at(9)), None, "something changed");
        assert_eq!(tags.tag(&key(0), 5, at(10)), None, "its time is over");
        assert_eq!(tags.tag(&key(1), 5, at(9)), None, "another question");
        tags.keep(key(0), 6, two, at(10));
        tags.keep(key(0), 5, one, at(10));
        assert_eq!(tags.tag(&key(0), 6, at(9)), Some(two), "a slow reader does not win");
        for n in 1..limits::LIST_TAGS_MAX {
            tags.keep(key(n), 6, one, at(10));
        }
        assert_eq!(tags.tag(&key(0), 6, at(9)), Some(two));
        tags.keep(key(limits::LIST_TAGS_MAX), 6, one, at(10));
        assert_eq!(tags.tag(&key(0), 6, at(9)), Some(two), "it was asked for a moment ago");
        assert_eq!(tags.tag(&key(1), 6, at(9)), None, "and this was not for longest");
        let inner = tags.inner();
        assert_eq!((inner.kept.len(), inner.by_use.len(), inner.flights.len()), (limits::LIST_TAGS_MAX, limits::LIST_TAGS_MAX, 0));
    }
}
