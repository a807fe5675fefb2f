//! Images against a store whose moments are chosen: what is asked for at any
//! moment is never older than what the store would have said then.

use super::*;
use proptest::prelude::*;
use ringback_model::{
    EventId, EventType,
    event::{EventDraft, OfResource},
    key::Authority,
};
use ringback_ports::store::{Expected, Refused, ResourceRow};
use std::cell::RefCell;
use tokio::{
    runtime::Builder,
    sync::oneshot,
    task::{JoinHandle, LocalSet, spawn_local, yield_now},
};

fn names(n: u8) -> (TenantId, TypeName, ResourceId) {
    (TenantId::parse("acme").unwrap(), TypeName::parse("order").unwrap(), ResourceId::parse(&format!("o{n}")).unwrap())
}

fn resource(n: u8, version: Version) -> Resource {
    let (tenant, type_name, id) = names(n);
    let at = |version: Version| Timestamp::from_secs(version.cast_signed());
    Resource {
        id,
        type_name,
        tenant,
        status: StatusName::parse(if version.is_multiple_of(2) { "paid" } else { "open" }).unwrap(),
        version,
        created_at: at(1),
        updated_at: at(version),
        since: at(version),
        fields: serde_json::Map::new(),
    }
}

fn draft(n: u8, version: Version, bits: u128) -> EventDraft {
    let it = resource(n, version);
    EventDraft {
        id: EventId::from_bits(bits),
        event_type: EventType::parse("order.changed").unwrap(),
        timestamp: it.since,
        subject: None,
        data: it.encode(),
        previous: None,
        occurred_at: None,
        expires_at: None,
        key: None,
        audience: Authority::Tenant,
        of: Some(OfResource { type_name: it.type_name.clone(), id: it.id.clone(), version, entered: Some(it.status), deleted: false }),
    }
}

fn set(n: u8, version: Version, bits: u128) -> ChangeSet {
    let mut set = ChangeSet::new(names(n).0, Timestamp::from_secs(0));
    let row = ResourceRow { resource: resource(n, version), deleted: false, timer: None };
    set.changes.push(Change::Resource { row: Box::new(row), expected: Expected::Absent });
    set.events.push(draft(n, version, bits));
    set
}

fn event(n: u8, version: Version, bits: u128) -> Arc<Event> {
    Arc::new(draft(n, version, bits).place(names(n).0, 1, 1, true))
}

async fn read(images: &Images, n: u8, found: Option<Resource>) -> Option<Arc<Image>> {
    let (tenant, type_name, id) = names(n);
    images.read(&tenant, &type_name, &id, || async { Ok(found.map(Image::of)) }).await.unwrap()
}

#[tokio::test]
async fn what_is_kept_is_bounded_and_the_least_asked_for_goes_first() {
    let one = weight(&Image::of(resource(1, 1)));
    let images = Images::of(3 * one);
    for n in [1, 2, 3] {
        read(&images, n, Some(resource(n, 1))).await;
    }
    read(&images, 1, None).await.expect("it is kept");
    read(&images, 4, Some(resource(4, 1))).await;
    assert!(read(&images, 2, None).await.is_none(), "2 was not asked for longest");
    for n in [1, 3, 4] {
        assert!(read(&images, n, None).await.is_some(), "{n}");
    }
    let inner = images.inner();
    assert_eq!((inner.bytes, inner.kept.len(), inner.by_use.len(), inner.flights.len()), (3 * one, 3, 3, 0));
}

#[tokio::test]
async fn a_change_is_taken_from_its_event() {
    let images = Images::new();
    read(&images, 1, Some(resource(1, 1))).await;
    let writing = images.begin(&set(1, 2, 9));
    images.hear(&[event(1, 2, 9)]);
    drop(writing);
    let after = read(&images, 1, None).await.expect("it is in memory");
    let wanted = Image::of(resource(1, 2));
    assert_eq!((&after.body, &after.status, after.since, after.version), (&wanted.body, &wanted.status, wanted.since, wanted.version));
}

