//! Claims about ephemerals.

use super::world::*;
use crate::*;

fn seal(device: &Device, group: &Group, text: &str, nonce: u64) -> Vec<u8> {
    let mut bytes = [0; 12];
    bytes[..8].copy_from_slice(&nonce.to_be_bytes());
    group.seal_ephemeral(&device.session(), &device.signer, &CHANNEL, text.as_bytes(), bytes).unwrap()
}

#[test]
fn an_ephemeral_opens_and_names_its_sender() {
    let ([alice, bob], [a, b]) = two();
    let body = seal(&alice, &a, "typing", 1);
    let (sender, plaintext) = b.open_ephemeral(&bob.session(), &CHANNEL, &body).unwrap();
    assert_eq!((sender.credential, plaintext.as_slice()), (alice.credential, &b"typing"[..]));
}

#[test]
fn a_thousand_lost_ephemerals_leave_the_ratchet_alone() {
    let ([alice, bob], [mut a, mut b]) = two();
    let rows = |device: &Device| -> Vec<Vec<u8>> {
        let mut statement = device.connection.prepare("SELECT group_data FROM openmls_group_data").unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let before = rows(&alice);
    for nonce in 0..1_000 {
        seal(&alice, &a, "typing", nonce);
    }
    assert_eq!(rows(&alice), before);
    let message = alice.encrypt(&mut a, "message");
    assert_eq!(bob.read(&mut b, &message), "message");
}

#[test]
fn an_altered_ephemeral_is_refused() {
    let ([alice, bob], [a, b]) = two();
    let mut body = seal(&alice, &a, "typing", 1);
    let other = aside_protocol::id::ChannelId([1; 32]);
    assert!(matches!(b.open_ephemeral(&bob.session(), &other, &body), Err(SealedError::InvalidTag)));
    *body.last_mut().unwrap() ^= 1;
    assert!(matches!(b.open_ephemeral(&bob.session(), &CHANNEL, &body), Err(SealedError::InvalidTag)));
}

#[test]
fn a_member_cannot_speak_for_another() {
    let ([alice, bob, carol], [a, _b, c]) = three();
    let body = a.seal_ephemeral(&alice.session(), &bob.signer, &CHANNEL, b"typing", [1; 12]).unwrap();
    let opened = c.open_ephemeral(&carol.session(), &CHANNEL, &body);
    assert!(matches!(opened, Err(SealedError::BadLeafSignature { leaf: 0 })));
}
