//! The source's settings.

use super::{ConfigError, Env, at_least};
use crate::args::SourceArgs;
use bsp_common::Secret;
use std::{path::PathBuf, time::Duration};
use url::Url;

/// Where replicas come from.
#[derive(Debug, Clone)]
pub enum SourceConfig {
    /// A Redis stream.
    Redis {
        /// The URL as it was given. It may hold a password.
        url: Secret<String>,
        /// The password of `REDIS_PWD`, if it is set.
        password: Option<Secret<String>>,
    },
    /// Chunk files of a `file://` target in a folder.
    Folder {
        /// The folder.
        path: PathBuf,
        /// Whether chunks that are done with are removed from it.
        remove_finished: bool,
    },
}

/// How entries are taken, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntakeConfig {
    /// This consumer's name, if the operator has chosen one.
    pub consumer_name: Option<String>,
    /// After this time without a sign of life, entries of other consumers are taken over.
    pub claim_idle: Duration,
    /// Most bytes of one payload.
    pub max_message_bytes: u64,
    /// Most bytes of one payload, decompressed.
    pub max_decoded_bytes: u64,
    /// Most bytes in flight.
    pub max_inflight_bytes: u64,
    /// Most blocks in flight.
    pub max_open_blocks: usize,
}

const REDIS_FORM: &str = "redis[s]://[user[:password]@]host[:port]/[db]?topic=STREAM#GROUP";
const FOLDER_FORM: &str = "file:///absolute/folder";

/// Which source it is. That a Redis URL names a stream is the source's to check.
pub(super) fn source(args: &SourceArgs, env: Env<'_>) -> Result<SourceConfig, ConfigError> {
    match (&args.redis_url, &args.source) {
        (None, None) => Err(ConfigError::NoSource),
        (Some(_), Some(_)) => Err(ConfigError::TwoSources),
        (None, Some(url)) => folder("--source", url, args.remove_finished_chunks),
        (Some(url), None) => match scheme(url.expose()).as_str() {
            "file" => folder("--redis-url", url.expose(), args.remove_finished_chunks),
            scheme if is_of_redis(scheme) && args.remove_finished_chunks => {
                Err(ConfigError::ChunksOfAStream)
            }
            scheme if is_of_redis(scheme) => Ok(SourceConfig::Redis {
                url: url.clone(),
                password: env("REDIS_PWD").map(Secret::new),
            }),
            "" => Err(ConfigError::SourceUrl {
                flag: "--redis-url",
                problem: "not a URL (it has no scheme)".to_owned(),
                expected: REDIS_FORM,
            }),
            other => Err(ConfigError::SourceUrl {
                flag: "--redis-url",
                problem: format!("the scheme {other}:// is not known"),
                expected: REDIS_FORM,
            }),
        },
    }
}

/// In lower case, empty if it has none. A list of hosts makes a URL that a general parser refuses.
fn scheme(url: &str) -> String {
    url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase()).unwrap_or_default()
}

fn is_of_redis(scheme: &str) -> bool {
    let (server, topology) = scheme.split_once('+').unwrap_or((scheme, "sentinel"));
    matches!(server, "redis" | "rediss") && matches!(topology, "sentinel" | "cluster")
}

fn parsed(flag: &'static str, url: &str, expected: &'static str) -> Result<Url, ConfigError> {
    Url::parse(url).map_err(|error| ConfigError::SourceUrl {
        flag,
        problem: format!("not a URL ({error})"),
        expected,
    })
}

fn folder(
    flag: &'static str,
    text: &str,
    remove_finished: bool,
) -> Result<SourceConfig, ConfigError> {
    let url = parsed(flag, text, FOLDER_FORM)?;
    let wrong = |problem: &str| ConfigError::SourceUrl {
        flag,
        problem: problem.to_owned(),
        expected: FOLDER_FORM,
    };
    if url.scheme() != "file" {
        return Err(wrong("it does not start with file://"));
    }
    let path =
        url.to_file_path().map_err(|()| wrong("it does not name a folder of this machine"))?;
    super::folders::existing(flag, &path).map(|path| SourceConfig::Folder { path, remove_finished })
}

/// The limits. The idle time may be shorter than a job takes: what an agent has in flight is
/// refreshed four times within it.
pub(super) fn intake(args: &SourceArgs) -> Result<IntakeConfig, ConfigError> {
    let claim_idle = Duration::from_secs(at_least("--claim-idle", args.claim_idle, 1)?);
    let max_message_bytes = at_least("--max-message-bytes", args.max_message_bytes.0, 1)?;
    Ok(IntakeConfig {
        consumer_name: args.consumer_name.clone(),
        claim_idle,
        max_message_bytes,
        max_decoded_bytes: at_least("--max-decoded-bytes", args.max_decoded_bytes.0, 1)?,
        max_inflight_bytes: at_least(
            "--max-inflight-bytes",
            args.max_inflight_bytes.0,
            max_message_bytes,
        )?,
        max_open_blocks: at_least("--max-open-blocks", args.max_open_blocks, 1)?,
    })
}
