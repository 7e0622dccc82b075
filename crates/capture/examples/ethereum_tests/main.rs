//! Runs official Ethereum tests: captures their blocks, and verifies the replicas on nothing but
//! themselves.
//!
//! ```text
//! ETHEREUM_TESTS=tests/BlockchainTests cargo run --release -p bsp-capture --example ethereum_tests
//! ```
//!
//! The folder is one of <https://github.com/ethereum/tests>, or any below it. Prints the tests
//! whose outcome is not their header's or whose replica fails its verification, then how many there
//! were. Exits with 1 if there was any but those of EIP-7610, which revm does not follow.

mod cases;

use bsp_capture::{Outcome, VerifyOptions, verify};
use cases::{File, Trouble, is_of_eip_7610, spec};
use eyre::{Context, ContextCompat};
use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

#[derive(Debug, Default)]
struct Counts {
    good: usize,
    eip_7610: usize,
    passed_over: usize,
    bad: usize,
}

fn main() -> eyre::Result<ExitCode> {
    let folder = std::env::var_os("ETHEREUM_TESTS")
        .context("set ETHEREUM_TESTS to a folder of https://github.com/ethereum/tests")?;
    let mut counts = Counts::default();
    let mut waiting = vec![PathBuf::from(folder)];
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path).wrap_err_with(|| path.display().to_string())? {
                waiting.push(entry?.path());
            }
        } else if path.extension().is_some_and(|extension| extension == "json") {
            run_file(&path, &mut counts)?;
        }
    }
    let Counts { good, eip_7610, passed_over, bad } = counts;
    println!(
        "{good} tests good, {eip_7610} of EIP-7610 refused, {passed_over} passed over (invalid blocks, rules before London \
         or unknown), {bad} bad"
    );
    Ok(if bad == 0 && good > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run_file(path: &Path, counts: &mut Counts) -> eyre::Result<()> {
    let text = fs::read(path).wrap_err_with(|| path.display().to_string())?;
    // Folders hold other things as well, such as lists of what was filled.
    let Ok(file) = serde_json::from_slice::<File>(&text) else { return Ok(()) };
    for (name, case) in file {
        let spec = spec(&case.network);
        let bad = match case.replicas() {
            Ok(replicas) => {
                let options = VerifyOptions { spec: spec.as_ref(), ..Default::default() };
                let failed = |verdict: &bsp_capture::Verdict| verdict.outcome() == Outcome::Failed;
                let verdicts = replicas.iter().map(|replica| verify(replica, options));
                verdicts.filter(failed).map(|verdict| format!("{verdict:?}")).next()
            }
            Err(Trouble::Network | Trouble::InvalidBlock) => {
                counts.passed_over += 1;
                continue;
            }
            Err(Trouble::Check(_)) if is_of_eip_7610(&name) => {
                counts.eip_7610 += 1;
                continue;
            }
            Err(Trouble::Check(error) | Trouble::Other(error)) => Some(error),
        };
        match bad {
            None => counts.good += 1,
            Some(error) => {
                counts.bad += 1;
                println!("{}: {name}: {error}", path.display());
            }
        }
    }
    Ok(())
}
