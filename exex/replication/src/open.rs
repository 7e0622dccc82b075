//! The targets behind URLs.

use crate::{
    file::FileTarget,
    redis::{RedisOptions, RedisTarget},
    target::{Target, TargetError},
    url::TargetUrl,
};
use tokio_util::sync::CancellationToken;

/// Opens the target behind a URL, which stops waiting for trouble to pass once `stop` is cancelled.
///
/// A folder is opened at once, and repaired if it has to be. A Redis server is connected to at the
/// first delivery.
///
/// # Errors
///
/// [`TargetError::Refused`], if a folder can't be made or written, or belongs to another process.
pub fn open_target(
    url: &TargetUrl,
    redis: &RedisOptions,
    stop: &CancellationToken,
) -> Result<Box<dyn Target>, TargetError> {
    Ok(match url {
        TargetUrl::File(folder) => Box::new(FileTarget::open(folder, stop.clone())?),
        TargetUrl::Redis(url) => Box::new(RedisTarget::new(url, redis, stop.clone())),
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
    redis: &RedisOptions,
    stop: &CancellationToken,
) -> Result<Box<dyn Target>, TargetError> {
    match url {
        TargetUrl::File(folder) => Ok(Box::new(FileTarget::open_or_wait(folder, stop.clone()))),
        TargetUrl::Redis(_) => open_target(url, redis, stop),
    }
}
