//! What the operator asks for, checked: the command line and the environment put together.

mod error;
mod folders;
mod pins;
mod proof;
mod schema;
mod source;
#[cfg(test)]
mod tests;

pub use error::ConfigError;
pub use pins::{IfTaken, PINNER_ADDRESS, PinConfig, PinnerHttp};
pub use proof::{ChainConfig, KeyConfig, ProofConfig};
pub use source::{IntakeConfig, SourceConfig};

use crate::args::{AgentArgs, LogFormat, ObserveArgs, SegmentArgs, Verify};
use bsp_common::Secret;
use std::{
    fmt::Display,
    fs::File,
    io::Read,
    net::IpAddr,
    num::NonZeroU64,
    path::{Path, PathBuf},
    time::Duration,
};
use url::Url;

/// Looks up an environment variable.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Settings that the agent can start with.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// Where replicas come from.
    pub source: SourceConfig,
    /// How they are taken.
    pub intake: IntakeConfig,
    /// What is made of them.
    pub segments: SegmentConfig,
    /// Where they are pinned.
    pub pins: PinConfig,
    /// Where proofs go.
    pub proof: ProofConfig,
    /// Logs.
    pub log: LogConfig,
    /// The HTTP server, if there is to be one.
    pub server: Option<ServerConfig>,
    /// Whether to check and end.
    pub check: bool,
    /// How long blocks in flight get at the end.
    pub shutdown_timeout: Duration,
    /// What the operator should know about the settings, one line each, to be logged.
    pub notices: Vec<String>,
}

/// What is made of a replica, and where it is kept.
#[derive(Debug, Clone)]
pub struct SegmentConfig {
    /// Folder of all that the agent keeps. It exists.
    pub data_dir: PathBuf,
    /// Folder of segment files, if it is not `segments/` of the data folder. It exists.
    pub binary_file_path: Option<PathBuf>,
    /// Blocks whose number is divisible by this are taken.
    pub block_divisor: NonZeroU64,
    /// Segment files of blocks that are done with go after so many days; `None`: they stay.
    pub keep_days: Option<u32>,
    /// Bytes of left-out blocks to keep.
    pub unselected_budget_bytes: u64,
    /// How blocks are checked.
    pub verify: Verify,
    /// Chain specification of a network that is not built in.
    pub genesis: Option<PathBuf>,
}

/// Where logs go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// Folder of `log.log`. It exists.
    pub folder: PathBuf,
    /// Form of the lines.
    pub format: LogFormat,
}

/// Where the HTTP server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl AgentConfig {
    /// Puts arguments and environment together, and makes the folders for data and logs.
    ///
    /// From the environment come `MB_RPC_URL`, `MB_PRIVATE_KEY`, `MB_KEYSTORE_PATH`,
    /// `MB_KEYSTORE_PWD`, `REDIS_PWD` and what `--log-folder` and `--pin` refer to; a variable that
    /// is empty counts as unset.
    ///
    /// # Errors
    ///
    /// On the first setting that can't be used.
    pub fn from_args(args: &AgentArgs, env: Env<'_>) -> Result<Self, ConfigError> {
        let env: Env<'_> = &|name: &str| env(name).filter(|value| !value.is_empty());
        let source = source::source(&args.source, env)?;
        let proof = proof::proof(&args.proofs, env)?;
        let pins = pins::pins(&args.pins, env)?;
        Ok(Self {
            source,
            intake: source::intake(&args.source)?,
            proof,
            pins,
            server: server(&args.observe),
            check: args.process.check,
            shutdown_timeout: Duration::from_secs(args.process.shutdown_timeout),
            notices: notices(args, env),
            // Last, so that a start that fails for another reason makes no folders.
            segments: segments(&args.segments)?,
            log: log(&args.observe, env)?,
        })
    }
}

