//! The status of a resource: asked, or waited for.

use crate::{Ctx, Error, Service, images::Image, resources::IfMatch, types::ServedType};
use ringback_engine::lifecycle;
use ringback_model::{
    EventType, ResourceId, StatusName, Subject, TenantId, Timestamp, TransitionName, resource::Version, subscription::Until,
};
use std::{sync::PoisonError, time::Duration};

/// How the status is asked for.
#[derive(Clone, Debug, Default)]
pub struct StatusQuery {
    /// Answer when it is at none of these versions.
    pub if_none_match: Option<IfMatch>,
    /// Answer when one of these is reached, or can no longer be.
    pub until: Option<Until>,
    /// For how long.
    pub wait: Duration,
}

/// A status.
#[derive(Clone, Debug)]
pub struct StatusView {
    /// The resource.
    pub id: ResourceId,
    /// Its owner.
    pub tenant: TenantId,
    /// Where it stands.
    pub status: StatusName,
    /// Whether the outcome that people wait for is known.
    pub done: bool,
    /// Its version: the ETag.
    pub version: Version,
    /// When the status was entered.
    pub since: Timestamp,
    /// Transitions that the caller may take from here.
    pub next: Vec<TransitionName>,
    /// The events that they make.
    pub events: Vec<EventType>,
    /// What a subscription to it names.
    pub subject: Subject,
    /// When to ask again; `None` when it is done.
    pub retry_after: Option<Duration>,
}

impl Service {
    /// The status of a resource; `None` when it is still at one of the versions that the caller has.
    ///
    /// # Errors
    /// `NotFound` (also when it is deleted meanwhile), `Parameter` (a status that the type
    /// does not have), `TooManyWaiters`.
    pub async fn status(&self, ctx: &Ctx, ty: &ServedType, id: &ResourceId, query: StatusQuery) -> Result<Option<StatusView>, Error> {
        let until = match &query.until {
            None => None,
            Some(until) => Some(self.until_statuses(ty, until)?),
        };
        let ctx = &self.narrowed(ctx, ty, id, query.wait).await?;
        let Some(wanted) = &until else {
            let Some(known) = &query.if_none_match else {
                return self.status_now(ctx, ty, id).await.map(Some);
            };
            return self
                .wait_on_subject(ctx, ty, id, query.wait, || async {
                    let view = self.status_now(ctx, ty, id).await?;
                    Ok(Some(view).filter(|it| !known.matches(it.version)))
                })
                .await;
        };
        let reached = self
            .wait_on_subject(ctx, ty, id, query.wait, || async {
                let view = self.status_now(ctx, ty, id).await?;
                let over = wanted.contains(&view.status) || !lifecycle::reachable(&ty.compiled, &view.status, wanted);
                Ok(Some(view).filter(|_| over))
            })
            .await?;
        match reached {
            Some(view) => Ok(Some(view)),
            // At the end of the wait: the present status, whatever it is.
            None => self.status_now(ctx, ty, id).await.map(Some),
        }
    }

    async fn status_now(&self, ctx: &Ctx, ty: &ServedType, id: &ResourceId) -> Result<StatusView, Error> {
        let image = self.seen(ctx, ty, id).await?;
        let compiled = &ty.compiled;
        let actor = ctx.authority().into();
        let next = lifecycle::next(compiled, &image.status, actor);
        let events = lifecycle::next_events(compiled, &image.status, actor);
        let done = compiled.decl.is_done(&image.status);
        Ok(StatusView {
            subject: Subject::of_resource(&compiled.decl.path, id),
            retry_after: (!done).then(|| self.retry_after(ty, &image)),
            done,
            next,
            events,
            id: image.id.clone(),
            tenant: image.tenant.clone(),
            status: image.status.clone(),
            version: image.version,
            since: image.since,
        })
    }

    /// When it is worth asking again: what stays in this status have lasted lately, as far as
    /// enough of them are known.
    fn retry_after(&self, ty: &ServedType, image: &Image) -> Duration {
        let usual = self.inner.stays.lock().unwrap_or_else(PoisonError::into_inner).median(&ty.compiled.decl.name, &image.status);
        lifecycle::retry_after(&ty.compiled, image.since, self.now(), usual)
    }

    /// The statuses that `until` names.
    pub(crate) fn until_statuses(&self, ty: &ServedType, until: &Until) -> Result<Vec<StatusName>, Error> {
        let decl = &ty.compiled.decl;
        if let Until::Statuses(named) = until
            && let Some(unknown) = named.iter().find(|it| decl.status(it).is_none())
        {
            let known: Vec<_> = decl.lifecycle.statuses.iter().map(|it| it.name.as_str()).collect();
            return Err(Error::Parameter {
                parameter: "until",
                detail: format!("`{unknown}` is no status of `{}`. It has: {}; or say `done`.", decl.name, known.join(", ")),
            });
        }
        Ok(lifecycle::until_statuses(&ty.compiled, until))
    }
}
