//! Claims about roles: what members refuse from each other.

use super::world::*;
use crate::*;
use aside_protocol::id::DeviceId;
use openmls::group::{CommitBuilder, Initial};
use openmls::prelude::LeafNodeIndex;
use openmls_traits::OpenMlsProvider;

/// A commit that its author's own checks would have refused.
pub fn commit_unchecked<F>(device: &Device, group: &mut Group, draft: F) -> Vec<u8>
where
    F: for<'a> FnOnce(CommitBuilder<'a, Initial>) -> CommitBuilder<'a, Initial>,
{
    let session = device.session();
    let bundle = draft(group.mls.commit_builder())
        .load_psks(session.provider.storage())
        .unwrap()
        .build(session.provider.rand(), session.provider.crypto(), &device.signer, |_| true)
        .unwrap()
        .stage_commit(&session.provider)
        .unwrap();
    tls_codec::Serialize::tls_serialize_detached(&bundle.into_commit()).unwrap()
}

fn refused(device: &Device, group: &mut Group, commit: &[u8]) -> (Member, Forbidden) {
    match device.stage(group, commit).unwrap_err() {
        ProcessError::RoleForbids { author, what } => (*author, what),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_member_may_not_add_another_account_and_is_named() {
    let ([alice, bob, _carol], [mut a, mut b, _c]) = three();
    let package = Person::new("dave").device(1).checked();
    let own = b.add(&bob.session(), &bob.signer, std::slice::from_ref(&package));
    assert!(matches!(own, Err(MlsError::RoleForbids(Forbidden::AddOtherAccount))));
    let commit = commit_unchecked(&bob, &mut b, |builder| builder.propose_adds([package.key_package]));
    let (author, what) = refused(&alice, &mut a, &commit);
    assert_eq!((author, what), (Member { leaf: 1, credential: bob.credential }, Forbidden::AddOtherAccount));
}

#[test]
fn a_member_may_not_remove_another_account() {
    let ([alice, bob, carol], [mut a, mut b, mut c]) = three();
    let own = b.remove(&bob.session(), &bob.signer, &[2]);
    assert!(matches!(own, Err(MlsError::RoleForbids(Forbidden::RemoveOtherAccount))));
    let commit = commit_unchecked(&bob, &mut b, |builder| builder.propose_removals([LeafNodeIndex::new(2)]));
    assert_eq!(refused(&alice, &mut a, &commit).1, Forbidden::RemoveOtherAccount);
    assert_eq!(refused(&carol, &mut c, &commit).1, Forbidden::RemoveOtherAccount);
}

#[test]
fn a_member_may_not_make_itself_admin() {
    let ([alice, bob, _carol], [mut a, mut b, _c]) = three();
    let coup = metadata("mine", &[&bob]);
    let own = b.set_metadata(&bob.session(), &bob.signer, &coup);
    assert!(matches!(own, Err(MlsError::RoleForbids(Forbidden::ChangeMetadata))));
    let mut extensions = b.mls.extensions().clone();
    extensions.add_or_replace(coup.to_extension().unwrap()).unwrap();
    let commit =
        commit_unchecked(&bob, &mut b, |builder| builder.propose_group_context_extensions(extensions).unwrap());
    let (author, what) = refused(&alice, &mut a, &commit);
    assert_eq!((author.leaf, what), (1, Forbidden::ChangeMetadata));
}

#[test]
fn an_admin_changes_the_title_and_hands_over() {
    let ([alice, bob, carol], [mut a, mut b, mut c]) = three();
    let after = metadata("Bob's", &[&bob]);
    let commit = a.set_metadata(&alice.session(), &alice.signer, &after).unwrap();
    a.merge_pending(&alice.session()).unwrap();
    let staged = bob.stage(&mut b, &commit).unwrap();
    assert_eq!(staged.metadata_after.as_deref(), Some(&after));
    b.merge_staged(&bob.session(), staged).unwrap();
    carol.follow(&mut c, &commit);
    assert_eq!(c.metadata().unwrap(), after);
    let removal = b.remove(&bob.session(), &bob.signer, &[0]).unwrap();
    carol.follow(&mut c, &removal);
    assert!(alice.stage(&mut a, &removal).unwrap().self_removed);
}

#[test]
fn any_member_updates_itself_and_adds_and_removes_its_own_devices() {
    let ([alice, bob, carol], [mut a, mut b, mut c]) = three();
    let update = b.self_update(&bob.session(), &bob.signer, &bob.credential).unwrap();
    b.merge_pending(&bob.session()).unwrap();
    alice.follow(&mut a, &update);
    carol.follow(&mut c, &update);
    let phone = Person::new("bob").device(2);
    let add = bob.add(&mut b, &[&phone]);
    b.merge_pending(&bob.session()).unwrap();
    alice.follow(&mut a, &add.commit);
    carol.follow(&mut c, &add.commit);
    let mut p = phone.join(&add);
    let removal = p.remove(&phone.session(), &phone.signer, &[1]).unwrap();
    alice.follow(&mut a, &removal);
    carol.follow(&mut c, &removal);
    assert!(bob.stage(&mut b, &removal).unwrap().self_removed);
}

#[test]
fn any_member_removes_a_leaf_that_its_own_account_revokes() {
    let mut person = Person::new("bob");
    let stolen = person.device(2);
    let package = stolen.checked();
    let [alice, bob, carol] = [Person::new("alice").device(1), person.device(1), Person::new("carol").device(1)];
    let mut a = alice.found(&[&alice]);
    let packages = [bob.checked(), carol.checked(), package];
    let add = a.add(&alice.session(), &alice.signer, &packages).unwrap();
    a.merge_pending(&alice.session()).unwrap();
    let (mut b, mut c) = (bob.join(&add), carol.join(&add));
    let too_soon = c.remove(&carol.session(), &carol.signer, &[3]);
    assert!(matches!(too_soon, Err(MlsError::RoleForbids(Forbidden::RemoveOtherAccount))));
    person.rotate(vec![DeviceId([2; 16])]);
    let update = b.self_update(&bob.session(), &bob.signer, &person.credential(1)).unwrap();
    alice.follow(&mut a, &update);
    carol.follow(&mut c, &update);
    let removal = c.remove(&carol.session(), &carol.signer, &[3]).unwrap();
    let staged = alice.stage(&mut a, &removal).unwrap();
    assert_eq!(staged.removed, [Member { leaf: 3, credential: stolen.credential.clone() }]);
}

#[test]
fn a_revoked_device_commits_nothing_more() {
    let mut person = Person::new("bob");
    let [alice, bob, stolen] = [Person::new("alice").device(1), person.device(1), person.device(2)];
    let [mut a, mut b, mut s]: [Group; 3] = group_of(&[&alice, &bob, &stolen], 1).try_into().unwrap();
    person.rotate(vec![DeviceId([2; 16])]);
    let update = b.self_update(&bob.session(), &bob.signer, &person.credential(1)).unwrap();
    alice.follow(&mut a, &update);
    stolen.follow(&mut s, &update);
    let own = s.remove(&stolen.session(), &stolen.signer, &[1]);
    assert!(matches!(own, Err(MlsError::Credential(_))), "{own:?}");
    let removal = commit_unchecked(&stolen, &mut s, |builder| builder.propose_removals([LeafNodeIndex::new(1)]));
    let error = alice.stage(&mut a, &removal).unwrap_err();
    let revoked = aside_protocol::identity::CredentialError::Revoked { by: 1 };
    assert_eq!(error.credential_error(), Some(&revoked));
}

#[test]
fn nobody_leaves_a_group_without_an_admin() {
    let ([alice, bob, carol], [mut a, mut b, mut c]) = three();
    let to_nobody = metadata("", &[&Person::new("dave").device(1)]);
    let own = a.set_metadata(&alice.session(), &alice.signer, &to_nobody);
    assert!(matches!(own, Err(MlsError::RoleForbids(Forbidden::LeaveNoAdmin))), "{own:?}");
    let extensions = a.extensions_with(&to_nobody).unwrap();
    let commit =
        commit_unchecked(&alice, &mut a, |builder| builder.propose_group_context_extensions(extensions).unwrap());
    assert_eq!(refused(&bob, &mut b, &commit).1, Forbidden::LeaveNoAdmin);
    assert_eq!(refused(&carol, &mut c, &commit).1, Forbidden::LeaveNoAdmin);
    a.clear_pending(&alice.session()).unwrap();
    let to_bob = a.set_metadata(&alice.session(), &alice.signer, &metadata("", &[&bob])).unwrap();
    assert!(bob.stage(&mut bob.load(), &to_bob).is_ok());
}

#[test]
fn metadata_outside_its_limits_is_refused() {
    let alice = Person::new("alice").device(1);
    let fault = |metadata: &Metadata| metadata.check().unwrap_err();
    assert_eq!(fault(&metadata("", &[])), MetadataError::NoAdmin);
    assert_eq!(fault(&metadata("", &[&alice, &alice])), MetadataError::DuplicateAdmin);
    let long = "ß".repeat(TITLE_CHARS_MAX + 1);
    assert_eq!(fault(&metadata(&long, &[&alice])), MetadataError::TitleTooLong { chars: TITLE_CHARS_MAX + 1 });
    assert_eq!(metadata(&"ß".repeat(TITLE_CHARS_MAX), &[&alice]).check(), Ok(()));
    let many = (0..=ADMINS_MAX).map(|i| format!("a{i}@h").parse().unwrap()).collect();
    let many = Metadata { title: String::new(), admins: many, picture: None };
    assert_eq!(fault(&many), MetadataError::TooManyAdmins(ADMINS_MAX + 1));
    assert!(alice.session().create_group(&alice.signer, &alice.credential, GROUP, &many).is_err());
}

#[test]
fn a_commit_may_not_drop_the_metadata_or_bring_in_other_extensions() {
    let ([alice, bob], [mut a, mut b]) = two();
    let commit = commit_unchecked(&alice, &mut a, |builder| {
        builder.propose_group_context_extensions(openmls::prelude::Extensions::empty()).unwrap()
    });
    match bob.stage(&mut b, &commit).unwrap_err() {
        ProcessError::Metadata { author, fault } => assert_eq!((author.leaf, fault), (0, MetadataError::Missing)),
        other => panic!("{other:?}"),
    }
    a.clear_pending(&alice.session()).unwrap();
    let sender = openmls::prelude::ExternalSender::new(
        alice.signer.public_key().0.to_vec().into(),
        openmls::prelude::BasicCredential::new(b"the server".to_vec()).into(),
    );
    let mut extensions = a.mls.extensions().clone();
    extensions.add(openmls::prelude::Extension::ExternalSenders(vec![sender])).unwrap();
    let commit =
        commit_unchecked(&alice, &mut a, |builder| builder.propose_group_context_extensions(extensions).unwrap());
    match bob.stage(&mut bob.load(), &commit).unwrap_err() {
        ProcessError::UnexpectedChange { author } => assert_eq!(author.leaf, 0),
        other => panic!("{other:?}"),
    }
}

#[test]
fn any_member_swaps_a_device_for_a_fresh_leaf_of_the_same_device_and_of_no_other() {
    let ([alice, bob, carol], [mut a, mut b, mut c]) = three();
    let other = Person::new("carol").device(2).checked();
    let wrong = b.swap(&bob.session(), &bob.signer, &[2], &[other]);
    assert!(matches!(wrong, Err(MlsError::RoleForbids(Forbidden::AddOtherAccount))));
    let fresh = carol.checked();
    let swap = b.swap(&bob.session(), &bob.signer, &[2], &[fresh]).unwrap();
    b.merge_pending(&bob.session()).unwrap();
    alice.follow(&mut a, &swap.commit);
    assert!(carol.stage(&mut c, &swap.commit).unwrap().self_removed);
    let mut again = carol.session().rejoin(&swap.welcome, &swap.ratchet_tree).unwrap();
    let words = bob.encrypt(&mut b, "welcome back");
    assert_eq!(carol.read(&mut again, &words), "welcome back");
    assert_eq!(alice.read(&mut a, &words), "welcome back");
}

#[test]
fn any_member_lets_a_device_take_the_place_of_those_that_its_chain_revokes() {
    let ([alice, bob, carol], [mut a, mut b, mut c]) = three();
    let mut person = Person::new("carol");
    person.rotate(vec![carol.credential.certificate.device]);
    let restored = person.device(2);
    let swap = b.swap(&bob.session(), &bob.signer, &[2], &[restored.checked()]).unwrap();
    b.merge_pending(&bob.session()).unwrap();
    alice.follow(&mut a, &swap.commit);
    assert!(carol.stage(&mut c, &swap.commit).unwrap().self_removed);
    let mut again = restored.session().join(&swap.welcome, &swap.ratchet_tree).unwrap();
    let words = bob.encrypt(&mut b, "welcome back");
    assert_eq!(restored.read(&mut again, &words), "welcome back");
}

#[test]
fn one_commit_adds_removes_renames_and_renews() {
    let ([alice, bob, carol], [mut a, mut b, mut c]) = three();
    let dave = Person::new("dave").device(1);
    let after = metadata("three of us", &[&alice, &bob]);
    let added = [dave.checked()];
    let draft = CommitDraft { added: &added, removed: &[2], metadata: Some(&after), own_leaf: Some(&alice.credential) };
    let pending = a.commit(&alice.session(), &alice.signer, &draft).unwrap();
    a.merge_pending(&alice.session()).unwrap();
    bob.follow(&mut b, &pending.commit);
    assert!(carol.stage(&mut c, &pending.commit).unwrap().self_removed);
    let newcomers = pending.newcomers.unwrap();
    let mut d = dave.session().join(&newcomers.welcome, &newcomers.ratchet_tree).unwrap();
    assert_eq!(d.metadata().unwrap(), after);
    let words = bob.encrypt(&mut b, "hi");
    assert_eq!(dave.read(&mut d, &words), "hi");
}

#[test]
fn a_picture_that_is_too_large_or_of_another_kind_is_refused() {
    let with = |bytes: Vec<u8>| Picture::new(bytes).unwrap_err();
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    assert_eq!(Picture::new(png.clone()).unwrap().check(), Ok(PictureType::Png));
    assert_eq!(Picture::new(b"RIFF....WEBPVP8 ".to_vec()).unwrap().check(), Ok(PictureType::Webp));
    assert_eq!(Picture::new(vec![0xff, 0xd8, 0xff, 0xe0]).unwrap().check(), Ok(PictureType::Jpeg));
    png.resize(PICTURE_BYTES_MAX + 1, 0);
    assert_eq!(with(png), MetadataError::PictureTooLarge { bytes: PICTURE_BYTES_MAX + 1 });
    assert_eq!(with(b"<svg onload='x'/>".to_vec()), MetadataError::NotAPicture);
    assert_eq!(with(b"GIF89a".to_vec()), MetadataError::NotAPicture);
}
