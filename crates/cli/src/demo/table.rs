//! The end of the demo: what each way of learning cost and was worth, beside
//! what the law of asking predicts, and one line about the promises.

use super::{
    merchants::Sum,
    paint::{Ink, Line},
    stats::{self, Spread},
    text,
};
use std::time::Duration;

/// All columns of the table.
const WIDTH: usize = 79;
const NAME: usize = 18;

/// One merchant in the table.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) sum: Sum,
    /// How often it asks, if it is one that asks: the law is set beside it.
    pub(super) asks_every: Option<Duration>,
}

/// What the last line says.
#[derive(Clone, Debug, Default)]
pub(super) struct Outcome {
    pub(super) acknowledged: u64,
    pub(super) delivered: u64,
    pub(super) lost: u64,
    pub(super) repeated: u64,
    /// How long the server was gone, if it was killed.
    pub(super) back_in: Option<Duration>,
    /// What was lost, a few in words.
    pub(super) lost_examples: Vec<String>,
    /// What else went wrong: a few in words, and how many in all.
    pub(super) complaints: (Vec<String>, u64),
}

impl Outcome {
    /// True if every promise was kept.
    pub(super) const fn good(&self) -> bool {
        self.lost == 0 && self.complaints.1 == 0
    }
}

/// Everything that the table shows.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) payments: u64,
    /// How long payments were written.
    pub(super) wrote_for: Duration,
    /// `λ`.
    pub(super) rate: f64,
    pub(super) rows: Vec<Row>,
    pub(super) outcome: Outcome,
}

/// The table's lines.
pub(super) fn lines(table: &Table) -> Vec<Line> {
    let mut lines = vec![
        Line::new(),
        Line::new().and(Ink::Title, " You ask, I answer. Or: I'll call you."),
        Line::new().and(
            Ink::Dim,
            format!(
                " {} payments in {}, learned in five ways, and by a neighbour that went dark.",
                text::count(table.payments),
                text::round_span(table.wrote_for)
            ),
        ),
        Line::new(),
        Line::new().right(Ink::Dim, NAME + 55, "outcome known after").right(Ink::Dim, 6, "never"),
        Line::new()
            .right(Ink::Dim, NAME + 9, "requests")
            .right(Ink::Dim, 13, "useless")
            .right(Ink::Dim, 9, "bytes")
            .right(Ink::Dim, 8, "p50")
            .right(Ink::Dim, 8, "p95")
            .right(Ink::Dim, 8, "max")
            .right(Ink::Dim, 6, "seen"),
        Line::new().and(Ink::Dim, format!(" {}", "─".repeat(WIDTH - 1))),
    ];
    for row in &table.rows {
        lines.push(measured(row));
        if let Some(every) = row.asks_every {
            lines.push(predicted(every, table.rate));
        }
    }
    lines.push(Line::new());
    let dim = |text: String| Line::new().and(Ink::Dim, text);
    lines.push(dim(" The law: whoever asks every T is T/2 late on average; with λ changes a second".to_owned()));
    lines.push(dim(format!(" of one payment (here {:.2}) a share e^(−λT) of the asking is useless.", table.rate)));
    lines.push(dim(" Known after: from the server's decision until the merchant had it, crash,".to_owned()));
    lines.push(dim(" darkness and refusals on purpose included. Never seen: statuses that passed".to_owned()));
    lines.push(dim(" between two looks, or came after the last one.".to_owned()));
    lines.push(Line::new());
    lines.extend(verdict(&table.outcome));
    lines
}

