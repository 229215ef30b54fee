//! Claims about the program itself, over its own socket: a real process, pinned TLS, restarts.

use crate::client::{Client, tls};
use crate::support::*;
use aside_protocol::channel::{Body, Purpose};
use aside_protocol::codec;
use aside_protocol::connection::{CLAIM_PATH, ServerClaim};
use aside_protocol::frame::account::{Answer, Request};
use aside_protocol::frame::{ServerFrame, account, anonymous};
use aside_protocol::id::ChannelId;
use aside_protocol::key::PublicKey;
use aside_protocol::link::{InviteLink, ServerPin, TlsTrust};
use aside_protocol::refusal::Refusal;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_aside-server");

pub fn run(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::new(PROGRAM).args(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

/// A port that nothing listens on. Another process may take it, which the test would show by name.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub struct Server {
    pub dir: PathBuf,
    pub address: String,
    child: Option<Child>,
    _parent: tempfile::TempDir,
}

impl Server {
    pub fn new() -> Self {
        Self::at(&format!("127.0.0.1:{}", free_port()))
    }

    fn at(address: &str) -> Self {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("server");
        let (ok, out, error) = run(&["init", dir.to_str().unwrap(), "--address", address]);
        assert!(ok && out.is_empty(), "{error}");
        let mut server = Self { dir, address: address.to_owned(), child: None, _parent: parent };
        server.start();
        server
    }

    pub fn start(&mut self) {
        let mut command = Command::new(PROGRAM);
        command.arg("run").arg(&self.dir).stderr(Stdio::piped()).stdout(Stdio::null());
        let mut child = command.spawn().unwrap();
        // It says so when it takes connections.
        let mut line = String::new();
        BufReader::new(child.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("takes connections"), "{line}");
        self.child = Some(child);
    }

    pub fn signal(&mut self, name: &str) -> std::process::ExitStatus {
        let mut child = self.child.take().unwrap();
        let id = child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
        child.wait().unwrap()
    }

    pub fn invite(&self) -> InviteLink {
        let (ok, out, error) = run(&["invite", self.dir.to_str().unwrap()]);
        assert!(ok && error.is_empty(), "{error}");
        assert_eq!(out.lines().count(), 1);
        out.trim_end().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn today_message(id: u8, body: &[u8]) -> anonymous::NewEntry {
    let mut entry = message(1, id, body);
    entry.header.expires_day = aside_server::shell::now().day() + 30;
    entry
}

/// Registers a person, draws a token, makes a channel.
pub async fn person_with_channel(server: &Server, name: &str) -> (ServerPin, Person, ChannelId) {
    let link = server.invite();
    let person = Person::new(name, &server.address, 1);
    let mut client = Client::connect(&link.server, account::PATH).await;
    client.register(&person, link.token).await;
    let Ok(Answer::ChannelTokens(tokens)) = client.account(Request::DrawChannelTokens { count: 1 }).await else {
        panic!("no tokens")
    };
    let mut client = Client::connect(&link.server, anonymous::PATH).await;
    let channel = ChannelId([3; 32]);
    let keys = epoch_keys(&channel, 1);
    let request = anonymous::Request::CreateChannel { channel, token: tokens[0], epoch: 1, keys };
    assert_eq!(client.anonymous(request).await, Ok(anonymous::Answer::Done));
    (link.server, person, channel)
}

async fn member(pin: &ServerPin, channel: &ChannelId) -> Client {
    let mut client = Client::connect(pin, anonymous::PATH).await;
    for purpose in [Purpose::Read, Purpose::Append] {
        let proof = proof(channel, 1, purpose, &client.binding);
        assert_eq!(client.anonymous(proof).await, Ok(anonymous::Answer::Done));
    }
    client
}

async fn append(client: &mut Client, channel: ChannelId, id: u8) -> Vec<aside_protocol::channel::Position> {
    let entries = vec![today_message(id, &[id; 20])];
    match client.anonymous(anonymous::Request::Append { channel, entries }).await {
        Ok(anonymous::Answer::Appended(positions)) => positions,
        other => panic!("{other:?}"),
    }
}

async fn read(client: &mut Client, channel: ChannelId) -> Vec<Vec<u8>> {
    match client.anonymous(anonymous::Request::Subscribe { channel, epoch: 1, after: 0 }).await {
        Ok(anonymous::Answer::Entries { entries, live: true, .. }) => entries
            .into_iter()
            .map(|entry| match entry.body {
                Body::Present(bytes) => bytes,
                Body::Expired(_) => panic!("expired"),
            })
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_was_acknowledged_is_read_back_after_a_stop_and_after_a_kill() {
    let mut server = Server::new();
    let (pin, person, channel) = person_with_channel(&server, "alice").await;
    let mut client = member(&pin, &channel).await;
    append(&mut client, channel, 1).await;
    assert!(server.signal("TERM").success());
    for file in ["accounts.db-wal", "channels.db-wal"] {
        let left = std::fs::metadata(server.dir.join(file)).map_or(0, |file| file.len());
        assert_eq!(left, 0, "{file}");
    }
    server.start();
    let mut client = member(&pin, &channel).await;
    let second = append(&mut client, channel, 2).await;
    assert!(!server.signal("KILL").success());
    server.start();
    let mut client = member(&pin, &channel).await;
    assert_eq!(append(&mut client, channel, 2).await, second);
    assert_eq!(read(&mut client, channel).await, [vec![1; 20], vec![2; 20]]);
    let mut client = Client::connect(&pin, account::PATH).await;
    let sign_in = person.sign_in(&client.binding);
    assert_eq!(client.account(sign_in).await, Ok(Answer::Done));
}

#[tokio::test]
async fn an_append_reaches_the_other_subscriber() {
    let server = Server::new();
    let (pin, _, channel) = person_with_channel(&server, "alice").await;
    let (mut a, mut b) = (member(&pin, &channel).await, member(&pin, &channel).await);
    read(&mut b, channel).await;
    append(&mut a, channel, 1).await;
    let push = anonymous::FromServer::decode(&b.frame().await.unwrap()).unwrap();
    let ServerFrame::Push(anonymous::Push::Entry(of, entry)) = push else { panic!("{push:?}") };
    assert_eq!((of, entry.seq), (channel, 1));
}

#[tokio::test]
async fn corrupted_frames_are_refused_by_name_and_the_connection_is_closed() {
    let server = Server::new();
    let link = server.invite();
    for bytes in [vec![], vec![0xff; 40], vec![0x82, 0x01, 0x82, 0x00]] {
        let mut client = Client::connect(&link.server, anonymous::PATH).await;
        client.send(bytes).await;
        let goodbye = anonymous::FromServer::decode(&client.frame().await.unwrap()).unwrap();
        assert!(matches!(goodbye, ServerFrame::Goodbye(Refusal::Malformed { .. })), "{goodbye:?}");
        assert_eq!(client.frame().await, None);
    }
    let mut client = Client::connect(&link.server, anonymous::PATH).await;
    use futures_util::SinkExt;
    client.socket.send(tokio_tungstenite::tungstenite::Message::Text("hello".into())).await.unwrap();
    let goodbye = anonymous::FromServer::decode(&client.frame().await.unwrap()).unwrap();
    assert!(matches!(goodbye, ServerFrame::Goodbye(Refusal::Malformed { .. })), "{goodbye:?}");
}

#[tokio::test]
async fn a_suspended_account_is_disconnected_while_the_server_runs() {
    let server = Server::new();
    let (pin, person, _) = person_with_channel(&server, "alice").await;
    let mut client = Client::connect(&pin, account::PATH).await;
    let sign_in = person.sign_in(&client.binding);
    assert_eq!(client.account(sign_in).await, Ok(Answer::Done));
    let dir = server.dir.to_str().unwrap();
    let (_, listed, _) = run(&["admin", "list", dir]);
    assert!(listed.lines().any(|line| line.starts_with("alice ") && line.ends_with("good")), "{listed}");
    assert!(run(&["admin", "suspend", dir, "alice"]).0);
    let goodbye = account::FromServer::decode(&client.frame().await.unwrap()).unwrap();
    assert_eq!(goodbye, ServerFrame::Goodbye(Refusal::Suspended));
    assert_eq!(client.frame().await, None);
    let mut client = Client::connect(&pin, account::PATH).await;
    let sign_in = person.sign_in(&client.binding);
    assert_eq!(client.account(sign_in).await, Err(Refusal::Suspended));
    assert!(run(&["admin", "unsuspend", dir, "alice"]).0);
    let sign_in = person.sign_in(&client.binding);
    assert_eq!(client.account(sign_in).await, Ok(Answer::Done));
    assert!(!run(&["admin", "suspend", dir, "nobody"]).0);
}

#[tokio::test]
async fn a_client_with_another_pin_or_another_host_does_not_get_through_tls() {
    let server = Server::new();
    let pin = server.invite().server;
    assert_eq!(pin.tls, TlsTrust::Pinned);
    assert!(tls(&pin).await.is_ok());
    let other = ServerPin { identity_key: PublicKey([7; 32]), ..pin.clone() };
    assert!(tls(&other).await.is_err());
    let elsewhere = format!("localhost:{}", pin.address.port()).parse().unwrap();
    assert!(tls(&ServerPin { address: elsewhere, ..pin }).await.is_err());
}

#[tokio::test]
async fn a_server_named_localhost_or_by_ipv6_is_reached() {
    let server = Server::at(&format!("localhost:{}", free_port()));
    assert!(tls(&server.invite().server).await.is_ok());
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        let server = Server::at(&format!("[::1]:{}", free_port()));
        assert!(tls(&server.invite().server).await.is_ok());
    }
}

#[tokio::test]
async fn a_tcp_connection_that_says_nothing_does_not_hold_up_the_stop() {
    let mut server = Server::new();
    let pin = server.invite().server;
    let _silent = tokio::net::TcpStream::connect((pin.address.host(), pin.address.port())).await.unwrap();
    let _in_tls = tls(&pin).await.unwrap();
    let _waiting = Client::connect(&pin, anonymous::PATH).await;
    let began = std::time::Instant::now();
    assert!(server.signal("INT").success());
    assert!(began.elapsed() < aside_server::shell::SHUTDOWN_TIMEOUT);
}

pub fn failure(arguments: &[&str]) -> String {
    let (ok, out, error) = run(arguments);
    assert!(!ok && out.is_empty(), "{arguments:?}");
    error
}

#[test]
fn faults_are_told_by_file_key_and_port() {
    let parent = tempfile::tempdir().unwrap();
    let dir = |name: &str| parent.path().join(name).to_str().unwrap().to_owned();
    assert!(failure(&["run", &dir("none")]).contains("none/aside-server.toml cannot be read"));
    assert!(failure(&["invite", &dir("none")]).contains("none/aside-server.toml cannot be read"));
    assert!(!Path::new(&dir("none")).exists());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    assert!(run(&["init", &dir("s"), "--address", &address]).0);
    assert!(failure(&["init", &dir("s"), "--address", &address]).contains("holds a server already"));
    let error = failure(&["run", &dir("s")]);
    assert!(error.contains(&format!("cannot listen on {address}")) && error.contains("`listen`"), "{error}");
    let config = Path::new(&dir("s")).join("aside-server.toml");
    std::fs::write(&config, "address = \"a\"\nlisten_on = 7").unwrap();
    let error = failure(&["run", &dir("s")]);
    assert!(error.contains("aside-server.toml") && error.contains("listen_on"), "{error}");
    assert!(failure(&["init", &dir("t"), "--address", "a b"]).contains("no host name"));
}

#[test]
fn a_second_server_on_the_same_directory_is_refused_by_name() {
    let server = Server::new();
    let config = server.dir.join("aside-server.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let other = format!("listen = [\"127.0.0.1:{}\"]\n", free_port());
    std::fs::write(&config, text.replace("\n[tls]", &format!("\n{other}[tls]"))).unwrap();
    let error = failure(&["run", server.dir.to_str().unwrap()]);
    assert!(error.contains("another server runs on this directory"), "{error}");
}

/// HTTP as a tool speaks it that is told to trust nothing but the identity's own authority.
async fn get(pin: &ServerPin, path: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tls(pin).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text).await;
    text
}

#[tokio::test]
async fn http_serves_health_and_counts_and_nothing_else() {
    let server = Server::new();
    let pin = server.invite().server;
    assert!(get(&pin, "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(get(&pin, "/metrics").await.contains("aside_connections 1\n"));
    assert!(get(&pin, account::PATH).await.starts_with("HTTP/1.1 426"));
    for path in ["/", "/index.html", "/v1", "/aside.js"] {
        let answer = get(&pin, path).await;
        assert!(answer.starts_with("HTTP/1.1 404") && answer.contains("text/plain"), "{answer}");
    }
}

#[tokio::test]
async fn a_server_says_who_it_claims_to_be_as_its_links_do() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = Server::new();
    let pin = server.invite().server;
    let mut stream = tls(&pin).await.unwrap();
    let request = format!("GET {CLAIM_PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    assert!(head.starts_with("http/1.1 200") && head.contains("application/cbor"), "{head}");
    let claim: ServerClaim = codec::decode(&answer[end + 4..], 1_024).unwrap();
    assert_eq!(claim, ServerClaim { identity_key: pin.identity_key, tls: pin.tls });
    // It is asked for, and nothing is told to it.
    let mut stream = tls(&pin).await.unwrap();
    stream.write_all(request.replacen("GET", "POST", 1).as_bytes()).await.unwrap();
    let mut refused = Vec::new();
    let _ = stream.read_to_end(&mut refused).await;
    assert!(refused.starts_with(b"HTTP/1.1 404"));
}

#[tokio::test]
async fn the_log_holds_no_name_and_no_address() {
    let mut server = Server::new();
    let (pin, ..) = person_with_channel(&server, "findable-name").await;
    let mut client = Client::connect(&pin, anonymous::PATH).await;
    client.send(vec![0xff; 40]).await;
    while client.frame().await.is_some() {}
    let child = server.child.as_mut().unwrap();
    let stderr = child.stderr.take().unwrap();
    server.signal("TERM");
    let mut text = String::new();
    BufReader::new(stderr).read_to_string(&mut text).unwrap();
    assert!(text.contains("malformed_closed") && text.contains("stopped"), "{text}");
    assert!(!text.contains("findable-name") && !text.contains("127.0.0.1"), "{text}");
}
