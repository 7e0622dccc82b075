//! The pinners, as the settings say.

use super::StartError;
#[cfg(feature = "s3")]
use crate::pin::S3Bucket;
#[cfg(not(feature = "s3"))]
use crate::pin::UnusablePinner;
use crate::{
    alarm::{AlarmKind, Alarms},
    config::AgentConfig,
    pin::{IpfsPinner, KuboPinner, LocalPinner, PinTarget, Pinner, PinningService, Several},
    retry::Retry,
};
use bsp_common::secret::url_shown;
use std::{path::Path, sync::Arc};
use tokio_util::sync::CancellationToken;

/// What the pipeline pins to: the one pinner, or all of them together.
pub(super) fn open(
    config: &AgentConfig,
    alarms: &Alarms,
    stop: &CancellationToken,
) -> Result<Arc<dyn Pinner>, StartError> {
    let pins = &config.pins;
    let mut pinners = Vec::new();
    for target in &pins.targets {
        pinners.push(match remote(target)? {
            Some(pinner) => pinner,
            None => embedded(&config.segments.data_dir)?,
        });
    }
    if let [pinner] = &*pinners {
        return Ok(Arc::clone(pinner));
    }
    let (alarms, stop) = (alarms.clone(), stop.clone());
    let retry = Retry { alarm: AlarmKind::PinnerFailing, alarms, stop };
    Ok(Arc::new(Several::start(pinners, pins.enough, &retry)))
}

/// A pinner that is no part of this process; `None` for the one that is.
pub(super) fn remote(target: &PinTarget) -> Result<Option<Arc<dyn Pinner>>, StartError> {
    Ok(Some(match target {
        PinTarget::Embedded => return Ok(None),
        PinTarget::IpfsPinner(url) => Arc::new(IpfsPinner::new(url.expose())?),
        PinTarget::Kubo { url, token } => Arc::new(KuboPinner::new(url.expose(), token.clone())?),
        PinTarget::PinningService { url, token, origins } => {
            Arc::new(PinningService::new(url.expose(), token.clone(), origins.clone())?)
        }
        #[cfg(feature = "s3")]
        PinTarget::S3 { bucket, prefix } => Arc::new(S3Bucket::from_env(bucket, prefix)?),
        #[cfg(not(feature = "s3"))]
        PinTarget::S3 { .. } => {
            let reason = "this build has no S3: build with the feature s3".to_owned();
            return Err(UnusablePinner::Bucket(reason).into());
        }
    }))
}

/// The pinners' kinds and hosts, for a log line.
pub(super) fn shown(targets: &[PinTarget]) -> String {
    let names = targets.iter().map(|target| match target {
        PinTarget::Embedded => "embedded".to_owned(),
        PinTarget::IpfsPinner(url) => url_shown(url.expose()),
        PinTarget::Kubo { url, .. } => format!("kubo+{}", url_shown(url.expose())),
        PinTarget::PinningService { url, .. } => format!("psa+{}", url_shown(url.expose())),
        PinTarget::S3 { bucket, .. } => format!("s3://{bucket}"),
    });
    names.collect::<Vec<_>>().join(", ")
}

fn embedded(data_dir: &Path) -> Result<Arc<dyn Pinner>, StartError> {
    let path = data_dir.join("pins");
    match LocalPinner::new(&path) {
        Ok(pinner) => Ok(Arc::new(pinner)),
        Err(error) => Err(StartError::Folder { path, error }),
    }
}
