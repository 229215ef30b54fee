//! The command line.

use aside_client::profile::ProfileName;
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use std::path::PathBuf;

const ENVIRONMENT: &str = "\
Environment:
  ASIDE_HOME        where profiles live (default: ~/.local/share/aside)
  ASIDE_PASSPHRASE  the profile's passphrase, where nobody can type
  ASIDE_PHRASE      the 24 words, where nobody can type
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
    /// People who are no contacts and ask to talk with you
    #[command(subcommand)]
    Requests(Requests),
    /// Show your server's administrator messages of your choice
    Report {
        /// A person, or a group's title
        name: String,
        /// What you want to say about it
        #[arg(long, default_value = "")]
        note: String,
        /// A message's id, as `--json` prints it; may be given several times
        #[arg(long = "message", value_name = "ID")]
        messages: Vec<String>,
    },
    /// Go on in a conversation after looking at its notice: somebody's keys changed
    AcceptKeys {
        /// A person, or a group's title
        name: String,
    },
    /// Go on in a conversation whose server has shown different histories of it: in a new place, with the same people
    Continue {
        /// A person, or a group's title
        name: String,
    },
    /// Print what shows that a conversation was tampered with, as JSON
    Evidence {
        /// A person, or a group's title
        name: String,
    },
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
    /// Use this account on several devices
    #[command(subcommand, name = "device")]
    Device(OfDevices),
    /// Show the safety number to compare with a person
    Safety {
        /// A person
        name: String,
        /// Remember that the number was compared, and was the same
        #[arg(long, conflicts_with_all = ["not_compared", "scan"])]
        compared: bool,
        /// Compare with the text of the code that the person sees beside their number
        #[arg(long, value_name = "CODE", conflicts_with = "not_compared")]
        scan: Option<String>,
        /// Forget that it was compared
        #[arg(long)]
        not_compared: bool,
    },
    /// The 24 words that bring the account back when every device is lost
    #[command(subcommand)]
    Recovery(Recovery),
    /// Back the account up: to its server, or to a file that the 24 words open
    Backup {
        /// Where to write it; without it, the server gets it
        file: Option<PathBuf>,
    },
    /// Bring an account back from a file, into a profile that has none
    Restore {
        /// The file
        file: PathBuf,
        #[command(flatten)]
        lost: Lost,
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

/// What becomes of the devices that a restored account had.
#[derive(Debug, Clone, Copy, Args)]
pub struct Lost {
    /// Keep the account's other devices: one of them may be found again
    #[arg(long, conflicts_with = "revoke_devices")]
    pub keep_devices: bool,
    /// Remove the account's other devices, which somebody else may have (without a terminal: the default)
    #[arg(long)]
    pub revoke_devices: bool,
}

#[derive(Debug, Subcommand)]
pub enum Recovery {
    /// Print the words, to write them on paper
    Phrase,
    /// Type the words back; this device forgets them
    Confirm,
    /// Bring an account back from its server, into a profile that has none
    Restore {
        /// The account: name@host
        address: String,
        /// Any link of the server (an invite, or a contact link of somebody there), if you have one
        #[arg(long, value_name = "LINK")]
        server_link: Option<String>,
        #[command(flatten)]
        lost: Lost,
    },
}

#[derive(Debug, Subcommand)]
pub enum Contacts {
    /// Add a person by the link that they gave
    Add {
        /// The link, as it was given
        link: String,
        /// You have asked them: it is right that the link shows other keys than those that you know
        #[arg(long)]
        other_keys: bool,
    },
    /// Add a person on your own server by their name there; only the server says who they are
    ByName {
        /// Their name
        name: String,
    },
    /// Print a link that lets a person write to you
    Link {
        /// Make another one, even where one is unused
        #[arg(long)]
        fresh: bool,
    },
    /// List your links that work, or withdraw one
    Links {
        /// The id of a link that shall not work any more
        #[arg(long, value_name = "ID")]
        withdraw: Option<String>,
    },
    /// List the contacts
    List,
    /// Call a person by another name, on this device only
    Rename {
        /// A person
        name: String,
        /// What to call them; without it, as their address says
        given: Option<String>,
    },
    /// Hear nothing more from a person; they are not told
    Block {
        /// A person, or an address
        name: String,
    },
    /// Hear from them again
    Unblock {
        /// A person, or an address
        name: String,
    },
    /// Remove a person; what they write then asks to be accepted
    Remove {
        /// A person
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Requests {
    /// List who asks to talk with you
    List,
    /// Talk with them
    Accept {
        /// Who asks
        name: String,
    },
    /// Don't; they are not told
    Decline {
        /// Who asks
        name: String,
        /// Hear nothing more from them
        #[arg(long)]
        block: bool,
        /// Tell your server's administrator
        #[arg(long)]
        report: bool,
    },
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
    /// Show who is in a group
    Members {
        /// The group
        title: String,
    },
    /// Add contacts to a group
    Add {
        /// The group
        title: String,
        /// Contacts, one or more
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Remove a member from a group
    Remove {
        /// The group
        title: String,
        /// A member
        name: String,
    },
    /// Make a member an admin, who may change the group
    Promote {
        /// The group
        title: String,
        /// A member
        name: String,
    },
    /// Make an admin a member like others
    Demote {
        /// The group
        title: String,
        /// An admin
        name: String,
    },
    /// Give a group another title
    Rename {
        /// The group
        title: String,
        /// Its title from then on
        new_title: String,
    },
    /// Give a group a picture, or take it away
    Picture {
        /// The group
        title: String,
        /// JPEG, PNG or WebP, at most 16 KiB
        #[arg(required_unless_present = "none")]
        file: Option<std::path::PathBuf>,
        /// Take the picture away
        #[arg(long, conflicts_with = "file")]
        none: bool,
    },
    /// Print a link by which people can ask to be added
    Invite {
        /// The group
        title: String,
        /// Withdraw the link instead
        #[arg(long)]
        withdraw: bool,
    },
    /// Ask to be added to the group of a link
    Join {
        /// The link, as it was given
        link: String,
    },
    /// Show who asks to be added
    Requests {
        /// The group
        title: String,
    },
    /// Add somebody who asks
    Approve {
        /// The group
        title: String,
        /// Who asks
        name: String,
    },
    /// Do not add somebody who asks
    Decline {
        /// The group
        title: String,
        /// Who asks
        name: String,
    },
    /// Leave a group
    Leave {
        /// The group
        title: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum OfDevices {
    /// Print a link that makes another profile a device of this account; it works once, for ten minutes
    Link {
        /// Wait for the device that uses it, show its code, and ask; on a terminal this is what happens anyway
        #[arg(long, visible_alias = "approve")]
        wait: bool,
    },
    /// Make this profile a device of the account that shows the link
    Accept {
        /// The link
        link: String,
        /// What this device is called in the list of devices
        #[arg(long)]
        name: Option<String>,
    },
    /// List the devices that ask to be linked, with the codes to compare
    Requests,
    /// Let a device in, after comparing the codes
    Approve {
        /// Its id; where only one asks, it is meant
        id: Option<String>,
        /// The code that the device shows: let it in only if it is the same here
        #[arg(long)]
        code: Option<String>,
        /// How much of what was said it is given
        #[arg(long, value_enum, default_value_t = HistoryLength::All)]
        history: HistoryLength,
    },
    /// Do not let a device in
    Decline {
        /// Its id; where only one asks, it is meant
        id: Option<String>,
    },
    /// List the devices of this account
    List,
    /// Give a device another name
    Rename {
        /// Its id or name
        id: String,
        /// Its name from then on
        name: String,
    },
    /// Take a device out of the account and of every conversation; it reads nothing later
    Revoke {
        /// Its id or name
        id: String,
        /// Ask for the recovery phrase: with it, the people you talk with are not alarmed
        #[arg(long)]
        phrase: bool,
    },
}

/// How much of what was said a new device is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum HistoryLength {
    /// Everything
    All,
    /// Thirty days
    Month,
    /// Nothing
    None,
}

impl HistoryLength {
    /// As the API says it.
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Month => "month",
            Self::None => "none",
        }
    }
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
            "aside --profile p backup file.age",
            "aside --profile new restore file.age --keep-devices",
            "aside --profile new recovery restore alice@127.0.0.1:8443",
            "aside recovery phrase --json",
            "aside recovery confirm",
            "aside contacts link --fresh",
            "aside contacts block bob --json",
            "aside requests accept bob",
            "aside contacts by-name bob",
            "aside report bob --note spam --message 00 --message 01",
            "aside safety bob --scan aside-safety:v1:00",
            "aside --profile p group add title alice",
            "aside --profile p group remove title alice",
            "aside group promote title alice",
            "aside group invite title --json",
            "aside group join aside://h/group/alice#x",
            "aside group approve title dave",
            "aside --profile p device link",
            "aside --profile new device accept aside://h/device/alice#x",
            "aside --profile p device list --json",
            "aside --profile p device revoke 00ff",
            "aside device approve --code 123456 --history month",
            "aside group picture title --none",
            "aside group members title --json",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
    }
}
