//! `ringback deliveries`: what was delivered, what wasn't, and why.

use crate::{
    cli::Page,
    exit::Outcome,
    output::Column,
    session::{Session, page_query},
};
use clap::Subcommand;
use ringback_client::{Method, path::segment};

const COLUMNS: &[Column<'_>] = &[
    ("ID", "id"),
    ("STATE", "state"),
    ("TRIES", "tries"),
    ("TYPE", "type"),
    ("SUBJECT", "subject"),
    ("SUBSCRIPTION", "subscription"),
    ("EVENT", "event"),
    ("DUE", "due_at"),
    ("STATUS", "last_attempt.status_code"),
    ("REASON", "reason"),
];
const ATTEMPT_COLUMNS: &[Column<'_>] = &[
    ("N", "n"),
    ("AT", "at"),
    ("VIA", "via"),
    ("OUTCOME", "outcome"),
    ("STATUS", "status_code"),
    ("REASON", "reason"),
    ("MS", "timings_ms.total"),
    ("PEER", "peer"),
    ("ID", "id"),
];

/// Verbs of `ringback deliveries`.
#[derive(Debug, Subcommand)]
#[command(before_help = "\
Examples:
  ringback deliveries list                             What did not succeed at first try
  ringback deliveries list --subscription sub_01J… --state parked
  ringback deliveries attempts dlv_01J…
  ringback deliveries retry dlv_01J…
  ringback deliveries cancel dlv_01J…")]
pub(crate) enum DeliveriesVerb {
    /// List deliveries; without --subscription or --event only those that did not succeed at first try
    #[command(before_help = "\
Examples:
  ringback deliveries list
  ringback deliveries list --event evt_01J…
  ringback deliveries list --subscription sub_01J… --state retrying
  ringback deliveries list --subscription sub_01J… --status-code 503 --since 2026-11-23T00:00:00Z
  ringback deliveries list --types 'payment.*' --state parked")]
    List {
        /// Only those of this subscription
        #[arg(long, value_name = "ID")]
        subscription: Option<String>,
        /// Only those of this event
        #[arg(long, value_name = "ID")]
        event: Option<String>,
        /// Only those in this state
        #[arg(long, value_parser = ["pending", "delivering", "delivered", "retrying", "parked", "skipped"])]
        state: Option<String>,
        /// Only those whose last try was answered with this
        #[arg(long, value_name = "CODE", value_parser = clap::value_parser!(u16).range(100..=999))]
        status_code: Option<u16>,
        /// Only those of events of these types or prefixes, joined by commas
        #[arg(long, value_name = "TYPES")]
        types: Option<String>,
        /// Only those of events about this: /payment/123
        #[arg(long, value_name = "SUBJECT")]
        subject: Option<String>,
        /// Only those of events that were made then or later
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Only those of events that were made before this
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        /// Which page.
        #[command(flatten)]
        page: Page,
    },
    /// Show one delivery
    #[command(before_help = "Examples:\n  ringback deliveries show dlv_01J…")]
    #[command(alias = "get")]
    Show {
        /// Its id
        id: String,
    },
    /// List a delivery's tries, with status, timings and the beginning of the answer
    #[command(before_help = "Examples:\n  ringback deliveries attempts dlv_01J… --json")]
    Attempts {
        /// The delivery's id
        id: String,
    },
    /// Let deliveries go that are held since a backup was restored
    #[command(before_help = "Examples:\n  ringback deliveries release")]
    Release,
    /// Try again now
    #[command(before_help = "Examples:\n  ringback deliveries retry dlv_01J…")]
    Retry {
        /// Its id
        id: String,
    },
    /// Give a delivery up that is pending, retrying or parked: it is skipped
    #[command(before_help = "Examples:\n  ringback deliveries cancel dlv_01J…")]
    Cancel {
        /// Its id
        id: String,
    },
}

/// Does it.
pub(crate) async fn run(session: &Session, verb: DeliveriesVerb) -> Outcome {
    let at = |id: &str| format!("/v1/deliveries/{}", segment(id));
    match verb {
        DeliveriesVerb::List { subscription, event, state, status_code, types, subject, since, until, page } => {
            let status_code = status_code.map(|it| it.to_string());
            let further = [
                ("subscription", subscription.as_deref()),
                ("event", event.as_deref()),
                ("state", state.as_deref()),
                ("status_code", status_code.as_deref()),
                ("types", types.as_deref()),
                ("subject", subject.as_deref()),
                ("since", since.as_deref()),
                ("until", until.as_deref()),
            ];
            session.list(&session.get(&format!("/v1/deliveries{}", page_query(&page, &further))).await?, COLUMNS)
        }
        DeliveriesVerb::Show { id } => session.record(&session.get(&at(&id)).await?),
        DeliveriesVerb::Attempts { id } => session.list(&session.get(&format!("{}/attempts", at(&id))).await?, ATTEMPT_COLUMNS),
        DeliveriesVerb::Release => session.record(&session.write(Method::POST, "/v1/log/release", None).await?),
        DeliveriesVerb::Retry { id } => session.record(&session.write(Method::POST, &format!("{}/retry", at(&id)), None).await?),
        DeliveriesVerb::Cancel { id } => session.record(&session.write(Method::POST, &format!("{}/cancel", at(&id)), None).await?),
    }
}
