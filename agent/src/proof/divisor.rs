//! Whether `--block-divisor` selects the blocks that the contract takes.

use crate::alarm::{AlarmKind, Alarms};
use std::{
    collections::BTreeMap,
    num::NonZeroU64,
    sync::{Mutex, PoisonError},
};

/// The networks whose rules are built in: mainnet, Sepolia and Hoodi.
pub const BUILT_IN: [u64; 3] = [1, 11_155_111, 560_048];

/// What is compared with the contract's figures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection {
    /// `--block-divisor`.
    pub divisor: NonZeroU64,
    /// The networks whose blocks may come, as far as the settings tell.
    pub networks: Vec<u64>,
    /// Whether the settings name the only network.
    pub is_certain: bool,
}

/// What differs, and what to do. `None` if just those blocks are selected that the contract takes.
pub fn difference(divisor: NonZeroU64, nth: NonZeroU64, network: u64) -> Option<String> {
    let (divisor, nth) = (divisor.get(), nth.get());
    if divisor == nth {
        return None;
    }
    let common = greatest_common_divisor(divisor, nth);
    let (skipped_of, missed_of) = (nth / common, divisor / common);
    let mut text = format!(
        "--block-divisor is {divisor}, and of network {network} the contract takes the blocks whose number is divisible \
         by {nth}: "
    );
    if skipped_of > 1 {
        let skipped = skipped_of - 1;
        text += &format!("{skipped} of {skipped_of} selected blocks are skipped, ");
    }
    if missed_of > 1 {
        let missed = missed_of - 1;
        text += &format!("{missed} of {missed_of} that it takes are never selected, ");
    }
    Some(format!("{text}set --block-divisor {nth}"))
}

const fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Keeps the alarm about a difference, while the contract's figures are checked.
#[derive(Debug)]
pub(super) struct Comparison {
    divisor: NonZeroU64,
    alarms: Alarms,
    /// What differs, by network.
    differences: Mutex<BTreeMap<u64, String>>,
}

impl Comparison {
    pub(super) fn new(divisor: NonZeroU64, alarms: Alarms) -> Self {
        Self { divisor, alarms, differences: Mutex::default() }
    }

    /// The contract takes each `nth` block of a network whose blocks are in flight. Zero: it does
    /// not know the network.
    pub(super) fn note(&self, network: u64, nth: u64) {
        let Some(nth) = NonZeroU64::new(nth) else { return };
        let mut differences = self.differences.lock().unwrap_or_else(PoisonError::into_inner);
        match difference(self.divisor, nth, network) {
            Some(text) => differences.insert(network, text),
            None => differences.remove(&network),
        };
        match differences.values().next() {
            Some(text) => self.alarms.raise(AlarmKind::BlockDivisor, text.clone()),
            None => self.alarms.clear(AlarmKind::BlockDivisor),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn number(of: u64) -> NonZeroU64 {
        NonZeroU64::new(of).unwrap()
    }

    #[test]
    fn the_built_in_networks_are_built_in() {
        assert!(BUILT_IN.iter().all(|id| bsp_capture::ChainSpec::from_chain_id(*id).is_some()));
    }

    #[test]
    fn what_is_skipped_and_what_is_missed_is_counted() {
        assert_eq!(difference(number(35), number(35), 1), None);
        for (divisor, nth, said, not_said) in [
            (3, 35, "34 of 35 selected blocks are skipped, 2 of 3 that it takes are never", "zzz"),
            (1, 35, "34 of 35 selected blocks are skipped, set --block-divisor 35", "never"),
            (70, 35, "1 of 2 that it takes are never selected, set --block-divisor 35", "skipped"),
            (10, 35, "6 of 7 selected blocks are skipped, 1 of 2 that it takes are never", "zzz"),
        ] {
            let text = difference(number(divisor), number(nth), 1).unwrap();
            assert!(text.contains(said) && !text.contains(not_said), "{text}");
        }
    }

    #[test]
    fn the_alarm_follows_the_contracts_figures() {
        let alarms = Alarms::default();
        let comparison = Comparison::new(number(3), alarms.clone());
        let raised = || alarms.raised().contains_key(&AlarmKind::BlockDivisor);
        comparison.note(1, 3);
        assert!(!raised());
        comparison.note(1, 35);
        assert!(raised());
        comparison.note(5, 3);
        comparison.note(7, 0);
        assert!(raised(), "another network's figures end nothing");
        comparison.note(1, 3);
        assert!(!raised());
    }

    /// An alarm from the start ends with the first figures that are right.
    #[test]
    fn an_alarm_from_before_ends() {
        let alarms = Alarms::default();
        alarms.raise(AlarmKind::BlockDivisor, "at the start");
        Comparison::new(number(3), alarms.clone()).note(1337, 3);
        assert!(alarms.raised().is_empty());
    }

    proptest! {
        /// Counted one by one over a whole period.
        #[test]
        fn the_shares_are_right(divisor in 1_u64..40, nth in 1_u64..40) {
            let period = divisor * nth;
            let selected: Vec<_> = (0..period).filter(|it| it.is_multiple_of(divisor)).collect();
            let wanted: Vec<_> = (0..period).filter(|it| it.is_multiple_of(nth)).collect();
            let skipped = selected.iter().filter(|it| !it.is_multiple_of(nth)).count();
            let missed = wanted.iter().filter(|it| !it.is_multiple_of(divisor)).count();
            let text = difference(number(divisor), number(nth), 1).unwrap_or_default();
            prop_assert_eq!(skipped > 0, text.contains("are skipped"));
            prop_assert_eq!(missed > 0, text.contains("never selected"));
            let common = greatest_common_divisor(divisor, nth);
            let (of, missed_of) = (nth / common, divisor / common);
            prop_assert_eq!(skipped as u64 * of, selected.len() as u64 * (of - 1));
            prop_assert_eq!(missed as u64 * missed_of, wanted.len() as u64 * (missed_of - 1));
        }
    }
}
