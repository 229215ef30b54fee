//! `aside-bench-engines`: the client's side of the measurements. `mls` times the cryptography and its storage, `groups`
//! what membership costs, `client` a whole conversation of two engines over a real server.

mod client;
mod device;
mod groups;
mod mls;
mod person;
mod store;

use anyhow::Result;
use aside_protocol::link::InviteLink;
use clap::{Parser, Subcommand};
use std::path::PathBuf;

#[derive(Parser)]
#[command(about = "Measures the client's parts")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Commit, encrypt and decrypt at several group sizes
    Mls {
        /// Where databases are made; a folder on the disk that counts
        #[arg(long)]
        folder: PathBuf,
        /// Repeats of each
        #[arg(long, default_value_t = 100)]
        repeats: usize,
        /// Members of the groups
        #[arg(long, value_delimiter = ',', default_value = "2,10,100")]
        members: Vec<u8>,
    },
    /// Adding, removing, renewing, sending and loading in groups whose trees are filled
    Groups {
        /// Where databases are made; a folder on the disk that counts
        #[arg(long)]
        folder: PathBuf,
        /// Repeats of each
        #[arg(long, default_value_t = 10)]
        repeats: usize,
        /// Members of the groups
        #[arg(long, value_delimiter = ',', default_value = "2,10,100,256")]
        members: Vec<u16>,
    },
    /// Two engines with databases on the disk, over a running server
    Client {
        /// Two unused invites to it
        #[arg(long, num_args = 2, required = true)]
        invite: Vec<InviteLink>,
        /// Its process
        #[arg(long)]
        pid: u32,
        /// Where databases are made
        #[arg(long)]
        folder: PathBuf,
        /// Bytes of a text
        #[arg(long, default_value_t = 256)]
        bytes: usize,
        /// Undelivered texts
        #[arg(long, default_value_t = 16)]
        window: usize,
        /// Seconds of the measurement
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
}

fn main() -> Result<()> {
    match Arguments::parse().command {
        Command::Mls { folder, repeats, members } => mls::run(&folder, repeats, &members),
        Command::Groups { folder, repeats, members } => groups::run(&folder, repeats, &members),
        Command::Client { invite, pid, folder, bytes, window, seconds } => {
            client::run(client::Plan { invite, pid, folder, bytes, window, seconds })
        }
    }
}
