//! Claims about `aside-server admin`, through the program itself, beside a running server and without one.

use crate::client::{Client, tls};
use crate::process::{Server, failure, person_with_channel, run};
use crate::support::Person;
use aside_protocol::blob::BlobCapability;
use aside_protocol::frame::account::{Answer, BackupPart, Request};
use aside_protocol::frame::anonymous::{self, Delivery, NewBlob};
use aside_protocol::frame::{ServerFrame, account};
use aside_protocol::id::{DeliveryId, ReportId};
use aside_protocol::inbox::DeliveryToken;
use aside_protocol::link::ServerPin;
use aside_protocol::refusal::Refusal;
use aside_protocol::report::{AbuseReport, ReportedMessage};
use serde_json::Value;

fn admin(server: &Server, arguments: &[&str]) -> String {
    // The directory stands behind the subcommands and before what they take.
    let dir = server.dir.to_str().unwrap();
    let arguments: Vec<&str> = arguments.iter().map(|word| if *word == "DIR" { dir } else { word }).collect();
    let (ok, out, error) = run(&[&["admin"], arguments.as_slice()].concat());
    assert!(ok && error.is_empty(), "{arguments:?}: {error}");
    out
}

fn json(server: &Server, arguments: &[&str]) -> Value {
    serde_json::from_str(&admin(server, &[arguments, &["--json"]].concat())).unwrap()
}

async fn signed_in(pin: &ServerPin, person: &Person) -> Client {
    let mut client = Client::connect(pin, account::PATH).await;
    let sign_in = person.sign_in(&client.binding);
    assert_eq!(client.account(sign_in).await, Ok(Answer::Done));
    client
}

#[tokio::test]
async fn a_suspension_holds_when_the_command_ends() {
    let server = Server::new();
    let (pin, person, _) = person_with_channel(&server, "alice").await;
    let mut client = signed_in(&pin, &person).await;
    let token = DeliveryToken([5; 32]);
    client.account(Request::PutDeliveryToken { token: token.hash(), expires_day: None }).await.unwrap();
    let said = json(&server, &["suspend", "DIR", "alice"]);
    assert_eq!(said["standing"], "suspended");
    let goodbye = account::FromServer::decode(&client.frame().await.unwrap()).unwrap();
    assert_eq!(goodbye, ServerFrame::Goodbye(Refusal::Suspended));
    assert!(Refusal::Suspended.to_string().contains("administrator"));
    let mut other = Client::connect(&pin, anonymous::PATH).await;
    let (id, account, device) = (DeliveryId([1; 16]), person.name(), person.device);
    let delivery = Delivery { id, account, device, token, envelope: b"sealed".to_vec() };
    let delivered = other.anonymous(anonymous::Request::Deliver(delivery.clone())).await;
    assert_eq!(delivered, Err(Refusal::AccountUnavailable));
    assert_eq!(json(&server, &["list", "DIR"])[0]["standing"], "suspended");
    assert_eq!(json(&server, &["unsuspend", "DIR", "alice"])["standing"], "good");
    signed_in(&pin, &person).await;
    let delivered = other.anonymous(anonymous::Request::Deliver(delivery)).await;
    assert_eq!(delivered, Ok(anonymous::Answer::Done));
}

#[tokio::test]
async fn an_invite_is_listed_and_taken_back() {
    let server = Server::new();
    let link = server.invite();
    let (ok, out, _) = run(&["invite", server.dir.to_str().unwrap(), "--json"]);
    assert!(ok && out.contains("aside://"), "{out}");
    let all = json(&server, &["invites", "list", "DIR"]);
    assert_eq!(all.as_array().unwrap().len(), 2);
    assert!(admin(&server, &["invites", "list", "DIR"]).lines().count() == 3);
    for invite in all.as_array().unwrap() {
        admin(&server, &["invites", "revoke", "DIR", invite["id"].as_str().unwrap()]);
    }
    assert_eq!(json(&server, &["invites", "list", "DIR"]), Value::Array(Vec::new()));
    let person = Person::new("alice", &server.address, 1);
    let mut client = Client::connect(&link.server, account::PATH).await;
    let registration = person.registration(link.token, &client.binding);
    assert_eq!(client.account(Request::Register(registration)).await, Err(Refusal::BadInvite));
    let dir = server.dir.to_str().unwrap();
    assert!(failure(&["admin", "invites", "revoke", dir, "ffff"]).contains("there is no invite"));
}

#[tokio::test]
async fn a_quota_holds_at_once_and_can_be_taken_back() {
    let server = Server::new();
    let (pin, person, _) = person_with_channel(&server, "alice").await;
    let mut client = signed_in(&pin, &person).await;
    let said = json(&server, &["quota", "DIR", "alice", "--channels-a-day", "1", "--backup-bytes", "3"]);
    assert_eq!((&said["channels_a_day"], &said["backup_bytes"]), (&1.into(), &3.into()));
    let drawn = client.account(Request::DrawChannelTokens { count: 1 }).await;
    assert_eq!(drawn, Err(Refusal::ChannelTokensDrawn { a_day: 1 }));
    let part =
        |bytes: &[u8]| Request::PutBackup(BackupPart { generation: 1, part: 0, parts: 1, bytes: bytes.to_vec() });
    assert_eq!(client.account(part(b"four")).await, Err(Refusal::BackupFull { bytes_max: 3 }));
    let said = json(&server, &["quota", "DIR", "alice", "--backup-bytes", "default"]);
    assert_eq!(said["backup_bytes"], 256 * 1024 * 1024);
    assert_eq!(client.account(part(b"four")).await, Ok(Answer::Done));
    assert!(admin(&server, &["quota", "DIR"]).contains("all accounts"));
    let dir = server.dir.to_str().unwrap();
    assert!(failure(&["admin", "quota", dir, "nobody"]).contains("there is no account"));
    assert!(failure(&["admin", "quota", dir, "alice", "--channels-a-day", "many"]).contains("many"));
}

