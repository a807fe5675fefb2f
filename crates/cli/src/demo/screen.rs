//! The live view: one calm picture, drawn anew several times a second.
//!
//! Drawing is a function from what is known to lines of text; only `Curtain`
//! touches the terminal, and gives it back as it was, also after a panic.

use super::{
    merchants::Glance,
    paint::{Ink, Line},
    table::delay_ink,
    text,
    timeline::{Axis, Fold, Timeline, block, delay_height, share_height},
};
use crossterm::{
    cursor::{Hide, MoveTo, Show},
    execute, queue,
    style::Print,
    terminal::{self, Clear, ClearType, DisableLineWrap, EnableLineWrap, EnterAlternateScreen, LeaveAlternateScreen},
};
use std::{
    io::{self, Write},
    time::Duration,
};

/// How much of an endless demo is in view.
const VIEW: Duration = Duration::from_secs(60);
/// The widest picture: beyond, eyes get lost.
const WIDTH_MAX: usize = 120;
const NAME: usize = 19;
const NUMBERS: usize = 29;
/// The latest news that are shown; all of it has 24 rows.
const NEWS: usize = 4;

/// All that the live view shows.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) elapsed: Duration,
    /// How long it will write; `None` until Ctrl-C.
    pub(super) write: Option<Duration>,
    pub(super) phase: Phase,
    pub(super) server: String,
    pub(super) up: bool,
    pub(super) created: u64,
    pub(super) done: u64,
    pub(super) acknowledged: u64,
    pub(super) delivered: u64,
    pub(super) repeated: u64,
    pub(super) rows: Vec<(String, Glance)>,
    /// What the neighbour is owed, over time and now.
    pub(super) backlog: Timeline,
    pub(super) owed: u64,
    /// When it was dark; without an end while it is.
    pub(super) dark: Option<(Duration, Option<Duration>)>,
    /// When the server was killed, and how long it was gone.
    pub(super) kill: Option<(Duration, Option<Duration>)>,
    pub(super) join: Vec<String>,
    pub(super) news: Vec<(Duration, String)>,
}

/// What is going on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Writing,
    Draining,
}

/// The stretch of time that is in view: all of it, or the last minute of a
/// demo without an end.
pub(super) fn axis(elapsed: Duration, write: Option<Duration>) -> Axis {
    match write {
        Some(whole) => Axis { from: Duration::ZERO, to: whole.max(elapsed) },
        None => Axis { from: elapsed.saturating_sub(VIEW), to: elapsed.max(VIEW) },
    }
}

/// The whole picture, `width` columns wide.
pub(super) fn picture(view: &View, width: usize) -> Vec<Line> {
    let width = width.min(WIDTH_MAX);
    let mut lines = vec![title(view, width), Line::new(), payments(view), Line::new()];
    lines.extend(timelines(view, width, true));
    lines.push(Line::new());
    lines.push(
        Line::new()
            .and(Ink::Dim, " acknowledged ")
            .and(Ink::Bold, text::count(view.acknowledged))
            .and(Ink::Dim, " · delivered ")
            .and(Ink::Bold, text::count(view.delivered))
            .and(Ink::Dim, " · repeated ")
            .and(Ink::Bold, text::count(view.repeated)),
    );
    lines.push(Line::new());
    if view.join.is_empty() {
        for (at, what) in view.news.iter().skip(view.news.len().saturating_sub(NEWS)) {
            lines.push(Line::new().and(Ink::Dim, format!(" {:>5}  ", text::clock(*at))).and(Ink::Plain, what.clone()));
        }
    }
    let mut lines: Vec<Line> = lines.into_iter().map(|it| it.cut(width)).collect();
    for line in &view.join {
        // Not cut: whoever copies a key needs all of it.
        lines.push(Line::new().and(Ink::Dim, format!(" {line}")));
    }
    lines
}

fn title(view: &View, width: usize) -> Line {
    let clock = match (view.phase, view.write) {
        (Phase::Draining, _) => format!("{}  draining ", text::clock(view.elapsed)),
        (Phase::Writing, Some(whole)) => format!("{} of {} ", text::clock(view.elapsed), text::clock(whole)),
        (Phase::Writing, None) => format!("{}  Ctrl-C ends ", text::clock(view.elapsed)),
    };
    let left = Line::new().and(Ink::Title, " You ask, I answer. Or: I'll call you.");
    let gap = width.saturating_sub(left.width());
    left.right(Ink::Dim, gap, &clock)
}

