//! Whole chains: every scenario runs, headers link, roots are right, seeds repeat.

mod support;

use alloy_consensus::{
    ReceiptEnvelope, Transaction, TrieAccount, Typed2718,
    proofs::{
        calculate_receipt_root, calculate_transaction_root, state_root_unhashed,
        storage_root_unhashed,
    },
    transaction::SignerRecoverable,
};
use alloy_primitives::{Address, B256, U256, keccak256};
use bsp_devchain::{
    DevBlock, DevChain, DevConfig, DevFork, Executor, NewPayload, Part, Scenario, SealError,
    WorldState,
};
use revm::database::BundleState;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};
use support::PlainExecutor;

const BLOCKS: u64 = 200;

/// A recomputation from nothing takes longer than everything else in a block; it is done once in
/// this many.
const SHADOW_INTERVAL: u64 = 8;

/// A chain of [`BLOCKS`] blocks with some of its state roots, computed once for all tests.
struct Fixture {
    chain: DevChain,
    blocks: Vec<DevBlock>,
    roots: Vec<(u64, B256)>,
}

fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let mut chain = DevChain::new(1, DevConfig::default()).unwrap();
        let executor = PlainExecutor::new(chain.config());
        let mut shadow = Shadow::of(&chain);
        assert_eq!(shadow.root(), chain.head().state_root, "genesis");
        let (mut blocks, mut roots) = (Vec::new(), Vec::new());
        for _ in 0..BLOCKS {
            let candidate = chain.next_candidate().unwrap();
            let executed = executor.execute(&candidate, chain.state()).unwrap();
            shadow.apply(&executed.bundle);
            blocks.push(chain.seal(candidate, executed).unwrap());
            if chain.head().number.is_multiple_of(SHADOW_INTERVAL) {
                roots.push((chain.head().number, shadow.root()));
            }
        }
        Fixture { chain, blocks, roots }
    })
}

/// The state once more, as plainly as can be: every root is computed from nothing.
#[derive(Default)]
struct Shadow(BTreeMap<Address, (TrieAccount, BTreeMap<U256, U256>)>);

impl Shadow {
    fn of(chain: &DevChain) -> Self {
        let mut shadow = Self::default();
        for (address, genesis) in &chain.genesis().alloc {
            let account = TrieAccount {
                nonce: genesis.nonce.unwrap_or_default(),
                balance: genesis.balance,
                code_hash: keccak256(genesis.code.clone().unwrap_or_default()),
                ..Default::default()
            };
            let slots = genesis.storage.clone().unwrap_or_default();
            let slots = slots.into_iter().map(|(slot, value)| (slot.into(), value.into()));
            shadow.0.insert(*address, (account, slots.collect()));
        }
        shadow
    }

    fn apply(&mut self, bundle: &BundleState) {
        for (address, change) in &bundle.state {
            let Some(info) = change.info.as_ref().filter(|info| !info.is_empty()) else {
                self.0.remove(address);
                continue;
            };
            let (account, slots) = self.0.entry(*address).or_default();
            (account.nonce, account.balance) = (info.nonce, info.balance);
            account.code_hash = info.code_hash;
            if change.was_destroyed() {
                slots.clear();
            }
            slots.extend(change.storage.iter().map(|(slot, value)| (*slot, value.present_value)));
            slots.retain(|_, value| !value.is_zero());
        }
    }

    fn root(&self) -> B256 {
        state_root_unhashed(self.0.iter().map(|(address, (account, slots))| {
            let slots = slots.iter().map(|(slot, value)| (B256::from(*slot), *value));
            let storage_root = storage_root_unhashed(slots);
            (*address, TrieAccount { storage_root, ..*account })
        }))
    }
}

#[test]
fn every_scenario_runs() {
    let missing: Vec<_> = fixture().chain.coverage().missing().collect();
    assert!(missing.is_empty(), "{missing:?}");
    let runs: u64 = fixture().chain.coverage().iter().map(|(_, runs)| runs).sum();
    let planned: usize = fixture().blocks.iter().map(|block| block.scenarios.len()).sum();
    assert_eq!(runs, planned as u64);
    assert!(planned > Scenario::ALL.len());
}

