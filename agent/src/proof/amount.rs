//! Amounts as operators think of them: in the chain's currency, and prices in gwei.

use alloy_primitives::U256;
use std::fmt;

/// Decimals of every EVM chain's currency.
const DECIMALS: usize = 18;

/// Decimals of a gwei.
const GWEI_DECIMALS: usize = 9;

/// Digits that are shown behind the point, counted from the first that is not zero.
const DIGITS: usize = 4;

/// An amount of a chain's currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Amount {
    /// In the smallest unit.
    pub wei: U256,
    /// The chain that it is on.
    pub chain_id: u64,
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = decimal(self.wei, DECIMALS);
        match symbol(self.chain_id) {
            Some(symbol) => write!(f, "{number} {symbol}"),
            None => write!(f, "{number} of the currency of chain {}", self.chain_id),
        }
    }
}

/// A price of gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GasPrice(
    /// In wei for each gas.
    pub u128,
);

impl fmt::Display for GasPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} gwei", decimal(U256::from(self.0), GWEI_DECIMALS))
    }
}

/// What a chain's currency is called, for the chains that proofs may go to.
const fn symbol(chain_id: u64) -> Option<&'static str> {
    match chain_id {
        1 | 10 | 8453 | 17_000 | 42_161 | 560_048 | 11_155_111 => Some("ETH"),
        56 => Some("BNB"),
        100 => Some("xDAI"),
        137 => Some("POL"),
        1284 => Some("GLMR"),
        1285 => Some("MOVR"),
        1287 => Some("DEV"),
        43_114 => Some("AVAX"),
        _ => None,
    }
}

/// A number that counts a part of 10^`decimals`, in whole ones, rounded down.
fn decimal(number: U256, decimals: usize) -> String {
    let digits = format!("{number:0>width$}", width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    // Below one, the zeros in front say nothing.
    let leading = match whole {
        "0" => fraction.len() - fraction.trim_start_matches('0').len(),
        _ => 0,
    };
    let fraction = fraction.get(..leading + DIGITS).unwrap_or(fraction).trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_in_the_chains_currency() {
        for (wei, chain_id, shown) in [
            (9_999_995_721_174_692_265_616, 1284, "9999.9957 GLMR"),
            (10_u128.pow(18), 1, "1 ETH"),
            (1_500_000_000_000_000_000, 1287, "1.5 DEV"),
            (0, 1284, "0 GLMR"),
            (1, 1284, "0.000000000000000001 GLMR"),
            (12_345_678_900_000, 1284, "0.00001234 GLMR"),
            (10_u128.pow(18) + 1, 1284, "1 GLMR"),
            (5 * 10_u128.pow(17), 31_337, "0.5 of the currency of chain 31337"),
        ] {
            let amount = Amount { wei: U256::from(wei), chain_id };
            assert_eq!(amount.to_string(), shown);
        }
        let most = Amount { wei: U256::MAX, chain_id: 1 }.to_string();
        assert!(
            most.starts_with("11579208923731619542357098500868790785326998466564056403945"),
            "{most}"
        );
    }

    #[test]
    fn prices_are_in_gwei() {
        for (wei, shown) in [
            (2_000_000_000, "2 gwei"),
            (1_000_000_007, "1 gwei"),
            (31_250_000_000, "31.25 gwei"),
            (8, "0.000000008 gwei"),
            (0, "0 gwei"),
        ] {
            assert_eq!(GasPrice(wei).to_string(), shown);
        }
    }
}
