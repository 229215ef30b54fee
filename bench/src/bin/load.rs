//! `aside-bench-load`: the load generator. One call is one measurement of one server, and prints one line; `table` prints
//! the lines of many calls side by side.

use anyhow::{Context, Result};
use aside_bench::aside::{Aside, Echo};
use aside_bench::closed_loop::{self, Grouping};
use aside_bench::histogram::Histogram;
use aside_bench::network::Network;
use aside_bench::peer::Peer;
use aside_bench::record::{self, Row, Spread, disturbance};
use aside_bench::reference::Reference;
use aside_bench::xmpp::Xmpp;
use aside_bench::{idle, latency};
use aside_protocol::link::InviteLink;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Parser)]
#[command(about = "Measures a messaging server")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Pairs in a closed loop: messages a second that are accepted and delivered
    Throughput {
        #[command(flatten)]
        server: Server,
        /// Pairs of users
        #[arg(long, default_value_t = 50)]
        pairs: u32,
        /// Undelivered messages of a pair
        #[arg(long, default_value_t = 16)]
        window: usize,
        /// Bytes of a message
        #[arg(long, default_value_t = 256)]
        bytes: usize,
        /// Seconds before the measurement
        #[arg(long, default_value_t = 3)]
        warm_up: u64,
        /// Seconds of the measurement
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// How messages become requests
        #[arg(long, value_enum, default_value = "single")]
        grouping: Grouping,
    },
    /// One pair at a fixed rate: how long messages take
    Latency {
        #[command(flatten)]
        server: Server,
        /// Messages a second
        #[arg(long, default_value_t = 200)]
        rate: u32,
        /// Bytes of a message
        #[arg(long, default_value_t = 256)]
        bytes: usize,
        /// Seconds
        #[arg(long, default_value_t = 20)]
        seconds: u32,
    },
    /// Connections that do nothing: the server's memory for each
    Idle {
        #[command(flatten)]
        server: Server,
        /// Connections
        #[arg(long, default_value_t = 1_000)]
        connections: u32,
        /// Seconds to wait, twice
        #[arg(long, default_value_t = 10)]
        hold: u64,
    },
    /// Prints what was recorded
    Table {
        /// From `--record`
        record: PathBuf,
    },
}

