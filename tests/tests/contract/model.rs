//! The contract's rules about sessions once more, in Rust: what the real one is compared with.

use alloy_primitives::{B256, U256};
use std::collections::{BTreeMap, BTreeSet};

/// The blocks of a height that an operator may prove, as the tests configure it.
pub(crate) const MAX_SUBMISSIONS: usize = 3;

#[derive(Debug, Default, Clone)]
pub(crate) struct Session {
    pub(crate) deadline: u64,
    pub(crate) done: bool,
    /// Every submission: operator, validator, block hash, specimen hash.
    submissions: Vec<(u64, u8, B256, B256)>,
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) duration: u64,
    pub(crate) min_submissions: usize,
    /// In percent.
    pub(crate) quorum: usize,
    /// The validator of each operator.
    pub(crate) operators: BTreeMap<u64, u8>,
    pub(crate) enabled: BTreeSet<u8>,
    pub(crate) sessions: BTreeMap<u64, Session>,
}

/// How a session ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End {
    Quorum { validators: U256, block: B256, specimen: B256 },
    None,
}

impl Session {
    fn blocks_of(&self, operator: u64) -> Vec<B256> {
        let own = self.submissions.iter().filter(|submission| submission.0 == operator);
        own.map(|submission| submission.2).collect()
    }

    /// The pairs of block and specimen, in the order of their first submission, each with its
    /// validators.
    pub(crate) fn candidates(&self) -> Vec<((B256, B256), BTreeSet<u8>)> {
        let mut found: Vec<((B256, B256), BTreeSet<u8>)> = Vec::new();
        for (_, validator, block, specimen) in &self.submissions {
            let pair = (*block, *specimen);
            match found.iter_mut().find(|(known, _)| *known == pair) {
                Some((_, validators)) => drop(validators.insert(*validator)),
                None => found.push((pair, BTreeSet::from([*validator]))),
            }
        }
        found
    }
}

/// A set as the contract writes it.
pub(crate) fn map(validators: &BTreeSet<u8>) -> U256 {
    validators.iter().fold(U256::ZERO, |map, id| map | (U256::ONE << (255 - usize::from(*id))))
}

impl Model {
    /// A submission in a block of this number.
    pub(crate) fn submit(
        &mut self,
        now: u64,
        operator: u64,
        height: u64,
        block: B256,
        specimen: B256,
    ) -> Result<(), &'static str> {
        let validator =
            *self.operators.get(&operator).ok_or("Sender is not BLOCK_SPECIMEN_PRODUCER_ROLE")?;
        let known = self.sessions.get(&height).cloned();
        let mut session =
            known.unwrap_or(Session { deadline: now + self.duration, ..Session::default() });
        if session.done || now > session.deadline {
            return Err("Session submissions have closed");
        }
        let own = session.blocks_of(operator);
        if own.len() >= MAX_SUBMISSIONS {
            return Err("Max submissions limit exceeded");
        }
        if !self.enabled.contains(&validator) {
            return Err("Validator is not enabled");
        }
        if own.contains(&block) {
            return Err("Operator already submitted for the provided block hash");
        }
        session.submissions.push((operator, validator, block, specimen));
        self.sessions.insert(height, session);
        Ok(())
    }

    /// A finalization in a block of this number.
    pub(crate) fn finalize(&mut self, now: u64, height: u64) -> Result<End, &'static str> {
        let session = self.sessions.get_mut(&height).ok_or("Session not started")?;
        if now <= session.deadline {
            return Err("Session not past deadline");
        }
        if session.done {
            return Err("Session cannot be finalized");
        }
        session.done = true;
        let candidates = session.candidates();
        let everyone: BTreeSet<u8> =
            candidates.iter().flat_map(|(_, validators)| validators.iter().copied()).collect();
        // Of equal ones, `max_by_key` takes the last.
        let best = candidates.iter().max_by_key(|(_, validators)| validators.len());
        Ok(match best {
            Some(((block, specimen), validators))
                if validators.len() >= self.min_submissions
                    && validators.len() * 100 >= self.quorum * everyone.len() =>
            {
                End::Quorum { validators: map(validators), block: *block, specimen: *specimen }
            }
            _ => End::None,
        })
    }

    /// Whether an operator may submit, as the contract tells after a block of this number.
    pub(crate) fn is_open(&self, now: u64, operator: u64, height: u64) -> bool {
        self.sessions.get(&height).is_none_or(|session| {
            !session.done
                && now <= session.deadline
                && session.blocks_of(operator).len() < MAX_SUBMISSIONS
        })
    }
}
