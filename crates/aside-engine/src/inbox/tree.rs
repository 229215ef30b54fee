//! A group's ratchet tree on its way to whoever was added: inside the letter while it is small, else as blobs, once for
//! all whom a commit added (DESIGN 4a rule 5; P-5.13).

use super::join;
use super::welcome::{self, WelcomeLetter};
use crate::Heart;
use crate::blob::{self, BlobReference, SealedBlob};
use crate::context::Context;
use crate::conversation::ConversationId;
use crate::error::EngineError;
use crate::job::{self, Job, JobId};
use crate::server;
use aside_protocol::identity::MemberCredential;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// The largest tree that stands in every letter, in bytes: that of about twenty members.
const INLINE_BYTES_MAX: usize = 32 * 1024;
/// Blobs of one tree. Far above what a group of the largest size needs.
const PARTS_MAX: usize = 8;

/// A ratchet tree, or where it is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Tree {
    #[n(0)]
    Inline(#[n(0)] ByteVec),
    /// On the adder's server, in this order.
    #[n(1)]
    Blobs(#[n(0)] Vec<BlobReference>),
}

/// A Welcome that is followed as soon as its tree is here.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) struct Arriving {
    #[n(0)]
    sender: MemberCredential,
    #[n(1)]
    letter: WelcomeLetter,
    #[n(2)]
    conversation: ConversationId,
    /// What has been fetched.
    #[n(3)]
    fetched: ByteVec,
    /// What has not.
    #[n(4)]
    pub missing: Vec<BlobReference>,
}

impl Tree {
    /// What stands in the letters, and the blobs that have to be stored before they go out.
    pub fn pack(context: &mut Context<'_>, tree: ByteVec) -> Result<(Self, Vec<SealedBlob>), EngineError> {
        if tree.len() <= INLINE_BYTES_MAX {
            return Ok((Tree::Inline(tree), Vec::new()));
        }
        let (references, blobs) = blob::seal(context, &tree)?.into_iter().unzip();
        Ok((Tree::Blobs(references), blobs))
    }
}

/// Begins to fetch a tree. `false`: the letter names more than a tree can be.
pub(super) fn fetch(
    context: &mut Context<'_>,
    sender: &MemberCredential,
    letter: &WelcomeLetter,
    conversation: ConversationId,
    missing: &[BlobReference],
) -> Result<bool, EngineError> {
    if missing.is_empty() || missing.len() > PARTS_MAX {
        return Ok(false);
    }
    let server = server::remember(context, &letter.adder_server)?;
    let (sender, letter, missing) = (sender.clone(), letter.clone(), missing.to_vec());
    let arriving = Arriving { sender, letter, conversation, fetched: Vec::new().into(), missing };
    job::add(context, server, &Job::FetchTree(Box::new(arriving)))?;
    Ok(true)
}

/// One part came. With the last one this device joins.
pub(crate) fn fetched(
    heart: &mut Heart,
    context: &mut Context<'_>,
    id: JobId,
    mut arriving: Arriving,
    sealed: &[u8],
) -> Result<(), EngineError> {
    let opened = arriving.missing.first().and_then(|reference| blob::open(reference, sealed));
    let Some(part) = opened else { return lost(context, id, &arriving) };
    arriving.fetched.extend_from_slice(&part);
    arriving.missing.remove(0);
    if !arriving.missing.is_empty() {
        return job::replace(context, id, &Job::FetchTree(Box::new(arriving)));
    }
    job::done(context, id)?;
    let Arriving { sender, mut letter, conversation, fetched, .. } = arriving;
    letter.tree = Tree::Inline(fetched);
    welcome::is_whole(heart, context, &sender, &letter, conversation)
}

/// The tree is not to be had: the group is not joined, and the person hears of it.
pub(crate) fn lost(context: &mut Context<'_>, id: JobId, arriving: &Arriving) -> Result<(), EngineError> {
    job::done(context, id)?;
    join::not_joined(context, &arriving.sender, arriving.conversation)
}
