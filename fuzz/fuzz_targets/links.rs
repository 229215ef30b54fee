//! Any text as a link: a link or an error in words, and a link prints as what it was read from.
#![no_main]

use aside_protocol::link::{ContactLink, DeviceLink, InviteLink};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Ok(link) = text.parse::<InviteLink>() {
        assert_eq!(link.to_string().parse(), Ok(link));
    }
    if let Ok(link) = text.parse::<ContactLink>() {
        assert_eq!(link.to_string().parse(), Ok(link));
    }
    if let Ok(link) = text.parse::<DeviceLink>() {
        assert_eq!(link.to_string().parse(), Ok(link));
    }
});
