//! Walks through everything that a store holds and asks whether it keeps the
//! promises (P2, P3, P11): `ringback verify`, and a judge of the simulation.
//!
//! Needs a store and nothing else, so that it works on a directory that no
//! server has, on a copy, and beside a server that goes on writing. Each question
//! is put to one moment of the store; what comes in while we walk is looked at
//! next time. Memory is bounded: pages of the log, and the versions of the
//! resources that changed last.
//!
//! Not here: the questions themselves (`engine::verify`), the files (`store-sqlite`).

use crate::{
    subscriptions::{condition, meets},
    types::{Types, assemble},
};
use ringback_engine::{
    matching,
    types::CompiledType,
    verify::{self, Account, Check, Finding, LogCheck},
};
use ringback_filter::Expr;
use ringback_model::{
    ResourceId, StatusName, Subject, TenantId, TypeName,
    event::{Event, OfResource, Place, Scope, Seq},
    resource::{Resource, Version},
    subscription::{Revision, RevisionNo, Subscription, Until},
};
use ringback_ports::store::{ReaderAccount, ResourceKey, Slice, Store, StoreError};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Findings that a report holds; the rest is counted.
pub const FINDINGS_MAX: usize = 100;
/// Resources whose last version is remembered while the log is read; of others it is asked for.
const VERSIONS_MAX: usize = 100_000;
const PAGE: Slice = Slice { events_max: 500, bytes_max: 4 * 1024 * 1024 };
const ROWS: usize = 500;

/// What was looked at, and what is wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Events of the log.
    pub events: u64,
    /// Tenants that have events.
    pub tenants: u64,
    /// Resource rows, deleted ones included.
    pub resources: u64,
    /// Subscriptions.
    pub subscriptions: u64,
    /// Events owed to a subscription of which it was asked what became of them.
    pub deliveries: u64,
    /// What is wrong, `FINDINGS_MAX` of it.
    pub findings: Vec<Finding>,
    /// Everything that is wrong.
    pub found: u64,
    /// Subscriptions whose deliveries could not be checked, and why.
    pub unchecked: Vec<String>,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.found == 0
    }

    /// Adds what another check found.
    pub fn add(&mut self, finding: Finding) {
        self.found += 1;
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(finding);
        }
    }
}

/// Checks all of it. `files` are the types that files declare: a one-shot that
/// waits for `done` can only be checked with its type.
///
/// # Errors
/// When the store can't be read, a broken row included.
pub async fn verify(store: &dyn Store, files: Vec<CompiledType>) -> Result<Report, StoreError> {
    let types = assemble(files, store.types().await?).unwrap_or_default();
    let mut walk = Walk {
        store,
        types,
        report: Report::default(),
        versions: BTreeMap::new(),
        erased: BTreeSet::new(),
        one_shots: BTreeMap::new(),
        seen_types: BTreeSet::new(),
        known_tenants: BTreeSet::new(),
    };
    walk.orphans().await?;
    let last = walk.log().await?;
    walk.rows().await?;
    walk.beyond(last).await?;
    Ok(walk.report)
}

type Key = (TenantId, TypeName, ResourceId);

struct Walk<'a> {
    store: &'a dyn Store,
    types: Types,
    report: Report,
    /// The last version that was seen of resources.
    versions: BTreeMap<Key, Version>,
    /// Tenants of which something was erased.
    erased: BTreeSet<TenantId>,
    /// One-shots that have met their event, by number.
    one_shots: BTreeMap<u32, Place>,
    seen_types: BTreeSet<(TenantId, String)>,
    known_tenants: BTreeSet<TenantId>,
}

