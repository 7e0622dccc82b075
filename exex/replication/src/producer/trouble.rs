//! What keeps a lane from going on, and what to do about it.

use super::{ProducerError, job_error::JobError};
use crate::{ChainError, ProduceError, TargetError, TargetState};
use alloy_primitives::B256;

/// So many failures in a row of what should not fail are an alarm.
const ALARM_AFTER: u32 = 3;

/// What failed, for counting failures in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Block(B256),
    Chain,
    Cursors,
    Target,
    Lane,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gravity {
    /// It passes by itself.
    Passing,
    /// It may pass. If it does not, somebody has to look.
    Suspect,
    /// Somebody has to do something.
    Grave,
}

/// A failure, as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) cause: Cause,
    pub(super) gravity: Gravity,
    pub(super) message: String,
}

impl Trouble {
    pub(super) fn chain(error: &ChainError) -> Self {
        Self { cause: Cause::Chain, gravity: Gravity::Passing, message: error.to_string() }
    }

    pub(super) fn cursors(error: &ProducerError) -> Self {
        let message = format!("{error}; nothing more is delivered until the cursor is written");
        Self { cause: Cause::Cursors, gravity: Gravity::Suspect, message }
    }

    pub(super) fn target(error: &TargetError) -> Self {
        Self { cause: Cause::Target, gravity: Gravity::Grave, message: error.to_string() }
    }

    /// A lane's own code has panicked.
    pub(super) fn lane(message: &str) -> Self {
        let message = format!("the delivery panicked, please report this: {message}");
        Self { cause: Cause::Lane, gravity: Gravity::Suspect, message }
    }

    /// A block that does not follow the cursor, though the cursor is canonical.
    pub(super) fn off_branch(number: u64, hash: B256) -> Self {
        let message =
            format!("block {number} {hash} is no child of the cursor: the chain is changing");
        Self { cause: Cause::Block(hash), gravity: Gravity::Passing, message }
    }

    /// A block that is not produced.
    pub(super) fn production(hash: B256, error: &JobError) -> Self {
        let (gravity, advice) = match error {
            JobError::Produce(ProduceError::Mismatch { .. }) => (
                Gravity::Suspect,
                "; it is not delivered. If this stays, the node's state is wrong there: unwind the node below this \
                 block, or resync it",
            ),
            JobError::Produce(ProduceError::Pruned { .. }) => (
                Gravity::Grave,
                "; give the node this state back (resync, or use an archive), or leave such blocks out with \
                 --exex.bsp.skip-pruned",
            ),
            JobError::Produce(ProduceError::Unsupported { .. }) => (
                Gravity::Grave,
                "; upgrade bsp-reth. Nothing is lost: delivery goes on there after the upgrade, as long as the node \
                 keeps the state",
            ),
            JobError::Produce(_) => (Gravity::Passing, ""),
            JobError::Panicked { .. } | JobError::Hung { .. } => (Gravity::Suspect, ""),
        };
        Self { cause: Cause::Block(hash), gravity, message: format!("{error}{advice}") }
    }

    /// There is no state for any block up to the tip.
    pub(super) fn all_pruned(hash: B256, from: u64, to: u64) -> Self {
        let message = format!(
            "the node has pruned the states of all blocks from {from} to {to}: deliver earlier \
             (--exex.bsp.deliver committed), or have the node keep more"
        );
        Self { cause: Cause::Block(hash), gravity: Gravity::Grave, message }
    }

    /// What the target's state is, after so many failures in a row.
    pub(super) const fn state_after(&self, failures: u32) -> TargetState {
        match (self.gravity, self.cause) {
            (Gravity::Grave, _) => TargetState::Stuck,
            (Gravity::Suspect, _) if failures >= ALARM_AFTER => TargetState::Stuck,
            (_, Cause::Target | Cause::Cursors) => TargetState::WaitingForTarget,
            _ => TargetState::WaitingForState,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(error: ProduceError) -> [TargetState; 3] {
        let trouble = Trouble::production(B256::ZERO, &error.into());
        [1, 2, 3].map(|failures| trouble.state_after(failures))
    }

    #[test]
    fn a_failed_check_is_an_alarm_at_the_third_time() {
        let reason = "gas".to_owned();
        let waits = TargetState::WaitingForState;
        assert_eq!(
            states(ProduceError::Mismatch { number: 1, hash: B256::ZERO, reason }),
            [waits, waits, TargetState::Stuck]
        );
    }

    #[test]
    fn what_passes_never_is_an_alarm() {
        let not_ready = ProduceError::NotReady { number: 1, reason: "later".to_owned() };
        assert_eq!(states(not_ready), [TargetState::WaitingForState; 3]);
    }

    #[test]
    fn pruned_state_is_one_at_once_and_says_what_to_do() {
        let pruned = || ProduceError::Pruned { number: 1, reason: "gone".to_owned() };
        assert_eq!(states(pruned()), [TargetState::Stuck; 3]);
        let message = Trouble::production(B256::ZERO, &pruned().into()).message;
        assert!(message.contains("--exex.bsp.skip-pruned"), "{message}");
    }
}
