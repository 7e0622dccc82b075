//! Replays differential vectors and compares the read lists with real geth's.
//!
//! ```text
//! cargo run --release -p bsp-capture --example read_order -- vectors.jsonl
//! ```
//!
//! Prints how many cases are equal, and the first difference of each that is not. Exits with 1 if
//! any differs.

mod vectors;

use eyre::{Context, ContextCompat};
use std::{
    fs::File,
    io::{BufRead, BufReader},
    process::ExitCode,
};

fn main() -> eyre::Result<ExitCode> {
    let path = std::env::args_os().nth(1).context("usage: read_order VECTORS.jsonl")?;
    let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;

    let (mut cases, mut equal) = (0_usize, 0_usize);
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let vector: vectors::Vector = serde_json::from_str(&line?)
            .with_context(|| format!("line {} is not a vector", number + 1))?;
        cases += 1;
        match vector.check() {
            Ok(()) => equal += 1,
            Err(difference) => println!("{}: {difference}", vector.seed),
        }
    }
    println!("{equal} of {cases} equal");
    Ok(if equal == cases { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
