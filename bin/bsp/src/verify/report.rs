//! How `bsp verify` answers: lines for people, or a JSON object a file.

use super::supplied;
use crate::{input::Input, output};
use bsp_capture::{CheckResult, Executed, Outcome, Verdict, VerifyOptions};
use serde::Serialize;
use std::{fmt::Write, path::Path};

/// Prints one answer a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reporter {
    pub(super) json: bool,
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
    pub(super) fn verdict(
        self,
        input: &Input,
        verdict: &Verdict,
        options: VerifyOptions<'_>,
    ) -> eyre::Result<()> {
        let text = if self.json {
            serde_json::to_string(&line(input, verdict))? + "\n"
        } else {
            human(input, verdict, options)?
        };
        output::print(text.as_bytes())
    }

    /// A file without a verdict: in JSON a line with its `error`, else a message on standard error.
    pub(super) fn unreadable(self, file: &Path, error: &eyre::Report) -> eyre::Result<()> {
        if !self.json {
            eprintln!("bsp: {error:#}");
            return Ok(());
        }
        let line = serde_json::json!({
            "file": file.display().to_string(),
            "error": format!("{error:#}"),
        });
        output::print(format!("{line}\n").as_bytes())
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

fn human(input: &Input, verdict: &Verdict, options: VerifyOptions<'_>) -> eyre::Result<String> {
    let (path, replica) = (input.path.display(), &input.segment.replica);
    let (kind, number, outcome) = (replica.kind, replica.header.number, verdict.outcome());
    let mut text = format!("{path}: {kind} {number} {}: {outcome}\n", replica.hash);
    write_checks(&mut text, verdict)?;
    if replica.kind.has_state() && verdict.executed() != Executed::Whole {
        writeln!(text, "  Executed {}.", verdict.executed())?;
    }
    let missing = supplied::without_authorizations(replica, options);
    if outcome == Outcome::Impossible && replica.kind.has_state() && !missing.is_empty() {
        writeln!(
            text,
            "  To have all of it executed, give --authorizations FILE with the lists of transaction {missing}, or --supplement FILE \
             as the producer wrote it."
        )?;
    }
    Ok(text)
}

/// One line a check; equal results keep it short.
fn write_checks(text: &mut String, verdict: &Verdict) -> std::fmt::Result {
    for (name, result) in verdict.checks() {
        match result {
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
