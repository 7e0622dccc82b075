//! Forks whose blocks this version can't export.
//!
//! The network's format has no room for what they add to a block, and capture does not know what
//! they change in a block's execution. A node that upgrades in time follows them all the same, so
//! its operator has to hear of them before they come.

use alloy_consensus::Header;
use chrono::DateTime;
use reth_chainspec::{ChainSpec, EthereumHardfork, ForkCondition};
use serde::Serialize;
use std::fmt;

/// The forks that the network's format and capture's rules hold. BPO forks change nothing but the
/// blob parameters, which are taken from the node's own specification.
const KNOWN: [EthereumHardfork; 24] = [
    EthereumHardfork::Frontier,
    EthereumHardfork::Homestead,
    EthereumHardfork::Dao,
    EthereumHardfork::Tangerine,
    EthereumHardfork::SpuriousDragon,
    EthereumHardfork::Byzantium,
    EthereumHardfork::Constantinople,
    EthereumHardfork::Petersburg,
    EthereumHardfork::Istanbul,
    EthereumHardfork::MuirGlacier,
    EthereumHardfork::Berlin,
    EthereumHardfork::London,
    EthereumHardfork::ArrowGlacier,
    EthereumHardfork::GrayGlacier,
    EthereumHardfork::Paris,
    EthereumHardfork::Shanghai,
    EthereumHardfork::Cancun,
    EthereumHardfork::Prague,
    EthereumHardfork::Osaka,
    EthereumHardfork::Bpo1,
    EthereumHardfork::Bpo2,
    EthereumHardfork::Bpo3,
    EthereumHardfork::Bpo4,
    EthereumHardfork::Bpo5,
];

/// A fork that the chain is to have and that this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UnknownFork {
    /// Its name, such as `Amsterdam`.
    pub name: String,
    /// When it begins.
    #[serde(flatten)]
    pub begins: ForkBegin,
    /// Whether the node follows it. Otherwise it stands in the genesis file only, and the node
    /// continues by the old rules.
    pub node_follows: bool,
}

/// When a fork begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum ForkBegin {
    /// With the block of this height.
    Height(u64),
    /// With the first block of this time or later, in Unix seconds.
    Time(u64),
}

impl ForkBegin {
    const fn has_begun(self, number: u64, timestamp: u64) -> bool {
        match self {
            Self::Height(first) => first <= number,
            Self::Time(first) => first <= timestamp,
        }
    }
}

impl fmt::Display for ForkBegin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Height(first) => write!(f, "at block {first}"),
            Self::Time(first) => {
                let date =
                    i64::try_from(first).ok().and_then(|first| DateTime::from_timestamp(first, 0));
                match date {
                    Some(date) => write!(f, "on {date} (Unix time {first})"),
                    None => write!(f, "at Unix time {first}"),
                }
            }
        }
    }
}

impl UnknownFork {
    /// Whether it keeps a block of this height and Unix time from being exported.
    pub(crate) const fn holds(&self, number: u64, timestamp: u64) -> bool {
        self.node_follows && self.begins.has_begun(number, timestamp)
    }
}

impl fmt::Display for UnknownFork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.begins)
    }
}

/// The forks of a chain that this version does not know, in the order of the specification, and
/// those that only its genesis file names behind them.
pub fn unknown_forks(spec: &ChainSpec) -> Vec<UnknownFork> {
    let scheduled = spec.hardforks.forks_iter().filter_map(|(fork, condition)| {
        let begins = match condition {
            ForkCondition::Block(number)
            | ForkCondition::TTD { activation_block_number: number, .. } => {
                ForkBegin::Height(number)
            }
            ForkCondition::Timestamp(time) => ForkBegin::Time(time),
            ForkCondition::Never => return None,
        };
        let name = fork.name();
        let is_known = KNOWN.iter().any(|known| known.name() == name);
        (!is_known).then(|| UnknownFork { name: name.to_owned(), begins, node_follows: true })
    });
    scheduled.chain(in_genesis_only(spec)).collect()
}

/// reth v2.5.1 passes over what it does not know in a genesis file's `config`.
fn in_genesis_only(spec: &ChainSpec) -> impl Iterator<Item = UnknownFork> + '_ {
    let config = &spec.genesis.config;
    let bogota = config.bogota_time.map(|time| ("Bogota".to_owned(), time));
    let others = config.extra_fields.iter().filter_map(|(key, value)| {
        let name = key.strip_suffix("Time").filter(|name| !name.is_empty())?;
        Some((capitalised(name), seconds(value)?))
    });
    bogota.into_iter().chain(others).map(|(name, time)| UnknownFork {
        name,
        begins: ForkBegin::Time(time),
        node_follows: false,
    })
}

