//! A server and people's programs as real processes, used as a script uses them.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// How long anything may take on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// Ends its process when it is dropped.
pub struct Running(Child);

impl Running {
    /// As a crash does.
    pub fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }

    /// As a person does.
    #[allow(dead_code)]
    pub fn interrupt(mut self) -> std::process::ExitStatus {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        self.0.wait().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server, and a home for profiles.
pub struct World {
    home: tempfile::TempDir,
    server: Option<Running>,
    /// `127.0.0.1:PORT`.
    pub address: String,
}

/// The server's program: `ASIDE_SERVER_BIN`, else the one beside `aside`.
fn server_program() -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_aside")).with_file_name("aside-server");
    let program = std::env::var_os("ASIDE_SERVER_BIN").map_or(beside, PathBuf::from);
    assert!(
        program.is_file(),
        "this test runs the real server, and {} does not exist: run `cargo build -p aside-server` first, or say in \
         ASIDE_SERVER_BIN where it is",
        program.display()
    );
    program
}

impl World {
    /// Makes a server and runs it.
    pub fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut world = Self { home, server: None, address: format!("127.0.0.1:{port}") };
        let address = world.address.clone();
        let init = world.server_command(&["init"], &["--address", &address]).output().unwrap();
        assert!(init.status.success(), "{init:?}");
        world.start_server();
        world
    }

    fn server_command(&self, before: &[&str], after: &[&str]) -> Command {
        let mut command = Command::new(server_program());
        command.args(before).arg(self.home.path().join("server")).args(after).stdin(Stdio::null());
        command
    }

    /// Runs the server, and returns when it says that it takes connections.
    pub fn start_server(&mut self) {
        let log = self.home.path().join("server.log");
        let (out, errors) = (File::create(&log).unwrap(), File::options().append(true).open(&log).unwrap());
        let child = self.server_command(&["run"], &[]).stdout(out).stderr(errors).spawn().unwrap();
        self.server = Some(Running(child));
        let begun = Instant::now();
        while !std::fs::read_to_string(&log).unwrap().contains("the server takes connections") {
            let words = || std::fs::read_to_string(&log).unwrap();
            assert!(begun.elapsed() < PATIENCE, "the server does not start: {}", words());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends the server.
    pub fn stop_server(&mut self) {
        drop(self.server.take());
    }

    /// Puts another server, with keys of its own, in the place of this one.
    #[allow(dead_code)]
    pub fn replace_server(&mut self) {
        self.stop_server();
        std::fs::remove_dir_all(self.home.path().join("server")).unwrap();
        let address = self.address.clone();
        assert!(self.server_command(&["init"], &["--address", &address]).output().unwrap().status.success());
        self.start_server();
    }

    /// Waits until a client of the profile answers.
    #[allow(dead_code)]
    pub fn wait_until_running(&self, profile: &str) {
        let announcement = self.home.path().join("home").join(profile).join("runtime.json");
        let begun = Instant::now();
        while !announcement.is_file() {
            assert!(begun.elapsed() < PATIENCE, "the client does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A new invite: the only line that the server's program prints.
    pub fn invite(&self) -> String {
        let output = self.server_command(&["invite"], &[]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        one_line(&output)
    }

    /// `aside --profile PROFILE ARGUMENTS…`
    pub fn command(&self, profile: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_aside"));
        command
            .args(["--profile", profile])
            .args(arguments)
            .env("ASIDE_HOME", self.home.path().join("home"))
            .env("ASIDE_PASSPHRASE", "correct horse")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub fn aside(&self, profile: &str, arguments: &[&str]) -> Output {
        self.command(profile, arguments).output().unwrap()
    }

    /// Runs a command that has to succeed, and gives its standard output.
    pub fn ok(&self, profile: &str, arguments: &[&str]) -> String {
        let output = self.aside(profile, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Makes an account.
    pub fn join(&self, name: &str) {
        let invite = self.invite();
        assert_eq!(self.ok(name, &["join", &invite, "--name", name]).trim(), self.person(name));
    }

    /// Two accounts that are contacts of each other.
    pub fn befriend(&self, host: &str, guest: &str) {
        let output = self.aside(host, &["contacts", "link"]);
        assert!(output.status.success(), "{output:?}");
        self.ok(guest, &["contacts", "add", &one_line(&output)]);
    }

    /// A person's address.
    pub fn person(&self, name: &str) -> String {
        format!("{name}@{}", self.address)
    }

    /// Sends from standard input.
    #[allow(dead_code)]
    pub fn send_from_stdin(&self, profile: &str, to: &str, text: &str) {
        let mut child = self.command(profile, &["send", to]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// Starts `listen --json`.
    pub fn listen(&self, profile: &str) -> Listener {
        let mut child = self.command(profile, &["listen", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let out = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || out.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        Listener { running: Running(child), lines }
    }

    /// Every file of the world, whole.
    #[allow(dead_code)]
    pub fn disk(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut folders = vec![self.home.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => files.push((path.clone(), std::fs::read(path).unwrap_or_default())),
                }
            }
        }
        files
    }
}

/// A running `listen --json`.
pub struct Listener {
    running: Running,
    lines: Receiver<String>,
}

impl Listener {
    /// The next message.
    pub fn next(&self) -> serde_json::Value {
        let line = self.lines.recv_timeout(PATIENCE).expect("nothing was heard");
        serde_json::from_str(&line).unwrap()
    }

    /// The next messages' texts.
    pub fn texts(&self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.next()["text"].as_str().unwrap().to_owned()).collect()
    }

    /// Ends it as a crash does.
    pub fn kill(self) {
        self.running.kill();
    }

    /// Ends it as a person does, and gives what it had printed and nobody had read.
    #[allow(dead_code)]
    pub fn interrupt(self) -> Vec<String> {
        assert!(self.running.interrupt().success());
        self.lines.try_iter().collect()
    }
}

fn one_line(output: &Output) -> String {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "one line and nothing else: {text:?}");
    text.trim().to_owned()
}
