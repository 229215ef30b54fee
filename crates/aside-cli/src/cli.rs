//! The command line.

use aside_client::profile::ProfileName;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;

const ENVIRONMENT: &str = "\
Environment:
  ASIDE_HOME        where profiles live (default: ~/.local/share/aside)
  ASIDE_PASSPHRASE  the profile's passphrase, where nobody can type
  ASIDE_LOG         what to write to standard error: error, warn, info or debug

Exit status:
  0  done
  1  refused, or failed
  2  the command line is wrong
  3  the server could not be reached, or has not acknowledged in time
  4  NAME names nobody, or several
  5  the profile could not be opened: its passphrase is missing or wrong, or another process holds it";

/// Private messages through a server that can read nothing.
#[derive(Debug, Parser)]
#[command(name = "aside", version, after_help = ENVIRONMENT, subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Which person's account on this machine
    #[arg(long, global = true, default_value = "default", value_name = "PROFILE")]
    pub profile: ProfileName,
    /// Print JSON, for programs
    #[arg(long, global = true)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make an account with an invite from a server's administrator
    Join {
        /// The link, as it was given
        invite: String,
        /// The name to have there: small letters, digits, . _ -
        #[arg(long)]
        name: Option<String>,
    },
    /// Run Aside and open its window in the browser
    App {
        /// Only print the address to open
        #[arg(long)]
        no_browser: bool,
    },
    /// See, add and invite people
    #[command(subcommand)]
    Contacts(Contacts),
    /// List the conversations
    Chats,
    /// Send a message; returns when the server has acknowledged it
    Send {
        /// A person (alice@host, or alice) or a group's title
        name: String,
        /// The text; without it, standard input is sent
        text: Option<String>,
        /// How long to wait for the server, in seconds
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=30))]
        timeout: u64,
    },
    /// Print what others write, from what was not listened to yet
    Listen {
        /// End after what is there
        #[arg(long)]
        no_follow: bool,
    },
    /// Talk with several people
    #[command(subcommand)]
    Group(Group),
    /// Show the safety number to compare with a person
    Safety {
        /// A person
        name: String,
        /// Remember that the number was compared, and was the same
        #[arg(long, conflicts_with = "not_compared")]
        compared: bool,
        /// Forget that it was compared
        #[arg(long)]
        not_compared: bool,
    },
    /// Show the account and its connections
    Status,
    /// Stop the running client of the profile
    Quit,
    /// Print completions for a shell
    Completions {
        /// Which
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub enum Contacts {
    /// Add a person by the link that they gave
    Add {
        /// The link, as it was given
        link: String,
    },
    /// Print a link that lets a person write to you
    Link,
    /// List the contacts
    List,
}

#[derive(Debug, Subcommand)]
pub enum Group {
    /// Found a group
    Create {
        /// Its title
        title: String,
        /// Contacts, one or more
        #[arg(required = true)]
        names: Vec<String>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_forms_that_scripts_use_are_understood() {
        for line in [
            "aside --profile p join aside://h/invite#x --name alice",
            "aside --profile p contacts link",
            "aside --profile p contacts add aside://h/contact/bob#x",
            "aside --profile p send alice@127.0.0.1:8443 text",
            "aside --profile p send alice",
            "aside --profile p listen --json",
            "aside listen --profile p --json --no-follow",
            "aside --profile p app --no-browser",
            "aside group create title alice bob",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
    }
}
