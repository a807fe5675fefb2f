//! Whether a subscription is read, as its owner says it in a body: active, paused, or in the shadow.
//!
//! Not here: `pause` and `resume` (`subscriptions`), ends that come by themselves (`end`).

use super::SubscriptionPatch;
use crate::{Error, Service};
use ringback_model::{
    event::EventDraft,
    subscription::{State, Subscription},
};

fn refused(detail: &str) -> Error {
    Error::Field { pointer: "/state".into(), detail: detail.into() }
}

/// Refuses the shadow where nothing is ever sent, or only once.
pub(super) fn check(state: State, pushed: bool, one_shot: bool) -> Result<(), Error> {
    match state {
        State::Shadow if !pushed => {
            Err(refused("A pull subscription sends nothing, so it has no shadow. Give `push`, or leave `state` out."))
        }
        State::Shadow if one_shot => {
            Err(refused("With `until` it calls once, and would be over in the shadow. Leave `state` or `until` out."))
        }
        State::Active | State::Paused | State::Shadow => Ok(()),
        State::Suspended | State::Done => Err(refused("It becomes that by itself. Say `active`, `paused` or `shadow`.")),
    }
}

/// Makes `after` what is wanted of it.
pub(super) fn change(after: &mut Subscription, wanted: Option<State>) -> Result<(), Error> {
    if after.state == State::Done && wanted.is_some() {
        return Err(Error::NotActive { id: after.id.clone(), state: after.state });
    }
    let state = wanted.unwrap_or(after.state);
    if wanted.is_some() || after.state == State::Shadow {
        check(state, after.push.is_some(), after.until.is_some())?;
    }
    if after.state == State::Suspended && state != after.state {
        after.failing = None;
    }
    after.state = state;
    Ok(())
}

/// `pause` and `resume` leave open what is meant of one that sends nothing.
pub(super) fn in_the_shadow(it: &Subscription) -> Error {
    Error::Conflict {
        detail: format!(
            "{} is in the shadow: nothing is sent. `PATCH {{\"state\":\"active\"}}` has it send what it reads from now on; `{{\"state\":\"paused\"}}` keeps that until it is resumed.",
            it.id
        ),
    }
}

impl Service {
    /// What was matched in the shadow is stored before that is over: a crash may not make it anything else.
    pub(super) async fn leave_shadow(&self, before: &Subscription, patch: &SubscriptionPatch) -> Result<(), Error> {
        if before.state != State::Shadow || patch.state.is_none_or(|it| it == State::Shadow) {
            return Ok(());
        }
        match self.inner.dispatcher.flush(before.no).await {
            Some(Ok(())) => Ok(()),
            Some(Err(why)) => Err(why.into()),
            None => Err(if self.ready() { Error::Overloaded } else { Error::Draining }),
        }
    }

    /// The events that tell of a change of state.
    pub(super) fn told_of_state(&self, before: &Subscription, after: &Subscription) -> Result<Vec<EventDraft>, Error> {
        match (before.state, after.state) {
            (State::Suspended, State::Active) => Ok(vec![self.resumed_event(before, "cursor", after.updated_at)?]),
            _ => Ok(Vec::new()),
        }
    }
}
