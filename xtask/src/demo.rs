//! `cargo xtask demo`: a server, two people who are contacts already, and their UIs, all in one temporary folder that
//! is gone afterwards. Ctrl-C and SIGTERM stop it at any time.

use crate::build::{self, Programs};
use crate::process::{Background, wait_for};
use crate::{http, install, steps};
use anyhow::{Context, Result, anyhow, bail};
use std::fmt::Write as _;
use std::fs::DirBuilder;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

/// The longest that any one step of the demo may take; building is apart.
const PATIENCE: Duration = Duration::from_secs(90);
const PEOPLE: [&str; 2] = ["alice", "bob"];

/// Options of `demo`.
#[derive(clap::Args)]
pub struct Options {
    /// Do everything, verify that both UIs answer and that a message crosses each way, and stop
    #[arg(long)]
    check: bool,
}

/// The command.
///
/// # Errors
/// Something could not be installed, built or started; the text says what.
pub fn run(options: &Options) -> Result<()> {
    steps::step("look for what is needed", install::what_is_missing)?;
    let programs = match build::given_programs() {
        Some(_) => build::build_programs()?,
        None => {
            build::build_ui()?;
            build::build_programs()?
        }
    };
    match options.check {
        true => check(&programs),
        false => show(&programs),
    }
}

/// The demo for a person: prints the addresses and runs until it is stopped.
fn show(programs: &Programs) -> Result<()> {
    let (mut world, addresses) = World::set_up(programs)?;
    println!("\nAside runs: a server and two people who are contacts already.\n");
    for (person, address) in PEOPLE.iter().zip(&addresses) {
        println!("    {person:<6} {address}");
    }
    println!("\nOpen both, in two windows. An address opens the client for whoever has it, so keep it to yourself.");
    println!("Ctrl-C here stops everything and leaves nothing behind.");
    while !world.stop.is_asked() {
        world.everything_still_runs()?;
        std::thread::sleep(Duration::from_millis(200));
    }
    println!("\nStopping.");
    Ok(())
}

/// The demo for the tests: everything that the person would see, verified.
///
/// # Errors
/// What does not work.
pub fn check(programs: &Programs) -> Result<()> {
    let (mut world, addresses) = World::set_up(programs)?;
    let mut cookies = Vec::new();
    for (person, address) in PEOPLE.iter().zip(&addresses) {
        cookies.push(steps::step(&format!("open {person}'s UI"), || open_ui(person, address))?);
    }
    // A browser sends a cookie to every port of a host: were the names the same, the second window that a person opens
    // would sign the first one out.
    if cookies.first() == cookies.last() {
        bail!("both UIs name their session cookie {:?}: one browser cannot have both open", cookies.first());
    }
    world.everything_still_runs()
}

/// Opens a UI as a browser would, and returns the name of its session cookie.
fn open_ui(person: &str, address: &str) -> Result<String> {
    let (host, path) = http::split(address)?;
    let opened = http::get(host, &path, None)?;
    let cookie = opened.header("set-cookie").and_then(|value| value.split(';').next());
    let cookie = cookie.ok_or_else(|| anyhow!("{path:.6}… sets no session cookie (status {})", opened.status))?;
    let page = http::get(host, "/", Some(cookie))?;
    if page.status != 200 || !page.body.contains("<script") {
        bail!("the UI's page is not there (status {})", page.status);
    }
    let script = page.body.split("src=\"").nth(1).and_then(|rest| rest.split('"').next());
    let script = script.ok_or_else(|| anyhow!("the UI's page names no script"))?;
    let script_path = format!("/{}", script.trim_start_matches("./").trim_start_matches('/'));
    let status = http::get(host, &script_path, Some(cookie))?.status;
    if status != 200 {
        bail!("the UI's script {script_path} is not there (status {status})");
    }
    let state = http::get(host, "/api/state", Some(cookie))?;
    if state.status != 200 || !state.body.contains(&format!("\"{person}\"")) {
        bail!("the client behind the UI is not {person}'s (status {})", state.status);
    }
    if http::get(host, "/api/state", None)?.status != 401 {
        bail!("the client answers whoever has no session");
    }
    Ok(cookie.split('=').next().unwrap_or_default().to_owned())
}

/// Whether somebody asked the demo to stop.
#[derive(Clone)]
struct Stop(Arc<AtomicBool>);