fn payments(view: &View) -> Line {
    let open = view.created.saturating_sub(view.done);
    let line = Line::new()
        .and(Ink::Bold, format!(" {}", text::count(view.created)))
        .and(Ink::Dim, " payments · ")
        .and(Ink::Bold, text::count(view.done))
        .and(Ink::Dim, " done · ")
        .and(Ink::Bold, text::count(open))
        .and(Ink::Dim, " open · ");
    if view.up {
        line.and(Ink::Good, "● ").and(Ink::Dim, format!("server at {}", view.server))
    } else {
        line.and(Ink::Alarm, "✗ server killed")
    }
}

/// One row a merchant, all on one axis of time; `numbers` beside them.
pub(super) fn timelines(view: &View, width: usize, numbers: bool) -> Vec<Line> {
    let columns = width.min(WIDTH_MAX).saturating_sub(NAME + if numbers { NUMBERS } else { 1 }).max(10);
    let axis = axis(view.elapsed, view.write);
    let mut head = Line::new().left(Ink::Dim, NAME, "").left(Ink::Dim, columns, "how late each usually is");
    if numbers {
        head = head.right(Ink::Dim, 10, "p50").right(Ink::Dim, 10, "requests").right(Ink::Dim, 9, "useless");
    }
    let mut lines = vec![head];
    for (name, glance) in &view.rows {
        let mut line = Line::new().left(Ink::Bold, NAME, &format!(" {name}"));
        for value in glance.timeline.columns(axis, columns, Fold::Median) {
            match value {
                None => line.push(Ink::Dim, " "),
                Some(micros) => line.push(delay_ink(Duration::from_micros(micros as u64)), block(delay_height(micros))),
            }
        }
        if numbers {
            let (ink, p50) = glance.known_after.map_or((Ink::Dim, "–".to_owned()), |it| (delay_ink(it), text::span(it)));
            line = line.right(ink, 10, &p50).right(Ink::Plain, 10, &text::count(glance.requests)).right(
                Ink::Plain,
                9,
                &text::percent(glance.useless, glance.requests),
            );
        }
        lines.push(line);
    }
    lines.push(Line::new());
    lines.push(backlog(view, axis, columns, numbers));
    lines.push(marks(view, axis, columns));
    lines
}

fn backlog(view: &View, axis: Axis, columns: usize, numbers: bool) -> Line {
    let values = view.backlog.columns(axis, columns, Fold::Max);
    let most = values.iter().flatten().copied().fold(0.0, f64::max);
    let mut line = Line::new().left(Ink::Bold, NAME, " neighbour is owed");
    for value in values {
        // A handful is on its way at any moment: that is no backlog.
        match value {
            None => line.push(Ink::Dim, " "),
            Some(value) if value < 8.0 => line.push(Ink::Good, block(0)),
            Some(value) => line.push(Ink::Fair, block(share_height(value, most))),
        }
    }
    if !numbers {
        return line;
    }
    let dark = matches!(view.dark, Some((_, None)));
    let line = line.right(if dark { Ink::Alarm } else { Ink::Plain }, 10, &text::count(view.owed));
    if dark { line.and(Ink::Alarm, "   dark") } else { line }
}

fn marks(view: &View, axis: Axis, columns: usize) -> Line {
    let mut row = vec![(Ink::Dim, ' '); columns];
    let mut write = |at: usize, ink: Ink, text: &str| {
        for (slot, char) in row.iter_mut().skip(at).zip(text.chars()) {
            *slot = (ink, char);
        }
    };
    if let Some((from, to)) = view.dark {
        let last = to.unwrap_or(view.elapsed);
        if let (Some(first), Some(last)) = (axis.column(from, columns), axis.column(last, columns).or(Some(columns - 1))) {
            let inner = last.saturating_sub(first).saturating_sub(1);
            let label = if inner >= 6 {
                " dark "
            } else if inner >= 4 {
                "dark"
            } else {
                ""
            };
            let fill = inner.saturating_sub(label.len());
            let text = format!("└{}{label}{}┘", "─".repeat(fill / 2), "─".repeat(fill - fill / 2));
            write(first, Ink::Fair, &text);
        }
    }
    if let Some((at, back_in)) = view.kill
        && let Some(column) = axis.column(at, columns)
    {
        let short = "✗ kill -9".to_owned();
        let long = back_in.map(|span| format!("{short}, back in {:.2} s", span.as_secs_f64()));
        let label = long.filter(|it| column + it.chars().count() <= columns).unwrap_or(short);
        write(column, Ink::Alarm, &label);
    }
    let mut line = Line::new().left(Ink::Dim, NAME, "");
    for (ink, char) in row {
        line.push(ink, char);
    }
    line
}

