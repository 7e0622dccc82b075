//! Flags about where segments are pinned.

use crate::pin::Enough;
use bsp_common::Secret;

/// Where segments are kept available under their CIDs.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Pinning")]
pub struct PinArgs {
    /// Where to pin segments; may be given several times. [default: embedded]
    ///
    /// `embedded`, the folder pins/ of the data folder, is the default if no other pinner is named.
    /// Services are `ipfs-pinner+http://HOST:PORT/`, `kubo+http://HOST:PORT/` for Kubo's RPC and what
    /// answers like it, `psa+https://HOST/PATH` for the Pinning Service API, and
    /// `s3://BUCKET/PREFIX`. The token of a service is in a file or a variable that the URL names, as
    /// `?token-file=FILE` or `?token-env=VARIABLE`; keys of a bucket are in the AWS_ variables.
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

    /// Server with ipfs-pinner's HTTP API to pin segments to: the same as --pin with
    /// `ipfs-pinner+` before the URL.
    #[arg(long, env = "IpfsPinnerServer", hide_env_values = true, value_name = "URL")]
    pub ipfs_pinner_server: Option<Secret<String>>,
}
