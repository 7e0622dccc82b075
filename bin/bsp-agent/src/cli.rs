//! The command line.

use crate::origins::Origins;
use bsp_agent::args::{self, AgentArgs};
use bsp_common::secret::hide_urls;
use clap::{
    CommandFactory, FromArgMatches, Parser,
    error::{ContextKind, ContextValue, ErrorKind},
};
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
pub(crate) fn parse(
    line: impl IntoIterator<Item = OsString>,
) -> Result<(AgentArgs, Origins), Answer> {
    let line: Vec<_> = line.into_iter().map(with_two_dashes).collect();
    let command = args::without_empty_variables(Cli::command());
    let origins = Origins::of(&command, &line);
    command
        .try_get_matches_from(line)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| answer(&error, &origins))
        .map(|cli| (cli.agent, origins))
}

/// Go's flags, and so those of bsp-agent v1.9.2, take one dash as well as two. No flag of ours with
/// one dash is longer than a letter.
fn with_two_dashes(argument: OsString) -> OsString {
    match argument.as_encoded_bytes() {
        [b'-', first, _, ..] if first.is_ascii_alphabetic() => {
            let mut with_two = OsString::from("-");
            with_two.push(argument);
            with_two
        }
        _ => argument,
    }
}

fn answer(error: &clap::Error, origins: &Origins) -> Answer {
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
    let problem = origins.name_variables(&hide_urls(problem));
    let advice = match suggestion(error) {
        Some(similar) => format!("did you mean {similar}?"),
        None => "--help explains each flag".to_owned(),
    };
    Answer::Refused(format!("{problem}; {advice}"))
}

/// What is similar to a flag or value that there is not.
fn suggestion(error: &clap::Error) -> Option<String> {
    [ContextKind::SuggestedArg, ContextKind::SuggestedValue].into_iter().find_map(
        |kind| match error.get(kind)? {
            ContextValue::String(similar) => Some(similar.clone()),
            ContextValue::Strings(similar) => similar.first().cloned(),
            _ => None,
        },
    )
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

    #[test]
    fn one_dash_is_as_good_as_two() {
        for (given, taken) in [
            ("-redis-url=redis://h", "--redis-url=redis://h"),
            ("-metrics", "--metrics"),
            ("--metrics", "--metrics"),
            ("-h", "-h"),
            ("-3", "-3"),
            ("-35", "-35"),
            ("-", "-"),
            ("./logs", "./logs"),
        ] {
            assert_eq!(with_two_dashes(given.into()), OsString::from(taken));
        }
    }
}
