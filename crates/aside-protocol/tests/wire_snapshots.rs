//! One snapshot of every wire type: a change of the format is a decision, never an accident.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aside_protocol::blob::BlobCapability;
use aside_protocol::channel::{Body, Entry, EntryHeader, EpochKeys, Position, Proof, Purpose};
use aside_protocol::codec::encode;
use aside_protocol::connection::{BindingKind, ClientHello, ServerCertificate, ServerHello};
use aside_protocol::frame::{ClientFrame, RequestId, ServerFrame, account, anonymous};
use aside_protocol::id::{AppendId, Binding, ChainHead, ChannelId, DeliveryId, DeviceId, Hash, Nonce, ReportId};
use aside_protocol::identity::{DeviceCertificate, DeviceRecord, DirectoryAccount, KeySet, KeySetSigner};
use aside_protocol::inbox::{ChannelToken, DeliveryToken, InboxEntry, InviteToken};
use aside_protocol::key::SigningKey;
use aside_protocol::link::{ContactLink, DeviceLink, DeviceLinkSecret, InviteLink, LinkSecret, ServerPin, TlsTrust};
use aside_protocol::refusal::Refusal;
use aside_protocol::report::{AbuseReport, ReportedMessage};
use std::fmt::Write;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn keys() -> EpochKeys {
    let of = |seed| key(seed).public_key();
    EpochKeys { read: of(1), append: of(2), commit: of(3), call: of(4) }
}

fn header(next_keys: Option<EpochKeys>) -> EntryHeader {
    EntryHeader { epoch: 7, append_id: AppendId([8; 16]), expires_day: 20_000, next_keys }
}

fn record() -> (KeySet, DeviceRecord) {
    let address = "alice@chat.example:8443".parse().unwrap();
    let root = key(10).public_key();
    let set = KeySet::sign((&address, &root), None, key(11).public_key(), vec![], (KeySetSigner::Root, &key(10)));
    let device = DeviceId([12; 16]);
    let certificate = DeviceCertificate::issue((&address, &root), &key(11), 0, device, key(13).public_key());
    (set, DeviceRecord::sign(certificate, vec![14; 8], &key(13)))
}

#[test]
fn hellos_are_encoded_as_before() {
    let client: account::FromClient = ClientFrame::Hello(ClientHello { version: 1, nonce: Nonce([1; 32]) });
    let certificate = ServerCertificate::issue(&key(1), key(2).public_key(), 30_000);
    let kind = BindingKind::TlsExporter;
    let hello = ServerHello::sign(&key(2), certificate, kind, Nonce([3; 32]), &Binding([4; 32]));
    let server: account::FromServer = ServerFrame::Hello(hello);
    insta::assert_snapshot!([hex(&client.encode()), hex(&server.encode())].join("\n"));
}

fn report() -> AbuseReport {
    let eve: aside_protocol::address::AccountAddress = "eve@chat.example".parse().unwrap();
    let message = ReportedMessage { sender: eve.clone(), sent_at_unix_ms: 1_700_000_000_000, text: "words".into() };
    AbuseReport { id: ReportId([15; 16]), about: eve, note: "look".into(), messages: vec![message] }
}

