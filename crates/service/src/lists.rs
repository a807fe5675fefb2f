//! Lists of resources, whose pages all show one position.
//!
//! A list begins at the end of the tenant's log, R. Its pages are what the rows
//! say of resources that have not changed since R, merged with what the log says of
//! those that have: the image that each had at R. So a list is the fold of all
//! events up to R, however long its reader takes, and no transaction is held open
//! for it. When too much has changed, or the list is too old, it begins anew.
//!
//! Not here: what conditions mean and which index serves them (`engine::list`),
//! the order (`engine::sort`).

use crate::{Ctx, Error, Service, types::ServedType};
use bytes::Bytes;
use ringback_engine::{
    list::{self, Expr},
    sort::{self, Sort},
    tokens::PageKey,
};
use ringback_model::{
    ResourceId, Subject, Timestamp,
    event::{Event, Place, Scope},
    limits,
    resource::Resource,
    type_decl::TypeDecl,
};
use ringback_ports::store::{ResourceQuery, Slice};
use serde_json::{Map, Value, value::RawValue};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// Rows of a list that are in memory at once: they may be large.
const ROWS_AT_ONCE: usize = 256;
/// Rows that are kept beyond a page of a list that is sorted here: some of them may have changed meanwhile.
const SPARE_ROWS: usize = 64;
/// How often a list that is sorted here is begun again because of changes meanwhile.
const ROUNDS_MAX: usize = 5;

/// How a list is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct ListQuery<'a> {
    /// The parameter `filter`.
    pub filter: Option<&'a str>,
    /// Parameters that are conditions on fields.
    pub params: &'a [(String, String)],
    /// The parameter `sort`; newest first without it.
    pub sort: Option<&'a str>,
    /// The parameter `fields`; all without it.
    pub fields: Option<&'a str>,
    /// Rows of a page.
    pub limit: usize,
    /// The cursor of the page before.
    pub after: Option<&'a str>,
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct ListPage {
    /// The public bytes of the rows, or the members of them that were asked for.
    pub rows: Vec<Bytes>,
    /// Where the next page starts; `None` at the end.
    pub next_cursor: Option<String>,
    /// The position that all pages show: a watch from there misses nothing.
    pub watch_cursor: String,
}

/// What a list was begun with.
struct Pinned<'a> {
    scope: Scope,
    decl: &'a TypeDecl,
    conditions: Expr,
    sort: Sort,
    limit: usize,
    /// The position that its pages show.
    at: Place,
}

/// The rows of a page in order, and whether there are more.
struct Rows {
    rows: Vec<Resource>,
    more: bool,
}

impl Service {
    /// One page of a list, newest first unless `sort` says otherwise.
    ///
    /// # Errors
    /// `List` (a filter that does not fit), `Parameter` (`sort`, `fields`), `QueryTooExpensive`, cursor errors
    /// (`CursorExpired`: the list is too old to be continued).
    pub async fn list_resources(&self, ctx: &Ctx, ty: &ServedType, query: ListQuery<'_>) -> Result<ListPage, Error> {
        let tenant = ctx.tenant()?;
        let decl = &ty.compiled.decl;
        let scope = Scope::Tenant(tenant.clone());
        let parameter = |parameter: &'static str| move |detail: String| Error::Parameter { parameter, detail };
        let conditions = list::conditions(&ty.compiled, query.filter, query.params).map_err(Error::List)?;
        let sort = query.sort.map_or_else(|| Ok(Sort::newest()), |it| Sort::parse(decl, it)).map_err(parameter("sort"))?;
        let shown = query.fields.map(|it| sort::shown(decl, it)).transpose().map_err(parameter("fields"))?;

        let (spelled, sorted) = (list::spelled(&conditions), sort.to_string());
        let route = [decl.path.as_str(), "list", spelled.as_str(), sorted.as_str()];
        let now = self.now();
        let (at, made, after) = match self.page_key(ctx, &route, query.after)? {
            None => (self.inner.store.bounds(&scope).await?.last, now, None),
            Some(PageKey::Pinned { at, made, created_at, id }) => {
                if now.since(made) > Duration::from_secs(limits::LIST_AGE_SECS_MAX) {
                    return Err(Error::CursorExpired);
                }
                (at, made, Some((created_at, ResourceId::parse(&id).map_err(|_| Error::CursorMismatch)?)))
            }
            Some(_) => return Err(Error::CursorMismatch),
        };
        let watch_cursor = self.bound_position(&scope, at, list::watch_binding(decl, &conditions));
        if !ctx.authority().covers(decl.access.read) {
            return Ok(ListPage { rows: Vec::new(), next_cursor: None, watch_cursor });
        }
        let list = Pinned { scope, decl, conditions, sort, limit: query.limit, at };
        let found = match list.sort.by_age() {
            Some(newest_first) => self.rows_by_age(&list, newest_first, after).await?,
            None => self.rows_sorted(&list, after.map(|(_, id)| id)).await?,
        };
        let (mut rows, mut bytes, mut more, mut last) = (Vec::new(), 0, found.more, None);
        for row in found.rows {
            if rows.len() == query.limit || bytes >= limits::PAGE_BYTES_MAX {
                more = true;
                break;
            }
            let encoded = row.encode();
            bytes += encoded.len();
            rows.push(shown.as_ref().map_or_else(|| encoded.clone(), |it| only(&encoded, it)));
            last = Some(row);
        }
        let key = |it: Resource| PageKey::Pinned { at, made, created_at: it.created_at, id: it.id.to_string() };
        let next_cursor = last.filter(|_| more).map(|it| self.page_cursor(ctx, &route, &key(it)));
        Ok(ListPage { rows, next_cursor, watch_cursor })
    }