/// The terminal, taken for the live view; given back when this goes.
#[derive(Debug)]
pub(super) struct Curtain {
    colour: bool,
}

impl Curtain {
    /// Takes the terminal that standard error is.
    pub(super) fn rise(colour: bool) -> io::Result<Self> {
        execute!(io::stderr(), EnterAlternateScreen, Hide, Clear(ClearType::All))?;
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            fall();
            before(info);
        }));
        Ok(Self { colour })
    }

    /// Columns of the terminal.
    pub(super) fn width() -> usize {
        terminal::size().map_or(80, |(columns, _)| usize::from(columns)).max(40)
    }

    /// Draws `lines` over what is there, without a flicker.
    pub(super) fn draw(&self, lines: &[Line]) -> io::Result<()> {
        let (columns, rows) = terminal::size().unwrap_or((80, 24));
        let mut out = Vec::new();
        let mut row = 0;
        for line in lines {
            let takes = u16::try_from(line.width().max(1).div_ceil(usize::from(columns.max(1)))).unwrap_or(1);
            if row + takes > rows {
                break;
            }
            for wrapped in row..row + takes {
                queue!(out, MoveTo(0, wrapped), Clear(ClearType::CurrentLine))?;
            }
            if takes > 1 {
                queue!(out, EnableLineWrap)?;
            } else {
                queue!(out, DisableLineWrap)?;
            }
            queue!(out, MoveTo(0, row), Print(line.show(self.colour)))?;
            row += takes;
        }
        queue!(out, EnableLineWrap)?;
        if row < rows {
            queue!(out, MoveTo(0, row), Clear(ClearType::FromCursorDown))?;
        }
        let mut terminal = io::stderr().lock();
        terminal.write_all(&out)?;
        terminal.flush()
    }
}

impl Drop for Curtain {
    fn drop(&mut self) {
        fall();
    }
}