fn measured(row: &Row) -> Line {
    let sum = &row.sum;
    let times = sum.known_after.map(|it: Spread| [it.p50, it.p95, it.max].map(text::span));
    let [p50, p95, max] = times.unwrap_or_else(|| ["–"; 3].map(str::to_owned));
    Line::new()
        .left(Ink::Bold, NAME, &format!(" {}", row.name))
        .right(Ink::Plain, 9, &text::count(sum.requests))
        .right(Ink::Plain, 7, &text::count(sum.useless))
        .right(Ink::Plain, 6, &text::percent(sum.useless, sum.requests))
        .right(Ink::Plain, 9, &text::bytes(sum.bytes))
        .right(sum.known_after.map_or(Ink::Plain, |it| delay_ink(it.p50)), 8, &p50)
        .right(Ink::Plain, 8, &p95)
        .right(Ink::Plain, 8, &max)
        .right(Ink::Plain, 6, &text::count(sum.never_seen))
}

fn predicted(every: Duration, rate: f64) -> Line {
    let law = stats::law(every, rate);
    Line::new().left(Ink::Dim, NAME + 9, "   the law says").right(Ink::Dim, 13, &text::share(law.useless)).right(
        Ink::Dim,
        17,
        &text::span(law.late),
    )
}

fn verdict(outcome: &Outcome) -> Vec<Line> {
    let killed = match outcome.back_in {
        Some(span) => format!("killed once, back in {:.2} s", span.as_secs_f64()),
        None => "not killed".to_owned(),
    };
    let mut last = Line::new();
    let quiet = if outcome.good() { Ink::Good } else { Ink::Plain };
    last.push(Ink::Plain, " ");
    last.push(quiet, format!("acknowledged {} · delivered {} · ", text::count(outcome.acknowledged), text::count(outcome.delivered)));
    last.push(if outcome.lost == 0 { quiet } else { Ink::Alarm }, format!("lost {}", text::count(outcome.lost)));
    last.push(quiet, format!(" · repeated {} · {killed}", text::count(outcome.repeated)));
    let mut lines = vec![last];

    let say = |lines: &mut Vec<Line>, head: String, examples: &[String], count: u64| {
        lines.push(Line::new());
        lines.push(Line::new().and(Ink::Alarm, head));
        lines.extend(examples.iter().map(|it| Line::new().and(Ink::Plain, format!("   {it}"))));
        let more = count.saturating_sub(examples.len() as u64);
        if more > 0 {
            lines.push(Line::new().and(Ink::Plain, format!("   and {} more", text::count(more))));
        }
    };
    if outcome.lost > 0 {
        let head = format!(" LOST: {} of what was acknowledged did not arrive everywhere.", text::count(outcome.lost));
        say(&mut lines, head, &outcome.lost_examples, outcome.lost);
    }
    let (complaints, count) = &outcome.complaints;
    if *count > 0 {
        say(&mut lines, " NOT AS PROMISED:".to_owned(), complaints, *count);
    }
    lines
}

