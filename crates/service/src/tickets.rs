//! Stream tickets: a key for one stream, and what it opens.
//!
//! Not here: how long a ticket does (`engine::tickets`), which routes are streams.

use crate::{Caller, Ctx, Error, Service, WhyNot};
use ringback_engine::{
    tickets::{Ticket, TicketProblem},
    tokens::{Binding, binding},
};
use ringback_model::Timestamp;

/// A new ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TicketMade {
    /// Its text.
    pub ticket: String,
    /// Until when it has to be used for the first time.
    pub use_by: Timestamp,
}

/// What a ticket stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redeemed {
    /// Whose key it is.
    pub caller: Caller,
    /// The tenant that was named when it was made, or `*`.
    pub tenant: String,
    /// What the ids of its stream end with.
    pub tag: String,
}

/// Route and query, however the query was ordered and escaped.
fn opens(path: &str, query: &[(String, String)]) -> Binding {
    let mut pairs: Vec<_> = query.iter().filter(|(name, _)| name != "ticket").collect();
    pairs.sort();
    let parts = pairs.into_iter().flat_map(|(name, value)| [name.as_str(), value.as_str()]);
    binding(&["stream", path].into_iter().chain(parts).collect::<Vec<_>>())
}

impl Service {
    /// Makes a ticket that stands for the caller's key on one route and query. Whether
    /// the key may read there is for the caller of this to ask.
    ///
    /// # Errors
    /// `Conflict` over the operator's socket: there is no key that it could stand for.
    pub fn make_ticket(&self, ctx: &Ctx, path: &str, query: &[(String, String)]) -> Result<TicketMade, Error> {
        let Some(key) = ctx.caller.key else {
            return Err(Error::Conflict { detail: "A ticket stands for a key, and the socket asks without one. Send a key.".into() });
        };
        let ticket = Ticket { made_at: self.now(), key, tenant: ctx.tenant_text().to_owned(), opens: opens(path, query) };
        Ok(TicketMade { ticket: self.inner.secrets.position.ticket(&ticket), use_by: ticket.use_by() })
    }

    /// Who asks with this ticket.
    ///
    /// # Errors
    /// `Unauthenticated`: it is none, is too late, was made for something else, or its key is gone.
    pub fn redeem_ticket(
        &self,
        text: &str,
        path: &str,
        query: &[(String, String)],
        last_event_id: Option<&str>,
    ) -> Result<Redeemed, Error> {
        let secrets = &self.inner.secrets.position;
        let refused = |it| Error::Unauthenticated(WhyNot::Ticket(it));
        let ticket = secrets.read_ticket(text).map_err(refused)?;
        let reconnects = last_event_id.is_some_and(|id| secrets.tagged(id, text));
        ticket.judge(opens(path, query), reconnects, self.now()).map_err(refused)?;
        let Some(key) = self.registry().keys.get(&ticket.key).cloned() else { return Err(refused(TicketProblem::Late)) };
        let caller = Caller { key: Some(key.id), role: key.role, scopes: key.scopes, tenant: key.tenant };
        self.still(&caller)?;
        Ok(Redeemed { caller, tenant: ticket.tenant, tag: secrets.ticket_tag(text) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_the_same_in_any_order_but_not_another() {
        let pairs = |all: &[(&str, &str)]| all.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>();
        let of = |all: &[(&str, &str)]| opens("/v1/events", &pairs(all));
        assert_eq!(of(&[("types", "a.*"), ("after", "start")]), of(&[("after", "start"), ("types", "a.*"), ("ticket", "x")]));
        assert_ne!(of(&[("types", "a.*")]), of(&[("types", "b.*")]));
        assert_ne!(of(&[("types", "a.*")]), of(&[]));
        assert_ne!(opens("/v1/events", &[]), opens("/payment", &[]));
    }
}
