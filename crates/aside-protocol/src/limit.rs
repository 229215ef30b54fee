//! Every number that bounds what a peer may send. Each refusal that a person can meet names one of these.

/// The largest WebSocket frame that either side accepts, in bytes.
pub const FRAME_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The largest body of one channel entry, in bytes. Sized for a self-update in a blank tree of 1,000 members.
pub const ENTRY_BODY_BYTES_MAX: usize = 1_536 * 1024;
/// The largest ephemeral entry (typing, ringing), in bytes.
pub const EPHEMERAL_BYTES_MAX: usize = 16 * 1024;
/// Entries that one append request may carry.
pub const APPEND_ENTRIES_MAX: usize = 64;
/// Entries in one page of a subscription.
pub const PAGE_ENTRIES_MAX: usize = 256;
/// Bytes of bodies after which a page ends early (it always holds at least one entry).
pub const PAGE_BYTES_MAX: usize = 512 * 1024;
/// The largest sealed envelope, in bytes.
pub const ENVELOPE_BYTES_MAX: usize = 512 * 1024;
/// Envelopes that wait in one inbox before the server refuses more.
pub const INBOX_ENVELOPES_MAX: usize = 2_000;
/// The largest KeyPackage, in bytes (X-Wing: about 2.7 kB).
pub const KEY_PACKAGE_BYTES_MAX: usize = 16 * 1024;
/// KeyPackages that a device keeps on the server, apart from the last-resort one.
pub const KEY_PACKAGES_MAX: usize = 100;
/// Below this count a device publishes more.
pub const KEY_PACKAGES_REFILL_BELOW: usize = 20;
/// Devices of one account.
pub const DEVICES_MAX: usize = 16;
/// Key sets in one account's chain.
pub const KEY_SETS_MAX: usize = 256;
/// The largest HPKE public key of an inbox, in bytes (X-Wing: 1,216).
pub const INBOX_KEY_BYTES_MAX: usize = 2_048;
/// Delivery tokens that one account keeps registered.
pub const DELIVERY_TOKENS_MAX: usize = 10_000;
/// Channel tokens that one account may draw a day.
pub const CHANNEL_TOKENS_A_DAY: u32 = 64;
/// Channels that one connection may subscribe to.
pub const SUBSCRIPTIONS_MAX: usize = 10_000;
/// Requests of one connection that may wait for their replies.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 1_024;
/// The longest account name, in bytes.
pub const NAME_BYTES_MAX: usize = 32;
/// The longest host name, in bytes (RFC 1035, section 2.3.4).
pub const HOST_BYTES_MAX: usize = 253;
/// The longest link (invite or contact), in bytes.
pub const LINK_BYTES_MAX: usize = 4_096;
/// How long a channel keeps a message unless its sender asked for less, in days.
pub const MESSAGE_DAYS_DEFAULT: u32 = 30;
/// The longest that a channel keeps a message, in days.
pub const MESSAGE_DAYS_MAX: u32 = 90;
/// How long a channel keeps commits, and the header and hash of expired messages, in days.
pub const COMMIT_DAYS: u32 = 180;
/// How long an envelope waits in an inbox, in days.
pub const ENVELOPE_DAYS: u32 = 90;
/// The largest blob, in bytes.
pub const BLOB_BYTES_MAX: usize = 1_536 * 1024;
/// The longest that a blob is kept, in days.
pub const BLOB_DAYS_MAX: u32 = 90;
/// The largest part of a backup, in bytes.
pub const BACKUP_PART_BYTES_MAX: usize = 1024 * 1024;
/// Parts of one backup.
pub const BACKUP_PARTS_MAX: u32 = 4_096;
/// Bytes of one account's backup, unless the server's administrator allows more or fewer.
pub const BACKUP_BYTES_DEFAULT: u64 = 256 * 1024 * 1024;
/// How long the parts of a backup wait for the rest, in days.
pub const BACKUP_UNFINISHED_DAYS: u32 = 7;
/// The largest report, encoded, in bytes.
pub const REPORT_BYTES_MAX: usize = 64 * 1024;
/// Messages that one report shows.
pub const REPORT_MESSAGES_MAX: usize = 100;
/// Reports that one account may make a day.
pub const REPORTS_A_DAY: u32 = 20;
/// Names that one anonymous connection may ask for a day.
pub const FINDS_A_CONNECTION: u32 = 30;
/// How often one account is found by its name a day.
pub const FINDS_A_DAY: u32 = 200;
/// Envelopes from people who found an account by its name, for all its devices a day.
pub const FOUND_ENVELOPES_A_DAY: u32 = 400;