#[test]
fn account_requests_are_encoded_as_before() {
    let (set, record) = record();
    let device = DeviceId([12; 16]);
    let signature = account::sign_in(&key(13), &Binding([4; 32]), &device);
    let name: aside_protocol::address::AccountName = "alice".parse().unwrap();
    let requests = [
        account::Request::Register(account::Registration {
            invite: InviteToken([5; 16]),
            name: name.clone(),
            root_key: key(10).public_key(),
            key_sets: vec![set.clone()],
            device: record.clone(),
            signature,
        }),
        account::Request::SignIn(account::SignIn { name: name.clone(), device, signature }),
        account::Request::PublishKeyPackages(account::KeyPackages {
            once: vec![vec![1, 2].into()],
            last_resort: Some(vec![3].into()),
            key_set: 2,
        }),
        account::Request::CountKeyPackages,
        account::Request::ReadInbox { after: 3 },
        account::Request::AcknowledgeInbox { through: 4 },
        account::Request::PutDeliveryToken { token: Hash([6; 32]), expires_day: Some(20_001) },
        account::Request::RevokeDeliveryToken { token: Hash([6; 32]) },
        account::Request::DrawChannelTokens { count: 8 },
        account::Request::GetAccount,
        account::Request::AddDevice(record.clone()),
        account::Request::PutKeySet(account::KeySetChange { key_set: set, certificates: vec![record.certificate] }),
        account::Request::SignInAsRoot(account::SignInAsRoot {
            signature: account::sign_in_as_root(&key(10), &Binding([4; 32]), &name),
            name,
        }),
        account::Request::PutBackup(account::BackupPart { generation: 3, part: 1, parts: 2, bytes: vec![9, 9] }),
        account::Request::GetBackup { part: 1 },
        account::Request::Report(report()),
        account::Request::SetFindable { token: Some(DeliveryToken([2; 32])) },
        account::Request::SetFindable { token: None },
    ];
    let lines: Vec<_> =
        requests.into_iter().map(|request| hex(&ClientFrame::Request(RequestId(1), request).encode())).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn account_answers_are_encoded_as_before() {
    let entry = InboxEntry { seq: 5, envelope: vec![1, 2, 3] };
    let (set, record) = record();
    let account = DirectoryAccount { root_key: key(10).public_key(), key_sets: vec![set], devices: vec![record] };
    let backup = account::Answer::Backup { generation: 3, parts: 2, bytes: vec![9, 9] };
    let frames: [account::FromServer; 9] = [
        ServerFrame::Answer(RequestId(1), account::Answer::Done),
        ServerFrame::Answer(RequestId(2), account::Answer::KeyPackageCount(9)),
        ServerFrame::Answer(RequestId(3), account::Answer::Inbox { entries: vec![entry.clone()], live: true }),
        ServerFrame::Answer(RequestId(4), account::Answer::ChannelTokens(vec![ChannelToken([7; 32])])),
        ServerFrame::Push(account::Push::Envelope(entry)),
        ServerFrame::Refused(RequestId(5), Refusal::NameTaken),
        ServerFrame::Answer(RequestId(6), account::Answer::Account(account)),
        ServerFrame::Answer(RequestId(7), backup),
        ServerFrame::Push(account::Push::AccountChanged),
    ];
    insta::assert_snapshot!(frames.map(|frame| hex(&frame.encode())).join("\n"));
}

#[test]
fn anonymous_requests_are_encoded_as_before() {
    let channel = ChannelId([9; 32]);
    let account: aside_protocol::address::AccountName = "bob".parse().unwrap();
    let name = account.clone();
    let token = DeliveryToken([2; 32]);
    let entry = |next| anonymous::NewEntry { header: header(next), body: vec![1, 2, 3] };
    let requests = [
        anonymous::Request::FetchKeyPackages { account: account.clone(), token },
        anonymous::Request::Deliver(anonymous::Delivery {
            id: DeliveryId([3; 16]),
            account,
            device: DeviceId([12; 16]),
            token,
            envelope: vec![4, 5],
        }),
        anonymous::Request::CreateChannel { channel, token: ChannelToken([6; 32]), epoch: 1, keys: keys() },
        anonymous::Request::Prove(Proof::sign(&key(1), &Binding([4; 32]), channel, 7, Purpose::Read)),
        anonymous::Request::Subscribe { channel, epoch: 7, after: 2 },
        anonymous::Request::Unsubscribe { channel },
        anonymous::Request::Append { channel, entries: vec![entry(None)] },
        anonymous::Request::Commit { channel, entry: entry(Some(keys())) },
        anonymous::Request::Ephemeral { channel, epoch: 7, body: vec![8] },
        anonymous::Request::FetchAccount { account: name.clone(), token },
        anonymous::Request::PutBlob(anonymous::NewBlob {
            token: ChannelToken([6; 32]),
            blob: BlobCapability([7; 32]).id(),
            expires_day: 20_001,
            bytes: vec![1, 2],
        }),
        anonymous::Request::GetBlob { capability: BlobCapability([7; 32]) },
        anonymous::Request::FindByName { account: name },
    ];
    let lines: Vec<_> =
        requests.into_iter().map(|request| hex(&ClientFrame::Request(RequestId(1), request).encode())).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn anonymous_answers_are_encoded_as_before() {
    let (set, record) = record();
    let channel = ChannelId([9; 32]);
    let entry = |body| Entry { seq: 3, header: header(None), body };
    let position = Position { seq: 3, head: ChainHead([5; 32]) };
    let account = DirectoryAccount { root_key: key(10).public_key(), key_sets: vec![set], devices: vec![record] };
    let package = anonymous::DeviceKeyPackage { device: DeviceId([12; 16]), key_package: Some(vec![1].into()) };
    let entries = vec![entry(Body::Present(vec![1, 2])), entry(Body::Expired(Hash([6; 32])))];
    let key_packages = vec![package];
    let found = anonymous::Answer::Found {
        account: account.clone(),
        token: DeliveryToken([2; 32]),
        key_packages: key_packages.clone(),
    };
    let frames: [anonymous::FromServer; 9] = [
        ServerFrame::Answer(RequestId(1), anonymous::Answer::KeyPackages { account: account.clone(), key_packages }),
        ServerFrame::Answer(RequestId(2), anonymous::Answer::Entries { entries, end: position, live: true }),
        ServerFrame::Answer(RequestId(3), anonymous::Answer::Appended(vec![position])),
        ServerFrame::Refused(RequestId(4), Refusal::StaleEpoch { current: 8 }),
        ServerFrame::Push(anonymous::Push::Entry(channel, entry(Body::Present(vec![1])))),
        ServerFrame::Push(anonymous::Push::Ephemeral { channel, epoch: 7, body: vec![1] }),
        ServerFrame::Answer(RequestId(5), anonymous::Answer::Account(account)),
        ServerFrame::Answer(RequestId(6), anonymous::Answer::Blob(vec![1, 2])),
        ServerFrame::Answer(RequestId(7), found),
    ];
    insta::assert_snapshot!(frames.map(|frame| hex(&frame.encode())).join("\n"));
}

#[test]
fn refusals_are_encoded_as_before() {
    let refusals = [
        Refusal::StaleEpoch { current: 1 },
        Refusal::UnknownChannel,
        Refusal::ChannelExists,
        Refusal::NotProven { purpose: Purpose::Append },
        Refusal::BadProof { purpose: Purpose::Commit },
        Refusal::AppendIdReused,
        Refusal::TooLarge { bytes: 2, bytes_max: 1 },
        Refusal::TooMany { max: 3 },
        Refusal::BadExpiry { days_max: 90 },
        Refusal::UnknownAccountOrToken,
        Refusal::BadChannelToken,
        Refusal::ChannelTokensDrawn { a_day: 64 },
        Refusal::BadInvite,
        Refusal::NameTaken,
        Refusal::BadIdentity { what: "x".into() },
        Refusal::UnknownDevice,
        Refusal::NotSignedIn,
        Refusal::Suspended,
        Refusal::InboxFull { max: 4 },
        Refusal::RateLimited { seconds: 5 },
        Refusal::Malformed { what: "y".into() },
        Refusal::Version { server: 2 },
        Refusal::Unavailable,
        Refusal::StaleKeySet { current: 3 },
        Refusal::DeviceRevoked,
        Refusal::AccountUnavailable,
        Refusal::UnknownBlob,
        Refusal::BlobExists,
        Refusal::NoBackup,
        Refusal::StaleBackup { generation: 7 },
        Refusal::BackupPartMissing { next: 2 },
        Refusal::BackupFull { bytes_max: 8 },
        Refusal::DailyLimit { a_day: 20 },
    ];
    insta::assert_snapshot!(refusals.iter().map(|refusal| hex(&encode(refusal))).collect::<Vec<_>>().join("\n"));
}

#[test]
fn links_are_written_as_before() {
    let address = "chat.example:8443".parse().unwrap();
    let server = ServerPin { address, identity_key: key(1).public_key(), tls: TlsTrust::Pinned };
    let invite = InviteLink { server: server.clone(), token: InviteToken([2; 16]) };
    let address = "alice@chat.example:8443".parse().unwrap();
    let contact = ContactLink { server, address, root_key: key(10).public_key(), secret: LinkSecret([3; 32]) };
    let device = DeviceLink {
        server: contact.server.clone(),
        address: contact.address.clone(),
        root_key: contact.root_key,
        device: DeviceId([12; 16]),
        secret: DeviceLinkSecret([4; 32]),
        expires_unix_s: 1_800_000_000,
    };
    insta::assert_snapshot!(format!("{invite}\n{contact}\n{device}"));
}
