//! Replays the fuzzers' corpus: whatever was found once stays mended.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aside_protocol::frame::{account, anonymous};
use aside_protocol::link::{ContactLink, DeviceLink, InviteLink};
use std::path::PathBuf;

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let files = std::fs::read_dir(&folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
    let all: Vec<_> = files.collect();
    assert!(!all.is_empty(), "{} is empty", folder.display());
    all
}

#[test]
fn frames_that_decode_encode_to_what_decodes_the_same() {
    let mut decoded = 0;
    for bytes in corpus("frames") {
        if let Ok(frame) = account::FromClient::decode(&bytes) {
            decoded += 1;
            assert_eq!(account::FromClient::decode(&frame.encode()), Ok(frame));
        }
        if let Ok(frame) = account::FromServer::decode(&bytes) {
            decoded += 1;
            assert_eq!(account::FromServer::decode(&frame.encode()), Ok(frame));
        }
        if let Ok(frame) = anonymous::FromClient::decode(&bytes) {
            decoded += 1;
            assert_eq!(anonymous::FromClient::decode(&frame.encode()), Ok(frame));
        }
        if let Ok(frame) = anonymous::FromServer::decode(&bytes) {
            decoded += 1;
            assert_eq!(anonymous::FromServer::decode(&frame.encode()), Ok(frame));
        }
    }
    assert!(decoded >= 20, "the corpus has frames that decode");
}

#[test]
fn links_print_as_what_they_were_read_from() {
    for bytes in corpus("links") {
        let Ok(text) = String::from_utf8(bytes) else { continue };
        if let Ok(link) = text.parse::<InviteLink>() {
            assert_eq!(link.to_string().parse(), Ok(link));
        }
        if let Ok(link) = text.parse::<ContactLink>() {
            assert_eq!(link.to_string().parse(), Ok(link));
        }
        if let Ok(link) = text.parse::<DeviceLink>() {
            assert_eq!(link.to_string().parse(), Ok(link));
        }
    }
}
