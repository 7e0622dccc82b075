//! Blocks that real geth executed: equal lists, in order.

use crate::{support::shared_data, vectors::Vector};
use std::{fs, path::Path};

fn vectors(file: &Path) -> Vec<Vector> {
    let text = fs::read_to_string(file).expect("vectors");
    let cases: Vec<_> =
        text.lines().map(|line| serde_json::from_str(line).expect("a vector")).collect();
    assert!(!cases.is_empty());
    cases
}

#[test]
fn lists_are_those_of_geth() {
    let Some(folder) = shared_data::folder("read-order") else { return };
    for vector in vectors(&folder.join("vectors.jsonl")) {
        if let Err(difference) = vector.check() {
            panic!("case {}: {difference}", vector.seed);
        }
    }
}

/// The cases 900001 and up are creations at an address that has storage but neither nonce nor code,
/// which geth refuses (EIP-7610) and revm does not: their outcome is not geth's. The others give a
/// precompile code of its own.
#[test]
fn lists_of_the_official_tests_are_those_of_geth() {
    const EIP_7610: std::ops::Range<u64> = 900_001..900_011;
    let Some(folder) = shared_data::folder("findings/inputs") else { return };
    let mut refused = 0;
    for vector in vectors(&folder.join("vectors-ethtests.jsonl")) {
        match (vector.check(), EIP_7610.contains(&vector.seed)) {
            (Ok(()), false) => {}
            // What `Capture::check` compares first, so such a block is never exported.
            (Err(difference), true) if difference.starts_with("gas used") => refused += 1,
            (result, _) => panic!("case {}: {result:?}", vector.seed),
        }
    }
    assert_eq!(refused, 10);
}
