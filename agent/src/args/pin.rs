//! Flags about where segments are pinned.

use crate::pin::Enough;
use bsp_common::{ByteSize, Secret};
use std::{net::SocketAddr, path::PathBuf, str::FromStr};

/// Where segments are kept available under their CIDs.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Pinning")]
pub struct PinArgs {
    /// Where to pin segments; may be given several times. [default: embedded]
    ///
    /// `embedded`, the folder pins/ of the data folder, is the default if no other pinner is named.
    /// Services are `ipfs-pinner+http://HOST:PORT/`, `kubo+http://HOST:PORT/` for Kubo's RPC and
    /// what answers like it, `psa+https://HOST/PATH` for the Pinning Service API, and
    /// `s3://BUCKET/PREFIX`. The token of a service is in a file or a variable that the URL names,
    /// as `?token-file=FILE` or `?token-env=VARIABLE`; keys of a bucket are in the AWS_ variables.
    /// `&origin=MULTIADDR` tells a pinning service where it finds the content. In the variable,
    /// commas stand between the URLs.
    #[arg(
        long,
        env = "BSP_AGENT_PIN",
        hide_env_values = true,
        value_name = "WHERE",
        value_delimiter = ','
    )]
    pub pin: Vec<Secret<String>>,

    /// How many of the pinners have to hold a segment before its proof: `all`, `any`, or a number.
    ///
    /// The others get it too, and are tried again without holding the proof.
    #[arg(long, env = "BSP_AGENT_PINNED_ENOUGH", value_name = "all|any|N", default_value_t = Enough::All)]
    pub pinned_enough: Enough,

    /// Disk space for the embedded store. Beyond it pins go whose proof is confirmed, the oldest
    /// first. [default: no limit]
    #[arg(long, env = "BSP_AGENT_PIN_BUDGET", value_name = "SIZE")]
    pub pin_budget: Option<ByteSize>,

    /// Address that the embedded store is served at, for programs that know ipfs-pinner, Kubo's RPC
    /// or the Pinning Service API; `off` for none. [default: 127.0.0.1:3001]
    ///
    /// Whoever reaches it can pin and unpin, so any other address than one of this machine alone
    /// needs --pinner-token-file.
    #[arg(long, env = "BSP_AGENT_PINNER_ADDR", value_name = "IP:PORT|off")]
    pub pinner_addr: Option<PinnerAddress>,

    /// Address at which everybody may fetch what the embedded store has, and nothing else.
    #[arg(long, env = "BSP_AGENT_PINNER_PUBLIC_ADDR", value_name = "IP:PORT")]
    pub pinner_public_addr: Option<SocketAddr>,

    /// File with the token that --pinner-addr asks for.
    #[arg(long, env = "BSP_AGENT_PINNER_TOKEN_FILE", value_name = "FILE")]
    pub pinner_token_file: Option<PathBuf>,

    /// Server with ipfs-pinner's HTTP API to pin segments to: the same as --pin with
    /// `ipfs-pinner+` before the URL.
    #[arg(long, env = "IpfsPinnerServer", hide_env_values = true, value_name = "URL")]
    pub ipfs_pinner_server: Option<Secret<String>>,
}

/// Where the embedded store is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinnerAddress {
    /// Nowhere.
    Off,
    /// Here.
    At(SocketAddr),
}

/// A text that is no address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("give an IP address and a port, such as 127.0.0.1:3001, or off")]
pub struct InvalidAddress;

impl FromStr for PinnerAddress {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        if text == "off" {
            return Ok(Self::Off);
        }
        text.parse().map(Self::At).map_err(|_| InvalidAddress)
    }
}
