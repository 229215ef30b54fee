//! Decoding is total: whatever bytes come, there is a value or an error that names the fault, and never a panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aside_protocol::frame::{account, anonymous};
use aside_protocol::identity::MemberCredential;
use aside_protocol::link::{ContactLink, DeviceLink, InviteLink};
use proptest::prelude::*;

/// A well-formed frame, so that changes of single bytes get deep into the decoders.
fn seeds() -> Vec<Vec<u8>> {
    let lines = include_str!("snapshots/wire_snapshots__anonymous_requests_are_encoded_as_before.snap")
        .lines()
        .chain(include_str!("snapshots/wire_snapshots__account_requests_are_encoded_as_before.snap").lines())
        .chain(include_str!("snapshots/wire_snapshots__anonymous_answers_are_encoded_as_before.snap").lines())
        .chain(include_str!("snapshots/wire_snapshots__account_answers_are_encoded_as_before.snap").lines());
    lines
        .filter(|line| line.len() > 8 && line.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .map(|line| {
            let digits: Vec<char> = line.chars().collect();
            digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
        })
        .collect()
}

fn decode_everything(bytes: &[u8]) {
    let _ = account::FromClient::decode(bytes);
    let _ = account::FromServer::decode(bytes);
    let _ = anonymous::FromClient::decode(bytes);
    let _ = anonymous::FromServer::decode(bytes);
    let _ = aside_protocol::codec::decode::<MemberCredential>(bytes, 65_536).map(|credential| credential.verify());
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        decode_everything(&bytes);
    }

    #[test]
    fn changed_frames_never_panic(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), to in any::<u8>(), cut in any::<prop::sample::Index>()) {
        let seeds = seeds();
        prop_assert!(seeds.len() > 20);
        let mut bytes = which.get(&seeds).clone();
        let place = at.index(bytes.len());
        bytes[place] = to;
        decode_everything(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        decode_everything(&bytes);
    }

    #[test]
    fn random_text_is_no_link_and_never_panics(text in ".{0,200}") {
        prop_assert!(text.parse::<InviteLink>().is_err());
        let link = format!("aside://h/contact/a#{text}");
        prop_assert!(link.parse::<ContactLink>().is_err());
        let link = format!("aside://h/device/a#{text}");
        prop_assert!(link.parse::<DeviceLink>().is_err());
    }
}
