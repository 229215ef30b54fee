//! Real processes that are killed, watched and searched: a server whose words are kept, clients whose API is called,
//! and the dice that say when. Built on `world`, which makes accounts and runs commands.

use crate::world::World;
use reqwest::Method;
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long anything may take on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long a call to a client may take; its own limit on waiting for the server is shorter.
const CALL_TIME_MAX: Duration = Duration::from_secs(45);

/// Looks until there is something, and says what was waited for if there never is.
pub fn wait_for<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    look_for(look).unwrap_or_else(|| panic!("{what}: not within {} s", PATIENCE.as_secs()))
}

/// Looks until there is something, or patience ends.
pub fn look_for<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let begun = Instant::now();
    loop {
        match look() {
            None if begun.elapsed() < PATIENCE => std::thread::sleep(LOOK_EVERY),
            found => return found,
        }
    }
}

/// Chance that can be repeated (SplitMix64).
#[derive(Clone)]
pub struct Dice(u64);

impl Dice {
    /// From `ASIDE_SEED`, else from the system; gives the seed too, for whoever has to repeat it.
    pub fn seeded() -> (u64, Self) {
        let seed = match std::env::var("ASIDE_SEED") {
            Ok(text) => text.parse().expect("ASIDE_SEED is a number"),
            Err(_) => RandomState::new().build_hasher().finish() >> 32,
        };
        (seed, Self(seed))
    }

    /// Dice of somebody's own.
    pub fn fork(&mut self) -> Self {
        Self(self.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Small letters that stand nowhere else in the world.
    pub fn letters(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'a' + u8::try_from(self.below(26)).unwrap())).collect()
    }
}

/// A process whose standard error is kept in a file.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it. What it says is added to what earlier ones said into the same file.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Self {
        let words = OpenOptions::new().create(true).append(true).open(log).unwrap();
        let child = command.stdin(Stdio::null()).stderr(words).spawn().unwrap();
        Self { name: name.to_owned(), child, log: log.to_owned() }
    }

    /// What it writes to standard output, if that is a pipe; once.
    pub fn stdout(&mut self) -> std::process::ChildStdout {
        self.child.stdout.take().unwrap()
    }

    /// `SIGKILL`, and until the system has cleared it away.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Nobody but a test ends it.
    pub fn still_runs(&mut self) {
        if let Some(status) = self.ended() {
            let words = std::fs::read_to_string(&self.log).unwrap_or_default();
            panic!("{} ended ({status}), and not by this test, having said:\n{words}", self.name);
        }
    }

    /// Asks it to end, as the system does, and waits until it has.
    pub fn terminate(&mut self) -> ExitStatus {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let name = format!("the end of {}", self.name);
        wait_for(&name, || self.ended())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where everything of a world lies: `server/`, `home/` with the profiles, and what the processes said.
pub fn folder(world: &World) -> PathBuf {
    let command = world.command("any", &[]);
    let home = command.get_envs().find(|(name, _)| *name == "ASIDE_HOME").and_then(|(_, value)| value);
    Path::new(home.expect("the world says where profiles live")).parent().unwrap().to_owned()
}

/// Runs the world's server in the place of the one that the world started.
pub fn start_server(world: &World) -> Process {
    let folder = folder(world);
    let mut command = Command::new(server_program());
    command.arg("run").arg(folder.join("server"));
    command.stdout(File::create(folder.join("server.out")).unwrap());
    Process::start("the server", &mut command, &folder.join("server.log"))
}

/// As [`start_server`], and returns when it says that it takes connections.
pub fn start_server_and_wait(world: &World) -> Process {
    let log = folder(world).join("server.log");
    let words = || std::fs::read_to_string(&log).unwrap();
    let begin = words().len();
    let mut server = start_server(world);
    wait_for("the server to listen", || {
        server.still_runs();
        words()[begin..].contains("takes connections").then_some(())
    });
    server
}

/// `ASIDE_SERVER_BIN`, else the one beside `aside`. That it exists `World::new` has seen to.
fn server_program() -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_aside")).with_file_name("aside-server");
    std::env::var_os("ASIDE_SERVER_BIN").map_or(beside, PathBuf::from)
}

/// Calls running clients. One thread's own.
pub struct Caller {
    runtime: tokio::runtime::Runtime,
    http: reqwest::Client,
    home: PathBuf,
}

impl Caller {
    /// For the clients of one world.
    pub fn new(home: &Path) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let http = reqwest::Client::builder().no_proxy().timeout(CALL_TIME_MAX).pool_max_idle_per_host(0);
        Self { runtime, http: http.build().unwrap(), home: home.to_owned() }
    }

    /// Calls the profile's client. `None` where there is none, or where it went away before it had answered.
    pub fn call(&self, profile: &str, method: Method, path: &str, body: Option<&Value>) -> Option<(u16, Value)> {
        let running = std::fs::read(self.home.join(profile).join("runtime.json")).ok()?;
        let running: Value = serde_json::from_slice(&running).ok()?;
        let address = format!("http://127.0.0.1:{}/api{path}", running["port"]);
        let mut request = self.http.request(method, address).bearer_auth(running["secret"].as_str()?);
        if let Some(body) = body {
            request = request.json(body);
        }
        self.runtime.block_on(async {
            let response = request.send().await.ok()?;
            let status = response.status().as_u16();
            let bytes = response.bytes().await.ok()?;
            Some((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
        })
    }

    /// Calls until the client answers, which has to be what was asked for.
    pub fn get(&self, profile: &str, path: &str) -> Value {
        let (status, value) =
            wait_for(&format!("{profile}: GET {path}"), || self.call(profile, Method::GET, path, None));
        assert_eq!(status, 200, "{profile}: GET {path}: {value}");
        value
    }

    /// Does something once, which has to succeed.
    pub fn must(&self, profile: &str, method: Method, path: &str, body: &Value) -> Value {
        let (status, value) = self.call(profile, method, path, Some(body)).expect("the client runs");
        assert!((200..300).contains(&status), "{profile}: {path}: {status} {value}");
        value
    }

    /// Every written message of a conversation, in order.
    pub fn timeline(&self, profile: &str, conversation: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut before = String::new();
        loop {
            let path = format!("/conversations/{conversation}/messages?limit=200{before}");
            let mut page = self.get(profile, &path);
            let messages: Vec<Value> = serde_json::from_value(page["messages"].take()).unwrap();
            before = messages.first().map(|first| format!("&before={}", first["position"])).unwrap_or_default();
            all.splice(0..0, messages);
            if page["has_more"] != true {
                all.retain(|message| message["kind"] == "text");
                return all;
            }
        }
    }
}
