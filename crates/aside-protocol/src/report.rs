//! Reports: what somebody chose to show the server's administrator. Rule P-8.8 in `docs/protocol/8-storage.md`.
//!
//! This is the only plaintext that a server ever holds, and only because a person sent it there by hand. It says nothing
//! that the reporter did not choose, and proves nothing: the administrator has the reporter's word for it.

use crate::address::AccountAddress;
use crate::codec::encode;
use crate::id::ReportId;
use crate::limit::{REPORT_BYTES_MAX, REPORT_MESSAGES_MAX};
use crate::refusal::Refusal;
use minicbor::{Decode, Encode};

/// A message that the reporter chose to show.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ReportedMessage {
    /// Who sent it, by the reporter's word.
    #[n(0)]
    pub sender: AccountAddress,
    /// When, as the message said; milliseconds since 1970-01-01, UTC.
    #[n(1)]
    pub sent_at_unix_ms: u64,
    /// Its words.
    #[n(2)]
    pub text: String,
}

/// A report about somebody.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AbuseReport {
    /// The reporter's name for it.
    #[n(0)]
    pub id: ReportId,
    /// Whom it is about; they may live on another server.
    #[n(1)]
    pub about: AccountAddress,
    /// The reporter's own words.
    #[n(2)]
    pub note: String,
    /// What the reporter chose to show; may be empty.
    #[n(3)]
    pub messages: Vec<ReportedMessage>,
}

impl AbuseReport {
    /// Checks the limits, on either side.
    ///
    /// # Errors
    /// [`Refusal::TooMany`] or [`Refusal::TooLarge`], with the limit.
    pub fn check_limits(&self) -> Result<(), Refusal> {
        if self.messages.len() > REPORT_MESSAGES_MAX {
            return Err(Refusal::TooMany { max: REPORT_MESSAGES_MAX as u64 });
        }
        let bytes = encode(self).len();
        if bytes > REPORT_BYTES_MAX {
            return Err(Refusal::TooLarge { bytes: bytes as u64, bytes_max: REPORT_BYTES_MAX as u64 });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(messages: usize, note_bytes: usize) -> AbuseReport {
        let sender: AccountAddress = "eve@a.example".parse().unwrap();
        let message = ReportedMessage { sender: sender.clone(), sent_at_unix_ms: 1, text: "x".into() };
        let note = "n".repeat(note_bytes);
        AbuseReport { id: ReportId([1; 16]), about: sender, note, messages: vec![message; messages] }
    }

    #[test]
    fn a_report_over_a_limit_is_refused_with_the_limit() {
        assert_eq!(report(REPORT_MESSAGES_MAX, 10).check_limits(), Ok(()));
        let many = report(REPORT_MESSAGES_MAX + 1, 10).check_limits();
        assert_eq!(many, Err(Refusal::TooMany { max: REPORT_MESSAGES_MAX as u64 }));
        let large = report(1, REPORT_BYTES_MAX).check_limits();
        assert!(matches!(large, Err(Refusal::TooLarge { bytes_max, .. }) if bytes_max == REPORT_BYTES_MAX as u64));
    }
}
