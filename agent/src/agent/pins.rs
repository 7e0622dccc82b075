//! The pinners, as the settings say.

use super::StartError;
#[cfg(feature = "s3")]
use crate::pin::S3Bucket;
#[cfg(not(feature = "s3"))]
use crate::pin::UnusablePinner;
use crate::{
    alarm::{AlarmKind, Alarms},
    blocking::on_disk,
    config::AgentConfig,
    journal::{Journal, Stage},
    pin::{
        EmbeddedPinner, IpfsPinner, KuboPinner, PinTarget, Pinner, PinningService, Several,
        take_over,
    },
    retry::Retry,
};
use bsp_common::secret::url_shown;
use bsp_pinner::store::{Store, StoreOptions};
use std::{cell::LazyCell, collections::HashSet, path::Path, sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Between two looks at what the store holds.
const LOOK_INTERVAL: Duration = Duration::from_secs(30);

/// What the pipeline pins to, and the store, if it is part of that.
pub(super) struct Pins {
    pub(super) pinner: Arc<dyn Pinner>,
    pub(super) store: Option<Store>,
}

impl Pins {
    /// The one pinner, or all of them together.
    pub(super) async fn open(
        config: &AgentConfig,
        journal: &Journal,
        alarms: &Alarms,
        stop: &CancellationToken,
    ) -> Result<Self, StartError> {
        let pins = &config.pins;
        let (mut pinners, mut store) = (Vec::new(), None);
        for target in &pins.targets {
            pinners.push(match remote(target)? {
                Some(pinner) => pinner,
                None => {
                    let pinner = embedded(config, journal).await?;
                    store = Some(pinner.store().clone());
                    Arc::new(pinner)
                }
            });
        }
        if let [pinner] = &*pinners {
            return Ok(Self { pinner: Arc::clone(pinner), store });
        }
        let (alarms, stop) = (alarms.clone(), stop.clone());
        let retry = Retry { alarm: AlarmKind::PinnerFailing, alarms, stop };
        Ok(Self { pinner: Arc::new(Several::start(pinners, pins.enough, &retry)), store })
    }
}

/// A pinner that is no part of this process; `None` for the one that is.
pub(super) fn remote(target: &PinTarget) -> Result<Option<Arc<dyn Pinner>>, StartError> {
    Ok(Some(match target {
        PinTarget::Embedded => return Ok(None),
        PinTarget::IpfsPinner { url, token } => {
            Arc::new(IpfsPinner::new(url.expose(), token.clone())?)
        }
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
        PinTarget::IpfsPinner { url, .. } => url_shown(url.expose()),
        PinTarget::Kubo { url, .. } => format!("kubo+{}", url_shown(url.expose())),
        PinTarget::PinningService { url, .. } => format!("psa+{}", url_shown(url.expose())),
        PinTarget::S3 { bucket, .. } => format!("s3://{bucket}"),
    });
    names.collect::<Vec<_>>().join(", ")
}

/// The store in the data folder, with what an earlier version has pinned there.
async fn embedded(config: &AgentConfig, journal: &Journal) -> Result<EmbeddedPinner, StartError> {
    let folder = config.segments.data_dir.join("pins");
    let mut options = StoreOptions::default();
    options.budget = config.pins.budget;
    let journal = journal.clone();
    on_disk(move || open_store(&folder, options, &journal)).await
}

fn open_store(
    folder: &Path,
    options: StoreOptions,
    journal: &Journal,
) -> Result<EmbeddedPinner, StartError> {
    let failed = |error| StartError::Pins { path: folder.to_owned(), error };
    let store = Store::open(folder, options).map_err(|error| failed(error.into()))?;
    let proved = LazyCell::new(|| proved(journal));
    let is_proved = |root: &bsp_pinner::Cid| proved.contains(&root.to_string());
    if let Some(taken) = take_over(folder, &store, &is_proved).map_err(failed)? {
        tracing::info!(
            files = taken.files,
            damaged = taken.damaged,
            "The pins of an earlier version are in the store now"
        );
    }
    Ok(EmbeddedPinner::new(store, folder))
}

/// The contents of which the journal knows that their proofs are confirmed.
fn proved(journal: &Journal) -> HashSet<String> {
    let mut proved = HashSet::new();
    let read = journal.for_each(|record| {
        if let Stage::Acknowledged { segment, .. } = record.stage {
            proved.insert(segment.cid);
        }
    });
    if let Err(error) = read {
        tracing::warn!(%error, "Which pins are proved is not known; the size budget leaves them alone");
    }
    proved
}

/// Shows from time to time what the store holds.
pub(super) async fn observe(store: Store) {
    loop {
        let store = store.clone();
        if let Ok(usage) = on_disk(move || store.usage()).await {
            metrics::gauge!("agent_pins").set(usage.pins as f64);
            metrics::gauge!("agent_pins_bytes").set(usage.block_bytes as f64);
            metrics::gauge!("agent_pins_disk_bytes").set(usage.disk_bytes as f64);
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}
