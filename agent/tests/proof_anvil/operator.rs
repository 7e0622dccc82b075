//! An operator under test: a key, a journal of attempts, and a prover.

use crate::chain::{Chain, HEIGHT, PATIENCE};
use alloy_primitives::{Address, B256, keccak256};
use alloy_signer_local::PrivateKeySigner;
use async_trait::async_trait;
use bsp_agent::{
    BlockId, SegmentName,
    alarm::{AlarmKind, Alarms},
    proof::{
        Attempt, AttemptLog, AttemptLogError, ChainProver, ChainProverConfig, Claim, Confirmations,
        Parked, Proof, ProofOutcome, Prover, rpc::Endpoint,
    },
};
use bsp_codec::ReplicaKind;
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// A claim whose height the contract takes. Different tags are different blocks of that height.
pub(crate) fn claim(above: u64, tag: &str) -> Claim {
    let number = HEIGHT + above;
    let hash = keccak256(format!("{number}{tag}"));
    let block = BlockId { network_id: 1, number, hash };
    Claim {
        block,
        segment: SegmentName::new(&block, ReplicaKind::Replica),
        specimen_hash: keccak256(hash),
        url: format!("ipfs://bafy{number}{tag}"),
    }
}

/// A journal in memory, which may fail.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    attempts: Mutex<Vec<Attempt>>,
    failures: Mutex<u32>,
}

impl Journal {
    pub(crate) fn failing(failures: u32) -> Arc<Self> {
        Arc::new(Self { failures: Mutex::new(failures), ..Self::default() })
    }

    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        self.attempts.lock().unwrap().clone()
    }

    pub(crate) fn hashes(&self) -> Vec<B256> {
        self.attempts()
            .iter()
            .flat_map(|attempt| &attempt.transactions)
            .map(|sent| sent.hash)
            .collect()
    }
}

#[async_trait]
impl AttemptLog for Journal {
    async fn record(&self, attempts: &[Attempt]) -> Result<(), AttemptLogError> {
        let mut failures = self.failures.lock().unwrap();
        if *failures > 0 {
            *failures -= 1;
            return Err(AttemptLogError("no space left".to_owned()));
        }
        *self.attempts.lock().unwrap() = attempts.to_vec();
        Ok(())
    }
}

/// A prover with all around it.
pub(crate) struct Operator {
    pub(crate) prover: Arc<ChainProver>,
    pub(crate) alarms: Alarms,
    pub(crate) stop: CancellationToken,
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) fn key(seed: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_slice(&[seed; 32]).unwrap()
}

pub(crate) fn address(seed: u8) -> Address {
    key(seed).address()
}

/// Quick settings: the pace of a test, not of a chain.
pub(crate) fn config(url: &str, contract: Address) -> ChainProverConfig {
    let mut config = ChainProverConfig::new(Endpoint::parse(url).unwrap(), contract);
    config.confirmations = Confirmations::Blocks(2);
    config.poll_interval = Duration::from_millis(30);
    config.longest_poll_interval = config.poll_interval;
    config.longest_ask_pause = Duration::from_millis(20);
    config.search_again_for = Duration::from_millis(200);
    config.rebroadcast_after = Duration::from_millis(150);
    config.check_interval = Duration::from_millis(300);
    config
}

impl Operator {
    pub(crate) fn of(chain: &Chain, seed: u8) -> Self {
        Self::with(seed, config(&chain.url, chain.contract))
    }

    pub(crate) fn with(seed: u8, config: ChainProverConfig) -> Self {
        // Shown of a test that fails, with RUST_LOG=bsp_agent=debug.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(EnvFilter::from_default_env())
            .with_test_writer()
            .try_init();
        let (alarms, stop) = (Alarms::default(), CancellationToken::new());
        let prover = ChainProver::start(config, key(seed), alarms.clone(), stop.clone()).unwrap();
        Self { prover: Arc::new(prover), alarms, stop }
    }

    /// Proves in the background.
    pub(crate) fn prove(&self, claim: &Claim, journal: &Arc<Journal>) -> Proving {
        let (prover, claim) = (Arc::clone(&self.prover), claim.clone());
        let (attempts, log) = (journal.attempts(), Arc::clone(journal));
        Proving(tokio::spawn(async move { prover.prove(claim, attempts, log).await }))
    }

    pub(crate) fn has_alarm(&self, kind: AlarmKind) -> bool {
        self.alarms.raised().contains_key(&kind)
    }
}

/// A claim that is being proved.
pub(crate) struct Proving(JoinHandle<Result<ProofOutcome, Parked>>);

impl Proving {
    pub(crate) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    pub(crate) async fn end(self) -> Result<ProofOutcome, Parked> {
        timeout(PATIENCE, self.0).await.expect("an outcome").unwrap()
    }

    pub(crate) async fn proof(self) -> Proof {
        match self.end().await.unwrap() {
            ProofOutcome::Proved(proof) => proof,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn skipped(self) -> String {
        match self.end().await.unwrap() {
            ProofOutcome::Skipped { reason } => reason,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn held(self) -> String {
        match self.end().await.unwrap() {
            ProofOutcome::Held { reason } => reason,
            other => panic!("{other:?}"),
        }
    }
}
