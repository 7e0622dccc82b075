//! What a scenario leaves, and the table of all.

use crate::node::{audit::TargetReport, driver::Pace, scene::NodeScene};
use std::time::Duration;

/// What a scenario found.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Blocks that the node imported.
    pub imported: u64,
    /// How often another branch became canonical.
    pub switches: u64,
    /// The slowest import: how long the node's tip ever stood still for.
    pub slowest: Duration,
    /// How often the fault happened.
    pub faults: u64,
    /// What else there is to say.
    pub notes: Vec<String>,
    /// Each target.
    pub targets: Vec<TargetReport>,
}

impl Outcome {
    /// Waits until everything has arrived, and audits it.
    ///
    /// # Errors
    ///
    /// Where something never arrives, or can't be checked.
    pub async fn of(scene: &mut NodeScene, faults: u64) -> eyre::Result<Self> {
        scene.settle(super::SETTLE_DEADLINE).await?;
        Self::as_it_is(scene, faults).await
    }

    /// Audits what has arrived so far.
    ///
    /// # Errors
    ///
    /// Where something can't be checked.
    pub async fn as_it_is(scene: &mut NodeScene, faults: u64) -> eyre::Result<Self> {
        let targets = scene.audit().await?;
        let Pace { imported, repeated, switches, slowest, .. } = scene.driver.pace();
        let outcome = Self {
            imported: *imported,
            switches: *switches,
            slowest: *slowest,
            faults,
            notes: Vec::new(),
            targets,
        };
        Ok(match repeated {
            0 => outcome,
            times => {
                outcome.noting(format!("the node had to be given a block again {times} times"))
            }
        })
    }

    /// The same with a remark.
    #[must_use]
    pub fn noting(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// How many promises were broken.
    pub fn violations(&self) -> usize {
        self.targets.iter().map(|target| target.violations.len()).sum()
    }
}

/// Prints what every scenario left. Gaps are counted among the violations too.
pub fn print_table(outcomes: &[(&'static str, eyre::Result<Outcome>)]) {
    println!(
        "| scenario | faults | imported | switches | slowest import | target | entries | canonical | orphaned | repeated \
         | violations |"
    );
    println!("|---|---:|---:|---:|---:|---|---:|---:|---:|---:|---:|");
    for (name, outcome) in outcomes {
        match outcome {
            Ok(outcome) => print_rows(name, outcome),
            Err(error) => println!("| {name} | **failed** {} |", error.root_cause()),
        }
    }
    let notes = outcomes.iter().filter_map(|(name, it)| Some((name, it.as_ref().ok()?)));
    for (name, outcome) in notes {
        for note in &outcome.notes {
            println!("{name}: {note}");
        }
        for target in outcome.targets.iter().filter(|target| !target.violations.is_empty()) {
            println!("{name}: {target}");
        }
    }
}

fn print_rows(name: &str, outcome: &Outcome) {
    let Outcome { imported, switches, slowest, faults, targets, .. } = outcome;
    for target in targets {
        println!(
            "| {name} | {faults} | {imported} | {switches} | {} ms | {} | {} | {} | {} | {} | {} |",
            slowest.as_millis(),
            target.target,
            target.entries,
            target.canonical,
            target.orphaned,
            target.repeated,
            target.violations.len()
        );
    }
}
