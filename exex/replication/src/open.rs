//! The targets behind URLs.

use crate::{
    file::{FileOptions, FileTarget},
    redis::{RedisOptions, RedisTarget},
    target::{Target, TargetError},
    url::TargetUrl,
};
use tokio_util::sync::CancellationToken;

/// How targets are written to, by their kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TargetOptions {
    /// Redis streams.
    pub redis: RedisOptions,
    /// Folders.
    pub file: FileOptions,
}

impl TargetOptions {
    /// The defaults, with what [`RedisOptions::from_env`] takes of the environment.
    pub fn from_env() -> Self {
        Self { redis: RedisOptions::from_env(), ..Self::default() }
    }

    /// The same with an operator's limits, in bytes: what a stream and a folder may take, where 0
    /// is for no limit, and what stays free on a folder's disk.
    #[must_use]
    pub fn with_limits(self, stream: u64, folder: u64, min_free: u64) -> Self {
        let limit = |bytes: u64| Some(bytes).filter(|bytes| *bytes > 0);
        Self {
            redis: RedisOptions { byte_budget: limit(stream), ..self.redis },
            file: FileOptions { byte_budget: limit(folder), min_free },
        }
    }
}

/// Opens the target behind a URL, which stops waiting for trouble to pass once `stop` is cancelled.
///
/// A folder is opened at once, and repaired if it has to be. A Redis server is connected to at the
/// first delivery.
///
/// # Errors
///
/// [`TargetError::Refused`], if a folder or its parent is missing and can't be made or written, or
/// belongs to another process.
pub fn open_target(
    url: &TargetUrl,
    options: &TargetOptions,
    stop: &CancellationToken,
) -> Result<Box<dyn Target>, TargetError> {
    Ok(match url {
        TargetUrl::File(folder) => Box::new(FileTarget::open(folder, &options.file, stop.clone())?),
        TargetUrl::Redis(url) => Box::new(RedisTarget::new(url, &options.redis, stop.clone())),
    })
}

/// The same, but a folder that can't be opened yet holds nobody back: its deliveries wait until it
/// can.
///
/// # Errors
///
/// [`TargetError::Refused`], if the URL asks for what no server could make possible.
pub fn attach_target(
    url: &TargetUrl,
    options: &TargetOptions,
    stop: &CancellationToken,
) -> Result<Box<dyn Target>, TargetError> {
    match url {
        TargetUrl::File(folder) => {
            Ok(Box::new(FileTarget::open_or_wait(folder, &options.file, stop.clone())))
        }
        TargetUrl::Redis(_) => open_target(url, options, stop),
    }
}