fn fall() {
    let _ = execute!(io::stderr(), EnableLineWrap, Show, LeaveAlternateScreen);
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn glance(micros: f64, requests: u64, useless: u64) -> Glance {
        let mut timeline = Timeline::default();
        for quarter in 4..70_u32 {
            let hiccup = if quarter == 60 { 300_000.0 } else { 0.0 };
            timeline.add(Duration::from_millis(250) * quarter, micros + hiccup);
        }
        Glance { requests, useless, known_after: Some(Duration::from_micros(micros as u64)), timeline }
    }

    fn view() -> View {
        let mut backlog = Timeline::default();
        for quarter in 0..70_u32 {
            let owed = match quarter {
                12..32 => (quarter - 11) * 15,
                32..40 => (40 - quarter) * 35,
                _ => 2,
            };
            backlog.add(Duration::from_millis(250) * quarter, f64::from(owed));
        }
        let secs = Duration::from_secs;
        View {
            elapsed: Duration::from_millis(17_400),
            write: Some(secs(30)),
            phase: Phase::Writing,
            server: "127.0.0.1:7464".into(),
            up: true,
            created: 342,
            done: 278,
            acknowledged: 1_204,
            delivered: 1_198,
            repeated: 3,
            rows: vec![
                ("asks every 1 s".into(), glance(510_000.0, 1_214, 702)),
                ("asks every 5 s".into(), glance(2_500_000.0, 312, 31)),
                ("waits".into(), glance(1_900.0, 290, 0)),
                ("is called back".into(), glance(2_300.0, 1_201, 33)),
                ("both together".into(), glance(4_100.0, 2_390, 2)),
            ],
            backlog,
            owed: 2,
            dark: Some((secs(3), Some(secs(8)))),
            kill: Some((secs(15), Some(Duration::from_millis(214)))),
            join: vec![],
            news: vec![(secs(3), "the neighbour goes dark".into()), (secs(15), "the server is killed with -9".into())],
        }
    }

    fn check(view: &View, width: usize, want: &Expect) {
        // A bar, as indentation would be taken off.
        want.assert_eq(&picture(view, width).iter().map(|it| format!("|{}\n", it.show(false))).collect::<String>());
    }

    #[test]
    fn eighty_columns() {
        check(
            &view(),
            80,
            &expect![[r#"
                | You ask, I answer. Or: I'll call you.                             0:17 of 0:30
                |
                | 342 payments · 278 done · 64 open · ● server at 127.0.0.1:7464
                |
                |                   how late each usually is               p50  requests  useless
                | asks every 1 s     ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇                 510 ms     1,214     58 %
                | asks every 5 s     ██████████████████                 2.50 s       312     10 %
                | waits              ▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂                 1.9 ms       290      0 %
                | is called back     ▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂                 2.3 ms     1,201      3 %
                | both together      ▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃                 4.1 ms     2,390    0.1 %
                |
                | neighbour is owed ▁▁▁▃▄▅▆██▇▄▁▁▁▁▁▁▁▁                      2
                |                      └dark┘       ✗ kill -9
                |
                | acknowledged 1,204 · delivered 1,198 · repeated 3
                |
                |  0:03  the neighbour goes dark
                |  0:15  the server is killed with -9
            "#]],
        );
    }

    #[test]
    fn a_hundred_and_twenty_columns() {
        check(
            &view(),
            120,
            &expect![[r#"
                | You ask, I answer. Or: I'll call you.                                                                     0:17 of 0:30
                |
                | 342 payments · 278 done · 64 open · ● server at 127.0.0.1:7464
                |
                |                   how late each usually is                                                       p50  requests  useless
                | asks every 1 s      ▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇▇                                  510 ms     1,214     58 %
                | asks every 5 s      ████████████████████████████████████████                                  2.50 s       312     10 %
                | waits               ▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▆▂▂▂▂▂                                  1.9 ms       290      0 %
                | is called back      ▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▂▆▂▂▂▂▂                                  2.3 ms     1,201      3 %
                | both together       ▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▆▃▃▃▃▃                                  4.1 ms     2,390    0.1 %
                |
                | neighbour is owed ▁▁▁▁▁▁▁▂▃▃▄▄▅▅▆▆▇███▇▆▅▃▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁                                       2
                |                          └── dark ───┘                ✗ kill -9, back in 0.21 s
                |
                | acknowledged 1,204 · delivered 1,198 · repeated 3
                |
                |  0:03  the neighbour goes dark
                |  0:15  the server is killed with -9
            "#]],
        );
    }

    #[test]
    fn without_an_end_the_newcomer_is_told_how_to_join() {
        let view = View {
            write: None,
            elapsed: Duration::from_secs(16),
            up: false,
            dark: Some((Duration::from_secs(6), None)),
            kill: None,
            join: vec!["Join in:".into(), "  curl -u rbk_x: http://127.0.0.1:7464/payment/demo-1/status".into()],
            ..view()
        };
        check(
            &view,
            80,
            &expect![[r#"
                | You ask, I answer. Or: I'll call you.                        0:16  Ctrl-C ends
                |
                | 342 payments · 278 done · 64 open · ✗ server killed
                |
                |                   how late each usually is               p50  requests  useless
                | asks every 1 s    ▇▇▇▇▇▇▇▇▇▇                          510 ms     1,214     58 %
                | asks every 5 s    ██████████                          2.50 s       312     10 %
                | waits             ▂▂▂▂▂▂▂▂▂▂                          1.9 ms       290      0 %
                | is called back    ▂▂▂▂▂▂▂▂▂▂                          2.3 ms     1,201      3 %
                | both together     ▃▃▃▃▃▃▃▃▃▃                          4.1 ms     2,390    0.1 %
                |
                | neighbour is owed ▁▃▅██▄▁▁▁▁                               2   dark
                |                      └dark┘
                |
                | acknowledged 1,204 · delivered 1,198 · repeated 3
                |
                | Join in:
                |   curl -u rbk_x: http://127.0.0.1:7464/payment/demo-1/status
            "#]],
        );
    }

    #[test]
    fn nothing_is_wider_than_the_terminal_and_all_of_it_fits_24_rows() {
        for width in [60, 80, 100, 120, 200] {
            let lines = picture(&view(), width);
            assert!(lines.len() <= 22, "{}", lines.len());
            for line in lines {
                assert!(line.width() <= width, "{width}: {}", line.show(false));
            }
        }
    }

    #[test]
    fn an_empty_view_is_drawn_too() {
        let view = View {
            elapsed: Duration::ZERO,
            rows: vec![],
            backlog: Timeline::default(),
            dark: None,
            kill: None,
            news: vec![],
            phase: Phase::Draining,
            ..view()
        };
        assert!(picture(&view, 80).iter().any(|it| it.show(false).contains("draining")));
    }
}
