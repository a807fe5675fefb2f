//! `ringback demo`: the product in one picture, in half a minute.
//!
//! Starts a server of its own (this same program, as a child process), writes
//! payments to it, and lets five merchants learn of the same payments in five
//! ways: asking every second, asking every five, waiting, being called back,
//! and both together. A neighbour goes dark for a while, and at half time the
//! server is killed with -9. Every figure in the end is measured; whether
//! anything was lost is judged from the log (`ledger`), not from counters.
//!
//! Talks to the server over HTTP only, as its users do. Nothing here is part
//! of the server, and nothing that is measured is simulated.

pub(crate) mod chance;
pub(crate) mod http;
mod ledger;
mod merchants;
pub(crate) mod pace;
mod paint;
mod plan;
mod receiver;
mod screen;
pub(crate) mod server;
mod stage;
mod stats;
mod table;
mod text;
mod timeline;
pub(crate) mod wire;
mod writer;

use plan::Plan;
use screen::{Curtain, View};
use server::{Home, Server, ServerError};
use stage::Stage;
use std::{
    error::Error,
    io::{self, IsTerminal, Write},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{Mutex, oneshot, watch},
    task::JoinSet,
    time::MissedTickBehavior,
};

/// How often the live view is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(125);
/// How often a plain line is written.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub(crate) struct DemoArgs {
    /// How long payments are written, 5 s or more; until Ctrl-C if absent.
    pub(crate) for_time: Option<Duration>,
    /// Payments a second, 0.5 to 200; 20 if absent.
    pub(crate) rate: Option<f64>,
    /// Lines instead of the live view, and no colours.
    pub(crate) plain: bool,
}

/// Runs the demo. 0 if every promise was kept, 1 if something was lost or went
/// wrong, 2 if the arguments can't be.
pub(crate) async fn run(args: DemoArgs) -> ExitCode {
    let plan = match Plan::new(args.for_time, args.rate) {
        Ok(plan) => plan,
        Err(why) => {
            say(&why);
            return ExitCode::from(2);
        }
    };
    match play(plan, args.plain).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            say(&format!("the demo could not be played: {why}"));
            let mut source = why.source();
            while let Some(because) = source {
                say(&format!("  because: {because}"));
                source = because.source();
            }
            ExitCode::FAILURE
        }
    }
}

/// From the first start to the last clean-up; true if every promise was kept.
async fn play(plan: Plan, plain: bool) -> Result<bool, Box<dyn Error>> {
    let interrupts = Interrupts::listen()?;
    let home = Home::make()?;
    let server = Arc::new(Mutex::new(Server::launch(&home).await?));
    let played = perform(plan, plain, &server, interrupts).await;
    // The server is dead before its directory goes.
    server.lock().await.kill().await;
    drop(home);
    played
}

/// From the first payment to the table.
async fn perform(plan: Plan, plain: bool, server: &Arc<Mutex<Server>>, mut interrupts: Interrupts) -> Result<bool, Box<dyn Error>> {
    let (address, operator_key) = {
        let server = server.lock().await;
        (server.address(), server.operator_key()?)
    };
    let stage = Stage::set(plan, address, operator_key).await?;
    let (end, ended) = watch::channel(false);
    let mut tasks = JoinSet::new();
    tasks.spawn(Arc::clone(&stage.writer).run(plan.rate));
    let (say, scripted) = oneshot::channel();
    let script = script(Arc::clone(&stage), Arc::clone(server), ended.clone());
    tasks.spawn(async move {
        let _ = say.send(script.await);
    });

    let show = async {
        write_until_the_end(&stage, ended).await;
        let wrote_for = stage.elapsed();
        stage.set_draining();
        // The neighbour must have light again, and the server be up, before anything can drain.
        match scripted.await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => stage.complain(why.to_string()),
            Err(_) => stage.complain("the script of the demo broke off".to_owned()),
        }
        (stage.drain().await, wrote_for)
    };
    tokio::pin!(show);
    let mut onlooker = Onlooker::new(plain, &stage);
    let mut ticks = tokio::time::interval(DRAW_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (verdict, wrote_for) = loop {
        tokio::select! {
            biased;
            () = interrupts.next() => {
                // Asked to end twice: at once, then, and without a table.
                if end.send_replace(true) {
                    return Ok(false);
                }
            }
            shown = &mut show => break shown,
            _ = ticks.tick() => {
                stage.sample();
                onlooker.look(&stage);
            }
        }
    };
    tasks.abort_all();

    onlooker.leave(&stage.view());
    let table = stage.table(&verdict, wrote_for);
    let colour = !plain && io::stdout().is_terminal() && colours_wanted();
    let mut out = io::stdout().lock();
    for line in table::lines(&table) {
        writeln!(out, "{}", line.show(colour))?;
    }
    out.flush()?;
    Ok(table.outcome.good())
}

