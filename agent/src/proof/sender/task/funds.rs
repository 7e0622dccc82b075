//! Whether the balance pays for the proofs to come.

use crate::{
    alarm::AlarmKind,
    proof::{
        fees::Fees,
        rpc::RpcError,
        sender::{claims::ProofContract, config::ChainProverConfig, metrics},
    },
};
use alloy_primitives::U256;
use std::time::{Duration, Instant};

/// What a proof is assumed to need before the first was estimated.
const TYPICAL_GAS: u64 = 300_000;

/// How often an empty account is checked, at the least.
const WHEN_SHORT: Duration = Duration::from_secs(5);

/// The balance, in proofs.
#[derive(Debug)]
pub(crate) struct Funds {
    interval: Duration,
    checked: Option<Instant>,
    gas: u64,
    price: Option<u128>,
    /// How many proofs the balance paid for when it was last looked at, those under way included.
    proofs: u64,
    short: bool,
}

impl Funds {
    pub(crate) fn new(config: &ChainProverConfig) -> Self {
        let interval = config.check_interval;
        Self { interval, checked: None, gas: TYPICAL_GAS, price: None, proofs: 0, short: false }
    }

    /// How many more proofs can be paid for, with this many under way.
    pub(crate) fn left(&self, in_flight: usize) -> usize {
        if self.short {
            return 0;
        }
        usize::try_from(self.proofs).unwrap_or(usize::MAX).saturating_sub(in_flight)
    }

    /// The node took a transaction.
    pub(crate) fn suffice(&mut self) {
        if self.short {
            self.short = false;
            self.checked = None;
        }
    }

    /// The node refused a transaction for lack of funds.
    pub(crate) fn run_out(&mut self, contract: &ProofContract, reason: &str) {
        self.short = true;
        self.checked = None;
        let operator = contract.account.address();
        let message = format!("{operator} can't pay for a proof, send funds to it: {reason}");
        contract.alarms.raise(AlarmKind::Balance, message);
    }

    /// What the next proof may cost at most.
    pub(crate) const fn expect(&mut self, gas: u64, price: u128) {
        self.gas = gas;
        self.price = Some(price);
    }

    /// Looks at the balance, if it is time.
    pub(crate) async fn check(&mut self, contract: &ProofContract) -> Result<(), RpcError> {
        let interval = if self.short { self.interval.min(WHEN_SHORT) } else { self.interval };
        if self.checked.is_some_and(|at| at.elapsed() < interval) {
            return Ok(());
        }
        let balance = contract.rpc.balance(contract.account.address()).await?;
        let price = match self.price {
            Some(price) => price,
            None => {
                Fees::suggest(contract.rpc.market().await?, contract.config.max_fee_per_gas).max_fee
            }
        };
        self.checked = Some(Instant::now());
        self.note(contract, balance, price);
        Ok(())
    }

    fn note(&mut self, contract: &ProofContract, balance: U256, price: u128) {
        metrics::balance(balance);
        let proofs = proofs_in(balance, self.gas, price);
        self.proofs = proofs;
        self.short = proofs == 0;
        if proofs >= contract.config.balance_alarm {
            contract.alarms.clear(AlarmKind::Balance);
            return;
        }
        let operator = contract.account.address();
        let message =
            format!("{operator} has {balance} wei, enough for {proofs} proofs: send funds to it");
        contract.alarms.raise(AlarmKind::Balance, message);
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
