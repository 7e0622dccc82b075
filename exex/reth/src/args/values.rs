//! Values of options.

use bsp_replication::{DeliverAt, StartBlock, TargetUrl, TargetUrlError};
use bsp_stream::{RedisUrl, password_from_env};
use clap::{
    Arg, Command, ValueEnum, builder::TypedValueParser, error::ErrorKind, parser::ValueSource,
};
use serde::Serialize;
use std::{collections::HashSet, ffi::OsStr, fmt, ops::Deref, str::FromStr};
use thiserror::Error;

const DEFAULT_HOST: &str = "127.0.0.1";
const DEFAULT_PORT: u16 = 6379;
const DEFAULT_TOPIC: &str = "replication";

/// Where to deliver. [`Display`](fmt::Display) and [`Debug`] show no password.
///
/// It is empty only where [`TargetListParser`] has read an environment variable that is set to
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetList(Vec<TargetUrl>);

/// The stream that bsp-agent reads, on this host.
impl Default for TargetList {
    fn default() -> Self {
        let url = RedisUrl::single(DEFAULT_HOST, DEFAULT_PORT, 0, DEFAULT_TOPIC);
        Self(vec![TargetUrl::Redis(Box::new(url))])
    }
}

impl Deref for TargetList {
    type Target = [TargetUrl];

    fn deref(&self) -> &[TargetUrl] {
        &self.0
    }
}

/// Why a text is not a [`TargetList`]. It shows no password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TargetListError {
    /// One of the URLs is invalid.
    #[error(transparent)]
    Url(#[from] TargetUrlError),
    /// It names no target.
    #[error("there is no target")]
    Empty,
    /// It names a target more than once.
    #[error("{0} is there twice")]
    Twice(TargetUrl),
}

impl FromStr for TargetList {
    type Err = TargetListError;

    fn from_str(text: &str) -> Result<Self, TargetListError> {
        let password = password_from_env();
        let password = password.as_ref().map(|password| password.expose().as_str());
        let targets = TargetUrl::parse_list(text, password)?;
        if targets.is_empty() {
            return Err(TargetListError::Empty);
        }
        let mut names = HashSet::new();
        if let Some(twice) = targets.iter().find(|target| !names.insert(target.to_string())) {
            return Err(TargetListError::Twice(twice.clone()));
        }
        Ok(Self(targets))
    }
}

impl fmt::Display for TargetList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, target) in self.0.iter().enumerate() {
            write!(f, "{}{target}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// Reads a [`TargetList`]. Errors of clap's own parsers repeat the value, which may hold a
/// password; this one's don't.
///
/// An empty environment variable is an empty list, for clap can't be told that it is as good as
/// none: settings of Compose and systemd pass variables on that way.
#[derive(Debug, Clone, Copy)]
pub struct TargetListParser;

impl TypedValueParser for TargetListParser {
    type Value = TargetList;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<TargetList, clap::Error> {
        let targets = match value.to_str() {
            Some(text) => text.parse().map_err(|error: TargetListError| error.to_string()),
            None => Err("it is not UTF-8".to_owned()),
        };
        targets.map_err(|reason| {
            let arg = arg.map(|arg| format!("'{arg}': ")).unwrap_or_default();
            clap::Error::raw(ErrorKind::ValueValidation, format!("{arg}{reason}\n"))
                .with_cmd(command)
        })
    }

    fn parse_ref_(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
        source: ValueSource,
    ) -> Result<TargetList, clap::Error> {
        let is_blank = value.to_str().is_some_and(|text| text.trim().is_empty());
        if is_blank && source == ValueSource::EnvVariable {
            return Ok(TargetList(Vec::new()));
        }
        self.parse_ref(command, arg, value)
    }
}

/// When a block is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Deliver {
    /// As soon as it is canonical: at once. A reorg or a crash of the node can leave it orphaned;
    /// its successor at the same height is then delivered too.
    #[default]
    Committed,
    /// Once the node has it on disk: after some blocks. A reorg can leave it orphaned, a crash
    /// can't.
    Persisted,
    /// Once the consensus client calls it safe: after about 6 minutes on mainnet. Orphaned only in
    /// exceptional times.
    Safe,
    /// Once the consensus client calls it finalized: after about 13 minutes on mainnet. Never
    /// orphaned.
    Finalized,
}

impl From<Deliver> for DeliverAt {
    fn from(deliver: Deliver) -> Self {
        match deliver {
            Deliver::Committed => Self::Committed,
            Deliver::Persisted => Self::Persisted,
            Deliver::Safe => Self::Safe,
            Deliver::Finalized => Self::Finalized,
        }
    }
}

/// Whether the producer is registered with the node's manager of Execution Extensions.
///
/// Only through that manager can a node be told what it may not prune yet. But reth v2.5.1 writes
/// every notification to a log for it, in small pieces and just when the consensus client waits for
/// the answer to its fork choice, and keeps all blocks of a sync in stages in memory for it. A node
/// that prunes nothing can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Register {
    /// Where the command line or the file of settings asks for pruning.
    #[default]
    Auto,
    /// On every node.
    Always,
    /// On none. A node that prunes does not ask then before it deletes what a target still lacks.
    Never,
}

/// `latest`, `genesis` or a number.
pub(super) fn parse_start_block(text: &str) -> Result<StartBlock, String> {
    match text {
        "latest" => Ok(StartBlock::Latest),
        "genesis" => Ok(StartBlock::Genesis),
        number => match number.parse() {
            Ok(number) => Ok(StartBlock::Number(number)),
            Err(_) => Err("expected latest, genesis or the number of a block".to_owned()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_target_is_written_like_any_other() {
        let written = "redis://127.0.0.1:6379/?topic=replication".parse::<TargetList>().unwrap();
        assert_eq!(written, TargetList::default());
    }

    #[test]
    fn a_target_is_there_once_at_most() {
        let twice = "redis://:secret@h?topic=t,file:///x,redis://h:6379/0?topic=t";
        let error = twice.parse::<TargetList>().unwrap_err();
        assert_eq!(error.to_string(), "redis://h:6379/0?topic=t is there twice");
        assert!(matches!(error, TargetListError::Twice(_)), "{error:?}");
        assert_eq!("redis://h?topic=a,redis://h?topic=b".parse::<TargetList>().unwrap().len(), 2);
    }

    #[test]
    fn an_empty_variable_names_no_target_and_an_empty_argument_is_a_mistake() {
        let parse = |text: &str, source| {
            TargetListParser.parse_ref_(&Command::new("node"), None, OsStr::new(text), source)
        };
        for blank in ["", "  "] {
            assert_eq!(parse(blank, ValueSource::EnvVariable).unwrap(), TargetList(Vec::new()));
            assert!(parse(blank, ValueSource::CommandLine).is_err());
        }
        assert!(parse(",", ValueSource::EnvVariable).is_err());
        assert_eq!(parse("file:///x", ValueSource::EnvVariable).unwrap().len(), 1);
    }
}
