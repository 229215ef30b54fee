//! The loopback API of a running client, spoken to as a browser and as a program speak to it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aside_client::Client;
use aside_client::profile::{Place, Profile, Running, Stay};
use aside_client::unlock::{DatabaseKey, KeyCost, Prompt, Wanted, unlock};
use std::path::Path;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

struct Nobody;
impl Prompt for Nobody {
    fn passphrase(&mut self, _: Wanted) -> std::io::Result<Option<Zeroizing<String>>> {
        Ok(None)
    }
}

fn open(home: &Path, passphrase: &str) -> (Profile, DatabaseKey) {
    let mut profile = Place::new(home, "alice".parse().unwrap()).take().unwrap();
    let passphrase = Some(Zeroizing::new(passphrase.to_owned()));
    let key = unlock(&mut profile, passphrase, &mut Nobody, KeyCost { memory_kib: 64, passes: 1 }).unwrap();
    (profile, key)
}

async fn start(home: &Path) -> Client {
    let (profile, key) = open(home, "words");
    Client::start(profile, key, Stay::UntilStopped).await.unwrap()
}

/// One request, and the whole answer as text.
async fn ask(port: u16, request_line: &str, headers: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!(
        "{request_line} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Length: 0\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn cookie(answer: &str) -> String {
    let line = answer.lines().find(|line| line.to_ascii_lowercase().starts_with("set-cookie:")).unwrap();
    assert!(line.contains("HttpOnly") && line.contains("SameSite=Strict"), "{line}");
    line.split_once(':').unwrap().1.trim().split(';').next().unwrap().to_owned()
}

fn path(running: &Running) -> String {
    running.address_to_open().split_once(&format!(":{}", running.port)).unwrap().1.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_stays_signed_in_over_a_restart_on_the_same_port() {
    let home = tempfile::tempdir().unwrap();
    let client = start(home.path()).await;
    let first = client.running().clone();
    let opened =
        ask(first.port, &format!("GET {}", path(&first)), "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\n").await;
    assert!(opened.starts_with("HTTP/1.1 303"), "{opened}");
    let session = format!("Cookie: {}\r\nSec-Fetch-Site: same-origin\r\n", cookie(&opened));
    assert!(ask(first.port, "GET /api/state", &session).await.starts_with("HTTP/1.1 200"));
    client.stop().await.unwrap();

    let client = start(home.path()).await;
    let second = client.running().clone();
    assert_eq!(first.port, second.port);
    assert_ne!(first.secret, second.secret);
    assert!(ask(second.port, "GET /api/state", &session).await.starts_with("HTTP/1.1 200"));
    // The first start's address signs nobody in any more, and still leads a signed-in browser to its page.
    assert!(ask(second.port, &format!("GET {}", path(&first)), "").await.starts_with("HTTP/1.1 403"));
    assert!(ask(second.port, &format!("GET {}", path(&first)), &session).await.starts_with("HTTP/1.1 303"));
    client.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_with_the_secret_reads_the_state_and_one_without_reads_nothing() {
    let home = tempfile::tempdir().unwrap();
    let client = start(home.path()).await;
    let Running { port, secret, .. } = client.running().clone();
    let answer = ask(port, "GET /api/state", &format!("Authorization: Bearer {secret}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""account":null"#), "{answer}");
    let refused = ask(port, "GET /api/state", "").await;
    assert!(refused.starts_with("HTTP/1.1 401") && refused.contains("not_signed_in"), "{refused}");
    client.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_the_policy_that_lets_nothing_foreign_in() {
    let home = tempfile::tempdir().unwrap();
    let client = start(home.path()).await;
    let port = client.running().port;
    for line in ["GET /", "GET /nothing", "GET /api/state", "POST /api/quit"] {
        let answer = ask(port, line, "").await.to_ascii_lowercase();
        assert!(answer.contains("content-security-policy: default-src 'none'; script-src 'self';"), "{answer}");
        assert!(answer.contains("x-content-type-options: nosniff"));
        assert!(!answer.contains("access-control-allow"));
    }
    client.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn quitting_frees_the_profile_and_takes_the_announcement_back() {
    let home = tempfile::tempdir().unwrap();
    let client = start(home.path()).await;
    let Running { port, secret, .. } = client.running().clone();
    let answer = ask(port, "POST /api/quit", &format!("Authorization: Bearer {secret}\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    client.stopped().await;
    client.stop().await.unwrap();
    let place = Place::new(home.path(), "alice".parse().unwrap());
    assert!(place.running().unwrap().is_none());
    assert!(place.take().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_passphrase_is_named_and_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    start(home.path()).await.stop().await.unwrap();
    let (profile, key) = open(home.path(), "other words");
    let error = Client::start(profile, key, Stay::UntilStopped).await.err().unwrap();
    assert!(error.to_string().contains("the passphrase is wrong"), "{error}");
    start(home.path()).await.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_profile_on_disk_shows_no_plaintext() {
    let home = tempfile::tempdir().unwrap();
    start(home.path()).await.stop().await.unwrap();
    let database = std::fs::read(home.path().join("alice/profile.db")).unwrap();
    assert!(!database.is_empty());
    assert!(!database.starts_with(b"SQLite format 3"));
    assert!(!database.windows(12).any(|window| window == b"CREATE TABLE"));
}