    /// A list in the order in which rows are kept: reads no more than it needs.
    async fn rows_by_age(&self, list: &Pinned<'_>, newest_first: bool, after: Option<(Timestamp, ResourceId)>) -> Result<Rows, Error> {
        let plan = list::plan(list.decl, &list.conditions, &self.unfilled(&list.decl.name));
        let (mut rows, mut bytes, mut scanned): (Vec<Resource>, usize, usize) = (Vec::new(), 0, 0);
        let mut from = after.clone();
        // With a filter that only this loop applies, small steps would read many times.
        let step = if list.conditions.is_everything() { list.limit.saturating_add(1).min(ROWS_AT_ONCE) } else { ROWS_AT_ONCE };
        let (changed, ended) = loop {
            let mut ended = false;
            while !ended && rows.len() <= list.limit && bytes < limits::PAGE_BYTES_MAX {
                if scanned >= limits::ROWS_SCANNED_MAX {
                    if rows.len() == list.limit {
                        // This page is whole; whether there is a next one, it will say.
                        break;
                    }
                    return Err(self.too_expensive(list, scanned));
                }
                let mut query = list.query(step);
                (query.equal, query.created) = (plan.equal.clone(), plan.created);
                (query.oldest_first, query.after) = (!newest_first, from.clone());
                let page = self.inner.store.resources(query).await?;
                ended = page.len() < step;
                scanned += page.len();
                for row in page {
                    from = Some((row.resource.created_at, row.resource.id.clone()));
                    if list::matches(&list.conditions, &row.resource) {
                        bytes += row.resource.encode().len();
                        rows.push(row.resource);
                        if rows.len() > list.limit || bytes >= limits::PAGE_BYTES_MAX {
                            ended = false;
                            break;
                        }
                    }
                }
            }
            // What changed before it was read is seen by asking after reading.
            let changed = self.changed_since(list).await?;
            let before = rows.len();
            rows.retain(|it| !changed.contains(&it.id));
            if rows.len() == before || ended {
                break (changed, ended);
            }
            bytes = rows.iter().map(|it| it.encode().len()).sum();
        };
        // Between the last row that was read and the next one there may be others: images beyond it have to wait.
        let between = |it: &Resource| {
            let here = (it.created_at, &it.id);
            let past = |(at, id): &(Timestamp, ResourceId)| if newest_first { here < (*at, id) } else { here > (*at, id) };
            after.as_ref().is_none_or(past) && (ended || from.as_ref().is_some_and(|it| !past(it)))
        };
        let images = self.images(list, &changed).await?;
        rows.extend(images.into_iter().filter(between));
        rows.sort_by(|a, b| list.sort.compare(a, b));
        Ok(Rows { rows, more: !ended })
    }

