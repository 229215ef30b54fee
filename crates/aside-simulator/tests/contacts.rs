//! Contacts: strangers, blocked people, links, names, and keys that change.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aside_engine::contact::REQUESTS_MAX;
use aside_engine::conversation::ConversationId;
use aside_engine::input::{Answer, Command, ConnectionKind, Presence};
use aside_engine::settings::Settings;
use aside_engine::view::{Contact, ContactState, ConversationState, Delivery, Message, NoticeAction, NoticeKind};
use aside_protocol::address::AccountAddress;
use aside_protocol::codec::{decode, encode};
use aside_protocol::frame::anonymous::Answer as AnonymousAnswer;
use aside_protocol::frame::{ClientFrame, ServerFrame, account, anonymous};
use aside_protocol::id::DeviceId;
use aside_protocol::identity::{DeviceCertificate, DeviceRecord, KeySet, KeySetSigner};
use aside_protocol::key::{PublicKey, SigningKey};
use aside_protocol::report::AbuseReport;
use aside_simulator::calm::Calm;

fn address(who: usize) -> AccountAddress {
    format!("p{who}@calm.example").parse().unwrap()
}

fn add_by_name(calm: &mut Calm, who: usize, whom: usize) -> Option<Answer> {
    let answer = calm.command(who, Command::AddByName { name: address(whom).name });
    calm.settle();
    answer
}

fn contact(calm: &Calm, who: usize, whom: usize) -> Option<Contact> {
    calm.engine(who).unwrap().contact(&address(whom)).unwrap()
}

fn requests(calm: &Calm, who: usize) -> u32 {
    calm.engine(who).unwrap().requests_total().unwrap()
}

fn set_blocked(calm: &mut Calm, who: usize, whom: usize, blocked: Presence) {
    assert!(calm.command(who, Command::SetBlocked { address: address(whom), blocked }).is_some());
    calm.settle();
}

fn deliveries(calm: &Calm, who: usize) -> Vec<(String, Delivery)> {
    let own = |message: aside_engine::view::Message| Some((message.text, message.delivery?));
    calm.timeline(who).into_iter().filter_map(own).collect()
}

/// Two who know each other by link and have both written.
fn friends(seed: u64) -> Calm {
    let mut calm = Calm::new(seed, 2);
    calm.befriend(0, 1);
    calm.write(0, "from p0");
    calm.settle();
    calm.write(1, "from p1");
    calm.settle();
    calm
}

