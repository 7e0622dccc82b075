//! Random runs of the contract against the [model](crate::model): every outcome, every refusal, and
//! the state after each step.

use crate::{
    abi::*,
    chain::{Chain, NETWORK, OWNER, WHOLE, account, event, finalization, hash, proof, settings},
    model::{End, Model, map},
};
use alloy_primitives::U256;
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use std::collections::{BTreeMap, BTreeSet};

const OPERATORS: u64 = 6;
const HEIGHTS: u64 = 4;
const STEPS: usize = 120;
const SEEDS: u64 = 4;

struct Run {
    chain: Chain,
    model: Model,
    random: ChaCha8Rng,
}

/// Six operators of four validators: 1 and 5, and 2 and 6, share one.
fn validator_of(operator: u64) -> u8 {
    u8::try_from((operator - 1) % 4 + 1).unwrap()
}

impl Run {
    async fn start(seed: u64) -> Option<Self> {
        let chain = Chain::with_operators(0).await?;
        let mut operators = BTreeMap::new();
        for n in 1..=OPERATORS {
            chain.enable(account(n), u128::from(validator_of(n))).await;
            operators.insert(n, validator_of(n));
        }
        let enabled = BTreeSet::from([1, 2, 3, 4]);
        let model = Model {
            duration: 10,
            min_submissions: 2,
            quorum: 50,
            operators,
            enabled,
            sessions: BTreeMap::new(),
        };
        Some(Self { chain, model, random: ChaCha8Rng::seed_from_u64(seed) })
    }

    async fn step(&mut self) {
        let height = self.random.random_range(1..=HEIGHTS);
        match self.random.random_range(0..100) {
            0..70 => self.submit(height).await,
            70..82 => self.finalize(height).await,
            82..90 => {
                let blocks = self.random.random_range(1..6);
                self.chain.mine(blocks).await;
            }
            90..94 => self.change_operator().await,
            94..98 => self.change_validator().await,
            _ => self.change_settings().await,
        }
    }

    async fn submit(&mut self, height: u64) {
        let operator = self.random.random_range(1..=OPERATORS);
        let block = *["a", "b", "c", "d"].choose(&mut self.random).unwrap();
        let specimen = *["s", "t"].choose(&mut self.random).unwrap();
        let now = self.chain.head().await + 1;
        let is_first = !self.model.sessions.contains_key(&height);
        let expected = self.model.submit(now, operator, height, hash(block), hash(specimen));
        let call = proof(height, block, specimen);
        let mined = self.chain.try_send(account(operator), &call).await;
        match (mined, expected) {
            (Ok(mined), Ok(())) => {
                let started: Option<SessionStarted> = event(&mined.logs);
                assert_eq!(started.is_some(), is_first);
                let told: BlockSpecimenProductionProofSubmitted = event(&mined.logs).unwrap();
                assert_eq!((told.blockHash, told.specimenHash), (hash(block), hash(specimen)));
            }
            (mined, expected) => {
                assert_eq!(mined.map(drop), expected.map_err(str::to_owned));
            }
        }
    }

    async fn finalize(&mut self, height: u64) {
        let now = self.chain.head().await + 1;
        let expected = self.model.finalize(now, height);
        // Also by who has no role at all.
        let anyone = account(self.random.random_range(1..=OPERATORS + 3));
        let mined = self.chain.try_send(anyone, &finalization(height)).await;
        let end = mined.map(|mined| match event::<BlockSpecimenQuorum>(&mined.logs) {
            Some(quorum) => End::Quorum {
                validators: quorum.validatorBitMap,
                block: quorum.blockHash,
                specimen: quorum.specimenHash,
            },
            None => {
                assert!(event::<QuorumNotReached>(&mined.logs).is_some());
                End::None
            }
        });
        assert_eq!(end, expected.map_err(str::to_owned));
    }

    async fn change_operator(&mut self) {
        let n = self.random.random_range(1..=OPERATORS);
        let operator = account(n);
        if self.model.operators.remove(&n).is_some() {
            self.chain.send(OWNER, removeBSPOperatorCall { operator }).await;
            return;
        }
        let id = self.random.random_range(1..=4);
        self.model.operators.insert(n, id);
        self.chain.send(OWNER, addBSPOperatorCall { operator, validatorId: id.into() }).await;
    }

    async fn change_validator(&mut self) {
        let id = self.random.random_range(1..=4);
        let validator = u128::from(id);
        if self.model.enabled.remove(&id) {
            self.chain.send(OWNER, disableValidatorCall { validatorId: validator }).await;
        } else {
            self.model.enabled.insert(id);
            self.chain.send(OWNER, enableValidatorCall { validatorId: validator }).await;
        }
    }

    async fn change_settings(&mut self) {
        self.model.duration = self.random.random_range(1..15);
        self.model.min_submissions = self.random.random_range(1..4);
        self.model.quorum = self.random.random_range(0..=100);
        let quorum = U256::from(WHOLE / 100) * U256::from(self.model.quorum);
        let changed = Settings {
            sessionDuration: self.model.duration,
            minSubmissions: self.model.min_submissions as u64,
            quorum,
            ..settings()
        };
        self.chain.send(OWNER, changeSettingsCall { settings: changed }).await;
    }

    /// What the contract tells of every session is what the model has.
    async fn compare(&self) {
        let now = self.chain.head().await;
        for height in 1..=HEIGHTS {
            let call = getSessionCall { chainId: NETWORK, blockHeight: height };
            let told = self.chain.view(call).await;
            let session = self.model.sessions.get(&height).cloned().unwrap_or_default();
            assert_eq!((told.deadline, told.done), (session.deadline, session.done));
            let candidates: Vec<_> = told
                .candidates
                .iter()
                .zip(&told.votes)
                .map(|(candidate, votes)| ((candidate.blockHash, candidate.specimenHash), *votes))
                .collect();
            let expected: Vec<_> = session
                .candidates()
                .into_iter()
                .map(|(pair, validators)| (pair, map(&validators)))
                .collect();
            assert_eq!(candidates, expected);
            let operator = now % OPERATORS + 1;
            let call = isSessionOpenCall {
                chainId: NETWORK,
                blockHeight: height,
                operator: account(operator),
            };
            let is_open = self.chain.view(call).await;
            assert_eq!(is_open, self.model.is_open(now, operator, height), "{height} {operator}");
        }
    }
}

#[tokio::test]
async fn sessions_are_as_in_the_model() {
    let mut ends = 0;
    for seed in 0..SEEDS {
        let Some(mut run) = Run::start(seed).await else { return };
        for step in 0..STEPS {
            eprintln!("seed {seed}, step {step}");
            run.step().await;
            run.compare().await;
        }
        ends += run.model.sessions.values().filter(|session| session.done).count();
    }
    assert!(ends > 3, "only {ends} sessions came to their end");
}