    /// A list in another order: looks at all rows that an index leaves, and keeps those of this page.
    async fn rows_sorted(&self, list: &Pinned<'_>, after: Option<ResourceId>) -> Result<Rows, Error> {
        let after = match after {
            None => None,
            // The row after which this page begins, as it was at the position.
            Some(id) => Some(self.images(list, &BTreeSet::from([id])).await?.pop().ok_or(Error::CursorExpired)?),
        };
        let comes_later = |it: &Resource| after.as_ref().is_none_or(|after| list.sort.compare(it, after).is_gt());
        let plan = list::plan(list.decl, &list.conditions, &self.unfilled(&list.decl.name));
        let mut changed = self.changed_since(list).await?;
        for _ in 0..ROUNDS_MAX {
            let mut top = Top::new(list.limit.saturating_add(1 + SPARE_ROWS));
            let (mut from, mut scanned) = (None, 0);
            loop {
                let mut query = list.query(ROWS_AT_ONCE);
                (query.equal, query.created, query.after) = (plan.equal.clone(), plan.created, from);
                let page = self.inner.store.resources(query).await?;
                let ended = page.len() < ROWS_AT_ONCE;
                scanned += page.len();
                from = page.last().map(|it| (it.resource.created_at, it.resource.id.clone()));
                for row in page {
                    let it = row.resource;
                    if !changed.contains(&it.id) && list::matches(&list.conditions, &it) && comes_later(&it) {
                        top.offer(it, &list.sort);
                    }
                }
                if ended {
                    break;
                }
                if scanned >= limits::ROWS_SCANNED_MAX {
                    return Err(self.too_expensive(list, scanned));
                }
            }
            changed = self.changed_since(list).await?;
            let (mut rows, cut) = (top.rows, top.cut);
            rows.retain(|it| !changed.contains(&it.id));
            if !cut || rows.len() > list.limit {
                // Behind the last row that was kept there are others, and images among them have to wait.
                let last = rows.last().cloned().filter(|_| cut);
                let images = self.images(list, &changed).await?.into_iter();
                let between = |it: &Resource| comes_later(it) && last.as_ref().is_none_or(|last| list.sort.compare(it, last).is_lt());
                rows.extend(images.filter(between));
                rows.sort_by(|a, b| list.sort.compare(a, b));
                return Ok(Rows { rows, more: cut });
            }
        }
        Err(Error::CursorExpired)
    }

    /// No index serves it, or none does yet.
    fn too_expensive(&self, list: &Pinned<'_>, scanned: usize) -> Error {
        let to_come = list::index_to_come(list.decl, &list.conditions, &self.unfilled(&list.decl.name));
        let filling = to_come.is_some();
        let missing_index = to_come.unwrap_or_else(|| list::missing_index(list.decl, &list.conditions));
        Error::QueryTooExpensive { missing_index, scanned, filling }
    }

    /// Resources of the list's type that have changed since its position.
    async fn changed_since(&self, list: &Pinned<'_>) -> Result<BTreeSet<ResourceId>, Error> {
        let last = self.inner.store.bounds(&list.scope).await?.last;
        if last <= list.at {
            return Ok(BTreeSet::new());
        }
        if last - list.at > limits::LIST_EVENTS_MAX {
            return Err(Error::CursorExpired);
        }
        let Scope::Tenant(tenant) = &list.scope else { return Err(Error::StarNotPossible) };
        let changed = self.inner.store.resources_changed_after(tenant, &list.decl.name, list.at, limits::LIST_CHANGES_MAX).await?;
        changed.ok_or(Error::CursorExpired)
    }

    /// Those of these resources that were there at the list's position and met its conditions, as they were.
    async fn images(&self, list: &Pinned<'_>, of: &BTreeSet<ResourceId>) -> Result<Vec<Resource>, Error> {
        if of.is_empty() {
            return Ok(Vec::new());
        }
        let Scope::Tenant(tenant) = &list.scope else { return Err(Error::StarNotPossible) };
        let subjects: Vec<Subject> = of.iter().map(|id| Subject::of_resource(&list.decl.path, id)).collect();
        let events = self.inner.store.resources_at(tenant, &subjects, list.at).await?;
        if events.len() < subjects.len() && self.inner.store.bounds(&list.scope).await?.floor > 0 {
            self.all_were_made_later(list, &subjects, &events).await?;
        }
        let mut out = Vec::new();
        for event in events {
            let image = image(&event).ok_or_else(|| Error::Internal(format!("event {} holds no resource", event.id)))?;
            if list::matches(&list.conditions, &image) {
                out.push(image);
            }
        }
        Ok(out)
    }
}

