//! What a change of a resource means to a watch with a filter (G7).
//!
//! A watch shows who reads it the list that the filter makes, as it changes:
//! what comes in (`enter`), stays and differs (`update`), no longer matches
//! (`leave`), or is gone (`delete`). It is judged on two images: `after` is the
//! event's `data`; `before` is the same with the members of `previous` put back.
//!
//! One member can't be put back: `previous` does not carry the old `updated_at`.
//! A filter that asks for it is judged on the version before, which the caller
//! fetches; where that is gone by retention, it is not known whether the
//! resource was in the list, and the answer is the one that is right either way.
//!
//! Not here: the filter itself (`ringback-filter`), reading the log.

use ringback_model::event::Event;
use serde_json::{Map, Value};

/// What a change means to whoever keeps the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It matches now, and did not before: add it.
    Enter,
    /// It matched and matches: replace it.
    Update,
    /// It matched and does not any more: take it out.
    Leave,
    /// It matched and is deleted: take it out.
    Delete,
}

impl Change {
    /// As it is written in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enter => "enter",
            Self::Update => "update",
            Self::Leave => "leave",
            Self::Delete => "delete",
        }
    }
}

/// A resource before and after a change.
#[derive(Clone, Debug, PartialEq)]
pub struct Images {
    /// As the event has it; of a deletion, the last image.
    pub after: Map<String, Value>,
    /// As it was; `None` on creation. `updated_at` is missing in it.
    pub before: Option<Map<String, Value>>,
}

/// The images of a resource's event; `None` for an event of no resource, or one whose data was erased.
#[must_use]
pub fn images(event: &Event) -> Option<Images> {
    let of = event.of.as_ref()?;
    let mut members: Map<String, Value> = serde_json::from_slice(&event.bytes).ok()?;
    let Some(Value::Object(after)) = members.remove("data") else { return None };
    let previous = members.remove("previous");
    let before = (of.version > 1).then(|| {
        let mut before = after.clone();
        before.remove("updated_at");
        before.insert("version".into(), (of.version - 1).into());
        for (name, old) in previous.into_iter().filter_map(|it| if let Value::Object(it) = it { Some(it) } else { None }).flatten() {
            // `null` was absent, and a filter takes the two for the same.
            before.insert(name, old);
        }
        before
    });
    Some(Images { after, before })
}

/// Whether the resource was in the list before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Was {
    /// It was.
    In,
    /// It was not, or did not exist.
    Out,
    /// The version before is gone.
    Unknown,
}

/// What the change means; `None` if nothing.
#[must_use]
pub const fn judge(was: Was, is: bool, deleted: bool) -> Option<Change> {
    match (was, is, deleted) {
        (Was::In | Was::Unknown, _, true) => Some(Change::Delete),
        (Was::In, true, false) => Some(Change::Update),
        // To add what is there already replaces it; to take out what is not there does nothing.
        (Was::Out | Was::Unknown, true, false) => Some(Change::Enter),
        (Was::In | Was::Unknown, false, false) => Some(Change::Leave),
        (Was::Out, false, false) | (Was::Out, _, true) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use ringback_model::{
        EventId, EventType, ResourceId, Subject, TenantId, Timestamp, TypeName,
        event::{EventDraft, OfResource},
        key::Authority,
    };
    use serde_json::json;

    fn event(version: u64, data: &Value, previous: Option<&Value>) -> Event {
        EventDraft {
            id: EventId::from_bits(1),
            event_type: EventType::parse("payment.updated").unwrap(),
            timestamp: Timestamp::from_secs(1),
            subject: Subject::parse("/payment/1").ok(),
            data: Bytes::from(data.to_string()),
            previous: previous.map(|it| Bytes::from(it.to_string())),
            occurred_at: None,
            expires_at: None,
            key: None,
            audience: Authority::Tenant,
            of: Some(OfResource {
                type_name: TypeName::parse("payment").unwrap(),
                id: ResourceId::parse("1").unwrap(),
                version,
                entered: None,
                deleted: false,
            }),
        }
        .place(TenantId::default_tenant(), 9, 3, true)
    }

    #[test]
    fn the_image_before_is_put_back_together() {
        let data = json!({"id": "1", "status": "completed", "version": 3, "updated_at": "t", "amount": 5, "customer": "ann"});
        let images = images(&event(3, &data, Some(&json!({"status": "created", "customer": null})))).unwrap();
        assert_eq!(Value::from(images.after), data);
        let before = json!({"id": "1", "status": "created", "version": 2, "amount": 5, "customer": null});
        assert_eq!(images.before.map(Value::from), Some(before));
    }

    #[test]
    fn a_new_one_was_not_there() {
        assert_eq!(images(&event(1, &json!({"id": "1"}), None)).unwrap().before, None);
    }

    #[test]
    fn what_is_no_object_has_no_image() {
        assert_eq!(images(&event(1, &json!(null), None)), None);
        let mut published = event(1, &json!({"id": "1"}), None);
        published.of = None;
        assert_eq!(images(&published), None);
    }

    /// Whoever adds on `enter` and `update`, and takes out on `leave` and `delete`, has the list: for every case there is.
    #[test]
    fn a_reader_has_the_list_whatever_happens() {
        for was_in in [true, false] {
            for known in [true, false] {
                for is in [true, false] {
                    for deleted in [true, false] {
                        let was = match (known, was_in) {
                            (false, _) => Was::Unknown,
                            (true, true) => Was::In,
                            (true, false) => Was::Out,
                        };
                        let has = match judge(was, is, deleted) {
                            None => was_in,
                            Some(Change::Enter | Change::Update) => true,
                            Some(Change::Leave | Change::Delete) => false,
                        };
                        assert_eq!(has, is && !deleted, "{was:?} {is} {deleted}");
                    }
                }
            }
        }
    }
}