#[test]
fn a_stranger_gets_no_receipt_no_typing_and_no_connection_until_accepted() {
    let mut calm = Calm::new(101, 2);
    calm.reached_server(1);
    add_by_name(&mut calm, 0, 1);
    calm.write(0, "hello?");
    calm.settle();
    assert_eq!(requests(&calm, 1), 1);
    let asked = calm.first_conversation(1).unwrap();
    assert_eq!((asked.state, asked.peer), (ConversationState::Request, Some(address(0))));
    calm.command(1, Command::MarkRead { conversation: asked.id, through: i64::MAX });
    calm.command(1, Command::Typing { conversation: asked.id });
    assert!(calm.write(1, "not yet").is_none(), "nothing can be written before accepting");
    calm.wait_ms(60_000);
    calm.settle();
    let anonymous =
        |(kind, bytes): &(ConnectionKind, Vec<u8>)| (*kind == ConnectionKind::Anonymous).then_some(bytes.len());
    let sent: Vec<usize> = calm.reached_server(1).iter().filter_map(anonymous).collect();
    assert_eq!(sent, Vec::<usize>::new(), "the channel's server hears nothing of who was asked");
    assert!(calm.texts(1).is_empty() && contact(&calm, 1, 0).is_none());
    assert_eq!(deliveries(&calm, 0), [("hello?".to_owned(), Delivery::Sent)]);
    calm.command(1, Command::Accept { conversation: asked.id });
    calm.settle();
    assert_eq!(calm.texts(1), ["hello?"]);
    assert_eq!(requests(&calm, 1), 0);
    assert_eq!(deliveries(&calm, 0), [("hello?".to_owned(), Delivery::Delivered)]);
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn somebody_added_by_name_counts_as_unvouched_until_compared() {
    let mut calm = Calm::new(102, 2);
    add_by_name(&mut calm, 0, 1);
    let words = contact(&calm, 0, 1).unwrap().unvouched.unwrap();
    assert!(words.contains("Only the server says"), "{words}");
    assert!(calm.timeline(0).iter().any(|row| row.text == words));
    let asked = calm.first_conversation(1).unwrap().id;
    calm.command(1, Command::Accept { conversation: asked });
    calm.settle();
    let shown = calm.engine(1).unwrap().safety_number(&asked).unwrap().unwrap();
    let conversation = calm.first_conversation(0).unwrap().id;
    calm.command(0, Command::ScanSafety { conversation, code: shown.code });
    let known = contact(&calm, 0, 1).unwrap();
    assert!(known.verified && known.unvouched.is_none());
    let own_code = calm.engine(0).unwrap().safety_number(&conversation).unwrap().unwrap().code;
    calm.command(0, Command::ScanSafety { conversation, code: own_code });
    assert!(!contact(&calm, 0, 1).unwrap().verified, "a scan that does not match takes the mark back");
}

#[test]
fn nobody_is_found_who_does_not_want_to_be() {
    let mut calm = Calm::new(103, 2);
    calm.command(1, Command::PutSettings(Settings { findable: false, ..Settings::default() }));
    calm.settle();
    add_by_name(&mut calm, 0, 1);
    let failed = contact(&calm, 0, 1).unwrap();
    assert_eq!(failed.state, ContactState::Failed);
    assert!(failed.failure.unwrap().contains("nobody of this name can be found"));
    calm.befriend(0, 1);
    let known = contact(&calm, 0, 1).unwrap();
    assert_eq!((known.state, known.unvouched), (ContactState::Active, None), "their link works all the same");
}

#[test]
fn a_declined_and_blocked_stranger_asks_no_more() {
    let mut calm = Calm::new(104, 2);
    add_by_name(&mut calm, 0, 1);
    let asked = calm.first_conversation(1).unwrap().id;
    assert_eq!(calm.command(1, Command::Decline { conversation: asked }), Some(Answer::Asker(address(0))));
    calm.settle();
    assert!(calm.first_conversation(1).is_none() && contact(&calm, 1, 0).is_none());
    calm.found(0, "again", &[1]);
    assert_eq!(requests(&calm, 1), 1, "a declined stranger may ask again");
    set_blocked(&mut calm, 1, 0, Presence::Present);
    assert!(calm.first_conversation(1).is_none(), "what waits of a blocked person is dropped");
    calm.found(0, "and again", &[1]);
    assert!(calm.first_conversation(1).is_none(), "and what comes after");
    assert_eq!(requests(&calm, 1), 0);
    let blocked = contact(&calm, 1, 0).unwrap();
    assert!(blocked.blocked && blocked.conversation_id.is_none());
}

#[test]
fn of_too_many_requests_the_oldest_is_dropped() {
    let mut calm = Calm::new(105, 2);
    add_by_name(&mut calm, 0, 1);
    let oldest = calm.first_conversation(1).unwrap().id;
    for number in 0..REQUESTS_MAX {
        calm.found(0, &format!("group {number}"), &[1]);
    }
    // The server lends somebody's KeyPackages only so fast, and says when to come again.
    calm.wait_ms(300_000);
    calm.settle();
    assert_eq!(requests(&calm, 1), REQUESTS_MAX);
    assert!(calm.engine(1).unwrap().conversation(&oldest).unwrap().is_none());
}

#[test]
fn a_blocked_person_is_neither_heard_nor_answered_until_unblocked() {
    let mut calm = friends(106);
    set_blocked(&mut calm, 1, 0, Presence::Present);
    let revoked = |(_, bytes): &(ConnectionKind, Vec<u8>)| {
        let frame = ClientFrame::<account::Request>::decode(bytes);
        matches!(frame, Ok(ClientFrame::Request(_, account::Request::RevokeDeliveryToken { .. })))
    };
    assert!(calm.reached_server(1).iter().any(revoked), "their token ends at the server");
    calm.write(0, "unheard");
    let conversation = calm.first_conversation(0).unwrap().id;
    calm.command(0, Command::Typing { conversation });
    calm.settle();
    calm.wait_ms(60_000);
    calm.settle();
    assert_eq!(calm.texts(1), ["from p0", "from p1"]);
    assert_eq!(calm.first_conversation(1).unwrap().unread_count, 0);
    let appended = |(_, bytes): &(ConnectionKind, Vec<u8>)| {
        let frame = ClientFrame::<anonymous::Request>::decode(bytes);
        matches!(frame, Ok(ClientFrame::Request(_, anonymous::Request::Append { .. })))
    };
    assert!(!calm.reached_server(1).iter().any(appended), "not even a receipt");
    assert_eq!(deliveries(&calm, 0).pop(), Some(("unheard".to_owned(), Delivery::Sent)));
    assert!(calm.write(1, "to somebody blocked").is_none());
    set_blocked(&mut calm, 1, 0, Presence::Absent);
    calm.write(0, "heard again");
    calm.settle();
    assert_eq!(calm.texts(1), ["from p0", "from p1", "heard again"]);
    assert_eq!(deliveries(&calm, 0).pop(), Some(("heard again".to_owned(), Delivery::Delivered)));
}

#[test]
fn in_groups_a_blocked_person_stands_collapsed_and_nobody_is_notified() {
    let mut calm = Calm::new(107, 3);
    calm.befriend(0, 1);
    calm.befriend(0, 2);
    let group = calm.found(0, "Friends", &[1, 2]);
    set_blocked(&mut calm, 2, 1, Presence::Present);
    let text = |text: &str| Command::SendText { conversation: group, text: text.into(), reply_to: None };
    calm.command(1, text("from the blocked one"));
    calm.settle();
    let row = calm.timeline_of(2, &group).into_iter().find(|row| row.text == "from the blocked one").unwrap();
    assert!(row.from_blocked);
    let shown = calm.engine(2).unwrap().conversation(&group).unwrap().unwrap();
    assert_eq!(shown.unread_count, 0);
    assert_eq!(shown.last_message.unwrap().text, "A message from somebody you blocked");
    assert!(calm.engine(2).unwrap().heard(9).unwrap().is_empty());
    calm.command(2, text("goes on"));
    calm.settle();
    assert!(calm.timeline_of(1, &group).iter().any(|row| row.text == "goes on"), "they are not told");
}

#[test]
fn a_withdrawn_link_is_refused_with_words_and_a_fresh_one_works() {
    let mut calm = Calm::new(108, 3);
    let links = calm.engine(1).unwrap().contact_links().unwrap();
    let [first] = links.as_slice() else { panic!("{links:?}") };
    assert_eq!(Some(&first.link), calm.link_of(1).as_ref());
    let Some(Answer::ContactLink { id, link, .. }) = calm.command(1, Command::MakeFreshContactLink) else { panic!() };
    assert_ne!(link, first.link);
    calm.settle();
    calm.command(0, Command::AddContact { link });
    calm.settle();
    let used = |calm: &Calm| calm.engine(1).unwrap().contact_links().unwrap().iter().find(|l| l.id == id).unwrap().used;
    assert_eq!(used(&calm), 1);
    calm.command(1, Command::WithdrawContactLink { link: first.id });
    calm.settle();
    calm.befriend(2, 1);
    let failed = contact(&calm, 2, 1).unwrap();
    assert_eq!(failed.state, ContactState::Failed);
    assert!(failed.failure.unwrap().contains("withdrawn"));
    calm.write(0, "still friends");
    calm.settle();
    assert_eq!(calm.texts(1), ["still friends"]);
}

/// Lets a lie work on what p0 is told when it asks for somebody by name.
fn lie_about_p1(calm: &mut Calm, mut change: impl FnMut(&mut aside_protocol::identity::DirectoryAccount) + 'static) {
    calm.lie(move |who, kind, bytes| match (who, kind, anonymous::FromServer::decode(&bytes)) {
        (
            0,
            ConnectionKind::Anonymous,
            Ok(ServerFrame::Answer(id, AnonymousAnswer::Found { mut account, token, key_packages })),
        ) => {
            change(&mut account);
            let answer = AnonymousAnswer::Found { account, token, key_packages };
            vec![anonymous::FromServer::encode(&ServerFrame::Answer(id, answer))]
        }
        _ => vec![bytes],
    });
}

#[test]
fn a_root_key_that_the_server_swaps_for_a_name_is_refused() {
    let mut calm = Calm::new(109, 2);
    lie_about_p1(&mut calm, |account| account.root_key = PublicKey([9; 32]));
    add_by_name(&mut calm, 0, 1);
    let failed = contact(&calm, 0, 1).unwrap();
    assert_eq!(failed.state, ContactState::Failed);
    assert!(failed.failure.unwrap().contains("do not check out"));
    assert_eq!(requests(&calm, 1), 0);
}

#[test]
fn a_whole_account_that_the_server_makes_up_for_a_name_has_no_key_packages_to_go_with_it() {
    let mut calm = Calm::new(110, 2);
    lie_about_p1(&mut calm, |account| {
        let (root, key) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
        account.root_key = root.public_key();
        let of = (&address(1), &account.root_key);
        account.key_sets = vec![KeySet::sign(of, None, key.public_key(), vec![], (KeySetSigner::Root, &root))];
        account.devices.clear();
    });
    add_by_name(&mut calm, 0, 1);
    assert_eq!(contact(&calm, 0, 1).unwrap().state, ContactState::Failed);
    assert_eq!(requests(&calm, 1), 0);
    calm.be_honest();
    // p1's true link shows that the server had lied, and is taken only when the person says so.
    let link = calm.link_of(1).unwrap();
    assert!(calm.command(0, Command::AddContact { link: link.clone() }).is_none());
    assert!(calm.command(0, Command::AddContactWithOtherKeys { link }).is_some());
    calm.settle();
    calm.write(0, "to the true one");
    calm.settle();
    assert_eq!(calm.texts(1), ["to the true one"]);
}

/// p1 continues its chain with another account key, which only the one before signs, and shows it in the conversation.
fn change_account_key(calm: &mut Calm, conversation: ConversationId) {
    calm.on_disk(1, |db| {
        let seed = |column: &str| -> [u8; 32] {
            db.query_row(&format!("SELECT {column} FROM account"), [], |row| row.get(0)).unwrap()
        };
        let bytes = |column: &str| -> Vec<u8> {
            db.query_row(&format!("SELECT {column} FROM account"), [], |row| row.get(0)).unwrap()
        };
        let (account_seed, device_seed, root) = (seed("account_seed"), seed("device_seed"), seed("root_key"));
        let (key_sets, record) = (bytes("key_sets"), bytes("record"));
        let mut key_sets: Vec<KeySet> = decode(&key_sets, 1 << 20).unwrap();
        let record: DeviceRecord = decode(&record, 1 << 20).unwrap();
        let (before, next) = (SigningKey::from_seed(&account_seed), SigningKey::from_seed(&[77; 32]));
        let (root, device_key) = (PublicKey(root), SigningKey::from_seed(&device_seed));
        let (own, gone) = (address(1), DeviceId([5; 16]));
        let signer = (KeySetSigner::PreviousAccountKey, &before);
        let set = KeySet::sign((&own, &root), key_sets.last(), next.public_key(), vec![gone], signer);
        let device = record.certificate.device;
        let certificate = DeviceCertificate::issue((&own, &root), &next, set.number, device, device_key.public_key());
        let record = DeviceRecord::sign(certificate, record.inbox_key, &device_key);
        key_sets.push(set);
        db.execute("UPDATE account SET key_sets = ?, record = ?", (encode(&key_sets), encode(&record))).unwrap();
    });
    calm.settle();
    calm.command(1, Command::RotateKeys { conversation });
    calm.settle();
}

#[test]
fn a_key_change_without_the_root_key_stops_sending_until_somebody_has_looked() {
    let mut calm = friends(111);
    let (mine, theirs) = (calm.first_conversation(0).unwrap().id, calm.first_conversation(1).unwrap().id);
    // The server keeps silent about the account, so that nothing but the conversation tells of the change.
    calm.stop(0);
    change_account_key(&mut calm, theirs);
    calm.start(0);
    // Queued before the change is seen.
    calm.write(0, "queued before");
    calm.settle();
    let notice = calm.first_conversation(0).unwrap().notice.unwrap();
    assert_eq!(notice.kind, NoticeKind::KeyChanged);
    assert!(notice.text.contains("recovery words") && notice.text.contains("by phone"), "{}", notice.text);
    assert!(contact(&calm, 0, 1).unwrap().key_changed);
    assert!(calm.write(0, "refused").is_none());
    assert_eq!(calm.texts(1), ["from p0", "from p1"], "what was queued waits");
    calm.write(1, "can you read me?");
    calm.settle();
    assert!(calm.texts(0).contains(&"can you read me?".to_owned()), "reading goes on");
    let act = Command::ActOnNotice { conversation: mine, action: NoticeAction::AcceptKeys };
    assert!(calm.command(0, act).is_some());
    calm.settle();
    assert!(calm.first_conversation(0).unwrap().notice.is_none());
    assert!(calm.texts(1).contains(&"queued before".to_owned()));
    assert!(calm.write(0, "on we go").is_some());
    calm.settle();
    assert!(calm.texts(1).contains(&"on we go".to_owned()));
    assert_eq!(calm.engine_errors(), Vec::<String>::new());
}

#[test]
fn a_removed_contact_asks_again_and_comes_back_with_everything() {
    let mut calm = friends(112);
    assert!(calm.command(1, Command::RemoveContact { address: address(0) }).is_some());
    calm.settle();
    assert!(calm.first_conversation(1).is_none() && contact(&calm, 1, 0).is_none());
    calm.write(0, "are you there?");
    calm.settle();
    calm.wait_ms(60_000);
    calm.settle();
    let asked = calm.first_conversation(1).unwrap();
    assert_eq!(asked.state, ConversationState::Request);
    assert_eq!(deliveries(&calm, 0).pop(), Some(("are you there?".to_owned(), Delivery::Sent)));
    calm.command(1, Command::Accept { conversation: asked.id });
    calm.settle();
    assert_eq!(calm.texts(1), ["from p0", "from p1", "are you there?"]);
    assert_eq!(deliveries(&calm, 0).pop(), Some(("are you there?".to_owned(), Delivery::Delivered)));
    calm.write(1, "yes");
    calm.settle();
    assert_eq!(calm.texts(0).pop().as_deref(), Some("yes"));
}

#[test]
fn a_report_shows_the_administrator_what_was_chosen_and_nothing_else() {
    let mut calm = friends(113);
    let conversation = calm.first_conversation(0).unwrap().id;
    let chosen = calm.timeline(0).into_iter().find(|row| row.text == "from p1").unwrap().id;
    calm.reached_server(0);
    calm.command(0, Command::Report { conversation, messages: vec![chosen], note: "rude".into() });
    calm.settle();
    let report = only_report(&mut calm, 0);
    assert_eq!((&report.about, report.note.as_str()), (&address(1), "rude"));
    assert_eq!(report.messages.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(), ["from p1"]);
}

/// The one report that somebody's server was sent.
fn only_report(calm: &mut Calm, who: usize) -> AbuseReport {
    let report = |(_, bytes): &(ConnectionKind, Vec<u8>)| match ClientFrame::<account::Request>::decode(bytes) {
        Ok(ClientFrame::Request(_, account::Request::Report(report))) => Some(report),
        _ => None,
    };
    let reports: Vec<_> = calm.reached_server(who).iter().filter_map(report).collect();
    let [report] = reports.as_slice() else { panic!("{reports:?}") };
    report.clone()
}

#[test]
fn the_report_of_a_request_shows_who_asks_and_what_they_wrote_since() {
    let mut calm = friends(117);
    calm.command(1, Command::RemoveContact { address: address(0) });
    calm.settle();
    calm.write(0, "you will be sorry");
    calm.settle();
    let asked = calm.first_conversation(1).unwrap();
    assert_eq!((asked.state, asked.unread_count), (ConversationState::Request, 1));
    calm.reached_server(1);
    calm.command(1, Command::ReportRequest { conversation: asked.id });
    calm.command(1, Command::Decline { conversation: asked.id });
    calm.settle();
    let report = only_report(&mut calm, 1);
    assert_eq!(report.about, address(0));
    assert_eq!(report.messages.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(), ["you will be sorry"]);
    assert_eq!(requests(&calm, 1), 0);
}

#[test]
fn the_report_of_a_stranger_of_whom_nothing_is_shown_says_who_they_are() {
    let mut calm = Calm::new(118, 2);
    add_by_name(&mut calm, 0, 1);
    let asked = calm.first_conversation(1).unwrap().id;
    calm.reached_server(1);
    calm.command(1, Command::ReportRequest { conversation: asked });
    calm.settle();
    let report = only_report(&mut calm, 1);
    assert_eq!((report.about, report.messages), (address(0), vec![]));
}

#[test]
fn a_page_of_messages_is_read_around_one_of_them_and_goes_on_both_ways() {
    let mut calm = friends(119);
    for number in 1..=20 {
        calm.write(0, &format!("number {number}"));
    }
    calm.settle();
    let id = calm.first_conversation(0).unwrap().id;
    let all = calm.timeline(0);
    let middle = all.iter().find(|row| row.text == "number 10").unwrap();
    let engine = calm.engine(0).unwrap();
    let page = engine.messages_around(&id, &middle.id, 5).unwrap().unwrap();
    let texts = |rows: &[Message]| rows.iter().map(|row| row.text.clone()).collect::<Vec<_>>();
    assert_eq!(texts(&page.messages), ["number 8", "number 9", "number 10", "number 11", "number 12"]);
    assert!(page.has_more && page.has_newer);
    let last = page.messages.last().unwrap().position;
    let newer = engine.messages_after(&id, last, 5).unwrap();
    assert_eq!(texts(&newer.messages).first().map(String::as_str), Some("number 13"));
    assert!(newer.has_more && newer.has_newer);
    let newest = engine.messages_after(&id, newer.messages.last().unwrap().position, 200).unwrap();
    assert_eq!(newest.messages.last(), all.last());
    assert!(newest.has_more && !newest.has_newer);
    let older = engine.messages(&id, page.messages.first().map(|row| row.position), 200).unwrap();
    assert_eq!(older.messages.first(), all.first());
    assert!(!older.has_more && older.has_newer);
    let elsewhere = calm.first_conversation(1).unwrap().id;
    assert_eq!(calm.engine(0).unwrap().messages_around(&elsewhere, &middle.id, 5).unwrap(), None);
}

#[test]
fn a_name_that_was_given_to_somebody_stands_everywhere() {
    let mut calm = friends(114);
    calm.command(0, Command::RenameContact { address: address(1), name: "Boss".into() });
    assert_eq!(calm.first_conversation(0).unwrap().title, "Boss");
    assert_eq!(contact(&calm, 0, 1).unwrap().display_name, "Boss");
    let row = calm.timeline(0).into_iter().find(|row| row.text == "from p1").unwrap();
    assert_eq!(row.sender.display_name, "Boss");
    calm.command(0, Command::RenameContact { address: address(1), name: String::new() });
    assert_eq!(calm.first_conversation(0).unwrap().title, "p1");
}