/// The chain seals nothing whose execution ends otherwise than its scenario means, so that a
/// scenario which needs a later fork would be noticed.
#[test]
fn every_older_fork_runs_all_of_its_scenarios() {
    for fork in [DevFork::Cancun, DevFork::Prague] {
        let mut chain = DevChain::new(5, DevConfig::at(fork)).unwrap();
        let executor = PlainExecutor::new(chain.config());
        for _ in 0..BLOCKS {
            let block = chain.advance(&executor).unwrap();
            let has_requests_hash = block.block.header.requests_hash.is_some();
            assert_eq!(has_requests_hash, fork >= DevFork::Prague);
            assert!(block.scenarios.iter().all(|scenario| scenario.since <= fork));
        }
        let missing = chain.coverage().missing().filter(|scenario| scenario.since <= fork);
        assert_eq!(missing.map(|scenario| scenario.name).collect::<Vec<_>>(), [""; 0], "{fork}");
    }
}

#[test]
fn a_genesis_file_schedules_the_forks_up_to_the_chosen_one() {
    for fork in DevFork::ALL {
        let chain = DevChain::new(1, DevConfig::at(fork)).unwrap();
        let config = &chain.genesis().config;
        let scheduled = [config.cancun_time, config.prague_time, config.osaka_time];
        assert_eq!(scheduled, DevFork::ALL.map(|known| (known <= fork).then_some(0)));
        assert_eq!(config.blob_schedule.len(), scheduled.iter().flatten().count());
    }
}

#[test]
fn a_payload_names_the_method_of_its_fork() {
    for (fork, method, parameters) in [
        (DevFork::Cancun, "engine_newPayloadV3", 3),
        (DevFork::Prague, "engine_newPayloadV4", 4),
        (DevFork::Osaka, "engine_newPayloadV4", 4),
    ] {
        let mut chain = DevChain::new(1, DevConfig::at(fork)).unwrap();
        let block = chain.advance(&PlainExecutor::new(&DevConfig::at(fork))).unwrap();
        let payload = NewPayload::new(&block, fork);
        assert_eq!((payload.method, payload.number, payload.hash), (method, 1, block.hash));
        let given = payload.params.as_array().unwrap();
        assert_eq!(given.len(), parameters);
        assert_eq!(given[0]["blockHash"], block.hash.to_string());
    }
}

#[test]
fn every_transaction_type_and_an_empty_block_occur() {
    let transactions = || fixture().blocks.iter().flat_map(|block| &block.block.body.transactions);
    let types: BTreeSet<_> = transactions().map(Typed2718::ty).collect();
    assert_eq!(types, (0..=4).collect());
    assert!(transactions().any(Transaction::is_create));
    assert!(transactions().any(|tx| tx.is_legacy() && tx.chain_id().is_none()));
    let empty = |block: &&DevBlock| block.scenarios.iter().any(|s| s.part == Part::Empty);
    let mut empty = fixture().blocks.iter().filter(empty);
    assert!(empty.all(|block| block.block.body.transactions.is_empty()));
}

#[test]
fn requests_of_every_type_occur() {
    let requests = fixture().blocks.iter().flat_map(|block| block.requests.iter());
    let types: BTreeSet<_> = requests.filter_map(|request| request.first().copied()).collect();
    assert_eq!(types, (0..=2).collect());
}

#[test]
fn headers_link() {
    let mut parent = DevChain::new(1, DevConfig::default()).unwrap().head().clone();
    for DevBlock { block, hash, .. } in &fixture().blocks {
        assert_eq!(block.header.parent_hash, parent.hash_slow());
        assert_eq!(block.header.number, parent.number + 1);
        assert_eq!(block.header.timestamp, parent.timestamp + 12);
        assert_eq!(block.header.hash_slow(), *hash);
        parent = block.header.clone();
    }
}

#[test]
fn state_roots_are_those_of_a_recomputation_from_nothing() {
    let Fixture { blocks, roots, .. } = fixture();
    for (number, root) in roots {
        let sealed = blocks.iter().find(|sealed| sealed.block.header.number == *number).unwrap();
        assert_eq!(sealed.block.header.state_root, *root, "block {number}");
    }
    let distinct: BTreeSet<_> =
        blocks.iter().map(|sealed| sealed.block.header.state_root).collect();
    assert_eq!(distinct.len(), blocks.len());
}

