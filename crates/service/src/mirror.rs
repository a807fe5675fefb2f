//! Mirrored resources: their truth lives in somebody's database, whose relay writes here.
//!
//! Whoever relays may send twice, out of order, and from several places at once:
//! `engine::mirror` decides on the number that the source gives each change, and
//! what is old news is answered like any other write, without being done.

use crate::{
    Ctx, Error, Outcome, Service, Write,
    batch::{ALONE, Ahead},
    idempotency::{Decision, Left},
    resources::{IfMatch, Written, turn_name},
    types::ServedType,
};
use ringback_engine::mirror::{self, Mirrored, Stored};
use ringback_model::{ResourceId, TenantId};
use ringback_ports::store::{Committed, Expected};
use serde_json::{Map, Value};
use std::sync::Arc;

/// What a source says about one of its rows.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// It is this: its fields, with `status` and `source_version`.
    Is(Map<String, Value>),
    /// It is gone, as the change of this number.
    Gone(u64),
}

/// What is to hold of the resource before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// `If-Match`.
    pub if_match: IfMatch,
    /// `If-None-Match: *`: that it isn't there.
    pub absent: bool,
}

impl Service {
    /// Makes a mirrored resource what its source says.
    ///
    /// What isn't news changes nothing: then `Written::applied` is false, and the
    /// resource is shown as it is.
    ///
    /// # Errors
    /// `Forbidden` (creating, changing and deleting each take what the type says), preconditions, `Lifecycle`.
    pub async fn mirror(
        &self,
        ctx: &Ctx,
        ty: &ServedType,
        id: &ResourceId,
        said: Said,
        before: Before,
        write: Write<Written>,
    ) -> Result<Outcome<Written>, Error> {
        let tenant = ctx.tenant()?;
        let _turn = self.inner.locks.turn(turn_name(tenant, ty, id)).await;
        let (_gate, ty) = self.hold_type(ty).await?;
        self.write(ctx, write, || self.decide_mirror(ctx, &ty, id, &said, &before, &ALONE)).await
    }

    pub(crate) async fn decide_mirror(
        &self,
        ctx: &Ctx,
        ty: &Arc<ServedType>,
        id: &ResourceId,
        said: &Said,
        before: &Before,
        ahead: &Ahead,
    ) -> Result<Decision<Written>, Error> {
        let tenant: &TenantId = ctx.tenant()?;
        let decl = &ty.compiled.decl;
        let (name, access) = (&decl.name, &decl.access);
        if !decl.mirror {
            // It was one when the request was routed.
            return Err(Error::Conflict {
                detail: format!("`{name}` is no mirrored type any more. Change its resources by PATCH and transitions."),
            });
        }
        let row = self.row_ahead(tenant, ty, id, ahead).await?;
        let live = row.as_ref().filter(|it| !it.deleted);
        match (said, live) {
            (Said::Is(_), None) => ctx.require(access.create, || format!("create resources of the type `{name}`"))?,
            (Said::Is(_), Some(_)) => ctx.require(access.update, || format!("change resources of the type `{name}`"))?,
            (Said::Gone(_), _) => ctx.require(access.delete, || format!("delete resources of the type `{name}`"))?,
        }
        if before.absent && live.is_some() {
            return Err(Error::Exists { id: id.to_string() });
        }
        before.if_match.check(live.map(|it| it.resource.version), || live.map(|it| it.resource.encode()))?;
        let stored = row.as_ref().map(|it| Stored { resource: &it.resource, deleted: it.deleted });
        let (now, event) = (self.now(), self.event_id());
        let made = match said {
            Said::Is(body) => mirror::put(&ty.compiled, tenant.clone(), id.clone(), stored, body.clone(), now, event)
                .map_err(|refusal| Error::Lifecycle { id: id.clone(), refusal })?,
            Said::Gone(source_version) => mirror::delete(&ty.compiled, tenant.clone(), id.clone(), stored, *source_version, now, event),
        };
        let gone = matches!(said, Said::Gone(_));
        match (made, &row) {
            (Mirrored::Applied(decided), row) => {
                let expected = row.as_ref().map_or(Expected::Absent, |it| Expected::Version(it.resource.version));
                let left = live.map(|it| &it.resource).filter(|it| decided.resource.status != it.status).map(|it| Left {
                    type_name: name.clone(),
                    status: it.status.clone(),
                    stayed: now.since(it.since),
                });
                let (created, mut decision) = (live.is_none(), self.resource_decision(tenant, *decided, expected));
                decision.left.extend(left);
                Ok(with(decision, move |it| (it.created, it.deleted) = (created && !gone, gone)))
            }
            (Mirrored::Stale, Some(row)) => {
                let decision = self.nothing_changed(tenant, &row.resource).await?;
                Ok(with(decision, move |it| (it.applied, it.deleted) = (false, gone)))
            }
            (Mirrored::Stale, None) => Err(Error::Internal("a mirror's first message was no news".into())),
        }
    }
}

/// The same decision, with another answer.
fn with(decision: Decision<Written>, edit: impl Fn(&mut Written) + Send + Sync + 'static) -> Decision<Written> {
    let Decision { set, make, resource, left } = decision;
    let make = Arc::new(move |committed: &Committed| {
        let mut written = make(committed);
        edit(&mut written);
        written
    });
    Decision { set, make, resource, left }
}
