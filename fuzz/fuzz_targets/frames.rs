//! Any bytes as a frame of either connection, in both directions: a value or an error, and a value encodes again.
#![no_main]

use aside_protocol::frame::{account, anonymous};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(frame) = account::FromClient::decode(bytes) {
        assert_eq!(account::FromClient::decode(&frame.encode()), Ok(frame));
    }
    if let Ok(frame) = account::FromServer::decode(bytes) {
        assert_eq!(account::FromServer::decode(&frame.encode()), Ok(frame));
    }
    if let Ok(frame) = anonymous::FromClient::decode(bytes) {
        assert_eq!(anonymous::FromClient::decode(&frame.encode()), Ok(frame));
    }
    if let Ok(frame) = anonymous::FromServer::decode(bytes) {
        assert_eq!(anonymous::FromServer::decode(&frame.encode()), Ok(frame));
    }
});