#[tokio::test]
async fn statistics_count_what_there_is_with_and_without_a_running_server() {
    let mut server = Server::new();
    let (pin, person, _) = person_with_channel(&server, "alice").await;
    let mut client = signed_in(&pin, &person).await;
    let Ok(Answer::ChannelTokens(tokens)) = client.account(Request::DrawChannelTokens { count: 2 }).await else {
        panic!()
    };
    let part = BackupPart { generation: 1, part: 0, parts: 1, bytes: vec![1; 100] };
    client.account(Request::PutBackup(part)).await.unwrap();
    let expires_day = aside_server::shell::now().day() + 2;
    let blob = NewBlob { token: tokens[0], blob: BlobCapability([1; 32]).id(), expires_day, bytes: vec![2; 50] };
    let mut other = Client::connect(&pin, anonymous::PATH).await;
    assert_eq!(other.anonymous(anonymous::Request::PutBlob(blob)).await, Ok(anonymous::Answer::Done));
    let running = json(&server, &["stats", "DIR"]);
    let expected = [
        ("accounts", 1),
        ("suspended", 0),
        ("devices", 1),
        ("channels", 1),
        ("entries", 0),
        ("blobs", 1),
        ("blob_bytes", 50),
        ("backup_bytes", 100),
        ("inbox_envelopes", 0),
        ("tokens_drawn_today", 3),
        ("reports_open", 0),
    ];
    for (key, number) in expected {
        assert_eq!(running[key], number, "{key}");
    }
    let listed = &json(&server, &["list", "DIR"])[0];
    assert_eq!((&listed["devices"], &listed["stored_bytes"]), (&1.into(), &100.into()));
    assert_eq!(listed["last_sign_in"], listed["created"]);
    assert!(server.signal("TERM").success());
    let mut stopped = json(&server, &["stats", "DIR"]);
    stopped["disk_bytes"] = running["disk_bytes"].clone();
    assert_eq!(stopped, running);
}

#[tokio::test]
async fn a_report_is_listed_shown_and_closed() {
    let server = Server::new();
    let (pin, person, _) = person_with_channel(&server, "alice").await;
    let mut client = signed_in(&pin, &person).await;
    let eve: aside_protocol::address::AccountAddress = "eve@elsewhere.example".parse().unwrap();
    let text = "rude \u{1b}[2Jwords".to_owned();
    let messages = vec![ReportedMessage { sender: eve.clone(), sent_at_unix_ms: 1_700_000_000_000, text }];
    let report = AbuseReport { id: ReportId([7; 16]), about: eve, note: "please look".to_owned(), messages };
    for _ in 0..2 {
        assert_eq!(client.account(Request::Report(report.clone())).await, Ok(Answer::Done));
    }
    let all = json(&server, &["reports", "list", "DIR"]);
    assert_eq!(all.as_array().unwrap().len(), 1);
    assert_eq!((&all[0]["from"], &all[0]["about"]), (&"alice".into(), &"eve@elsewhere.example".into()));
    let id = all[0]["id"].as_str().unwrap();
    let shown = admin(&server, &["reports", "show", "DIR", id]);
    assert!(shown.contains("please look") && shown.contains("rude [2Jwords") && !shown.contains('\u{1b}'), "{shown}");
    assert_eq!(json(&server, &["reports", "show", "DIR", id])["messages"][0]["sent_at"], 1_700_000_000_000_u64);
    admin(&server, &["reports", "close", "DIR", &id[..4]]);
    assert_eq!(client.account(Request::Report(report)).await, Ok(Answer::Done));
    assert_eq!(json(&server, &["reports", "list", "DIR"]), Value::Array(Vec::new()));
    let dir = server.dir.to_str().unwrap();
    assert!(failure(&["admin", "reports", "show", dir, id]).contains("there is no open report"));
    for file in ["accounts.db", "accounts.db-wal"] {
        let bytes = std::fs::read(server.dir.join(file)).unwrap_or_default();
        assert!(file.ends_with("-wal") || !bytes.windows(11).any(|window| window == b"please look"), "{file}");
    }
}

#[tokio::test]
async fn renewed_certificates_are_used_without_a_new_start() {
    let server = Server::new();
    let pin = server.invite().server;
    let certificate = || async {
        let stream = tls(&pin).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    };
    let before = certificate().await;
    assert_eq!(certificate().await, before);
    let (ok, _, error) = run(&["certify", server.dir.to_str().unwrap()]);
    assert!(ok && error.contains("uses the new certificates"), "{error}");
    assert_ne!(certificate().await, before);
    Client::connect(&pin, anonymous::PATH).await;
}

#[test]
fn the_control_socket_is_for_the_owner_of_the_directory_and_goes_with_the_server() {
    use std::os::unix::fs::PermissionsExt;
    let mut server = Server::new();
    assert_eq!(std::fs::metadata(&server.dir).unwrap().permissions().mode() & 0o777, 0o700);
    let socket = server.dir.join(aside_server::control::CONTROL_FILE);
    assert!(socket.exists());
    assert!(server.signal("TERM").success());
    assert!(!socket.exists());
    // One that a killed server left is in nobody's way.
    server.start();
    server.signal("KILL");
    server.start();
    assert!(aside_server::control::ask(&server.dir).is_some());
}
