//! Seeded worlds: the regression seeds, some others, and the planted defects, each of which must be caught. They are the
//! worlds of `cargo xtask soak`, by the same plan.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aside_simulator::{Plan, PlantedDefect, World, run};

/// Seeds that once broke a promise, with the version of the plan under which they did, and what it was.
const REGRESSIONS: [(u64, u32, &str); 12] = [
    (3, 1, "both founded at once: order is per log"),
    (155, 1, "a device without KeyPackages yet made the contact fail for good"),
    (1296, 1, "where both founded at once, what an ended epoch gave back waited for a log that nobody woke"),
    (1644, 1, "a token used before its server knew it made a group leave somebody out"),
    (7, 2, "a message that expired on its way failed instead of being encrypted again"),
    (11, 2, "a leaver whose keys were due for renewal never said that they left"),
    (14, 2, "who was removed and added again while away lost the Welcome, and never came back"),
    (18, 2, "an admin who was away for a month never heard that somebody had left"),
    (20, 2, "who came back into a group saw others, who had left before, as leaving for ever"),
    (23, 2, "a friend's token that their server did not know yet was given up after two minutes"),
    (423, 2, "a message that was edited and deleted was shown as edited to some"),
    (147, 2, "where the day's channel tokens were drawn, more were asked for in a tight circle"),
];

/// Seeds that once broke a promise in worlds whose devices lose group state, under plan 2, and what it was.
const DAMAGED: [(u64, &str); 26] = [
    (1, "of a conversation with two logs only one was healed"),
    (12, "a message was taken back in a group that its author had left, and waited for ever"),
    (14, "two who founded their conversation anew at once gave each other's channel up"),
    (22, "what stood behind a leaf's replacement in a channel that was given up was never asked for"),
    (24, "an admin who could not read it never heard that somebody had left"),
    (27, "somebody who was leaving was not healed, and never left"),
    (30, "somebody who was leaving did not follow into a new channel, and never left"),
    (31, "state that was lost while a channel was being made was not noticed"),
    (34, "a group whose every member had lost its state, or left, was never founded anew"),
    (45, "a Welcome from before the end of a membership was taken for a new one"),
    (47, "a Welcome that came after the conversation was founded anew opened the old channel again"),
    (51, "who was removed while it could not read asked for ever"),
    (53, "who was left alone in a group that it had lost the state of waited for others for ever"),
    (131, "who was removed while it could not read was not told that it missed what was said until then"),
    (138, "what nobody could give was not said to be gone, for others lacked it, too"),
    (173, "whom a commit had added whose author lost the group before the acknowledgement never got in"),
    (
        203,
        "who was added by somebody who lost the group at once, and founded it anew, was owed what was said until then",
    ),
    (206, "who had left and was added again while somebody could not read it was seen as leaving for ever"),
    (326, "who came back into a group saw others, who had been on the way in before, as being added for ever"),
    (346, "of two edits in two logs the one that came last counted"),
    (438, "what a member had said was given up before they could be asked"),
    (486, "who was left alone in a group, and lost it, waited for somebody whom it had removed"),
    (509, "founding anew that came to nothing without a network was not tried again before the next day"),
    (515, "who had asked for a fresh leaf and was removed was brought back in by an answer that came late"),
    (536, "what somebody had said who left was not taken from them any more"),
    (698, "whoever does not know an author's server never got what they had said"),
];

/// Seeds that once broke a promise in worlds whose people link devices and take them out, under plan 2, and what it was.
const DEVICES: [(u64, &str); 25] = [
    (3, "a new device was told of a group that its person had left, and waited to be added for ever"),
    (5, "a Welcome of somebody whom one's own devices had not named yet was forgotten"),
    (11, "a token that a revoked device had told outlived it, and its account could not be reached"),
    (13, "letters between one's own devices went by a token that a revocation had ended"),
    (18, "a Welcome after a revocation was not believed, for the leaf bore the certificate before"),
    (22, "a profile that was linked a second time never got into its devices' log"),
    (24, "who was added by a device that was taken out meanwhile never heard of it"),
    (25, "of a conversation with two logs a new device was put into one only"),
    (27, "a log with nobody of a person but a revoked device was written to on"),
    (36, "a device that was out of one of two logs asked for the other in a tight circle"),
    (38, "a conversation that was begun before the own devices were known lacked them"),
    (39, "a revoked device's Welcome made a conversation with oneself"),
    (49, "two devices founded a log of the own devices each"),
    (75, "who gave a log up for another one did not read what others went on saying there"),
    (78, "a log was given up though the other person's devices had been put into it again"),
    (30, "who was added by a revoked device refused its Welcome and never heard that they were in"),
    (33, "one KeyPackage was used for two logs, and the second Welcome could not be opened"),
    (37, "a device that had not been told everything founded a second log of the own devices"),
    (45, "a message of a revoked device that nobody else of its account has is gone, and was asked for for ever"),
    (53, "an addition whose answer was lost was refused after a new key set, and the device stood without keys"),
    (80, "having read up to one's own queued words read everything that came later"),
    (92, "a device was added by one that had less of the history than was promised"),
    (166, "an edit in the other one of two logs was not learnt from a history"),
    (179, "a device that was about to be added to a group that ended did not get what was said there"),
    (37, "who came in behind a revocation did not know who was lost there, and nobody else could reach them"),
];

