//! The command line.

use bsp_agent::args::{self, AgentArgs};
use bsp_common::secret::hide_urls;
use clap::{CommandFactory, FromArgMatches, Parser, error::ErrorKind};
use std::ffi::OsString;

/// What `--version` says; `-V` says the first line alone.
const LONG_VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), "\n", include_str!(concat!(env!("OUT_DIR"), "/build.txt")));

/// Takes block replicas from a stream, and for each leaves a segment on disk, a pinned content and
/// a proof on the proof chain.
#[derive(Debug, Parser)]
#[command(
    name = "bsp-agent",
    version,
    long_version = LONG_VERSION,
    // As in Go, the last of two equal flags counts: service files append to a common line.
    args_override_self = true,
    max_term_width = 100,
    after_help = "Keys and passwords come from the environment: MB_RPC_URL, MB_PRIVATE_KEY or MB_KEYSTORE_PATH with \
                  MB_KEYSTORE_PWD, REDIS_PWD. A variable that is empty counts as unset."
)]
struct Cli {
    #[command(flatten)]
    agent: AgentArgs,
}

/// A command line that starts nothing.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It asked for help, or the version.
    Shown,
    /// It is wrong; why in one line.
    Refused(String),
}

/// Reads the command line and the variables behind its flags.
pub(crate) fn parse(line: impl IntoIterator<Item = OsString>) -> Result<AgentArgs, Answer> {
    args::without_empty_variables(Cli::command())
        .try_get_matches_from(line)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map(|cli| cli.agent)
        .map_err(|error| answer(&error))
}

fn answer(error: &clap::Error) -> Answer {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // A reader that has closed the pipe has seen enough.
        let _ = error.print();
        return Answer::Shown;
    }
    let text = error.render().to_string();
    // What follows the first empty line is advice for a terminal.
    let problem = text.lines().map(str::trim).take_while(|line| !line.is_empty());
    let problem = problem.collect::<Vec<_>>().join(" ");
    let problem = problem.strip_prefix("error: ").unwrap_or(&problem);
    Answer::Refused(format!("{}; --help explains each flag", hide_urls(problem)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bsp_tests::flag_table;
    use std::path::Path;

    #[test]
    fn the_guide_has_every_flag() {
        let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/AGENT.md");
        flag_table::check(&guide, &flag_table::table(Cli::command()));
    }
}
