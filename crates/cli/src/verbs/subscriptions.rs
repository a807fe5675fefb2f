//! `ringback subscriptions` (alias `webhooks`): being called back, or pulling.

use super::pairs;
use crate::{
    cli::{Body, Page},
    exit::{Exit, Failure, Outcome},
    output::{self, Column, say},
    session::{Session, page_query, read_object},
};
use clap::{Args, Subcommand};
use ringback_client::{
    Method, Response,
    path::{query, segment},
};
use serde_json::{Map, Value, json};

const COLUMNS: &[Column<'_>] = &[
    ("ID", "id"),
    ("STATE", "state"),
    ("HEALTH", "health.state"),
    ("LAG", "lag"),
    ("TYPES", "types"),
    ("SUBJECT", "subject"),
    ("URL", "push.url"),
    ("TENANT", "tenant"),
];

/// Verbs of `ringback subscriptions`.
#[derive(Debug, Subcommand)]
#[command(before_help = "\
Examples:
  ringback subscriptions create https://yourapp.com/webhook/payment --types 'payment.*'
  ringback subscriptions create https://yourapp.com/done --subject /payment/123 --until done
  ringback subscriptions list
  ringback subscriptions pause sub_01J…
  ringback subscriptions resume sub_01J… --from cursor")]
pub(crate) enum SubscriptionsVerb {
    /// Register an endpoint, whose secret is shown this once; or, without one, something to pull from
    #[command(before_help = "\
Examples:
  ringback subscriptions create --id ledger --types 'payment.*'        To be pulled
  ringback subscriptions create https://yourapp.com/webhook/payment --types 'payment.*'
  ringback subscriptions create https://yourapp.com/done --subject /payment/123 --until done
  ringback subscriptions create http://127.0.0.1:9000/ --types payment.completed --order subject")]
    Create {
        /// The endpoint: where to POST; without it, the subscription is pulled
        // Not called `url`: clap would take it for the server's `--url`.
        #[arg(value_name = "URL")]
        endpoint: Option<String>,
        /// A chosen id: made, or made what is said here
        #[arg(long, value_name = "ID")]
        id: Option<String>,
        /// Where to begin: now, start, a cursor, an event's id or a time [default: now]
        #[arg(long, value_name = "PLACE")]
        from: Option<String>,
        /// One's own secret in place of a generated one
        #[arg(long, value_name = "SECRET")]
        secret: Option<String>,
        /// What its keys are: a shared secret, or a private key whose public half is shown
        #[arg(long, value_parser = ["hmac", "ed25519"])]
        signing: Option<String>,
        /// What is asked for.
        #[command(flatten)]
        fields: Fields,
    },
    /// List subscriptions
    #[command(before_help = "Examples:\n  ringback subscriptions list")]
    List {
        /// Which page.
        #[command(flatten)]
        page: Page,
    },
    /// Show one subscription
    #[command(before_help = "Examples:\n  ringback subscriptions show sub_01J…")]
    #[command(alias = "get")]
    Show {
        /// Its id
        id: String,
    },
    /// Say why an event was, was not, or is not yet delivered
    #[command(before_help = "Examples:\n  ringback subscriptions explain sub_01J… evt_01J…")]
    Explain {
        /// Its id
        id: String,
        /// The event's id
        event: String,
    },
    /// Change a subscription; events that it has matched already keep their form
    #[command(before_help = "\
Examples:
  ringback subscriptions update sub_01J… --endpoint https://yourapp.com/new
  ringback subscriptions update sub_01J… --types 'payment.*,refund.*'
  ringback subscriptions update sub_01J… --pull")]
    Update {
        /// Its id
        id: String,
        /// The endpoint
        // Not `--url`: that names the server.
        #[arg(long, value_name = "URL")]
        endpoint: Option<String>,
        /// Be pulled from now on: nothing is lost in between
        #[arg(long, conflicts_with = "endpoint")]
        pull: bool,
        /// What is asked for.
        #[command(flatten)]
        fields: Fields,
    },
    /// Go on somewhere else in the log; what lies between is skipped, or comes again
    #[command(before_help = "\
Examples:
  ringback subscriptions seek ledger start                     All of it again
  ringback subscriptions seek ledger 2026-11-23T00:00:00Z
  ringback subscriptions seek ledger now                       Skip what is there")]
    Seek {
        /// Its id
        id: String,
        /// start, now, a cursor, an event's id or a time
        #[arg(value_name = "PLACE")]
        to: String,
    },
    /// Show the keys that a subscription signs with, without what is secret of them
    #[command(before_help = "Examples:\n  ringback subscriptions secret sub_01J…")]
    Secret {
        /// Its id
        id: String,
    },
    /// Give a subscription a new secret, which is shown this once
    #[command(before_help = "\
Examples:
  ringback subscriptions rotate sub_01J…                       The old one signs for a day more
  ringback subscriptions rotate sub_01J… --overlap 0           Revoke the old one now
  ringback subscriptions rotate sub_01J… --secret whsec_…")]
    Rotate {
        /// Its id
        id: String,
        /// Seconds for which the old key signs on [default: a day, where a request can carry two]
        #[arg(long, value_name = "SECONDS")]
        overlap: Option<u32>,
        /// One's own secret in place of a generated one
        #[arg(long, value_name = "SECRET")]
        secret: Option<String>,
    },
    /// Delete a subscription and what is still owed to it
    #[command(before_help = "Examples:\n  ringback subscriptions delete sub_01J…")]
    Delete {
        /// Its id
        id: String,
    },
    /// Send an example event to the endpoint now, and show what came back; ends with 1 unless it was taken
    #[command(before_help = "\
Examples:
  ringback subscriptions test sub_01J…
  ringback subscriptions test sub_01J… --type payment.completed")]
    Test {
        /// Its id
        id: String,
        /// Of which event type [default: one that the subscription is for]
        #[arg(long = "type", value_name = "TYPE")]
        event_type: Option<String>,
    },
    /// Stop calling; the place in the log is kept
    #[command(before_help = "Examples:\n  ringback subscriptions pause sub_01J…")]
    Pause {
        /// Its id
        id: String,
    },
    /// Call again
    #[command(before_help = "\
Examples:
  ringback subscriptions resume sub_01J… --from cursor     Deliver what was missed
  ringback subscriptions resume sub_01J… --from now        Skip it")]
    Resume {
        /// Its id
        id: String,
        /// Where to go on: after what was delivered last, or with what happens from now on
        #[arg(long, value_parser = ["cursor", "now"])]
        from: String,
    },
}