/// Seeds that once broke a promise in worlds with somebody of ill will, under plan 2, and what it was.
const HOSTILE: [(u64, &str); 4] = [
    (17, "who had asked for a fresh leaf and was removed from the next channel was brought back by a late answer"),
    (45, "a rival channel that was not followed was told as a conversation that could not be joined"),
    (75, "an heir who had begun to leave took somebody else for the heir, and the group was never founded anew"),
    (79, "an admin and the heir founded a group anew at the same time, and each stayed in their own"),
];

/// Seeds that once broke a promise in worlds of all kinds, under plan 2, and what it was.
const MIXED: [(u64, &str); 54] = [
    (2068, "whoever had forgotten that they were in a group again was to have had what was said there"),
    (1839, "a Welcome that waited as a request was never followed once a sister put the device into another log"),
    (
        1116,
        "what an older copy had forgotten before anybody else had it was owed to a device that was linked before that",
    ),
    (1363, "what stood in a log that both people had forgotten was owed by a device that was linked later"),
    (1470, "who had lost a group before somebody else came in founded it anew alone when the one they knew had left"),
    (1722, "who had left a log that its only admin had forgotten was expected to be taken out of it"),
    (2044, "whoever was in a log that its only admin had forgotten was expected to see somebody taken out of it"),
    (319, "who heard of a group from a sister before its Welcome came never entered it"),
    (386, "whom an older copy had added again just before was not told, and then given what was not theirs"),
    (830, "who could not enter a group was never asked when a stranger added them to the one that came after"),
    (149, "a KeyPackage expired while the group's server was down, and nobody fetched another"),
    (61, "a reaction of before a device had entered was given up by the word of one that was not in yet"),
    (72, "letters to a contact's device were refused for ever, whose newer token neither side knew"),
    (235, "a device that alone stands of its account was not told since when it may have lacked what was said"),
    (302, "a request for a fresh leaf that nobody could answer was looked at so often that nothing came to rest"),
    (462, "whom an older copy had let in got no Welcome, and nobody else put them in"),
    (561, "two who were both set back founded their conversation anew, and one had no keys for the other's"),
    (478, "a device whose Welcome by a revoked sister was refused lacked what was said while nobody knew since when"),
    (710, "what came late to a place above what was read counted as read on one device only"),
    (167, "a link ended while the letter that it was for waited, and nobody heard of it"),
    (225, "a conversation was begun by a link that had ended when its letter went out"),
    (492, "whoever had been added later bore witness that nothing had been said before"),
    (711, "a message expired whose author had left, and only somebody who came later was asked for it"),
    (270, "whoever was away for longer than their KeyPackages last could never be added again"),
    (412, "a single expired KeyPackage of one device kept its whole account out of a group"),
    (134, "an older copy came back without its triggers, and told its other devices nothing any more"),
    (172, "whoever was set back could not open a Welcome for keys made since, and the log stayed closed to them"),
    (260, "of two logs the one whose Welcome an older copy could not open was never read"),
    (289, "a group that an older copy could not join was told to all its devices as one that nobody could join"),
    (394, "a device that was linked later answered that nothing had been said before it was there"),
    (223, "an older copy fetched a commit of its own in a circle until it had a fresh leaf"),
    (84, "of a channel that was given up only a device that its account had revoked since was asked"),
    (255, "whoever had forgotten one of two logs was to have put further devices into it"),
    (12, "contacts never heard of a revocation by a device that did not know them, and wrote on to the revoked one"),
    (
        124,
        "who was put into a group's next channel before it was ever in the group refused the Welcome, and waited for another",
    ),
    (237, "of a conversation with several logs the members of whichever moved last were shown"),
    (281, "a device that did not know the channel before kept to another one that all others had given up"),
    (326, "who was let in by a commit that all others refused waited for one of these to found the group anew"),
    (399, "who entered a log beside the current one did not say so before something else moved"),
    (562, "a contact who had nothing to write never heard of a revocation by a device that did not know them"),
    (
        534,
        "only a revoked device of somebody was in a group, and that was looked at before anybody there had heard of it",
    ),
    (585, "a device waited for ever for the keys that the one that had let it in forgot to have sent"),
    (570, "an edit in one of two logs hid a later one in the other from who was given that by letter"),
    (720, "whoever had no letter to send never heard that the device they wrote to was revoked"),
    (154, "a device that was put into a group that its person was leaving was owed what was said after that"),
    (325, "a device that was still being linked forgot to tell of one that it linked itself"),
    (80, "who was let in together with another one did not know that this one was lost once their adder was revoked"),
    (406, "who was led out of a group by ill will, and those with them, were held to what the others did without them"),
    (1677, "who was let in by a commit that an admin had refused waited for that admin, who never knew of them"),
    (1900, "an admin who had lost a group waited for the request of somebody whose only device there was revoked"),
    (1721, "whose server was down founded a conversation anew every few seconds, thousands of times"),
    (1962, "everybody had lost a group whose admin had left, and whom they had made one never heard of that"),
    (
        1102,
        "a commit of one's own that was pending in a channel that was given up kept its log from being read, again and again",
    ),
    (
        1841,
        "keys of devices that were lost before they published any were asked for again and again, against the server's word",
    ),
];

