//! What a proof transaction pays for gas, first and when it is sent again.

/// What bsp-agent v1.9.2 offers where a chain has neither a base fee nor an answer to
/// `eth_gasPrice`: 100 gwei.
pub const STATIC_GAS_PRICE: u128 = 100_000_000_000;

/// Wei in a gwei.
pub const GWEI: u128 = 1_000_000_000;

/// The price of gas in a transaction, in wei for each gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fees {
    /// Fee cap (EIP-1559), or gas price.
    pub max_fee: u128,
    /// Tip cap (EIP-1559), or gas price.
    pub tip: u128,
    /// Whether it is a gas price: the chain has no base fee.
    pub legacy: bool,
}

/// What a node says about prices, in wei for each gas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Market {
    /// The latest header's base fee, on chains that have one.
    pub base_fee: Option<u128>,
    /// The answer of `eth_maxPriorityFeePerGas`, if there was one.
    pub tip: Option<u128>,
    /// The answer of `eth_gasPrice`, if there was one.
    pub gas_price: Option<u128>,
}

impl Fees {
    /// What is offered now. As bsp-agent v1.9.2 does: tip + 2 × base fee with the node's tip, or
    /// the node's gas price where there is no base fee. Never above the ceiling.
    pub fn suggest(market: Market, ceiling: u128) -> Self {
        let fees = match market.base_fee {
            Some(base) => {
                let tip = market
                    .tip
                    .or_else(|| market.gas_price.map(|price| price.saturating_sub(base)))
                    .unwrap_or(GWEI);
                let max_fee = base.saturating_mul(2).saturating_add(tip);
                Self { max_fee, tip, legacy: false }
            }
            None => {
                let price = market.gas_price.unwrap_or(STATIC_GAS_PRICE);
                Self { max_fee: price, tip: price, legacy: true }
            }
        };
        fees.capped(ceiling)
    }

    /// What replaces a transaction with these fees: each price an eighth higher, rounded up, or as
    /// is suggested now where that is more. Nodes take a replacement from a tenth on. `None` if
    /// that is above the ceiling.
    pub fn bumped(self, suggestion: Self, ceiling: u128) -> Option<Self> {
        let bumped = Self {
            max_fee: bump(self.max_fee).max(suggestion.max_fee),
            tip: bump(self.tip).max(suggestion.tip),
            legacy: self.legacy,
        }
        .capped(ceiling);
        let taken =
            bumped.max_fee >= least_bump(self.max_fee) && bumped.tip >= least_bump(self.tip);
        taken.then_some(bumped)
    }

    fn capped(self, ceiling: u128) -> Self {
        let max_fee = self.max_fee.min(ceiling);
        let tip = if self.legacy { max_fee } else { self.tip.min(max_fee) };
        Self { max_fee, tip, legacy: self.legacy }
    }
}

/// An eighth more, and at least one wei.
const fn bump(price: u128) -> u128 {
    let more = price.div_ceil(8);
    price.saturating_add(if more == 0 { 1 } else { more })
}

/// A tenth more, rounded up, and at least one wei: what every known node takes as a replacement.
const fn least_bump(price: u128) -> u128 {
    let more = price.div_ceil(10);
    price.saturating_add(if more == 0 { 1 } else { more })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CEILING: u128 = 1000 * GWEI;

    #[test]
    fn the_first_offer_is_bsp_agents() {
        let market = Market { base_fee: Some(7 * GWEI), tip: Some(2 * GWEI), gas_price: None };
        assert_eq!(
            Fees::suggest(market, CEILING),
            Fees { max_fee: 16 * GWEI, tip: 2 * GWEI, legacy: false }
        );
        let no_tip = Market { tip: None, gas_price: Some(10 * GWEI), ..market };
        assert_eq!(Fees::suggest(no_tip, CEILING).tip, 3 * GWEI);
        let legacy = Market { gas_price: Some(5), ..Market::default() };
        assert_eq!(Fees::suggest(legacy, CEILING), Fees { max_fee: 5, tip: 5, legacy: true });
        let silent = Fees::suggest(Market::default(), CEILING);
        assert_eq!(silent.max_fee, STATIC_GAS_PRICE);
        assert!(silent.legacy);
    }

    #[test]
    fn a_bump_follows_the_market_and_ends_at_the_ceiling() {
        let old = Fees { max_fee: 80, tip: 8, legacy: false };
        let low = Fees { max_fee: 1, tip: 1, legacy: false };
        assert_eq!(old.bumped(low, 1000), Some(Fees { max_fee: 90, tip: 9, legacy: false }));
        let high = Fees { max_fee: 400, tip: 40, legacy: false };
        assert_eq!(old.bumped(high, 1000), Some(high));
        assert_eq!(old.bumped(low, 88), Some(Fees { max_fee: 88, tip: 9, legacy: false }));
        assert_eq!(old.bumped(low, 87), None);
    }

    fn any_fees(ceiling: u128) -> impl Strategy<Value = Fees> {
        (any::<bool>(), any::<u128>(), any::<u128>())
            .prop_map(move |(legacy, max_fee, tip)| Fees { max_fee, tip, legacy }.capped(ceiling))
    }

    proptest! {
        #[test]
        fn a_bump_is_taken_by_nodes_and_never_above_the_ceiling(
            (old, suggestion, ceiling) in any::<u128>().prop_flat_map(|ceiling| {
                (any_fees(ceiling), any_fees(ceiling), Just(ceiling))
            }),
        ) {
            if let Some(new) = old.bumped(suggestion, ceiling) {
                prop_assert!(new.max_fee <= ceiling);
                prop_assert!(new.tip <= new.max_fee);
                for (old, new) in [(old.max_fee, new.max_fee), (old.tip, new.tip)] {
                    prop_assert!(new > old);
                    prop_assert!(new - old >= old / 10);
                }
                prop_assert_eq!(new.legacy, old.legacy);
            }
        }

        #[test]
        fn a_small_offer_can_always_be_bumped(old in any_fees(1 << 64)) {
            prop_assert!(old.bumped(old, u128::MAX).is_some());
        }

        #[test]
        fn an_offer_is_never_above_the_ceiling(
            base_fee: Option<u128>, tip: Option<u128>, gas_price: Option<u128>, ceiling: u128,
        ) {
            let fees = Fees::suggest(Market { base_fee, tip, gas_price }, ceiling);
            prop_assert!(fees.max_fee <= ceiling && fees.tip <= fees.max_fee);
        }
    }
}
