//! Whether the balance pays for the proofs to come.

use super::{ask::Desk, config::ChainProverConfig, metrics};
use crate::{
    alarm::AlarmKind,
    proof::{fees::Fees, rpc::RpcError},
};
use alloy_primitives::U256;
use std::time::{Duration, Instant};

/// What a proof is assumed to need before the first was estimated.
const TYPICAL_GAS: u64 = 300_000;

/// How often an empty account is looked at, at the least.
const WHEN_SHORT: Duration = Duration::from_secs(5);

/// The balance, in proofs.
#[derive(Debug)]
pub(super) struct Funds {
    interval: Duration,
    checked: Option<Instant>,
    gas: u64,
    price: Option<u128>,
    /// How many proofs the balance paid for when it was last looked at, those under way included.
    proofs: u64,
    short: bool,
}

impl Funds {
    pub(super) fn new(config: &ChainProverConfig) -> Self {
        let interval = config.check_interval;
        Self { interval, checked: None, gas: TYPICAL_GAS, price: None, proofs: 0, short: false }
    }

    /// How many more proofs can be paid for, with so many under way.
    pub(super) fn left(&self, in_flight: usize) -> usize {
        if self.short {
            return 0;
        }
        usize::try_from(self.proofs).unwrap_or(usize::MAX).saturating_sub(in_flight)
    }

    /// The node took a transaction.
    pub(super) fn suffice(&mut self) {
        if self.short {
            self.short = false;
            self.checked = None;
        }
    }

    /// The node refused a transaction for lack of funds.
    pub(super) fn run_out(&mut self, desk: &Desk, reason: &str) {
        self.short = true;
        self.checked = None;
        let operator = desk.account.address();
        let message = format!("{operator} can't pay for a proof, send funds to it: {reason}");
        desk.alarms.raise(AlarmKind::Balance, message);
    }

    /// What the next proof may cost at most.
    pub(super) const fn expect(&mut self, gas: u64, price: u128) {
        self.gas = gas;
        self.price = Some(price);
    }

    /// Looks at the balance, if it is time.
    pub(super) async fn check(&mut self, desk: &Desk) -> Result<(), RpcError> {
        let interval = if self.short { self.interval.min(WHEN_SHORT) } else { self.interval };
        if self.checked.is_some_and(|at| at.elapsed() < interval) {
            return Ok(());
        }
        let balance = desk.rpc.balance(desk.account.address()).await?;
        let price = match self.price {
            Some(price) => price,
            None => Fees::suggest(desk.rpc.market().await?, desk.config.max_fee_per_gas).max_fee,
        };
        self.checked = Some(Instant::now());
        self.note(desk, balance, price);
        Ok(())
    }

    fn note(&mut self, desk: &Desk, balance: U256, price: u128) {
        metrics::balance(balance);
        let proofs = proofs_in(balance, self.gas, price);
        self.proofs = proofs;
        self.short = proofs == 0;
        if proofs >= desk.config.balance_alarm {
            desk.alarms.clear(AlarmKind::Balance);
            return;
        }
        let operator = desk.account.address();
        let message =
            format!("{operator} has {balance} wei, enough for {proofs} proofs: send funds to it");
        desk.alarms.raise(AlarmKind::Balance, message);
    }
}

/// How many proofs a balance pays for.
pub(in crate::proof) fn proofs_in(balance: U256, gas: u64, price: u128) -> u64 {
    let cost = U256::from(gas).saturating_mul(U256::from(price));
    balance.checked_div(cost).map_or(u64::MAX, |proofs| proofs.saturating_to())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_balance_is_counted_in_proofs() {
        assert_eq!(proofs_in(U256::from(1_000_000), 100, 1000), 10);
        assert_eq!(proofs_in(U256::from(99_999), 100, 1000), 0);
        assert_eq!(proofs_in(U256::ZERO, 100, 0), u64::MAX);
        assert_eq!(proofs_in(U256::MAX, u64::MAX, u128::MAX), u64::MAX);
    }
}