#[derive(Args)]
struct Server {
    /// What it speaks
    #[arg(long, value_enum)]
    protocol: Protocol,
    /// What to call it in the record; names that begin with `aside` are compared with the others
    #[arg(long)]
    name: String,
    /// Its process, with whatever that starts
    #[arg(long)]
    pid: u32,
    /// Its port on this machine (not for Aside, whose invite says it)
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// The authority that certifies it (not for Aside)
    #[arg(long)]
    authority: Option<PathBuf>,
    /// An unused invite (Aside)
    #[arg(long)]
    invite: Option<InviteLink>,
    /// Who gets pushes (Aside)
    #[arg(long, value_enum, default_value = "other")]
    echo: Echo,
    /// Where to add the figures
    #[arg(long)]
    record: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Protocol {
    Aside,
    Xmpp,
    Reference,
}

/// What is measured, whatever the server.
enum Measurement {
    Throughput(closed_loop::Plan),
    Latency(latency::Plan),
    Idle { connections: u32, hold: Duration },
}

#[tokio::main]
async fn main() -> Result<()> {
    let (server, measurement) = match Arguments::parse().command {
        Command::Table { record } => {
            print!("{}", record::table(&record)?);
            return Ok(());
        }
        Command::Throughput { server, pairs, window, bytes, warm_up, seconds, grouping } => {
            let plan = closed_loop::Plan { pairs, window, bytes, warm_up, seconds, grouping };
            (server, Measurement::Throughput(plan))
        }
        Command::Latency { server, rate, bytes, seconds } => {
            (server, Measurement::Latency(latency::Plan { rate, bytes, seconds }))
        }
        Command::Idle { server, connections, hold } => {
            (server, Measurement::Idle { connections, hold: Duration::from_secs(hold) })
        }
    };
    let network = || {
        let authority = server.authority.as_ref().context("this server needs --authority")?;
        Network::certified(server.port, authority)
    };
    match server.protocol {
        Protocol::Aside => {
            let invite = server.invite.clone().context("an Aside server needs --invite")?;
            measure(&Aside::new(invite, server.echo)?, &server, measurement).await
        }
        Protocol::Xmpp => measure(&Xmpp { network: network()? }, &server, measurement).await,
        Protocol::Reference => measure(&Reference { network: network()? }, &server, measurement).await,
    }
}

async fn measure<P: Peer>(peer: &P, server: &Server, measurement: Measurement) -> Result<()> {
    match measurement {
        Measurement::Throughput(plan) => throughput(peer, server, plan).await,
        Measurement::Latency(plan) => fixed_rate(peer, server, plan).await,
        Measurement::Idle { connections, hold } => memory(peer, server, connections, hold).await,
    }
}

async fn throughput<P: Peer>(peer: &P, server: &Server, plan: closed_loop::Plan) -> Result<()> {
    let figures = closed_loop::run(peer, plan, &[server.pid]).await?;
    let samples: Vec<f64> = figures.a_second.iter().map(|count| *count as f64).collect();
    let spread = Spread::of(&samples).context("not one second was measured")?;
    println!(
        "{:<20} {:>5} B  {spread} msg/s, {} pairs, window {}, {:.1} a request | {} | {} messages, none missing | {}{}",
        server.name,
        plan.bytes,
        plan.pairs,
        plan.window,
        figures.grouped,
        quantiles(&figures.latency),
        figures.messages,
        figures.used,
        disturbance(figures.used.others)
    );
    note(server, &format!("throughput, {} B, msg/s", plan.bytes), samples)
}

async fn fixed_rate<P: Peer>(peer: &P, server: &Server, plan: latency::Plan) -> Result<()> {
    let figures = latency::run(peer, plan, &[server.pid]).await?;
    println!(
        "{:<20} {:>5} B  at {} msg/s: delivery {} | acceptance {} | {}{}",
        server.name,
        plan.bytes,
        plan.rate,
        quantiles(&figures.delivery),
        quantiles(&figures.acceptance),
        figures.used,
        disturbance(figures.used.others)
    );
    let what = |quantile| format!("delivery latency, {} B at {} msg/s, {quantile}, ms", plan.bytes, plan.rate);
    note(server, &what("p50"), vec![ms(figures.delivery.quantile(0.5))])?;
    note(server, &what("p99"), vec![ms(figures.delivery.quantile(0.99))])
}

async fn memory<P: Peer>(peer: &P, server: &Server, connections: u32, hold: Duration) -> Result<()> {
    let figures = idle::run(peer, connections, hold, &[server.pid]).await?;
    println!(
        "{:<20} {} idle connections: {:.1} MiB before, {:.1} MiB with them, {:.1} KiB each; {:.1} % of a core",
        server.name,
        connections,
        figures.before as f64 / 1024.0,
        figures.after as f64 / 1024.0,
        figures.each,
        figures.cpu * 100.0
    );
    note(server, "memory before anybody connects, MiB", vec![figures.before as f64 / 1024.0])?;
    note(server, "memory of an idle connection, KiB", vec![figures.each])
}

fn note(server: &Server, what: &str, values: Vec<f64>) -> Result<()> {
    match &server.record {
        None => Ok(()),
        Some(record) => Row { server: server.name.clone(), what: what.to_owned(), values }.append(record),
    }
}

fn quantiles(histogram: &Histogram) -> String {
    let (p50, p99) = (ms(histogram.quantile(0.5)), ms(histogram.quantile(0.99)));
    format!("p50 {p50:.2} ms, p99 {p99:.2} ms, longest {:.1} ms", ms(histogram.longest()))
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