const CLAUSES: &[Column<'_>] = &[("ASKED", "clause"), ("PASSES", "matched"), ("FOUND", "why")];

/// The verdict, and each question with what was found.
fn explain(session: &Session, answer: &Response) -> Outcome {
    if session.json {
        return session.record(answer);
    }
    let body = answer.json()?;
    let verdict = body.get("verdict").map(output::inline).unwrap_or_default();
    let clauses = body.get("clauses").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    output::put(&format!("{verdict}\n\n{}", output::table(clauses, CLAUSES)))
}

/// What a subscription asks for.
#[derive(Debug, Args)]
pub(crate) struct Fields {
    /// Only these types or prefixes, joined by commas; none for all
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    types: Option<Vec<String>>,
    /// Accept types that nothing declares or has published
    #[arg(long)]
    not_strict: bool,
    /// Only events about this subject: /payment/123
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    /// Once only: when the subject's status is one of these, or `done`
    #[arg(long, value_name = "STATUS,…", value_delimiter = ',')]
    until: Option<Vec<String>>,
    /// Only events that meet this: data.amount >= 1000
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    /// What the body holds: the event, its data alone, a pointer to fetch it by, or a CloudEvent
    #[arg(long, value_parser = ["full", "data", "thin", "cloudevents", "cloudevents-binary"])]
    payload: Option<String>,
    /// `subject`: one delivery at a time per subject, in order
    #[arg(long, value_parser = ["none", "subject"])]
    order: Option<String>,
    /// For people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// For programs, repeatable
    #[arg(long, value_name = "NAME=VALUE")]
    metadata: Vec<String>,
    /// In whose form requests are signed
    #[arg(long, value_parser = ["standard", "svix", "stripe", "github", "shopify"])]
    profile: Option<String>,
    /// What is sent as webhook-id: the event's id, or its publisher's key
    #[arg(long, value_parser = ["event", "key"])]
    webhook_id: Option<String>,
    /// A header of every POST, repeatable
    #[arg(long, value_name = "NAME=VALUE")]
    header: Vec<String>,
    /// Deadline of one try, in milliseconds
    #[arg(long, value_name = "MS")]
    timeout_ms: Option<u32>,
    /// Tries in flight at the same time
    #[arg(long, value_name = "N")]
    concurrency_max: Option<u32>,
    /// Mean delays between tries in seconds, joined by commas: 5,30,120
    #[arg(long, value_name = "SECONDS,…", value_delimiter = ',')]
    retry_delays: Option<Vec<u32>>,
    /// Further fields as the API names them; flags win
    #[arg(short = 'd', long = "body", value_name = "JSON|@FILE|-")]
    body: Option<Body>,
}

impl Fields {
    fn body(self, url: Option<String>, from: Option<String>, secret: Option<String>) -> Result<Map<String, Value>, Failure> {
        let mut body = self.body.as_ref().map(read_object).transpose()?.unwrap_or_default();
        let mut set = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(name.to_owned(), value);
            }
        };
        set("types", self.types.map(|it| it.into_iter().filter(|one| !one.is_empty()).collect()));
        set("strict", self.not_strict.then_some(false.into()));
        set("subject", self.subject.map(Value::from));
        // One or several: the same string form as the status route's parameter.
        set("until", self.until.map(|it| it.join(",").into()));
        set("filter", self.filter.map(Value::from));
        set("payload", self.payload.map(Value::from));
        set("order", self.order.map(Value::from));
        set("description", self.description.map(Value::from));
        set("from", from.map(Value::from));
        if !self.metadata.is_empty() {
            set("metadata", Some(pairs("an entry of metadata", &self.metadata)?.into()));
        }
        let headers = if self.header.is_empty() { None } else { Some(pairs("a header", &self.header)?.into()) };
        let push = [
            ("url", url.map(Value::from)),
            ("secret", secret.map(Value::from)),
            ("profile", self.profile.map(Value::from)),
            ("webhook_id", self.webhook_id.map(Value::from)),
            ("headers", headers),
            ("timeout_ms", self.timeout_ms.map(Value::from)),
            ("concurrency_max", self.concurrency_max.map(Value::from)),
            ("retry", self.retry_delays.map(|it| json!({ "delays": it }))),
        ];
        let given: Vec<_> = push.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        if !given.is_empty() {
            let Value::Object(push) = body.entry("push").or_insert_with(|| json!({})) else {
                return Err(Failure::invalid("`push` of the body must be an object"));
            };
            push.extend(given.into_iter().map(|(name, value)| (name.to_owned(), value)));
        }
        Ok(body)
    }
}