impl Stop {
    fn listen() -> Result<Self> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&asked))?;
        }
        Ok(Self(asked))
    }

    fn is_asked(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// A folder that only we may read, removed on drop.
struct Folder(PathBuf);

impl Folder {
    fn make() -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("aside-demo-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst));
        let path = std::env::temp_dir().join(name);
        DirBuilder::new().mode(0o700).create(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            println!("    {} could not be removed: {error}", self.0.display());
        }
    }
}

/// Everything that runs. The fields are dropped in this order: the clients stop, then the server, then the folder goes.
struct World {
    clients: Vec<Background>,
    server: Option<Background>,
    stop: Stop,
    programs: Programs,
    address: String,
    passphrase: String,
    folder: Folder,
}

impl World {
    /// Starts everything; returns with it the addresses of the two UIs.
    fn set_up(programs: &Programs) -> Result<(Self, Vec<String>)> {
        let stop = Stop::listen()?;
        // Nobody else gets this port before the server does, as good as always: the system hands ports out in turn.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut world = Self {
            clients: Vec::new(),
            server: None,
            stop,
            programs: Programs { client: programs.client.clone(), server: programs.server.clone() },
            address: format!("127.0.0.1:{port}"),
            passphrase: random_passphrase()?,
            folder: Folder::make()?,
        };
        steps::step("start a server", || world.start_server())?;
        for person in PEOPLE {
            steps::step(&format!("{person} joins by invite"), || world.join(person))?;
        }
        steps::step("alice adds bob by his contact link", || {
            let link = world.aside("bob", &["contacts", "link"])?;
            world.aside("alice", &["contacts", "add", link.trim()]).map(|_| ())
        })?;
        let mut addresses = Vec::new();
        for person in PEOPLE {
            addresses.push(steps::step(&format!("start {person}'s client"), || world.start_app(person))?);
        }
        steps::step("a first message, and an answer", || {
            world.message("alice", "bob", "Hello Bob, this is our first message.")?;
            world.message("bob", "alice", "Hello Alice, it came through.")
        })?;
        Ok((world, addresses))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.0.join(name)
    }

    fn start_server(&mut self) -> Result<()> {
        let data = self.path("server");
        let mut init = Command::new(&self.programs.server);
        self.output(init.arg("init").arg(&data).args(["--address", &self.address]))?;
        let mut run = Command::new(&self.programs.server);
        let log = self.path("server.log");
        let mut server = Background::start("the server", run.arg("run").arg(&data), &self.path("server.out"), &log)?;
        let address: SocketAddr = self.address.parse()?;
        let stop = self.stop.clone();
        let answers = wait_for("the server to listen", PATIENCE, || {
            not_stopped(&stop)?;
            server.still_runs()?;
            Ok(TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok())
        });
        self.server = Some(server);
        with_last_words(answers.map(|_| ()), &log)
    }

    fn join(&self, person: &str) -> Result<()> {
        let mut invite = Command::new(&self.programs.server);
        let invite = self.output(invite.arg("invite").arg(self.path("server")))?;
        self.aside(person, &["join", invite.trim(), "--name", person]).map(|_| ())
    }

    /// Starts a client with its UI, and returns the address that it prints.
    fn start_app(&mut self, person: &str) -> Result<String> {
        let (out, log) = (self.path(&format!("{person}.out")), self.path(&format!("{person}.log")));
        let mut command = self.client(person, &["app", "--no-browser"]);
        let mut client = Background::start(&format!("{person}'s client"), &mut command, &out, &log)?;
        let stop = self.stop.clone();
        let address = wait_for("the client to print its address", PATIENCE, || {
            not_stopped(&stop)?;
            client.still_runs()?;
            let printed = std::fs::read_to_string(&out)?;
            let whole_lines = printed.rsplit_once('\n').map(|(lines, _)| lines).unwrap_or_default();
            Ok(whole_lines.split_whitespace().find(|word| word.starts_with("http://")).map(str::to_owned))
        });
        self.clients.push(client);
        with_last_words(address, &log)
    }

    /// Sends a message, and sees it arrive in what the other side listens to.
    fn message(&self, from: &str, to: &str, text: &str) -> Result<()> {
        self.aside(from, &["send", &format!("{to}@{}", self.address), text])?;
        let (out, log) = (self.path(&format!("listen-{to}.out")), self.path(&format!("listen-{to}.log")));
        let mut command = self.client(to, &["listen", "--json"]);
        let mut listener = Background::start(&format!("{to}'s listener"), &mut command, &out, &log)?;
        let arrives = wait_for("the message to arrive", PATIENCE, || {
            not_stopped(&self.stop)?;
            let arrived = std::fs::read_to_string(&out)?.lines().any(|line| line.contains(text));
            if !arrived {
                listener.still_runs()?;
            }
            Ok(arrived.then_some(()))
        });
        with_last_words(arrives, &log)
    }

    fn client(&self, person: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.programs.client);
        command.args(["--profile", person]).args(arguments);
        command.env("ASIDE_HOME", self.path("profiles")).env("ASIDE_PASSPHRASE", &self.passphrase);
        command.env_remove("ASIDE_PROFILE");
        command
    }

    fn aside(&self, person: &str, arguments: &[&str]) -> Result<String> {
        self.output(&mut self.client(person, arguments))
    }

    /// Runs a command to its end and returns what it wrote to standard output.
    fn output(&self, command: &mut Command) -> Result<String> {
        let name = format!("`{}`", crate::process::line(command));
        let (out, log) = (self.path("command.out"), self.path("command.log"));
        let mut running = Background::start(&name, command, &out, &log)?;
        let ended = wait_for(&name, PATIENCE, || {
            not_stopped(&self.stop)?;
            running.ended()
        });
        let succeeded = ended.and_then(|status| match status.success() {
            true => Ok(()),
            false => bail!("{name} failed ({status})"),
        });
        with_last_words(succeeded, &log)?;
        Ok(std::fs::read_to_string(&out)?)
    }

    fn everything_still_runs(&mut self) -> Result<()> {
        let folder = &self.folder.0;
        for (client, person) in self.clients.iter_mut().zip(PEOPLE) {
            with_last_words(client.still_runs(), &folder.join(format!("{person}.log")))?;
        }
        let Some(server) = &mut self.server else { bail!("there is no server") };
        with_last_words(server.still_runs(), &folder.join("server.log"))
    }
}

fn not_stopped(stop: &Stop) -> Result<()> {
    match stop.is_asked() {
        true => bail!("stopped before it was ready"),
        false => Ok(()),
    }
}

/// 128 random bits in hexadecimal: nobody has to remember the demo's passphrase.
fn random_passphrase() -> Result<String> {
    let mut bytes = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}

/// Adds the end of a program's log to an error: the folder that holds the log is about to go.
fn with_last_words<T>(result: Result<T>, log: &Path) -> Result<T> {
    result.map_err(|error| {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        match lines.get(lines.len().saturating_sub(20)..).unwrap_or_default() {
            [] => error,
            last => anyhow!("{error:#}; its last words:\n{}", last.join("\n")),
        }
    })
}