#[test]
fn header_fields_are_those_of_the_body() {
    for sealed in &fixture().blocks {
        let DevBlock { block, senders, receipts, requests, .. } = sealed;
        let header = &block.header;
        assert_eq!(header.transactions_root, calculate_transaction_root(&block.body.transactions));
        assert_eq!(header.withdrawals_root, block.body.calculate_withdrawals_root());
        assert_eq!(header.receipts_root, calculate_receipt_root(receipts));
        assert_eq!(header.requests_hash, Some(requests.requests_hash()));
        assert_eq!(
            header.gas_used,
            receipts.last().map_or(0, ReceiptEnvelope::cumulative_gas_used)
        );
        let blob_gas = block.body.transactions.iter().filter_map(Transaction::blob_gas_used).sum();
        assert_eq!(header.blob_gas_used, Some(blob_gas));
        let recovered = block.body.transactions.iter().map(|tx| tx.recover_signer().unwrap());
        assert_eq!(*senders, recovered.collect::<Vec<_>>());
    }
}

#[test]
fn base_fee_and_blob_fee_move_both_ways() {
    let fees: Vec<_> =
        fixture().blocks.iter().filter_map(|block| block.block.header.base_fee_per_gas).collect();
    assert!(fees.windows(2).any(|pair| pair[0] < pair[1]));
    assert!(fees.windows(2).any(|pair| pair[0] > pair[1]));
    let excess: BTreeSet<_> =
        fixture().blocks.iter().filter_map(|block| block.block.header.excess_blob_gas).collect();
    assert!(excess.len() > 2, "{excess:?}");
}

#[test]
fn the_same_seed_gives_the_same_chain_and_another_one_does_not() {
    let head_of = |seed| {
        let mut chain = DevChain::new(seed, DevConfig::default()).unwrap();
        let executor = PlainExecutor::new(chain.config());
        (0..20).for_each(|_| drop(chain.advance(&executor).unwrap()));
        chain.head_hash()
    };
    assert_eq!(head_of(1), fixture().blocks[19].hash);
    assert_ne!(head_of(2), fixture().blocks[19].hash);
}

#[test]
fn a_branch_shares_the_past_and_nothing_else() {
    let mut trunk = DevChain::new(4, DevConfig::default()).unwrap();
    let executor = PlainExecutor::new(trunk.config());
    trunk.advance(&executor).unwrap();
    let (mut one, mut two) = (trunk.branch(1), trunk.branch(2));
    assert_eq!(one.head_hash(), trunk.head_hash());
    let [next, of_one, of_two] =
        [&mut trunk, &mut one, &mut two].map(|chain| chain.advance(&executor).unwrap());
    assert_eq!(of_one.block.header.parent_hash, next.block.header.parent_hash);
    assert_ne!(of_one.block.header.transactions_root, next.block.header.transactions_root);
    assert_ne!(of_one.hash, of_two.hash);
}

#[test]
fn a_refused_seal_leaves_the_chain_as_it_was() {
    let mut chain = DevChain::new(3, DevConfig::default()).unwrap();
    let executor = PlainExecutor::new(chain.config());
    let candidate = chain.next_candidate().unwrap();
    let executed = executor.execute(&candidate, chain.state()).unwrap();
    let before = chain.head_hash();

    let mut wrong = executed.clone();
    wrong.gas_used += 1;
    assert!(matches!(chain.seal(candidate.clone(), wrong), Err(SealError::GasUsed { .. })));
    let mut wrong = executed.clone();
    wrong.receipts.pop();
    assert!(matches!(chain.seal(candidate.clone(), wrong), Err(SealError::ReceiptCount { .. })));
    assert_eq!(chain.head_hash(), before);
    assert_eq!(chain.state().state_root(), chain.head().state_root);

    chain.seal(candidate.clone(), executed.clone()).unwrap();
    let again = chain.seal(candidate, executed);
    assert!(matches!(again, Err(SealError::NotOnHead { number: 1, .. })));
}

#[test]
fn a_candidate_is_the_same_until_it_is_sealed() {
    let chain = &fixture().chain;
    let (one, two) = (chain.next_candidate().unwrap(), chain.next_candidate().unwrap());
    assert_eq!(one.header, two.header);
    assert_eq!(one.transactions, two.transactions);
}

#[test]
fn unknown_code_and_blocks_are_errors() {
    use bsp_devchain::StateError;
    use revm::DatabaseRef;
    let state = WorldState::default();
    let hash = B256::repeat_byte(1);
    assert_eq!(state.code_by_hash_ref(hash), Err(StateError::UnknownCode(hash)));
    assert_eq!(state.block_hash_ref(5), Err(StateError::UnknownBlock(5)));
}