impl Service {
    /// Of a resource that slept for long and changed since the list began, retention may have taken the
    /// image that the list needs: then it has to begin again, rather than leave it out.
    async fn all_were_made_later(&self, list: &Pinned<'_>, subjects: &[Subject], found: &[Arc<Event>]) -> Result<(), Error> {
        let found: BTreeSet<&Subject> = found.iter().filter_map(|it| it.subject.as_ref()).collect();
        for subject in subjects.iter().filter(|it| !found.contains(it)) {
            let next = self.inner.store.events_of_subject(&list.scope, subject, list.at, Slice { events_max: 1, bytes_max: 1 }).await?;
            if next.first().and_then(|it| it.of.as_ref()).is_some_and(|it| it.version > 1) {
                return Err(Error::CursorExpired);
            }
        }
        Ok(())
    }
}

impl Pinned<'_> {
    fn query(&self, limit: usize) -> ResourceQuery {
        let tenant = match &self.scope {
            Scope::Tenant(it) => it.clone(),
            // Lists are of one tenant; `list_resources` has asked for it.
            Scope::All => ringback_model::TenantId::default_tenant(),
        };
        ResourceQuery {
            tenant,
            type_name: self.decl.name.clone(),
            equal: Vec::new(),
            created: (None, None),
            oldest_first: false,
            after: None,
            limit,
        }
    }
}

/// The first rows of many, in order.
struct Top {
    rows: Vec<Resource>,
    sizes: usize,
    most: usize,
    /// Whether others were left out behind them.
    cut: bool,
}

impl Top {
    const fn new(most: usize) -> Self {
        Self { rows: Vec::new(), sizes: 0, most, cut: false }
    }

    fn offer(&mut self, row: Resource, sort: &Sort) {
        if self.cut && self.rows.last().is_some_and(|last| sort.compare(last, &row).is_lt()) {
            return;
        }
        self.sizes += row.encode().len();
        let at = self.rows.partition_point(|it| sort.compare(it, &row).is_lt());
        self.rows.insert(at, row);
        // A page is cut by its bytes anyway: what lies far behind need not be kept.
        while self.rows.len() > self.most || (self.sizes > 4 * limits::PAGE_BYTES_MAX && self.rows.len() > 1) {
            self.sizes -= self.rows.pop().map_or(0, |it| it.encode().len());
            self.cut = true;
        }
    }
}

/// The resource that an event's `data` is. When its status was entered is not said there; no list asks.
fn image(event: &Event) -> Option<Resource> {
    let of = event.of.as_ref()?;
    let mut fields: Map<String, Value> = serde_json::from_slice(&event.data()).ok()?;
    let mut take = |name: &str| fields.shift_remove(name);
    let status = take("status")?.as_str()?.parse().ok()?;
    let created_at: Timestamp = take("created_at")?.as_str()?.parse().ok()?;
    let updated_at: Timestamp = take("updated_at")?.as_str()?.parse().ok()?;
    for name in ["id", "type", "tenant", "version"] {
        take(name);
    }
    Some(Resource {
        id: of.id.clone(),
        type_name: of.type_name.clone(),
        tenant: event.tenant.clone(),
        status,
        version: of.version,
        created_at,
        updated_at,
        since: updated_at,
        fields,
    })
}

/// These members of an encoded resource alone, verbatim, in the order in which they were asked for.
fn only(encoded: &Bytes, names: &[String]) -> Bytes {
    let members: std::collections::BTreeMap<String, &RawValue> = serde_json::from_slice(encoded).unwrap_or_default();
    let mut out = vec![b'{'];
    for (name, value) in names.iter().filter_map(|it| Some((it, members.get(it)?))) {
        if out.len() > 1 {
            out.push(b',');
        }
        ringback_model::resource::push_str(&mut out, name);
        out.push(b':');
        out.extend_from_slice(value.get().as_bytes());
    }
    out.push(b'}');
    out.into()
}