/// Worlds with somebody of ill will, with older copies, and of all kinds, beside those.
const HOSTILE_WORLDS: [u64; 6] = [2, 3, 4, 5, 12, 14];
const RESTORED_WORLDS: [u64; 6] = [1, 2, 3, 4, 5, 22];
const MIXED_WORLDS: [u64; 4] = [1, 2, 3, 4];

/// Worlds with several devices an account, beside those.
const DEVICE_WORLDS: [u64; 6] = [1, 2, 4, 6, 7, 9];

/// Worlds beside those: what two cores live through in well under a minute.
const WORLDS: u64 = 60;

fn live(seeds: impl Iterator<Item = u64>) -> Vec<String> {
    seeds.filter_map(|seed| run(seed, None).err()).map(|broken| broken.to_string()).collect()
}

fn broken(seed: u64, plan: &Plan) -> Option<String> {
    World::new(seed, plan).run().err().map(|broken| broken.to_string())
}

fn with_devices(seed: u64) -> Option<String> {
    broken(seed, &Plan::of(seed, None).with_devices(seed))
}

#[test]
fn worlds_that_once_broke_keep_their_promises() {
    for (seed, version, why) in REGRESSIONS {
        assert_eq!(live([seed].into_iter()), Vec::<String>::new(), "{why} (plan {version})");
    }
}

#[test]
fn damaged_worlds_that_once_broke_keep_their_promises() {
    for (seed, why) in DAMAGED {
        assert_eq!(broken(seed, &Plan::of(seed, None).with_damage()), None, "{why}");
    }
}

#[test]
fn worlds_with_several_devices_that_once_broke_keep_their_promises() {
    for (seed, why) in DEVICES {
        assert_eq!(with_devices(seed), None, "{why}");
    }
}

#[test]
fn hostile_worlds_that_once_broke_keep_their_promises() {
    for (seed, why) in HOSTILE {
        assert_eq!(broken(seed, &Plan::of(seed, None).with_hostile(seed)), None, "{why}");
    }
}

#[test]
fn mixed_worlds_that_once_broke_keep_their_promises() {
    for (seed, why) in MIXED {
        assert_eq!(broken(seed, &Plan::mixed(seed, None)), None, "{why}");
    }
}

#[test]
fn worlds_with_somebody_of_ill_will_keep_their_promises() {
    for seed in HOSTILE_WORLDS {
        assert_eq!(broken(seed, &Plan::of(seed, None).with_hostile(seed)), None);
    }
}

#[test]
fn worlds_with_older_copies_keep_their_promises() {
    for seed in RESTORED_WORLDS {
        assert_eq!(broken(seed, &Plan::of(seed, None).with_restored()), None);
    }
}

#[test]
fn worlds_of_all_kinds_keep_their_promises() {
    for seed in MIXED_WORLDS {
        assert_eq!(broken(seed, &Plan::mixed(seed, None)), None);
    }
}

#[test]
fn worlds_with_several_devices_keep_their_promises() {
    for seed in DEVICE_WORLDS {
        assert_eq!(with_devices(seed), None);
    }
}

#[test]
fn worlds_with_even_seeds_keep_their_promises() {
    assert_eq!(live((1..=WORLDS / 2).map(|seed| 2 * seed)), Vec::<String>::new());
}

#[test]
fn worlds_with_odd_seeds_keep_their_promises() {
    assert_eq!(live((1..=WORLDS / 2).map(|seed| 2 * seed - 1)), Vec::<String>::new());
}

/// Lives through worlds until one breaks.
fn catches(defect: PlantedDefect) -> bool {
    (1..=100).any(|seed| run(seed, Some(defect)).is_err())
}

#[test]
fn a_cursor_outside_the_transaction_is_caught() {
    assert!(catches(PlantedDefect::CursorOutsideTransaction));
}

#[test]
fn an_acknowledgement_before_the_sync_is_caught() {
    assert!(catches(PlantedDefect::AcknowledgementBeforeSync));
}

#[test]
fn a_retry_that_re_encrypts_is_caught() {
    assert!(catches(PlantedDefect::RetryReEncrypts));
}

#[test]
fn missing_deduplication_is_caught() {
    assert!(catches(PlantedDefect::DedupeOff));
}

#[test]
fn a_missing_compare_and_swap_is_caught() {
    assert!(catches(PlantedDefect::CompareAndSwapOff));
}

#[test]
fn a_lost_race_that_is_forgotten_is_caught() {
    assert!(catches(PlantedDefect::LostRaceForgotten));
}

#[test]
fn a_welcome_before_the_acknowledgement_is_caught() {
    assert!(catches(PlantedDefect::WelcomeBeforeAcknowledgement));
}

#[test]
fn a_welcome_at_the_wrong_place_is_caught() {
    assert!(catches(PlantedDefect::WelcomeAtWrongPlace));
}
