//! Blocks that real geth executed: equal lists, in order.

use crate::{support::shared_data, vectors::Vector};
use std::fs;

#[test]
fn lists_are_those_of_geth() {
    let Some(folder) = shared_data::folder("read-order") else { return };
    let text = fs::read_to_string(folder.join("vectors.jsonl")).expect("vectors");
    let mut cases = 0;
    for line in text.lines() {
        let vector: Vector = serde_json::from_str(line).expect("a vector");
        if let Err(difference) = vector.check() {
            panic!("case {}: {difference}", vector.seed);
        }
        cases += 1;
    }
    assert!(cases > 0);
}
