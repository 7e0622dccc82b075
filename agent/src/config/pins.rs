//! Where segments are pinned.

use super::{ConfigError, Env, http_url};
use crate::{
    args::PinArgs,
    pin::{Enough, PinTarget},
};

/// Where segments are pinned, and when that is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinConfig {
    /// The pinners, at least one, each of them once.
    pub targets: Vec<PinTarget>,
    /// How many of them have to hold a segment before its proof.
    pub enough: Enough,
}

impl PinConfig {
    /// Whether content is kept under the data folder.
    pub fn is_embedded(&self) -> bool {
        self.targets.contains(&PinTarget::Embedded)
    }
}

pub(super) fn pins(args: &PinArgs, env: Env<'_>) -> Result<PinConfig, ConfigError> {
    let mut targets = Vec::new();
    if let Some(url) = &args.ipfs_pinner_server {
        let url = http_url("--ipfs-pinner-server", url.expose())?;
        targets.push(PinTarget::IpfsPinner(url));
    }
    for text in args.pin.iter().filter(|text| !text.expose().trim().is_empty()) {
        let target =
            PinTarget::parse(text.expose(), env).map_err(|problem| ConfigError::Pin { problem })?;
        // Twice the same would count twice.
        if !targets.contains(&target) {
            targets.push(target);
        }
    }
    if targets.is_empty() {
        targets.push(PinTarget::Embedded);
    }
    let (needed, total) = (args.pinned_enough.of(targets.len()), targets.len());
    if needed > total {
        return Err(ConfigError::Range {
            flag: "--pinned-enough",
            value: needed.to_string(),
            advice: format!("give at most {total}, the number of pinners, or all"),
        });
    }
    Ok(PinConfig { targets, enough: args.pinned_enough })
}