fn segments(args: &SegmentArgs) -> Result<SegmentConfig, ConfigError> {
    if let Some(path) = &args.avro_codec_path {
        codec(path)?;
    }
    Ok(SegmentConfig {
        block_divisor: NonZeroU64::new(args.block_divisor).ok_or_else(|| ConfigError::Range {
            flag: "--block-divisor",
            value: "0".to_owned(),
            advice: "give 1 to take every block, 3 to take each third".to_owned(),
        })?,
        genesis: args.genesis.as_deref().map(|path| readable("--genesis", path)).transpose()?,
        keep_days: args.keep_days,
        unselected_budget_bytes: args.unselected_budget_bytes.0,
        verify: args.verify,
        binary_file_path: args
            .binary_file_path
            .as_deref()
            .map(|path| folders::existing("--binary-file-path", path))
            .transpose()?,
        data_dir: folders::made("--data-dir", &args.data_dir)?,
    })
}

/// Whether the schema file means what is built in.
fn codec(path: &Path) -> Result<(), ConfigError> {
    let setting = "--avro-codec-path";
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(schema::MAX_LEN).read_to_string(&mut text))
        .map_err(|source| ConfigError::File { setting, path: path.to_owned(), source })?;
    schema::check(&text).map_err(|problem| ConfigError::Schema { path: path.to_owned(), problem })
}

fn log(args: &ObserveArgs, env: Env<'_>) -> Result<LogConfig, ConfigError> {
    let folder = folders::expanded(&args.log_folder, env)?;
    Ok(LogConfig { folder: folders::made("--log-folder", &folder)?, format: args.log_format })
}

fn server(args: &ObserveArgs) -> Option<ServerConfig> {
    let is_wanted = args.metrics || args.metrics_addr.is_some() || args.metrics_port.is_some();
    is_wanted.then(|| ServerConfig {
        host: args.metrics_addr.clone().unwrap_or_else(|| "127.0.0.1".to_owned()),
        port: args.metrics_port.unwrap_or(6061),
    })
}

fn notices(args: &AgentArgs, env: Env<'_>) -> Vec<String> {
    let mut notices = Vec::new();
    if args.source.consumer_timeout.is_some() {
        notices.push(
            "--consumer-timeout has no effect: the agent does not end itself while it waits"
                .to_owned(),
        );
    }
    if env("MB_PRIVATE_KEY").is_some() && env("MB_KEYSTORE_PATH").is_some() {
        notices.push(
            "MB_PRIVATE_KEY and MB_KEYSTORE_PATH are both set: MB_PRIVATE_KEY is used, the keystore is not".to_owned(),
        );
    }
    if let Some(server) = server(&args.observe)
        && !is_local(&server.host)
    {
        notices.push(format!(
            "--metrics.addr {} is open to the network: /status and /metrics have no access control",
            server.host
        ));
    }
    notices
}

/// Whether a host is this machine alone.
pub(crate) fn is_local(host: &str) -> bool {
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    let is_loopback = address.is_some_and(|address| address.to_canonical().is_loopback());
    is_loopback || host.trim_end_matches('.').eq_ignore_ascii_case("localhost")
}

/// A file that can be opened.
fn readable(setting: &'static str, path: &Path) -> Result<PathBuf, ConfigError> {
    let opened = File::open(path).and_then(|file| file.metadata()).and_then(|found| {
        if found.is_dir() { Err(std::io::ErrorKind::IsADirectory.into()) } else { Ok(()) }
    });
    match opened {
        Ok(()) => Ok(path.to_owned()),
        Err(source) => Err(ConfigError::File { setting, path: path.to_owned(), source }),
    }
}

/// A URL of a service over HTTP.
fn http_url(setting: &'static str, text: &str) -> Result<Secret<Url>, ConfigError> {
    let wrong = |problem| ConfigError::HttpUrl { setting, problem };
    let url = Url::parse(text.trim()).map_err(|error| wrong(format!("not a URL ({error})")))?;
    match url.scheme() {
        "http" | "https" => Ok(Secret::new(url)),
        other => Err(wrong(format!("{other}:// is not supported"))),
    }
}

fn at_least<T: PartialOrd + Display + Copy>(
    flag: &'static str,
    value: T,
    least: T,
) -> Result<T, ConfigError> {
    if value >= least {
        return Ok(value);
    }
    Err(ConfigError::Range {
        flag,
        value: value.to_string(),
        advice: format!("give at least {least}"),
    })
}
