//! What keeps a lane from going on, and what to do about it.

use crate::{
    chain::{ChainError, ProduceError},
    producer::{ProducerError, TargetState, job_error::JobError},
    target::TargetError,
};
use alloy_primitives::B256;

/// So many failures in a row of what should not fail are an alarm.
const ALARM_AFTER: u32 = 3;
/// So many of what passes on its own as a rule are one, too: with their pauses about two minutes.
const LASTING_AFTER: u32 = 12;

/// What to do about a database that fails again and again.
const LASTING_CHAIN: &str =
    "; if this stays, the node's database is damaged or its disk fails: look at the node's log";

/// What failed, for counting failures in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    Block(B256),
    Chain,
    Cursors,
    Target,
    Lane,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// It passes on its own, whatever the time it takes.
    Passing,
    /// It passes on its own as a rule, and soon. If it lasts, the operator has to look.
    Brief,
    /// It may pass. If it does not, the operator has to look.
    Suspect,
    /// Somebody has to do something.
    Grave,
}

/// A failure, as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) cause: Cause,
    pub(crate) severity: Severity,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn chain(error: &ChainError) -> Self {
        let message = format!("{error}{LASTING_CHAIN}");
        Self { cause: Cause::Chain, severity: Severity::Brief, message }
    }

    pub(crate) fn cursors(error: &ProducerError) -> Self {
        let message = format!("{error}; nothing more is delivered until the cursor is written");
        Self { cause: Cause::Cursors, severity: Severity::Suspect, message }
    }

    pub(crate) fn target(error: &TargetError) -> Self {
        Self { cause: Cause::Target, severity: Severity::Grave, message: error.to_string() }
    }

    /// A target has panicked.
    pub(crate) fn target_panicked(name: &str, message: &str) -> Self {
        let message = format!("{name}: the target panicked, report this to its author: {message}");
        Self { cause: Cause::Target, severity: Severity::Suspect, message }
    }

    /// A target's thread has ended.
    pub(crate) fn target_gone(name: &str) -> Self {
        let message =
            format!("{name}: the target's thread has ended: restart the node, and report this");
        Self { cause: Cause::Target, severity: Severity::Grave, message }
    }

    /// A lane's own code has panicked.
    pub(crate) fn lane(message: &str) -> Self {
        let message = format!("the delivery panicked, please report this: {message}");
        Self { cause: Cause::Lane, severity: Severity::Suspect, message }
    }

    /// A block that does not follow the cursor, though the cursor is canonical, or that the node
    /// does not have.
    pub(crate) fn off_branch(number: u64, hash: B256) -> Self {
        let message = format!(
            "block {number} {hash} is no child of the cursor, or unknown to the node: the chain is \
             changing. If this stays, the node's database contradicts itself: unwind the node below \
             this block, or resync it"
        );
        Self { cause: Cause::Block(hash), severity: Severity::Brief, message }
    }

    /// A block that is not produced.
    pub(crate) fn production(hash: B256, error: &JobError) -> Self {
        let (severity, advice) = match error {
            JobError::Produce(ProduceError::Mismatch { .. }) => (
                Severity::Suspect,
                "; it is not delivered. If this stays, the node's state is wrong there: unwind the node below this \
                 block, or resync it",
            ),
            JobError::Produce(ProduceError::Pruned { .. }) => (
                Severity::Grave,
                "; give the node this state back (resync, or use an archive), or leave such blocks out with \
                 --exex.bsp.skip-pruned",
            ),
            JobError::Produce(ProduceError::Unsupported { .. }) => (
                Severity::Grave,
                "; upgrade bsp-reth. Nothing is lost: delivery goes on there after the upgrade, as long as the node \
                 keeps the state",
            ),
            JobError::Produce(ProduceError::TooLarge { .. }) => (
                Severity::Grave,
                "; no version can deliver it in this format: the target ends here",
            ),
            JobError::Produce(ProduceError::Chain(_)) => (Severity::Brief, LASTING_CHAIN),
            JobError::Produce(ProduceError::NotReady { .. }) => (Severity::Passing, ""),
            // Dealt with before; if they come here, they must not pass for what needs nobody.
            JobError::Produce(
                ProduceError::UnknownBlock(_) | ProduceError::BeforeDefinition { .. },
            ) => (Severity::Suspect, ""),
            JobError::Panicked { .. } | JobError::Hung { .. } => (Severity::Suspect, ""),
        };
        Self { cause: Cause::Block(hash), severity, message: format!("{error}{advice}") }
    }

    /// There is no state for any block up to the tip.
    pub(crate) fn all_pruned(hash: B256, from: u64, to: u64) -> Self {
        let message = format!(
            "the node has pruned the states of all blocks from {from} to {to}: deliver earlier \
             (--exex.bsp.deliver committed), or have the node keep more"
        );
        Self { cause: Cause::Block(hash), severity: Severity::Grave, message }
    }

    /// Whether it may have passed when there are news of the chain.
    pub(crate) const fn may_end_with_news(&self) -> bool {
        matches!(self.severity, Severity::Passing)
    }

    /// What the target's state is, after this many failures in a row.
    pub(crate) const fn state_after(&self, failures: u32) -> TargetState {
        match (self.severity, self.cause) {
            (Severity::Grave, _) => TargetState::Stuck,
            (Severity::Suspect, _) if failures >= ALARM_AFTER => TargetState::Stuck,
            (Severity::Brief, _) if failures >= LASTING_AFTER => TargetState::Stuck,
            (_, Cause::Target | Cause::Cursors) => TargetState::WaitingForTarget,
            _ => TargetState::WaitingForState,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_fails_again_and_again_is_an_alarm() {
        let error = || ChainError("a code is missing".to_owned());
        let produced = Failure::production(B256::ZERO, &ProduceError::from(error()).into());
        for trouble in [Failure::chain(&error()), produced, Failure::off_branch(7, B256::ZERO)] {
            let states = [1, LASTING_AFTER - 1, LASTING_AFTER, u32::MAX];
            let [first, before, then, at_last] = states.map(|times| trouble.state_after(times));
            assert_eq!([first, before], [TargetState::WaitingForState; 2], "{trouble:?}");
            assert_eq!([then, at_last], [TargetState::Stuck; 2], "{trouble:?}");
            assert!(trouble.message.to_lowercase().contains("if this stays"), "{trouble:?}");
        }
    }

    fn states(error: ProduceError) -> [TargetState; 3] {
        let trouble = Failure::production(B256::ZERO, &error.into());
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
        let trouble = Failure::production(B256::ZERO, &not_ready.into());
        assert_eq!(trouble.state_after(u32::MAX), TargetState::WaitingForState);
    }

    #[test]
    fn pruned_state_is_one_at_once_and_says_what_to_do() {
        let pruned = || ProduceError::Pruned { number: 1, reason: "gone".to_owned() };
        assert_eq!(states(pruned()), [TargetState::Stuck; 3]);
        let message = Failure::production(B256::ZERO, &pruned().into()).message;
        assert!(message.contains("--exex.bsp.skip-pruned"), "{message}");
    }
}