#[tokio::test]
async fn what_was_refused_changes_nothing_and_what_is_unknown_is_asked_again() {
    let images = Images::new();
    read(&images, 1, Some(resource(1, 1))).await;
    let refused = async { Err(CommitError::Refused(Refused::Exists { change: 0 })) };
    images.begin(&set(1, 2, 9)).unwrap().commit(refused).await.unwrap_err();
    assert_eq!(read(&images, 1, None).await.unwrap().version, 1);
    images.begin(&set(1, 2, 9)).unwrap().commit(async { Err(CommitError::Unknown) }).await.unwrap_err();
    assert_eq!(read(&images, 1, Some(resource(1, 2))).await.unwrap().version, 2);
    assert!(images.inner().marked.is_empty());
}

#[tokio::test]
async fn who_goes_away_leaves_his_commit_running() {
    let images = Images::new();
    let (finish, finished) = oneshot::channel::<()>();
    {
        let commit = images.begin(&set(1, 1, 9)).unwrap().commit(async move {
            let _ = finished.await;
            Ok(Committed::default())
        });
        tokio::pin!(commit);
        assert!(futures_util::FutureExt::now_or_never(&mut commit).is_none());
    }
    assert_eq!(images.inner().marked.len(), 1, "its fate is not known");
    finish.send(()).unwrap();
    yield_now().await;
    yield_now().await;
    assert!(images.inner().marked.is_empty());
}

#[test]
fn stamps_are_those_of_tenant_and_type() {
    let images = Images::new();
    let stamp = |tenant: &str, type_name: &str| images.stamp(&TenantId::parse(tenant).unwrap(), &TypeName::parse(type_name).unwrap());
    let before = stamp("acme", "order");
    let (other_tenant, other_type) = (stamp("acm", "order"), stamp("acme", "orders"));
    let writing = images.begin(&set(1, 1, 9)).unwrap();
    assert_eq!(stamp("acme", "order"), None, "only the store knows");
    assert!(stamp("acm", "order").is_some() && stamp("acme", "orders").is_some() && stamp("acme", "orde").is_some());
    images.hear(&[event(1, 1, 9)]);
    let after = stamp("acme", "order");
    assert!(after > before);
    drop(writing);
    assert_eq!(stamp("acme", "order"), after);
    assert_eq!((stamp("acm", "order"), stamp("acme", "orders")), (other_tenant, other_type), "nobody else's");
    // One that is refused changes nothing; one whose fate nobody knows may have.
    let mut refused = images.begin(&set(1, 2, 10)).unwrap();
    refused.nothing_stored = true;
    drop(refused);
    assert_eq!(stamp("acme", "order"), after);
    drop(images.begin(&set(1, 2, 11)));
    assert!(stamp("acme", "order") > after);
}

#[test]
fn stamps_are_bounded_and_what_is_forgotten_counts_as_changed() {
    let images = Images::new();
    images.hear(&[event(1, 1, 9)]);
    let (tenant, type_name, _) = names(1);
    let before = images.stamp(&tenant, &type_name).unwrap();
    for n in 0..limits::LIST_STAMPS_MAX {
        images.inner().change(format!("t{n}\0order\0").into());
    }
    assert!(images.inner().changed.len() <= limits::LIST_STAMPS_MAX);
    assert!(images.stamp(&tenant, &type_name).unwrap() > before);
}

/// What happens next, to which resource.
#[derive(Clone, Debug)]
enum Act {
    Read(u8),
    /// The oldest read of the store that is on its way gets its answer.
    Answer,
    Begin(u8),
    Refuse(u8),
    /// The store shows it.
    Show(u8),
    Hear(u8),
    End(u8),
    GiveUp,
}

fn act() -> impl Strategy<Value = Act> {
    let n = 0..2_u8;
    prop_oneof![
        4 => n.clone().prop_map(Act::Read),
        3 => Just(Act::Answer),
        2 => n.clone().prop_map(Act::Begin),
        1 => n.clone().prop_map(Act::Refuse),
        2 => n.clone().prop_map(Act::Show),
        2 => n.clone().prop_map(Act::Hear),
        2 => n.prop_map(Act::End),
        1 => Just(Act::GiveUp),
    ]
}

/// One write at a time of each resource, as `service::locks` has it.
struct Write {
    writing: Writing,
    version: Version,
    bits: u128,
    shown: bool,
    heard: bool,
}