/// Green for at once, yellow for soon, red for late.
pub(super) fn delay_ink(delay: Duration) -> Ink {
    match delay.as_millis() {
        0..100 => Ink::Good,
        100..1_500 => Ink::Fair,
        _ => Ink::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn row(name: &str, asks_every: Option<u64>, requests: u64, useless: u64, bytes: u64, micros: [u64; 3], never_seen: u64) -> Row {
        let [p50, p95, max] = micros.map(Duration::from_micros);
        let known_after = (max > Duration::ZERO).then_some(Spread { p50, p95, max });
        Row {
            name: name.to_owned(),
            sum: Sum { requests, useless, bytes, known_after, never_seen },
            asks_every: asks_every.map(Duration::from_secs),
        }
    }

    fn table(outcome: Outcome) -> Table {
        Table {
            payments: 600,
            wrote_for: Duration::from_secs(30),
            rate: 0.52,
            rows: vec![
                row("asks every 1 s", Some(1), 2_204, 1_320, 1_212_000, [512_000, 955_000, 2_101_000], 214),
                row("asks every 5 s", Some(5), 812, 71, 446_600, [2_514_000, 4_801_000, 6_310_000], 580),
                row("waits", None, 612, 12, 403_000, [1_900, 4_200, 402_000], 655),
                row("is called back", None, 1_931, 61, 1_900_400, [2_100, 5_000, 1_811_000], 0),
                row("both together", None, 3_918, 9, 12_345_678, [4_100, 9_960, 411_000], 0),
                row("dark for 5 s", None, 2_400, 4, 1_900_000, [2_200, 5_012_000, 6_811_000], 0),
            ],
            outcome,
        }
    }

    fn check(outcome: Outcome, tail: usize, want: &Expect) {
        let lines = lines(&table(outcome));
        let from = if tail == 0 { 0 } else { lines.len() - tail };
        // A bar, as indentation would be taken off.
        want.assert_eq(&lines[from..].iter().map(|it| format!("|{}\n", it.show(false))).collect::<String>());
    }

    fn kept() -> Outcome {
        Outcome { acknowledged: 1_931, delivered: 1_931, repeated: 12, back_in: Some(Duration::from_millis(214)), ..Outcome::default() }
    }

    #[test]
    fn the_whole_table() {
        check(
            kept(),
            0,
            &expect![[r#"
                |
                | You ask, I answer. Or: I'll call you.
                | 600 payments in 30 s, learned in five ways, and by a neighbour that went dark.
                |
                |                                                      outcome known after never
                |                   requests      useless    bytes     p50     p95     max  seen
                | ──────────────────────────────────────────────────────────────────────────────
                | asks every 1 s       2,204  1,320  60 %   1.2 MB  512 ms  955 ms  2.10 s   214
                |   the law says                     59 %           500 ms
                | asks every 5 s         812     71   9 % 446.6 kB  2.51 s  4.80 s  6.31 s   580
                |   the law says                      7 %           2.50 s
                | waits                  612     12   2 % 403.0 kB  1.9 ms  4.2 ms  402 ms   655
                | is called back       1,931     61   3 %   1.9 MB  2.1 ms  5.0 ms  1.81 s     0
                | both together        3,918      9 0.2 %  12.3 MB  4.1 ms   10 ms  411 ms     0
                | dark for 5 s         2,400      4 0.2 %   1.9 MB  2.2 ms  5.01 s  6.81 s     0
                |
                | The law: whoever asks every T is T/2 late on average; with λ changes a second
                | of one payment (here 0.52) a share e^(−λT) of the asking is useless.
                | Known after: from the server's decision until the merchant had it, crash,
                | darkness and refusals on purpose included. Never seen: statuses that passed
                | between two looks, or came after the last one.
                |
                | acknowledged 1,931 · delivered 1,931 · lost 0 · repeated 12 · killed once, back in 0.21 s
            "#]],
        );
    }

    #[test]
    fn what_is_lost_is_said() {
        let outcome = Outcome {
            delivered: 1_925,
            lost: 6,
            lost_examples: vec!["payment.completed evt_3 of demo-1 never reached: both".into()],
            back_in: None,
            ..kept()
        };
        assert!(!outcome.good());
        check(
            outcome,
            5,
            &expect![[r#"
                | acknowledged 1,931 · delivered 1,925 · lost 6 · repeated 12 · not killed
                |
                | LOST: 6 of what was acknowledged did not arrive everywhere.
                |   payment.completed evt_3 of demo-1 never reached: both
                |   and 5 more
            "#]],
        );
    }

    #[test]
    fn what_else_went_wrong_is_said() {
        let outcome = Outcome { complaints: (vec!["a bad signature".into()], 1), ..kept() };
        assert!(!outcome.good());
        check(
            outcome,
            4,
            &expect![[r#"
                | acknowledged 1,931 · delivered 1,931 · lost 0 · repeated 12 · killed once, back in 0.21 s
                |
                | NOT AS PROMISED:
                |   a bad signature
            "#]],
        );
    }

    #[test]
    fn it_fits_a_small_terminal() {
        let mut lines = lines(&table(kept()));
        // The last line is one line by contract, and as long as its numbers.
        lines.pop();
        for line in lines {
            assert!(line.width() <= 80, "{}", line.show(false));
        }
    }
}
