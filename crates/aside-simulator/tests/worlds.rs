//! Seeded worlds: the regression seeds, two hundred others, and the planted defects, each of which must be caught.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use aside_simulator::{Plan, PlantedDefect, run};

/// Seeds that once broke a promise, with what it was.
const REGRESSIONS: [(u64, &str); 3] = [
    (3, "both founded at once: order is per log"),
    (155, "a device without KeyPackages yet made the contact fail for good"),
    (1644, "a token used before its server knew it made a group leave somebody out"),
];

fn plan(seed: u64, defect: Option<PlantedDefect>) -> Plan {
    let people = if seed.is_multiple_of(4) { 3 } else { 2 };
    Plan { people, defect, ..Plan::default() }
}

fn live(seeds: impl Iterator<Item = u64>, defect: Option<PlantedDefect>) -> Vec<String> {
    seeds.filter_map(|seed| run(seed, &plan(seed, defect)).err()).map(|broken| broken.to_string()).collect()
}

#[test]
fn worlds_that_once_broke_keep_their_promises() {
    for (seed, why) in REGRESSIONS {
        assert_eq!(live([seed].into_iter(), None), Vec::<String>::new(), "{why}");
    }
}

#[test]
fn the_first_hundred_worlds_keep_their_promises() {
    assert_eq!(live(1..=100, None), Vec::<String>::new());
}

#[test]
fn the_second_hundred_worlds_keep_their_promises() {
    assert_eq!(live(101..=200, None), Vec::<String>::new());
}

/// Lives through worlds until one breaks.
fn catches(defect: PlantedDefect) -> bool {
    (1..=150).any(|seed| run(seed, &plan(seed, Some(defect))).is_err())
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
