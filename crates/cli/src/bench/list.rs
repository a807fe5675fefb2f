//! `ringback bench list`: whether the last page of a long list is as fast as the first.

use super::Times;
use crate::{
    demo::{
        chance::Chance,
        http::{Answer, Ask, Client},
        pace,
        server::{Home, Server},
        wire::Meter,
    },
    exit::{Exit, Failure, Outcome},
    output,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinSet;

/// Payments of one batch: with the completions of every second one, what a batch may hold.
const BATCH: u64 = 66;
/// Batches that fill the server at a time: the more there are, the more share a sync of the disk.
const WRITERS: u64 = 8;
/// How often the first page is asked for, and the last.
const REPEATS: usize = 100;
/// How long one page may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// `ringback bench list`.
#[derive(Debug, clap::Args)]
#[command(before_help = "\
Examples:
  ringback bench list                  100,000 payments, half of them completed
  ringback bench list --rows 1000000 --limit 100
  ringback bench list --filter 'customer = \"cus_7\"'")]
pub(super) struct ListArgs {
    /// Payments to make first; every second one is completed
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rows: u64,
    /// Rows of a page
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// What the list is asked for; amounts are 1 to 2,000, customers cus_0 to cus_999
    #[arg(long, value_name = "FILTER", default_value = "amount >= 1000 AND status = \"completed\"")]
    filter: String,
    /// Its order
    #[arg(long, value_name = "SORT", default_value = "-created_at", allow_hyphen_values = true)]
    sort: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What is read of a page.
#[derive(Debug, Deserialize)]
struct Page {
    data: Vec<serde::de::IgnoredAny>,
    next_cursor: Option<String>,
}

/// Fills a server, walks the list to its end, and asks for its ends again and again.
pub(super) async fn run(args: ListArgs) -> Outcome {
    let home = Home::make()?;
    let mut server = Server::launch(&home).await?;
    let measured = measure(&args, &server).await;
    server.kill().await;
    let (filled, rows) = measured?;
    if args.json {
        return output::put(&json!({ "filled": filled, "pages": rows }).to_string());
    }
    let columns =
        [("PAGE", "page"), ("REQUESTS", "requests"), ("ROWS", "rows"), ("P50 MS", "p50_ms"), ("P99 MS", "p99_ms"), ("MAX MS", "max_ms")];
    output::put(&output::table(&rows, &columns))
}

async fn measure(args: &ListArgs, server: &Server) -> Result<(Value, Vec<Value>), Failure> {
    let client = Arc::new(Client::operator(server.address(), &server.operator_key()?, Arc::new(Meter::default())));
    let since = pace::now();
    let rows = args.rows;
    output::say(&format!("making {rows} payments …"));
    let (next, done) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut writers: JoinSet<Result<(), Failure>> = JoinSet::new();
    for _ in 0..WRITERS {
        let (client, next, done) = (Arc::clone(&client), Arc::clone(&next), Arc::clone(&done));
        writers.spawn(async move {
            loop {
                let from = next.fetch_add(BATCH, Ordering::Relaxed);
                let to = from.saturating_add(BATCH).min(rows);
                if from >= to {
                    return Ok(());
                }
                good(client.ask(Ask::once("/v1/batch", Some(batch(from, to).to_string())).patience(PATIENCE)).await)?;
                let before = done.fetch_add(to - from, Ordering::Relaxed);
                let tenth = (rows / 10).max(10_000);
                if (before + to - from) / tenth > before / tenth {
                    output::say(&format!("{} …", before + to - from));
                }
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.map_err(|it| Failure::new(Exit::Failure, format!("a writer broke off: {it}")))??;
    }
    let took = since.elapsed().as_secs_f64();
    let filled = json!({ "payments": rows, "seconds": (took * 10.0).round() / 10.0 });
    output::say(&format!("{rows} payments in {took:.1} s; asking …"));

    let first = path(args, None);
    let (mut all, mut total, mut last) = (Times::default(), 0, first.clone());
    // Once unmeasured: connections, statements and the pages of the file are warm for all alike.
    ask(&client, &first).await?;
    loop {
        let (page, took) = ask(&client, &last).await?;
        all.add(took);
        total += page.data.len();
        match page.next_cursor {
            Some(cursor) => last = path(args, Some(&cursor)),
            None => break,
        }
    }
    let mut shown = Vec::new();
    for (what, at) in [("first", &first), ("last", &last)] {
        let (mut times, mut rows) = (Times::default(), 0);
        for _ in 0..REPEATS {
            let (page, took) = ask(&client, at).await?;
            times.add(took);
            rows = page.data.len();
        }
        shown.push(times.show(what, rows));
    }
    shown.insert(1, all.show("each", total));
    Ok((filled, shown))
}

/// Makes the payments of these numbers, the same in each run, and completes every second one.
fn batch(from: u64, to: u64) -> Value {
    let mut operations = Vec::new();
    for n in from..to {
        let mut chance = Chance::seeded(n);
        let body = json!({
            "id": format!("bench-{n}"),
            "amount": chance.between(1, 2_000),
            "currency": "eur",
            "customer": format!("cus_{}", chance.between(0, 999)),
        });
        operations.push(json!({ "method": "POST", "path": "/payment", "body": body }));
        if n.is_multiple_of(2) {
            operations.push(json!({ "method": "POST", "path": format!("/payment/bench-{n}/complete") }));
        }
    }
    json!({ "operations": operations })
}

fn path(args: &ListArgs, after: Option<&str>) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("filter", &args.filter).append_pair("sort", &args.sort).append_pair("limit", &args.limit.to_string());
    if let Some(after) = after {
        query.append_pair("after", after);
    }
    format!("/payment?{}", query.finish())
}

async fn ask(client: &Client, path: &str) -> Result<(Page, Duration), Failure> {
    let since = pace::now();
    let answer = client.ask(Ask::get(path).patience(PATIENCE)).await;
    let took = since.elapsed();
    let page = good(answer)?.json().ok_or_else(|| Failure::new(Exit::Failure, "the server's answer is no page of a list".to_owned()))?;
    Ok((page, took))
}

fn good(answer: Result<Answer, crate::demo::http::NoAnswer>) -> Result<Answer, Failure> {
    match answer {
        Ok(answer) if answer.good() => Ok(answer),
        Ok(answer) => Err(Failure::new(Exit::Failure, format!("the server answered {}", answer.complaint()))),
        Err(why) => Err(Failure::new(Exit::Failure, format!("the server did not answer: {why}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_makes_and_completes() {
        let made = batch(132, 198);
        let operations = made["operations"].as_array().unwrap();
        assert!(operations.len() <= ringback_model::limits::BATCH_OPERATIONS_MAX);
        assert_eq!((&operations[0]["body"]["id"], &operations[1]["path"]), (&json!("bench-132"), &json!("/payment/bench-132/complete")));
        assert_eq!(made, batch(132, 198), "the same in each run");
    }

    #[test]
    fn what_is_asked_is_encoded() {
        let args = ListArgs { rows: 1, limit: 7, filter: "a = \"b&c\"".into(), sort: "-amount".into(), json: false };
        assert_eq!(path(&args, Some("x+y")), "/payment?filter=a+%3D+%22b%26c%22&sort=-amount&limit=7&after=x%2By");
        assert_eq!(path(&args, None), "/payment?filter=a+%3D+%22b%26c%22&sort=-amount&limit=7");
    }
}
