//! `aside-simulator --worlds N`: lives through N worlds and says which broke a promise.

use aside_simulator::{Broken, Plan, PlantedDefect, Report, World};
use clap::{Parser, ValueEnum};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Broken worlds that are told in full; of the others only the promise is.
const TOLD_MAX: usize = 1;

#[derive(Parser)]
#[command(about = "Lives through seeded worlds of devices, servers, crashes, absences and broken connections")]
struct Arguments {
    /// How many worlds.
    #[arg(long, default_value_t = 2_000)]
    worlds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Only the world of this seed, with everything that happens in it if it breaks.
    #[arg(long)]
    seed: Option<u64>,
    /// Absences last weeks, and messages expire.
    #[arg(long)]
    weeks: bool,
    /// Devices lose group state.
    #[arg(long)]
    damage: bool,
    /// People have several devices.
    #[arg(long)]
    devices: bool,
    /// One device does ill to its groups.
    #[arg(long)]
    hostile: bool,
    /// Devices are set back to older copies of themselves.
    #[arg(long)]
    restored: bool,
    /// Worlds of all these kinds, also of several at once, as each seed decides.
    #[arg(long, conflicts_with_all = ["weeks", "damage", "devices", "hostile", "restored"])]
    mixed: bool,
    /// A fault to plant.
    #[arg(long)]
    defect: Option<Fault>,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: u64,
}

impl Arguments {
    fn plan(&self, seed: u64) -> Plan {
        let defect = self.defect.map(PlantedDefect::from);
        if self.mixed {
            return Plan::mixed(seed, defect);
        }
        let mut plan = Plan::of(seed, defect);
        if self.weeks {
            plan = plan.with_weeks_away();
        }
        if self.devices {
            plan = plan.with_devices(seed);
        }
        if self.damage {
            plan = plan.with_damage();
        }
        if self.hostile {
            plan = plan.with_hostile(seed);
        }
        if self.restored {
            plan = plan.with_restored();
        }
        plan
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Fault {
    CursorOutsideTransaction,
    AcknowledgementBeforeSync,
    RetryReEncrypts,
    DedupeOff,
    CompareAndSwapOff,
    LostRaceForgotten,
    WelcomeBeforeAcknowledgement,
    WelcomeAtWrongPlace,
}

impl From<Fault> for PlantedDefect {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::CursorOutsideTransaction => PlantedDefect::CursorOutsideTransaction,
            Fault::AcknowledgementBeforeSync => PlantedDefect::AcknowledgementBeforeSync,
            Fault::RetryReEncrypts => PlantedDefect::RetryReEncrypts,
            Fault::DedupeOff => PlantedDefect::DedupeOff,
            Fault::CompareAndSwapOff => PlantedDefect::CompareAndSwapOff,
            Fault::LostRaceForgotten => PlantedDefect::LostRaceForgotten,
            Fault::WelcomeBeforeAcknowledgement => PlantedDefect::WelcomeBeforeAcknowledgement,
            Fault::WelcomeAtWrongPlace => PlantedDefect::WelcomeAtWrongPlace,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Arguments { worlds, from, seed, threads, .. } = arguments;
    let live = |seed: u64| World::new(seed, &arguments.plan(seed)).run();
    if let Some(seed) = seed {
        return only(seed, live(seed));
    }
    let begin = Instant::now();
    let next = AtomicU64::new(from);
    let end = from.saturating_add(worlds);
    let sum = Mutex::new((Report::default(), Vec::<Broken>::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let outcome = live(seed);
                    let Ok(mut sum) = sum.lock() else { return };
                    match outcome {
                        Ok(report) => sum.0 += report,
                        Err(broken) => {
                            eprintln!("world {seed}: {}", broken.promise);
                            sum.1.push(broken);
                        }
                    }
                }
            });
        }
    });
    let Ok((report, mut broken)) = sum.into_inner() else { return ExitCode::FAILURE };
    broken.sort_by_key(|broken| broken.seed);
    broken.iter().take(TOLD_MAX).for_each(|broken| eprintln!("{broken}"));
    println!("{report}, {} seconds; {} broken", begin.elapsed().as_secs(), broken.len());
    // A world that panicked is neither.
    if broken.is_empty() && report.worlds == worlds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn only(seed: u64, outcome: Result<Report, Broken>) -> ExitCode {
    match outcome {
        Ok(report) => {
            println!("world {seed}: {report}");
            ExitCode::SUCCESS
        }
        Err(broken) => {
            broken.trace.iter().for_each(|line| eprintln!("    {line}"));
            eprintln!("world {seed}: {}\n    {}", broken.promise, broken.plan);
            ExitCode::FAILURE
        }
    }
}