/// Does it.
pub(crate) async fn run(session: &Session, verb: SubscriptionsVerb) -> Outcome {
    let at = |id: &str| format!("/v1/subscriptions/{}", segment(id));
    let answer = match verb {
        SubscriptionsVerb::Create { endpoint, id, from, secret, signing, fields } => {
            let shown = secret.is_none();
            if let Some(text) = endpoint.as_ref().filter(|it| !it.contains(':') && !it.contains('/')) {
                return Err(Failure::usage(format!(
                    "`{text}` is no URL. An endpoint to call is one such as https://yourapp.com/webhook; a subscription to pull from has a name: --id {text}"
                )));
            }
            let mut body = fields.body(endpoint, from, secret)?;
            if let Some(signing) = signing {
                let Value::Object(push) = body.entry("push").or_insert_with(|| json!({})) else {
                    return Err(Failure::invalid("`push` of the body must be an object"));
                };
                push.insert("signing".into(), signing.into());
            }
            if session.tenant.as_deref() == Some("*") {
                body.insert("tenant".into(), "*".into());
            }
            let (method, path) = match id {
                Some(id) => (Method::PUT, at(&id)),
                None => (Method::POST, "/v1/subscriptions".to_owned()),
            };
            let answer = session.write(method, &path, Some(Value::from(body).to_string())).await?;
            session.record(&answer)?;
            if shown && answer.json()?.pointer("/push/secret").is_some() {
                say("Keep the secret now: it is shown this once.");
            }
            return Ok(());
        }
        SubscriptionsVerb::List { page } => {
            let answer = session.get(&format!("/v1/subscriptions{}", page_query(&page, &[]))).await?;
            return session.list(&answer, COLUMNS);
        }
        SubscriptionsVerb::Secret { id } => session.get(&format!("{}/secret", at(&id))).await?,
        SubscriptionsVerb::Rotate { id, overlap, secret } => {
            let shown = secret.is_none();
            let mut body = Map::new();
            body.extend(overlap.map(|it| ("overlap".to_owned(), it.into())));
            body.extend(secret.map(|it| ("secret".to_owned(), it.into())));
            let answer = session.write(Method::POST, &format!("{}/rotate-secret", at(&id)), Some(Value::from(body).to_string())).await?;
            session.record(&answer)?;
            if shown && answer.json()?.get("secret").is_some() {
                say("Keep the secret now: it is shown this once.");
            }
            return Ok(());
        }
        SubscriptionsVerb::Delete { id } => {
            session.write(Method::DELETE, &at(&id), None).await?;
            session.done(&format!("Subscription {id} is deleted."));
            return Ok(());
        }
        SubscriptionsVerb::Show { id } => session.get(&at(&id)).await?,
        SubscriptionsVerb::Explain { id, event } => {
            return explain(session, &session.get(&format!("{}/explain{}", at(&id), query([("event", event.as_str())]))).await?);
        }
        SubscriptionsVerb::Seek { id, to } => {
            session.write(Method::POST, &format!("{}/seek", at(&id)), Some(json!({ "to": to }).to_string())).await?
        }
        SubscriptionsVerb::Update { id, endpoint, pull, fields } => {
            let mut body = fields.body(endpoint, None, None)?;
            if pull {
                body.insert("push".into(), Value::Null);
            }
            if body.is_empty() {
                return Err(Failure::usage("nothing to change: give at least one field"));
            }
            session.write(Method::PATCH, &at(&id), Some(Value::from(body).to_string())).await?
        }
        SubscriptionsVerb::Test { id, event_type } => {
            let body = event_type.map(|it| json!({ "type": it }).to_string());
            let answer = session.write(Method::POST, &format!("{}/test", at(&id)), body).await?;
            session.record(&answer)?;
            let outcome = answer.json()?.get("outcome").map(output::inline).unwrap_or_default();
            if outcome == "delivered" {
                return Ok(());
            }
            return Err(Failure::new(Exit::Failure, format!("the endpoint did not take it: {outcome}")));
        }
        SubscriptionsVerb::Pause { id } => {
            let answer = session.write(Method::POST, &format!("{}/pause", at(&id)), None).await?;
            if !session.json {
                let body = answer.json()?;
                let count = |name: &str| body.pointer(&format!("/waits/{name}")).and_then(Value::as_u64).unwrap_or(0);
                say(&format!("Paused. Waiting: {} events of its log, {} retries.", count("events"), count("retries")));
            }
            answer
        }
        SubscriptionsVerb::Resume { id, from } => {
            let answer = session.write(Method::POST, &format!("{}/resume", at(&id)), Some(json!({ "from": from }).to_string())).await?;
            if !session.json
                && let Some(skipped) = answer.json()?.get("skipped").and_then(Value::as_u64)
            {
                say(&format!("Resumed. Skipped: {skipped} events of its log."));
            }
            answer
        }
    };
    session.record(&answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{FromArgMatches as _, Parser};

    #[derive(Debug, Parser)]
    struct Only {
        #[command(flatten)]
        fields: Fields,
    }

    fn body(args: &[&str], url: Option<&str>) -> Result<Value, u8> {
        let matches = <Only as clap::CommandFactory>::command().no_binary_name(true).get_matches_from(args);
        let only = Only::from_arg_matches(&matches).expect("the fields");
        only.fields.body(url.map(str::to_owned), None, None).map(Value::from).map_err(|it| it.exit.code())
    }

    #[test]
    fn flags_become_the_apis_fields() {
        let args = "--types payment.*,a.b --not-strict --until completed,failed --payload thin --order subject --metadata a=1 \
                    --header x-env=prod --timeout-ms 1000 --concurrency-max 4 --retry-delays 1,2";
        assert_eq!(
            body(&args.split_whitespace().collect::<Vec<_>>(), Some("https://example.com/")),
            Ok(json!({
                "types": ["payment.*", "a.b"], "strict": false, "until": "completed,failed", "payload": "thin", "order": "subject",
                "metadata": {"a": "1"},
                "push": {
                    "url": "https://example.com/", "headers": {"x-env": "prod"}, "timeout_ms": 1000, "concurrency_max": 4,
                    "retry": {"delays": [1, 2]}
                }
            }))
        );
    }

    #[test]
    fn only_what_was_said_is_sent() {
        assert_eq!(body(&[], None), Ok(json!({})));
        assert_eq!(body(&["--types", ""], None), Ok(json!({"types": []})));
    }

    #[test]
    fn flags_win_over_the_body() {
        let given = r#"{"payload":"full","push":{"url":"https://a.example","timeout_ms":5000}}"#;
        assert_eq!(
            body(&["-d", given, "--payload", "thin"], Some("https://b.example")),
            Ok(json!({"payload": "thin", "push": {"url": "https://b.example", "timeout_ms": 5000}}))
        );
        assert_eq!(body(&["-d", r#"{"push":1}"#], Some("https://b.example")), Err(5));
    }
}