impl Walk<'_> {
    /// Rows that belong to nothing.
    async fn orphans(&mut self) -> Result<(), StoreError> {
        let subscriptions: BTreeSet<u32> = self.store.subscriptions().await?.into_iter().map(|it| it.no).collect();
        // A subscription may come or go between two questions: only what is still so afterwards counts.
        let with_rows = self.store.accounted().await?;
        for no in with_rows.iter().filter(|it| !subscriptions.contains(it)) {
            if self.store.accounted().await?.contains(no) && !self.store.subscriptions().await?.iter().any(|it| it.no == *no) {
                self.report.add(Finding::new(
                    Check::Orphan,
                    format!("subscription number {no}"),
                    "it has a cursor, exceptions, attempts or skipped ranges, and there is no such subscription",
                ));
            }
        }
        for no in &subscriptions {
            if self.store.account(*no, 0, 0).await?.is_none() && self.store.subscriptions().await?.iter().any(|it| it.no == *no) {
                self.report.add(Finding::new(Check::Orphan, format!("subscription number {no}"), "it has no cursor"));
            }
        }
        self.known_tenants = self.store.tenants().await?.into_iter().map(|it| it.id).collect();
        for subscription in self.store.subscriptions().await? {
            if !self.known_tenants.contains(&subscription.tenant) && !self.has_tenant(&subscription.tenant).await? {
                let what = format!("it belongs to the tenant {}, and there is none", subscription.tenant);
                self.report.add(Finding::new(Check::Orphan, &subscription.id, what));
            }
        }
        for key in self.store.keys().await? {
            if let Some(tenant) = &key.tenant
                && !self.known_tenants.contains(tenant)
                && !self.has_tenant(tenant).await?
            {
                self.report.add(Finding::new(Check::Orphan, key.id, format!("it belongs to the tenant {tenant}, and there is none")));
            }
        }
        Ok(())
    }

    async fn has_tenant(&mut self, id: &TenantId) -> Result<bool, StoreError> {
        if !self.known_tenants.contains(id) {
            self.known_tenants = self.store.tenants().await?.into_iter().map(|it| it.id).collect();
        }
        Ok(self.known_tenants.contains(id))
    }

    /// All events, and with them what became of each for those who are owed it. Answers the last place.
    async fn log(&mut self) -> Result<Seq, StoreError> {
        let bounds = self.store.bounds(&Scope::All).await?;
        let mut check = LogCheck::after(bounds.floor);
        let mut after = bounds.floor;
        // What is written meanwhile is for the next time, else a busy log has no end.
        while after < bounds.last {
            let mut page = self.store.events_after(&Scope::All, after, PAGE).await?;
            let Some(newest) = page.last().map(|it| it.seq) else {
                let what = format!("it ends at {after}, and says that it ends at {}", bounds.last);
                self.report.add(Finding::new(Check::Sequence, "the log", what));
                break;
            };
            page.retain(|it| it.seq <= bounds.last);
            after = newest;
            self.report.events += page.len() as u64;
            for event in &page {
                for finding in check.event(event) {
                    self.report.add(finding);
                }
                self.change(event, bounds.floor).await?;
                self.event_type(event).await?;
            }
            self.deliveries(&page).await?;
        }
        if let Some(finding) = check.end() {
            self.report.add(finding);
        }
        self.report.tenants = check.tenants() as u64;
        Ok(bounds.last)
    }

    async fn event_type(&mut self, event: &Event) -> Result<(), StoreError> {
        let key = (event.tenant.clone(), event.event_type.as_str().to_owned());
        if self.seen_types.contains(&key) {
            return Ok(());
        }
        if self.seen_types.len() >= VERSIONS_MAX {
            self.seen_types.clear();
        }
        self.seen_types.insert(key);
        if !self.has_tenant(&event.tenant).await? {
            self.report.add(Finding::new(Check::Orphan, event.id, format!("it belongs to the tenant {}, and there is none", event.tenant)));
        }
        if !self.store.event_type_seen(&Scope::Tenant(event.tenant.clone()), &event.event_type).await? {
            let what = format!("{} has such events, and does not know their type", event.tenant);
            self.report.add(Finding::new(Check::Event, event.event_type.as_str(), what));
        }
        Ok(())
    }

    /// An event of a resource follows the one of the version before it, and the row has come as far.
    async fn change(&mut self, event: &Event, floor: Seq) -> Result<(), StoreError> {
        if event.erased_at.is_some() {
            self.erased.insert(event.tenant.clone());
        }
        let Some(of) = &event.of else { return Ok(()) };
        if event.subject.is_none() && event.erased_at.is_none() {
            self.report.add(Finding::new(Check::Version, event.id, "it is of a resource, and has no subject"));
            return Ok(());
        }
        let OfResource { type_name, id, version, .. } = of;
        let has_gaps = floor > 0 || self.erased.contains(&event.tenant);
        let key = (event.tenant.clone(), type_name.clone(), id.clone());
        let name = format!("{}: {type_name} {id}", event.tenant);
        let before = match self.versions.get(&key) {
            Some(before) => Some(*before),
            None if *version == 1 => Some(0),
            None => match &event.subject {
                Some(subject) => {
                    let found = self.store.event_of_version(&event.tenant, subject, version - 1).await?;
                    found.filter(|it| it.seq < event.seq).map(|_| version - 1)
                }
                // It is erased, and so may those before it be.
                None => None,
            },
        };
        match before {
            Some(before) if before + 1 == *version => {}
            Some(before) => {
                let what = format!("{} makes version {version} of it, after version {before}", event.id);
                self.report.add(Finding::new(Check::Version, &name, what));
            }
            // The one before may have been removed.
            None if has_gaps => {}
            None => {
                let what = format!("{} makes version {version} of it, and no event before it makes version {}", event.id, version - 1);
                self.report.add(Finding::new(Check::Version, &name, what));
            }
        }
        if self.versions.len() >= VERSIONS_MAX {
            self.versions.clear();
        }
        let first = self.versions.insert(key, *version).is_none();
        // Once for each resource; where the row has stopped, `rows` says it.
        if first && self.store.resource(&event.tenant, type_name, id).await?.is_none() {
            self.report.add(Finding::new(Check::Resource, &name, format!("{} changed it, and it has no row", event.id)));
        }
        Ok(())
    }

    /// Every resource row is what its last event made of it.
    async fn rows(&mut self) -> Result<(), StoreError> {
        let mut after: Option<ResourceKey> = None;
        loop {
            let page = self.store.resource_rows(after.take(), ROWS).await?;
            let Some(last) = page.last() else { return Ok(()) };
            let it = &last.resource;
            after = Some(ResourceKey { tenant: it.tenant.clone(), type_name: it.type_name.clone(), id: it.id.clone() });
            for row in page {
                self.report.resources += 1;
                let it = &row.resource;
                let Some((subject, made_by)) = self.made_by(it).await? else { continue };
                let floor = self.store.bounds(&Scope::Tenant(it.tenant.clone())).await?.floor;
                // A row that is older than what is kept has no event any more.
                // One that was erased has no event that is found by its subject, and says nothing.
                let erased = row.deleted && it.fields.is_empty() && self.erased.contains(&it.tenant);
                if (made_by.is_some() || floor == 0 && !erased)
                    && let Some(finding) = verify::resource(it, row.deleted, made_by.as_deref())
                {
                    self.report.add(finding);
                }
                if let Some(next) = self.store.event_of_version(&it.tenant, &subject, it.version + 1).await? {
                    let now = self.store.resource(&it.tenant, &it.type_name, &it.id).await?;
                    if now.is_none_or(|now| now.resource.version <= it.version) {
                        let what = format!("it is at version {}, and {} made version {}", it.version, next.id, it.version + 1);
                        self.report.add(Finding::new(Check::Resource, verify::name_of(it), what));
                    }
                }
            }
        }
    }

    /// What the events of a resource are about, and the one that made its version. Where the type is not
    /// known here its path may be the default one: the event says whether it is.
    async fn made_by(&mut self, it: &Resource) -> Result<Option<(Subject, Option<Arc<Event>>)>, StoreError> {
        if let Some(served) = self.types.by_name(it.type_name.as_str()) {
            let subject = Subject::of_resource(&served.compiled.decl.path, &it.id);
            let event = self.store.event_of_version(&it.tenant, &subject, it.version).await?;
            return Ok(Some((subject, event)));
        }
        if let Ok(subject) = Subject::parse(&format!("/{}/{}", it.type_name, it.id))
            && let Some(event) = self.store.event_of_version(&it.tenant, &subject, it.version).await?
            && event.of.as_ref().is_some_and(|of| of.type_name == it.type_name)
        {
            return Ok(Some((subject, Some(event))));
        }
        self.not_checked(format!("resources of the type `{}`: it is not known here; name its file with --types", it.type_name));
        Ok(None)
    }

    fn not_checked(&mut self, why: String) {
        if self.report.unchecked.len() < FINDINGS_MAX && !self.report.unchecked.contains(&why) {
            self.report.unchecked.push(why);
        }
    }

    // ---- Deliveries ----

    /// What became of the events of a page for everybody who is owed one.
    async fn deliveries(&mut self, page: &[Arc<Event>]) -> Result<(), StoreError> {
        let mut of_tenant: BTreeMap<TenantId, Vec<Arc<Event>>> = BTreeMap::new();
        for event in page {
            of_tenant.entry(event.tenant.clone()).or_default().push(Arc::clone(event));
        }
        for subscription in self.store.subscriptions().await? {
            let events = match &subscription.scope {
                Scope::All => page,
                Scope::Tenant(tenant) => match of_tenant.get(tenant) {
                    Some(own) => own,
                    None => continue,
                },
            };
            let awaited = match self.awaited(&subscription) {
                Some(it) => it,
                None => continue,
            };
            let filters = self.filters(&subscription);
            if !events.iter().any(|it| wants(&subscription, &filters, it, awaited.as_deref())) {
                continue;
            }
            let place = |it: Option<&Arc<Event>>| it.map_or(0, |it| it.place(&subscription.scope));
            let (from, to) = (place(events.first()).saturating_sub(1), place(events.last()));
            if let Some(account) = self.store.account(subscription.no, from, to).await? {
                self.subscription(&account, &filters, events, awaited.as_deref());
            }
        }
        Ok(())
    }

    /// The statuses that a one-shot waits for; `None` when they can't be known, `Some(None)` when it is none.
    fn awaited(&mut self, subscription: &Subscription) -> Option<Option<Vec<StatusName>>> {
        match (&subscription.until, &subscription.subject) {
            (None, _) => Some(None),
            (Some(Until::Statuses(all)), _) => Some(Some(all.clone())),
            (Some(Until::Done), subject) => {
                let served = subject.as_ref().and_then(|it| self.types.route(it.as_str())).map(|(served, _)| served);
                if served.is_none() {
                    let why = "it waits for `done` of a type that is not known here; name its file with --types";
                    self.not_checked(format!("{}: {why}", subscription.id));
                }
                served.map(|it| Some(it.compiled.decl.lifecycle.statuses.iter().filter(|it| it.done).map(|it| it.name.clone()).collect()))
            }
        }
    }

    /// The conditions of its revisions.
    fn filters(&self, subscription: &Subscription) -> BTreeMap<RevisionNo, Expr> {
        let of = |it: &Revision| Some((it.no, condition(&self.types, &it.types, it.filter.as_deref()?, subscription.authority)?));
        subscription.revisions.iter().filter_map(of).collect()
    }

    fn subscription(
        &mut self,
        account: &ReaderAccount,
        filters: &BTreeMap<RevisionNo, Expr>,
        events: &[Arc<Event>],
        awaited: Option<&[StatusName]>,
    ) {
        let it = &account.subscription;
        let generation = it.generation;
        for event in events.iter().filter(|event| wants(it, filters, event, awaited)) {
            let place = event.place(&it.scope);
            let skipped = account.skipped.iter().any(|it| it.generation == generation && it.from < place && place <= it.to);
            if awaited.is_some() && !skipped {
                // A one-shot is owed the first one that it did not skip, and no other.
                match self.one_shots.get(&it.no) {
                    Some(first) if *first != place => continue,
                    _ => self.one_shots.insert(it.no, place),
                };
            }
            self.report.deliveries += 1;
            let attempts = account.attempts.iter().find(|it| it.place == place);
            let exception = account.exceptions.iter().find(|it| it.place == place);
            let other = |id| id != event.id;
            if attempts.is_some_and(|it| other(it.last.event)) || exception.is_some_and(|it| other(it.event)) {
                let what = format!("its attempts or its exception at {place} are of another event than {}", event.id);
                self.report.add(Finding::new(Check::Orphan, &it.id, what));
            }
            let account = Account {
                place,
                cursor: account.cursor,
                generation,
                delivered_in: attempts.and_then(|it| it.succeeded_in),
                replayed_in: attempts.and_then(|it| it.replayed_in),
                exception_of: exception.map(|it| it.generation),
                skipped: &account.skipped,
            };
            if let Some(what) = verify::conservation(&account) {
                self.report.add(Finding::new(Check::Conservation, &it.id, format!("{}: {what}", verify::at(event, &it.scope))));
            }
        }
    }

    /// Rows about places that no event has.
    async fn beyond(&mut self, last: Seq) -> Result<(), StoreError> {
        let all = self.store.subscriptions().await?;
        self.report.subscriptions = all.len() as u64;
        for subscription in all {
            // Asked before the account: what is settled meanwhile is about events that are there.
            let Some(account) = self.store.account(subscription.no, last, last).await? else { continue };
            let end = self.store.bounds(&subscription.scope).await?.last;
            if account.cursor > end {
                let what = format!("its cursor is at {}, and the log ends at {end}", account.cursor);
                self.report.add(Finding::new(Check::Conservation, &subscription.id, what));
            }
            if let Some(account) = self.store.account(subscription.no, end, Place::MAX).await? {
                let now = self.store.bounds(&subscription.scope).await?.last;
                let places = account.exceptions.iter().map(|it| it.place).chain(account.attempts.iter().map(|it| it.place));
                for place in places.filter(|it| *it > now) {
                    let what = format!("it has an exception or attempts at {place}, and the log ends at {now}");
                    self.report.add(Finding::new(Check::Orphan, &subscription.id, what));
                }
            }
        }
        Ok(())
    }
}

/// Whether the subscription is owed the event, were it read.
fn wants(it: &Subscription, filters: &BTreeMap<RevisionNo, Expr>, event: &Event, awaited: Option<&[StatusName]>) -> bool {
    let place = event.place(&it.scope);
    it.revisions.first().is_some_and(|it| it.from < place)
        && it.revision_at(place).is_some_and(|revision| matching::matches(it, revision, event) && meets(filters.get(&revision.no), event))
        && awaited.is_none_or(|all| matching::one_shot(event, all))
}
