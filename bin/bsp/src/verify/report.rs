//! How `bsp verify` answers: lines for people, or a JSON object a file.

use super::left_out::{self, LeftOut};
use crate::{input::Input, output};
use bsp_capture::{CheckResult, Executed, Outcome, Verdict};
use bsp_common::text::{counted, with_causes};
use serde::Serialize;
use std::{fmt::Write, path::Path};

/// How many files came out how.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    ok: u64,
    impossible: u64,
    pub(super) failed: u64,
    pub(super) unreadable: u64,
}

/// Prints one answer a file, and a count at the end.
#[derive(Debug)]
pub(super) struct Reporter {
    json: bool,
    /// Files that have not failed are not shown.
    quiet: bool,
    /// There is more than one file.
    many: bool,
    counts: Counts,
}

/// A line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    file: String,
    block: u64,
    hash: String,
    verdict: Outcome,
    executed: Executed,
    checks: &'a Verdict,
}

impl Reporter {
    pub(super) fn new(json: bool, quiet: bool, files: usize) -> Self {
        Self { json, quiet, many: files > 1, counts: Counts::default() }
    }

    pub(super) fn verdict(
        &mut self,
        input: &Input,
        verdict: &Verdict,
        left_out: &LeftOut,
    ) -> eyre::Result<()> {
        let outcome = verdict.outcome();
        match outcome {
            Outcome::Ok => self.counts.ok += 1,
            Outcome::Impossible => self.counts.impossible += 1,
            Outcome::Failed => self.counts.failed += 1,
        }
        if self.quiet && outcome != Outcome::Failed {
            return Ok(());
        }
        let text = if self.json {
            serde_json::to_string(&line(input, verdict))? + "\n"
        } else {
            self.human(input, verdict, left_out)?
        };
        output::print(text.as_bytes())
    }

    /// A file without a verdict: in JSON a line with its `error`, else a message on standard error.
    pub(super) fn unreadable(&mut self, file: &Path, error: &eyre::Report) -> eyre::Result<()> {
        self.counts.unreadable += 1;
        if !self.json {
            output::complain(&with_causes(error.as_ref()));
            return Ok(());
        }
        let line = serde_json::json!({
            "file": file.display().to_string(),
            "error": with_causes(error.as_ref()),
        });
        output::print(format!("{line}\n").as_bytes())
    }

    /// Prints the count, where there is something to count for people.
    pub(super) fn finish(self) -> eyre::Result<Counts> {
        let Counts { ok, impossible, failed, unreadable } = self.counts;
        if !self.json && (self.many || self.quiet) {
            let files = counted(ok + impossible + failed + unreadable, "file");
            let counts = format!("{ok} ok, {impossible} impossible, {failed} failed");
            output::print(format!("{files}: {counts}, {unreadable} unreadable\n").as_bytes())?;
        }
        Ok(self.counts)
    }

    fn human(&self, input: &Input, verdict: &Verdict, left_out: &LeftOut) -> eyre::Result<String> {
        let (path, replica) = (input.path.display(), &input.segment.replica);
        let (kind, number, outcome) = (replica.kind, replica.header.number, verdict.outcome());
        let mut text = format!("{path}: {kind} {number} {}: {outcome}\n", replica.hash);
        write_checks(&mut text, verdict, !self.many)?;
        if let Some(found) = left_out.found.as_ref().filter(|_| !self.many) {
            writeln!(text, "  What the format leaves out comes from {}.", found.display())?;
        }
        if replica.kind.has_state() && verdict.executed() != Executed::Whole {
            writeln!(text, "  Executed {}.", verdict.executed())?;
        }
        let missing = left_out::without_authorizations(replica, left_out);
        let can_be_had = replica.kind.has_state() && !missing.is_empty() && !self.many;
        if outcome == Outcome::Impossible && can_be_had {
            writeln!(
                text,
                "  To have all of it executed, give --authorizations FILE with the lists of transaction {missing}, or \
                 --supplement FILE as the producer wrote it."
            )?;
        }
        Ok(text)
    }
}

fn line<'a>(input: &Input, verdict: &'a Verdict) -> Line<'a> {
    let replica = &input.segment.replica;
    Line {
        file: input.path.display().to_string(),
        block: replica.header.number,
        hash: replica.hash.to_string(),
        verdict: verdict.outcome(),
        executed: verdict.executed(),
        checks: verdict,
    }
}

/// One line a check; equal results keep it short. Checks that are ok are left out unless all are
/// wanted.
fn write_checks(text: &mut String, verdict: &Verdict, all: bool) -> std::fmt::Result {
    for (name, result) in verdict.checks() {
        match result {
            CheckResult::Ok { .. } if !all => {}
            CheckResult::Ok { reason: None } => writeln!(text, "  {name:<19} ok")?,
            CheckResult::Ok { reason: Some(reason) } => {
                writeln!(text, "  {name:<19} ok ({reason})")?;
            }
            CheckResult::Impossible { reason } => {
                writeln!(text, "  {name:<19} impossible: {reason}")?;
            }
            CheckResult::Failed { expected, got, first_difference } => {
                writeln!(text, "  {name:<19} FAILED: expected {expected}, got {got}")?;
                if let Some(difference) = first_difference {
                    writeln!(text, "  {:<19} first difference: {difference}", "")?;
                }
            }
        }
    }
    Ok(())
}
