//! Calls into the cryptography that may panic.
//!
//! libcrux-kem 0.0.9 indexes out of bounds when it encapsulates to an X-Wing public key that is too short (reported and
//! mended upstream, not yet in a release that openmls can use). Keys in a tree come from other members, so one of them
//! could stop everybody's client. Keys are measured where they come in; where they cannot be seen, a panic is turned
//! into an error here. What was being changed in memory is then to be dropped, as after any error.

use crate::error::MlsError;
use openmls::prelude::LeafNode;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tls_codec::Size;

/// Length of an X-Wing public key, in bytes.
pub(crate) const PUBLIC_KEY_BYTES: usize = 1_216;

/// Runs a call and turns its panic into [`MlsError::Panicked`]. It does nothing in a build that aborts on panic.
pub(crate) fn guarded<T>(doing: &'static str, call: impl FnOnce() -> T) -> Result<T, MlsError> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| MlsError::Panicked { doing })
}

/// Whether an HPKE key in a leaf has the length of X-Wing's. openmls shows only its TLS encoding, which has two more.
pub(crate) fn is_usable(leaf: &LeafNode) -> bool {
    leaf.encryption_key().tls_serialized_len() == PUBLIC_KEY_BYTES + 2
}