/// Until the time is up, Ctrl-C, or there are enough payments.
async fn write_until_the_end(stage: &Stage, mut ended: watch::Receiver<bool>) {
    let time_is_up = async {
        match stage.plan.write {
            Some(whole) => pace::sleep_until(stage.start + whole).await,
            None => std::future::pending().await,
        }
    };
    let enough = async {
        while stage.is_writing() {
            pace::sleep(Duration::from_millis(200)).await;
        }
        stage.tell(format!("{} payments are enough", text::count(writer::PAYMENTS_MAX)));
    };
    tokio::select! {
        biased;
        _ = ended.wait_for(|it| *it) => {}
        () = time_is_up => {}
        () = enough => {}
    }
}

/// What happens to the others while they do their work. Ends early, with light
/// and a server, when the demo is asked to end.
async fn script(stage: Arc<Stage>, server: Arc<Mutex<Server>>, mut ended: watch::Receiver<bool>) -> Result<(), ServerError> {
    let mut reached = async |at: Duration| {
        tokio::select! {
            biased;
            _ = ended.wait_for(|it| *it) => false,
            () = pace::sleep_until(stage.start + at) => true,
        }
    };
    if !reached(stage.plan.dark.0).await {
        return Ok(());
    }
    stage.set_dark(true);
    let go_on = reached(stage.plan.dark.1).await;
    stage.set_dark(false);
    if !go_on || !reached(stage.plan.kill).await {
        return Ok(());
    }
    let mut server = server.lock().await;
    stage.set_killed();
    let killed = server.kill().await;
    let back = server.start().await?;
    stage.set_back(back - killed);
    Ok(())
}

/// Ctrl-C, and being asked to end.
struct Interrupts {
    int: Signal,
    term: Signal,
    hup: Signal,
}

impl Interrupts {
    fn listen() -> io::Result<Self> {
        Ok(Self { int: signal(SignalKind::interrupt())?, term: signal(SignalKind::terminate())?, hup: signal(SignalKind::hangup())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            biased;
            _ = self.int.recv() => {}
            _ = self.term.recv() => {}
            _ = self.hup.recv() => {}
        }
    }
}

fn colours_wanted() -> bool {
    // https://no-color.org: any value that isn't empty counts.
    std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty())
}

/// Whoever looks on, on standard error: a terminal sees a picture, anything
/// else gets lines.
enum Onlooker {
    Picture(Curtain, bool),
    Lines { next: Duration, told: usize },
}

impl Onlooker {
    fn new(plain: bool, stage: &Stage) -> Self {
        let colour = colours_wanted();
        if !plain
            && io::stderr().is_terminal()
            && let Ok(curtain) = Curtain::rise(colour)
        {
            return Self::Picture(curtain, colour);
        }
        say("You ask, I answer. Or: I'll call you.");
        if stage.plan.write.is_none() {
            stage.join().iter().for_each(|line| say(line));
        }
        Self::Lines { next: LINE_EVERY, told: 0 }
    }

    /// Shows how it stands. Whoever stops looking on doesn't end the demo.
    fn look(&mut self, stage: &Stage) {
        let view = stage.view();
        match self {
            Self::Picture(curtain, _) => {
                let _ = curtain.draw(&screen::picture(&view, Curtain::width()));
            }
            Self::Lines { next, told } => {
                for (at, what) in stage.news_after(told) {
                    say(&format!("{:>5}  {what}", text::clock(at)));
                }
                if view.elapsed >= *next {
                    *next = view.elapsed + LINE_EVERY;
                    say(&plain_line(&view));
                }
            }
        }
    }

    /// Leaves the last picture standing above the table.
    fn leave(self, view: &View) {
        if let Self::Picture(curtain, colour) = self {
            drop(curtain);
            say("");
            for line in screen::timelines(view, Curtain::width(), false) {
                say(&line.show(colour));
            }
        }
    }
}

fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// One moment in one line.
fn plain_line(view: &View) -> String {
    let known: Vec<String> = view
        .rows
        .iter()
        .map(|(name, glance)| format!("{name} {}", glance.known_after.map_or_else(|| "–".to_owned(), text::span)))
        .collect();
    format!(
        "{:>5}  {} payments, {} done; known after (p50): {}; neighbour is owed {}",
        text::clock(view.elapsed),
        text::count(view.created),
        text::count(view.done),
        known.join(", "),
        text::count(view.owed)
    )
}