async fn play(acts: Vec<Act>) {
    // Two images don't fit, so that they push each other out, too.
    let images = Images::of(weight(&Image::of(resource(0, 1))) * 3 / 2);
    let store = std::rc::Rc::new(RefCell::new([1 as Version; 2]));
    let mut writes: [Option<Write>; 2] = [None, None];
    let mut asked: Vec<oneshot::Sender<()>> = Vec::new();
    let mut reads: Vec<JoinHandle<()>> = Vec::new();
    let mut bits = 1_u128 << 100;
    let mut stamped = BTreeMap::new();
    for act in acts {
        match act {
            Act::Read(n) => {
                let (answer, answered) = oneshot::channel();
                asked.push(answer);
                let (images, store) = (Arc::clone(&images), std::rc::Rc::clone(&store));
                let floor = store.borrow()[usize::from(n)];
                reads.push(spawn_local(async move {
                    let (tenant, type_name, id) = names(n);
                    let load = || async {
                        // Seen first, answered later: the worst that a store can do.
                        let seen = store.borrow()[usize::from(n)];
                        let _ = answered.await;
                        Ok(Some(Image::of(resource(n, seen))))
                    };
                    let got = images.read(&tenant, &type_name, &id, load).await.unwrap().unwrap();
                    assert!(got.version >= floor, "{} was read after {floor} could be seen", got.version);
                    let wanted = Image::of(resource(n, got.version));
                    assert_eq!((&got.body, &got.status, got.since), (&wanted.body, &wanted.status, wanted.since));
                }));
                // It asks at once: `floor` is what the store says at this moment.
                yield_now().await;
            }
            Act::Answer => {
                if !asked.is_empty() {
                    let _ = asked.remove(0).send(());
                }
            }
            Act::GiveUp => {
                if let Some(read) = reads.pop() {
                    if !read.is_finished() {
                        read.abort();
                    }
                    let ended = read.await;
                    assert!(!ended.is_err_and(|it| it.is_panic()), "a read was stale");
                }
            }
            Act::Begin(n) => {
                let version = store.borrow()[usize::from(n)] + 1;
                let write = &mut writes[usize::from(n)];
                if write.is_none() {
                    bits += 1;
                    let writing = images.begin(&set(n, version, bits)).unwrap();
                    *write = Some(Write { writing, version, bits, shown: false, heard: false });
                }
            }
            Act::Refuse(n) => {
                let write = &mut writes[usize::from(n)];
                if let Some(mut it) = write.take_if(|it| !it.shown) {
                    it.writing.nothing_stored = true;
                }
            }
            Act::Show(n) => {
                if let Some(it) = &mut writes[usize::from(n)] {
                    store.borrow_mut()[usize::from(n)] = it.version;
                    it.shown = true;
                }
            }
            Act::Hear(n) => {
                if let Some(it) = writes[usize::from(n)].as_mut().filter(|it| it.shown && !it.heard) {
                    images.hear(&[event(n, it.version, it.bits)]);
                    it.heard = true;
                }
            }
            // Also unheard of: the listener broke off.
            Act::End(n) => drop(writes[usize::from(n)].take_if(|it| it.shown)),
        }
        let (tenant, type_name, _) = names(0);
        if let Some(stamp) = images.stamp(&tenant, &type_name) {
            let now = *store.borrow();
            assert_eq!(*stamped.entry(stamp).or_insert(now), now, "a list with this stamp shows another one");
        }
        yield_now().await;
    }
    drop(asked);
    for read in reads {
        read.await.expect("no read is stale");
    }
    drop(writes);
    let inner = images.inner();
    assert!(inner.flights.is_empty() && inner.marked.is_empty(), "nothing is left behind");
    assert_eq!(inner.bytes, inner.kept.values().map(|it| weight(&it.image)).sum::<usize>());
}

proptest! {
    #[test]
    fn no_read_is_older_than_the_store(acts in proptest::collection::vec(act(), 1..60)) {
        let runtime = Builder::new_current_thread().build().unwrap();
        LocalSet::new().block_on(&runtime, play(acts));
    }
}
