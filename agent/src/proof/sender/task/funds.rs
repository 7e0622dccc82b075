//! Whether the balance pays for the proofs to come.

use crate::{
    alarm::AlarmKind,
    proof::{
        amount::Amount,
        fees::Fees,
        rpc::RpcError,
        sender::{claims::ProofContract, config::ChainProverConfig, metrics},
    },
};
use alloy_primitives::U256;
use bsp_common::text::counted;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// What a proof is assumed to need before the first was estimated.
const TYPICAL_GAS: u64 = 300_000;

/// Spending is measured over this time, by balances that are this far apart, and told once it was
/// measured for that long.
const OBSERVED: Duration = Duration::from_secs(24 * 3600);
const BETWEEN_SAMPLES: Duration = Duration::from_secs(600);
const LEAST_OBSERVED: Duration = Duration::from_secs(3600);

/// How often an empty account is checked, at the least.
const WHEN_SHORT: Duration = Duration::from_secs(5);

/// The balance, in proofs.
#[derive(Debug)]
pub(crate) struct Funds {
    interval: Duration,
    checked: Option<Instant>,
    gas: u64,
    price: Option<u128>,
    spending: Spending,
    /// How many proofs the balance paid for when it was last looked at, those under way included.
    proofs: u64,
    short: bool,
}

impl Funds {
    pub(crate) fn new(config: &ChainProverConfig) -> Self {
        let interval = config.check_interval;
        Self {
            interval,
            checked: None,
            gas: TYPICAL_GAS,
            price: None,
            spending: Spending::default(),
            proofs: 0,
            short: false,
        }
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
    pub(crate) async fn check(
        &mut self,
        contract: &ProofContract,
        chain_id: u64,
    ) -> Result<(), RpcError> {
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
        self.note(contract, Amount { wei: balance, chain_id }, price);
        Ok(())
    }

    fn note(&mut self, contract: &ProofContract, balance: Amount, price: u128) {
        metrics::balance(balance.wei);
        let lasts = self.spending.saw(Instant::now(), balance.wei);
        if let Some(lasts) = lasts {
            metrics::balance_lasts(lasts);
        }
        let proofs = proofs_in(balance.wei, self.gas, price);
        self.proofs = proofs;
        self.short = proofs == 0;
        if proofs >= contract.config.balance_alarm {
            contract.alarms.clear(AlarmKind::Balance);
            return;
        }
        let operator = contract.account.address();
        let lasts = lasts.map_or_else(String::new, |lasts| {
            format!(", or {} as fast as it has gone down lately", days(lasts))
        });
        let message = format!(
            "{operator} has {balance}, enough for {}{lasts}: send funds to it",
            counted(proofs, "proof")
        );
        contract.alarms.raise(AlarmKind::Balance, message);
    }
}

/// How fast the balance goes down.
#[derive(Debug, Default)]
struct Spending {
    /// Balances of the last day with their times, since funds came in last.
    samples: VecDeque<(Instant, U256)>,
    latest: U256,
}

impl Spending {
    /// Takes a balance in. How long it lasts if it goes on falling like this; `None` if that is not
    /// known yet, or it does not fall.
    fn saw(&mut self, now: Instant, balance: U256) -> Option<Duration> {
        if balance > self.latest {
            self.samples.clear();
        }
        self.latest = balance;
        let age = |since: &Instant| now.saturating_duration_since(*since);
        while self.samples.front().is_some_and(|(since, _)| age(since) > OBSERVED) {
            self.samples.pop_front();
        }
        if self.samples.back().is_none_or(|(since, _)| age(since) >= BETWEEN_SAMPLES) {
            self.samples.push_back((now, balance));
        }
        let (since, before) = self.samples.front()?;
        let elapsed = age(since);
        let spent = before.checked_sub(balance)?;
        if elapsed < LEAST_OBSERVED || spent.is_zero() {
            return None;
        }
        let seconds = balance.checked_mul(U256::from(elapsed.as_secs()))?.checked_div(spent)?;
        Some(Duration::from_secs(seconds.saturating_to()))
    }
}

/// In days from two days on, else in hours.
fn days(time: Duration) -> String {
    const HOUR: u64 = 3600;
    match time.as_secs() / HOUR {
        0 => "less than an hour".to_owned(),
        hours @ 1..48 => counted(hours, "hour"),
        hours => counted(hours / 24, "day"),
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
    fn how_long_a_balance_lasts_is_measured() {
        let start = Instant::now();
        let mut spending = Spending::default();
        let mut saw = |minutes: u64, balance: u64| {
            let lasts =
                spending.saw(start + Duration::from_secs(60 * minutes), U256::from(balance));
            lasts.map(|lasts| lasts.as_secs() / 60)
        };
        assert_eq!(saw(0, 1000), None);
        assert_eq!(saw(30, 990), None, "too early to tell");
        assert_eq!(saw(60, 900), Some(540));
        assert_eq!(saw(70, 5000), None, "funds came in");
        assert_eq!(saw(140, 5000), None, "nothing is spent");
        assert_eq!(saw(170, 4000), Some(400));
        // Of what was spent before the last day, nothing is left to see.
        for minutes in (180..2000).step_by(10) {
            saw(minutes, 4000);
        }
        assert_eq!(saw(2000, 4000), None);
        assert_eq!(saw(2010, 0), Some(0));
    }

    #[test]
    fn times_are_told_in_hours_or_days() {
        for (hours, told) in [
            (0, "less than an hour"),
            (1, "1 hour"),
            (47, "47 hours"),
            (48, "2 days"),
            (71, "2 days"),
        ] {
            assert_eq!(days(Duration::from_secs(3600 * hours)), told);
        }
    }

    #[test]
    fn a_balance_is_counted_in_proofs() {
        assert_eq!(proofs_in(U256::from(1_000_000), 100, 1000), 10);
        assert_eq!(proofs_in(U256::from(99_999), 100, 1000), 0);
        assert_eq!(proofs_in(U256::ZERO, 100, 0), u64::MAX);
        assert_eq!(proofs_in(U256::MAX, u64::MAX, u128::MAX), u64::MAX);
    }
}
