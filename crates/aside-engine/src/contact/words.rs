//! What a person is told about somebody's keys, in words that need no knowledge of keys.

use aside_protocol::address::{AccountAddress, AccountName};
use aside_protocol::identity::MemberCredential;

/// The chain goes on by the root key's word.
pub(super) fn devices_changed(name: &AccountName) -> String {
    format!("{name}'s devices changed.")
}

/// Another device, by the same account key.
pub(super) fn new_device(name: &AccountName) -> String {
    format!("{name} uses another device now.")
}

/// The root key took back what had been loud.
pub(super) fn root_decided(name: &AccountName) -> String {
    format!("{name} put their devices in order with their recovery words. An earlier change is void.")
}

/// The chain goes on without the root key.
pub(super) fn loud(name: &AccountName) -> String {
    format!(
        "{name}'s account was changed without {name}'s recovery words. Nothing is sent to {name} until you have looked."
    )
}

/// Two chains, and the root key has not decided between them.
pub(super) fn two_chains(name: &AccountName) -> String {
    format!("Two devices each claim to speak for {name}'s account. Nothing is sent to {name} until you have looked.")
}

/// The notice that stands until somebody has looked.
pub(crate) fn look(name: &str) -> String {
    format!(
        "{name}'s account was changed without {name}'s recovery words. {name} may have removed a device without typing \
         them; or somebody got hold of one of {name}'s devices and now acts as {name}. Ask {name} in person or by \
         phone whether they changed their devices. Nothing is sent here until you say that it is all right."
    )
}

/// Another root key under a known address.
pub(super) fn other_root(address: &AccountAddress) -> String {
    format!("Somebody with entirely other keys writes as {address}. Nothing of it was taken.")
}

/// The notice that stands until somebody has decided about another root key.
pub(crate) fn other_keys(name: &str, address: &AccountAddress) -> String {
    format!(
        "Somebody uses {name}'s address, {address}, with entirely other keys. If {name} lost everything and made a new \
         account, this may be {name}; it may also be the server or somebody else who pretends to be {name}. Nothing of \
         it was taken. Best ask {name} for a new link, in person or by phone, and add them with it. If you accept the \
         new keys here, {name} counts as not compared from then on."
    )
}

/// Another root key under a contact's address, in a group.
pub(super) fn other_root_in_group(credential: &MemberCredential) -> String {
    format!(
        "Somebody in this group uses {}'s address with other keys than your contact {} has. It may be somebody else.",
        credential.address, credential.address.name
    )
}

/// Beside a contact whose keys only their server vouches for.
pub(crate) fn by_name(name: &str) -> String {
    format!(
        "Only the server says that these are {name}'s keys. To be sure that nobody stands between you, compare the \
         safety number with {name}, or scan it."
    )
}
