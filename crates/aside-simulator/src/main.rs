//! `aside-simulator --worlds N`: lives through N worlds and says which broke a promise.

use aside_simulator::{Plan, PlantedDefect, run};
use clap::{Parser, ValueEnum};
use std::process::ExitCode;

#[derive(Parser)]
#[command(about = "Lives through seeded worlds of clients, a server, crashes and broken connections")]
struct Arguments {
    /// How many worlds.
    #[arg(long, default_value_t = 2_000)]
    worlds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// A fault to plant.
    #[arg(long)]
    defect: Option<Fault>,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Fault {
    CursorOutsideTransaction,
    AcknowledgementBeforeSync,
    RetryReEncrypts,
    DedupeOff,
    CompareAndSwapOff,
}

impl From<Fault> for PlantedDefect {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::CursorOutsideTransaction => PlantedDefect::CursorOutsideTransaction,
            Fault::AcknowledgementBeforeSync => PlantedDefect::AcknowledgementBeforeSync,
            Fault::RetryReEncrypts => PlantedDefect::RetryReEncrypts,
            Fault::DedupeOff => PlantedDefect::DedupeOff,
            Fault::CompareAndSwapOff => PlantedDefect::CompareAndSwapOff,
        }
    }
}

/// The plan of a world: seeds differ in people as well as in luck.
fn plan(seed: u64, defect: Option<PlantedDefect>) -> Plan {
    let people = if seed.is_multiple_of(4) { 3 } else { 2 };
    let trouble_per_mille = [20, 60, 120].get(seed as usize / 2 % 3).copied().unwrap_or(60);
    Plan { people, trouble_per_mille, defect, ..Plan::default() }
}

fn main() -> ExitCode {
    let Arguments { worlds, from, defect, threads } = Arguments::parse();
    let defect = defect.map(PlantedDefect::from);
    let (mut broken, mut messages, mut acknowledged, mut crashes, mut breaks) = (0_u64, 0, 0, 0, 0);
    let outcomes = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1))
            .map(|worker| {
                scope.spawn(move || {
                    let seeds = (from..from.saturating_add(worlds)).filter(|seed| seed % threads.max(1) == worker);
                    seeds.map(|seed| run(seed, &plan(seed, defect))).collect::<Vec<_>>()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect::<Vec<_>>()
    });
    for outcome in &outcomes {
        match outcome {
            Ok(report) => {
                messages += report.messages;
                acknowledged += report.acknowledged;
                crashes += report.crashes;
                breaks += report.breaks;
            }
            Err(fault) => {
                broken += 1;
                eprintln!("{fault}");
            }
        }
    }
    println!(
        "{} worlds lived, {broken} broken; {messages} messages, {acknowledged} acknowledged, {crashes} crashes, {breaks} broken connections",
        outcomes.len()
    );
    if broken == 0 && outcomes.len() as u64 == worlds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