/// A time as genesis files write it: a number, or a decimal or hexadecimal string.
fn seconds(value: &serde_json::Value) -> Option<u64> {
    if let Some(number) = value.as_u64() {
        return Some(number);
    }
    let text = value.as_str()?;
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// What the operator is told about a fork, given the node's last block.
pub(crate) fn warning(fork: &UnknownFork, head: &Header) -> String {
    if !fork.node_follows {
        return format!(
            "The genesis file schedules {fork}, a fork that neither this version of reth nor its producer knows: upgrade \
             bsp-reth before it begins"
        );
    }
    if fork.holds(head.number, head.timestamp) {
        return format!(
            "The chain has the fork {fork}, which this version can't export: nothing is delivered from there on. Upgrade \
             bsp-reth; delivery resumes with the first block of the fork"
        );
    }
    format!(
        "The chain will have the fork {fork}, which this version can't export: nothing will be delivered from there on. \
         Upgrade bsp-reth before that"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use reth_chainspec::{ChainSpecBuilder, DEV, HOLESKY, HOODI, Hardfork, MAINNET, SEPOLIA};
    use serde_json::json;

    const SOON: u64 = 1_800_000_000;

    fn from_genesis(config: &serde_json::Value) -> ChainSpec {
        let genesis =
            json!({ "config": config, "difficulty": "0x0", "gasLimit": "0x1c9c380", "alloc": {} });
        ChainSpec::from(serde_json::from_value::<alloy_genesis::Genesis>(genesis).unwrap())
    }

    #[test]
    fn networks_of_this_version_are_known_to_the_end() {
        for spec in [&MAINNET, &SEPOLIA, &HOODI, &HOLESKY, &DEV] {
            assert_eq!(unknown_forks(spec), [], "{}", spec.chain);
        }
    }

    #[test]
    fn every_fork_of_this_reth_is_known_or_told_of() {
        // A new version of reth has to be checked: whether the format holds what its new forks add.
        let unknown: Vec<_> = EthereumHardfork::VARIANTS
            .iter()
            .filter(|fork| !KNOWN.contains(fork))
            .map(Hardfork::name)
            .collect();
        assert_eq!(unknown, ["Amsterdam"]);
    }

    #[test]
    fn amsterdam_is_told_of_with_its_date() {
        let spec = from_genesis(&json!({ "chainId": 7, "londonBlock": 0, "amsterdamTime": SOON }));
        let begins = ForkBegin::Time(SOON);
        let amsterdam = UnknownFork { name: "Amsterdam".into(), begins, node_follows: true };
        assert_eq!(unknown_forks(&spec), std::slice::from_ref(&amsterdam));
        assert_eq!(
            amsterdam.to_string(),
            "Amsterdam on 2027-01-15 08:00:00 UTC (Unix time 1800000000)"
        );
        let head = |timestamp| Header { timestamp, ..Header::default() };
        let before = warning(&amsterdam, &head(SOON - 1));
        assert!(
            before.contains("The chain will have the fork Amsterdam on 2027-01-15"),
            "{before}"
        );
        let after = warning(&amsterdam, &head(SOON));
        assert!(
            after.contains("The chain has the fork") && after.contains("Upgrade bsp-reth"),
            "{after}"
        );
    }

    #[test]
    fn a_fork_at_a_height_is_told_of_too() {
        let condition = ForkCondition::Block(9);
        let spec = ChainSpecBuilder::mainnet().with_fork(EthereumHardfork::Amsterdam, condition);
        let unknown = unknown_forks(&spec.build());
        assert_eq!(unknown[0].to_string(), "Amsterdam at block 9");
        assert!(!unknown[0].holds(8, u64::MAX) && unknown[0].holds(9, 0));
        let never = ForkCondition::Never;
        let spec = ChainSpecBuilder::mainnet().with_fork(EthereumHardfork::Amsterdam, never);
        assert_eq!(unknown_forks(&spec.build()), []);
    }

    #[test]
    fn what_reth_passes_over_in_a_genesis_file_is_told_of_but_does_not_hold() {
        let spec = from_genesis(&json!({
            "chainId": 7, "bogotaTime": SOON, "stockholmTime": "0x6b49d200", "Time": 3,
            "contractSizeLimit": 9, "laterTime": null
        }));
        let unknown = unknown_forks(&spec);
        let names: Vec<_> = unknown.iter().map(|fork| (fork.name.as_str(), fork.begins)).collect();
        let begins = ForkBegin::Time(SOON);
        assert_eq!(names, [("Bogota", begins), ("Stockholm", begins)]);
        assert!(!unknown.iter().any(|fork| fork.holds(u64::MAX, u64::MAX)));
        let told = warning(&unknown[0], &Header::default());
        assert!(told.contains("Bogota on 2027-01-15") && told.contains("neither"), "{told}");
    }

    #[test]
    fn status_names_them() {
        let begins = ForkBegin::Time(SOON);
        let fork = UnknownFork { name: "Amsterdam".to_owned(), begins, node_follows: true };
        let expected = json!({ "name": "Amsterdam", "time": SOON, "nodeFollows": true });
        assert_eq!(serde_json::to_value(fork).unwrap(), expected);
    }
}
