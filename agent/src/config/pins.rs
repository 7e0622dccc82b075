//! Where segments are pinned.

use super::{ConfigError, Env, http_url};
use crate::{
    args::{PinArgs, PinnerAddress},
    pin::{Enough, PinTarget, token_of_file},
};
use bsp_pinner::http::Access;
use std::net::SocketAddr;

/// Where the embedded store is served unless something else is said. ipfs-pinner listens there.
pub const PINNER_ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 3001);

/// Where segments are pinned, and when that is enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinConfig {
    /// The pinners, at least one, each of them once.
    pub targets: Vec<PinTarget>,
    /// How many of them have to hold a segment before its proof.
    pub enough: Enough,
    /// Bytes on disk for the embedded store; `None` for no limit.
    pub budget: Option<u64>,
    /// Where the embedded store is served, if there is one.
    pub http: PinnerHttp,
}

/// Where the embedded store is served.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PinnerHttp {
    /// For programs that may pin and unpin.
    pub private: Option<SocketAddr>,
    /// What to do if somebody else has that address.
    pub if_taken: IfTaken,
    /// Who may use it.
    pub access: Access,
    /// For everybody who wants to fetch.
    pub public: Option<SocketAddr>,
}

/// What to do about an address that somebody else has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IfTaken {
    /// The start fails.
    #[default]
    Fail,
    /// Try again until it is free.
    Wait,
    /// Take another port.
    OtherPort,
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
        targets.push(PinTarget::IpfsPinner { url, token: None });
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
    let http = http(args, targets.contains(&PinTarget::Embedded))?;
    let budget = args.pin_budget.map(|size| size.0);
    Ok(PinConfig { targets, enough: args.pinned_enough, budget, http })
}

/// Where the embedded store is served.
fn http(args: &PinArgs, is_embedded: bool) -> Result<PinnerHttp, ConfigError> {
    let given = args.pinner_addr.filter(|address| *address != PinnerAddress::Off).is_some();
    if !is_embedded {
        let has_any = given || args.pinner_public_addr.is_some() || args.pin_budget.is_some();
        return if has_any { Err(ConfigError::NotEmbedded) } else { Ok(PinnerHttp::default()) };
    }
    let access = match &args.pinner_token_file {
        Some(path) => Access::Token(
            token_of_file(path).map_err(|problem| ConfigError::PinnerToken { problem })?,
        ),
        None => Access::ThisMachine,
    };
    let (private, if_taken) = match args.pinner_addr {
        Some(PinnerAddress::Off) => (None, IfTaken::Fail),
        Some(PinnerAddress::At(address)) => (Some(address), IfTaken::Fail),
        None => (Some(PINNER_ADDRESS), IfTaken::Wait),
    };
    Ok(PinnerHttp { private, if_taken, access, public: args.pinner_public_addr })
}
