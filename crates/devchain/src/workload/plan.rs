//! A block being planned: transactions before they are signed.

use crate::{
    contracts::{self, BATCH, InitCodes},
    dice::Dice,
    frames::{Call, batch_input},
    genesis::{AUTHORITY_COUNT, Delegated, DevConfig, FUNDED_PRECOMPILE, SENDER_COUNT},
    keys::{Key, Role, SigningError, Transaction},
    state::WorldState,
};
use alloy_consensus::{
    TxEip1559, TxEip2930, TxEip4844, TxEip7702, TxLegacy, transaction::Recovered,
};
use alloy_eips::{
    eip2930::AccessList,
    eip4895::Withdrawal,
    eip7702::{Authorization, SignedAuthorization},
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use std::collections::BTreeMap;

/// The chain's keys, derived once.
#[derive(Debug, Clone)]
pub(crate) struct Keyring {
    senders: Vec<Key>,
    authorities: Vec<Key>,
    delegated: Vec<(Delegated, Key)>,
    /// An account with a contract's code.
    coded: Key,
}

impl Keyring {
    pub(crate) fn new(seed: u64) -> Self {
        let keys = |role, count| (0..count).map(|index| Key::derive(seed, role, index)).collect();
        Self {
            senders: keys(Role::Sender, SENDER_COUNT),
            authorities: keys(Role::Authority, AUTHORITY_COUNT),
            delegated: Delegated::ALL.map(|account| (account, account.key(seed))).into(),
            coded: Key::derive(seed, Role::Coded, 0),
        }
    }
}

/// Everything that a plan looks at and does not change.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene<'a> {
    /// What the chain's keys follow from.
    pub(crate) seed: u64,
    /// What the dice follow from.
    pub(crate) dice_seed: u64,
    pub(crate) config: &'a DevConfig,
    pub(crate) keys: &'a Keyring,
    pub(crate) init_codes: &'a InitCodes,
    pub(crate) parent: &'a WorldState,
    /// Number of the block being planned.
    pub(crate) number: u64,
    /// Its base fee, wei per gas.
    pub(crate) base_fee: u64,
    /// Its blob fee, wei per blob gas.
    pub(crate) blob_fee: u128,
}

/// What a workload remembers from one block to the next. It never influences a block other than
/// through its scenarios.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// Contracts that stand.
    pub(super) deployed: Vec<Address>,
    /// Salts of `CREATE2` whose addresses have balance and no contract yet.
    pub(super) prefunded: Vec<B256>,
    pub(super) next_withdrawal: u64,
    pub(super) next_fresh_key: u64,
}

/// More than this is forgotten, oldest first.
const MEMORY_LIMIT: usize = 64;

impl Memory {
    pub(super) fn remember_deployed(&mut self, address: Address) {
        remember(&mut self.deployed, address);
    }

    pub(super) fn remember_prefunded(&mut self, salt: B256) {
        remember(&mut self.prefunded, salt);
    }
}

fn remember<T>(items: &mut Vec<T>, item: T) {
    items.push(item);
    if items.len() > MEMORY_LIMIT {
        items.remove(0);
    }
}

/// An authorization to be signed, and what is to be wrong with its signature.
#[derive(Debug, Clone)]
pub(super) struct PlannedAuthorization {
    key: Key,
    authorization: Authorization,
    forgery: Option<Forgery>,
}

/// Ways in which a signature recovers nobody.
#[derive(Debug, Clone, Copy)]
pub(super) enum Forgery {
    /// `r` is zero.
    ZeroR,
    /// `s` is above half of the curve's order (EIP-2).
    HighS,
    /// The parity is neither 0 nor 1.
    Parity,
}

impl Forgery {
    pub(super) const ALL: [Self; 3] = [Self::ZeroR, Self::HighS, Self::Parity];

    fn apply(self, signed: SignedAuthorization) -> SignedAuthorization {
        let (y_parity, r, s) = (signed.y_parity(), signed.r(), signed.s());
        let authorization = signed.strip_signature();
        match self {
            Self::ZeroR => {
                SignedAuthorization::new_unchecked(authorization, y_parity, U256::ZERO, s)
            }
            Self::HighS => {
                SignedAuthorization::new_unchecked(authorization, y_parity, r, U256::MAX - s)
            }
            Self::Parity => SignedAuthorization::new_unchecked(authorization, 2, r, s),
        }
    }
}

/// A transaction's type, with what only that type has.
#[derive(Debug, Clone)]
pub(super) enum Shape {
    /// Legacy, EIP-2930 or EIP-1559, by chance.
    Any,
    /// Legacy without chain id.
    Unprotected,
    /// EIP-2930 or EIP-1559, by chance.
    AccessList(AccessList),
    /// EIP-4844 with this many blobs.
    Blobs(usize),
    /// EIP-7702.
    SetCode(Vec<PlannedAuthorization>),
}

/// A transaction to be sent.
#[derive(Debug, Clone)]
pub(super) struct Intent {
    from: Option<Key>,
    shape: Shape,
    to: TxKind,
    input: Bytes,
    value: u64,
    gas: u64,
    succeeds: bool,
}

impl Intent {
    /// A call from any sender, with 100 000 gas, no value and no input, that is to succeed.
    pub(super) const fn call(to: Address) -> Self {
        Self {
            from: None,
            shape: Shape::Any,
            to: TxKind::Call(to),
            input: Bytes::new(),
            value: 0,
            gas: 100_000,
            succeeds: true,
        }
    }

    /// A creation with a million gas.
    pub(super) fn create(init_code: &Bytes) -> Self {
        Self { to: TxKind::Create, ..Self::call(Address::ZERO) }
            .input(init_code.clone())
            .gas(1_000_000)
    }

    /// A batch of calls with a million and a half gas.
    pub(super) fn batch(calls: &[Call]) -> Self {
        Self::call(BATCH).input(batch_input(calls)).gas(1_500_000)
    }

    pub(super) fn from(mut self, key: Key) -> Self {
        self.from = Some(key);
        self
    }

    pub(super) fn shape(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }

    pub(super) fn input(mut self, input: impl Into<Bytes>) -> Self {
        self.input = input.into();
        self
    }

    pub(super) const fn value(mut self, wei: u64) -> Self {
        self.value = wei;
        self
    }

    pub(super) const fn gas(mut self, gas: u64) -> Self {
        self.gas = gas;
        self
    }

    /// The transaction is to fail.
    pub(super) const fn fails(mut self) -> Self {
        self.succeeds = false;
        self
    }
}

/// An intent with everything that depends on its place in the block.
#[derive(Debug, Clone)]
struct PlannedTransaction {
    key: Key,
    nonce: u64,
    /// Tip in wei per gas.
    tip: u64,
    /// Chooses between the types that a shape leaves open.
    choice: usize,
    intent: Intent,
    scenario: &'static str,
}

/// The part of a plan that a scenario which does not fit leaves no trace in.
#[derive(Debug, Clone)]
struct Draft {
    transactions: Vec<PlannedTransaction>,
    withdrawals: Vec<Withdrawal>,
    nonces: BTreeMap<Address, u64>,
    beneficiary: Address,
    tipping: bool,
    gas: u64,
    blobs: u64,
    memory: Memory,
}

/// What one transaction is there for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Purpose {
    pub(crate) scenario: &'static str,
    /// Whether its receipt is to say success.
    pub(crate) succeeds: bool,
}

/// A signed block, all but for its header.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) transactions: Vec<Recovered<Transaction>>,
    pub(crate) purposes: Vec<Purpose>,
    pub(crate) withdrawals: Vec<Withdrawal>,
    pub(crate) beneficiary: Address,
    pub(crate) prev_randao: B256,
    pub(crate) parent_beacon_block_root: B256,
    pub(crate) memory: Memory,
}

/// A block being planned.
pub(crate) struct Plan<'a> {
    pub(super) scene: Scene<'a>,
    pub(super) dice: Dice,
    scenario: &'static str,
    draft: Draft,
}

impl<'a> Plan<'a> {
    pub(super) const fn new(scene: Scene<'a>, dice: Dice, memory: Memory) -> Self {
        let draft = Draft {
            transactions: Vec::new(),
            withdrawals: Vec::new(),
            nonces: BTreeMap::new(),
            beneficiary: Address::ZERO,
            tipping: true,
            gas: 0,
            blobs: 0,
            memory,
        };
        Self { scene, dice, scenario: "", draft }
    }

    /// Has a scenario add to the plan. One that does not fit into the block any more leaves no
    /// trace, nor does one that was to add something (`adds`) and did not. Returns whether it
    /// stays.
    pub(super) fn attempt(
        &mut self,
        scenario: &'static str,
        adds: bool,
        plan: impl FnOnce(&mut Self),
    ) -> bool {
        let before = self.draft.clone();
        self.scenario = scenario;
        plan(self);
        let draft = &mut self.draft;
        let added = draft.transactions.len() + draft.withdrawals.len();
        let idle = added == before.transactions.len() + before.withdrawals.len();
        let fits = draft.gas <= self.scene.config.gas_limit
            && draft.blobs <= self.scene.config.blob_params.max_blob_count;
        let stays = fits && !(adds && idle);
        if !stays {
            self.draft = before;
        }
        stays
    }

    /// Sends a transaction, and returns its sender's address and nonce.
    pub(super) fn send(&mut self, intent: Intent) -> (Address, u64) {
        let key = match &intent.from {
            Some(key) => key.clone(),
            None => self.sender(),
        };
        let nonce = self.take_nonce(key.address());
        self.draft.gas = self.draft.gas.saturating_add(intent.gas);
        if let Shape::Blobs(count) = intent.shape {
            self.draft.blobs += count as u64;
        }
        let sender = key.address();
        let transaction = PlannedTransaction {
            key,
            nonce,
            tip: self.dice.below(3_000_000_000) as u64,
            choice: self.dice.below(3),
            intent,
            scenario: self.scenario,
        };
        self.draft.transactions.push(transaction);
        (sender, nonce)
    }

    /// Sends a batch of calls.
    pub(super) fn batch(&mut self, calls: &[Call]) {
        self.send(Intent::batch(calls));
    }

    /// Next nonce of an account, at this point of the block.
    pub(super) fn nonce(&self, address: Address) -> u64 {
        let planned = self.draft.nonces.get(&address).copied();
        planned.unwrap_or_else(|| self.scene.parent.nonce(address))
    }

    /// Uses up the next nonce of an account.
    pub(super) fn take_nonce(&mut self, address: Address) -> u64 {
        let nonce = self.nonce(address);
        self.draft.nonces.insert(address, nonce.saturating_add(1));
        nonce
    }

    /// An authorization that will be accepted, for the given chain.
    pub(super) fn authorize_on(
        &mut self,
        chain_id: u64,
        key: &Key,
        delegate: Address,
    ) -> PlannedAuthorization {
        let nonce = self.take_nonce(key.address());
        Self::raw_authorization(chain_id, key, delegate, nonce)
    }

    /// An authorization that will be accepted.
    pub(super) fn authorize(&mut self, key: &Key, delegate: Address) -> PlannedAuthorization {
        self.authorize_on(self.scene.config.chain_id, key, delegate)
    }

    /// An authorization that nobody checks here.
    pub(super) fn raw_authorization(
        chain_id: u64,
        key: &Key,
        delegate: Address,
        nonce: u64,
    ) -> PlannedAuthorization {
        let chain_id = U256::from(chain_id);
        let authorization = Authorization { chain_id, address: delegate, nonce };
        PlannedAuthorization { key: key.clone(), authorization, forgery: None }
    }

    /// An authorization whose signature recovers nobody.
    pub(super) fn forged_authorization(
        &mut self,
        key: &Key,
        delegate: Address,
    ) -> PlannedAuthorization {
        let nonce = self.nonce(key.address());
        let sound = Self::raw_authorization(self.scene.config.chain_id, key, delegate, nonce);
        PlannedAuthorization { forgery: self.dice.pick(&Forgery::ALL).copied(), ..sound }
    }

    /// Adds a withdrawal of `amount` gwei.
    pub(super) fn withdraw(&mut self, address: Address, amount: u64) {
        let index = self.draft.memory.next_withdrawal;
        self.draft.memory.next_withdrawal += 1;
        let validator_index = self.dice.below(1_000_000) as u64;
        self.draft.withdrawals.push(Withdrawal { index, validator_index, address, amount });
    }

    pub(super) const fn set_fee_recipient(&mut self, address: Address) {
        self.draft.beneficiary = address;
    }

    /// No transaction of the block pays the fee recipient anything.
    pub(super) const fn forgo_tips(&mut self) {
        self.draft.tipping = false;
    }

    pub(super) const fn memory(&mut self) -> &mut Memory {
        &mut self.draft.memory
    }

    /// How much gas is not reserved by a transaction.
    pub(super) const fn gas_room(&self) -> u64 {
        self.scene.config.gas_limit.saturating_sub(self.draft.gas)
    }

    /// How many blobs the block has room for.
    pub(super) const fn blob_room(&self) -> u64 {
        self.scene.config.blob_params.max_blob_count.saturating_sub(self.draft.blobs)
    }

    /// One of `keys`; there is always one.
    fn key_of(&mut self, keys: &'a [Key]) -> Key {
        self.dice.pick(keys).unwrap_or(&self.scene.keys.coded).clone()
    }

    /// A funded account without code.
    pub(super) fn sender(&mut self) -> Key {
        self.key_of(&self.scene.keys.senders)
    }

    /// A funded account that may have a delegation.
    pub(super) fn authority(&mut self) -> Key {
        self.key_of(&self.scene.keys.authorities)
    }

    /// The account with a contract's code.
    pub(super) fn coded(&self) -> Key {
        self.scene.keys.coded.clone()
    }

    /// A key whose account nobody has heard of.
    pub(super) fn fresh_key(&mut self) -> Key {
        let index = self.draft.memory.next_fresh_key;
        self.draft.memory.next_fresh_key += 1;
        Key::derive(self.scene.seed, Role::Fresh, index)
    }

    /// The key of an account whose delegation never changes.
    pub(super) fn delegated(&self, which: Delegated) -> Key {
        let of = |(account, _): &&(Delegated, Key)| *account == which;
        let found = self.scene.keys.delegated.iter().find(of);
        found.map_or_else(|| which.key(self.scene.seed), |(_, key)| key.clone())
    }

    /// An account of any kind: without code, with it, delegated, missing, precompile, system
    /// contract.
    pub(super) fn any_account(&mut self) -> Address {
        match self.dice.below(10) {
            0 | 1 => self.sender().address(),
            2 => self.authority().address(),
            3 => self.delegated(Delegated::ToContract).address(),
            4 => FUNDED_PRECOMPILE,
            5 => Address::with_last_byte(5 + u8::try_from(self.dice.below(12)).unwrap_or(0)),
            6 => alloy_eips::eip4788::BEACON_ROOTS_ADDRESS,
            7 => self.coded().address(),
            8 => {
                let standing = [contracts::TOKEN, contracts::SLOTS, contracts::TOKEN_CLONES[0]];
                self.dice.pick(&standing).copied().unwrap_or(contracts::TOKEN)
            }
            _ => self.dice.address(),
        }
    }

    /// Several accounts of any kind, as words of an input.
    pub(super) fn any_accounts(&mut self) -> Vec<B256> {
        let count = self.dice.between(2, 6);
        (0..count).map(|_| self.any_account().into_word()).collect()
    }

    /// Signs everything.
    pub(super) fn finish(mut self) -> Result<Planned, SigningError> {
        let (prev_randao, parent_beacon_block_root) = (self.dice.word(), self.dice.word());
        let mut transactions = Vec::with_capacity(self.draft.transactions.len());
        let mut purposes = Vec::with_capacity(self.draft.transactions.len());
        for planned in std::mem::take(&mut self.draft.transactions) {
            let PlannedTransaction { scenario, .. } = planned;
            purposes.push(Purpose { scenario, succeeds: planned.intent.succeeds });
            transactions.push(self.sign(planned)?);
        }
        Ok(Planned {
            transactions,
            purposes,
            withdrawals: self.draft.withdrawals,
            beneficiary: self.draft.beneficiary,
            prev_randao,
            parent_beacon_block_root,
            memory: self.draft.memory,
        })
    }

    fn sign(
        &mut self,
        planned: PlannedTransaction,
    ) -> Result<Recovered<Transaction>, SigningError> {
        let PlannedTransaction { key, nonce, tip, choice, intent, .. } = planned;
        let fees = self.fees(tip);
        let unsigned =
            Unsigned { chain_id: self.scene.config.chain_id, nonce, fees, intent: &intent };
        match &intent.shape {
            Shape::Any => match choice {
                0 => key.sign_transaction(unsigned.legacy(true)),
                1 => key.sign_transaction(unsigned.eip2930(AccessList::default())),
                _ => key.sign_transaction(unsigned.eip1559(AccessList::default())),
            },
            Shape::Unprotected => key.sign_transaction(unsigned.legacy(false)),
            Shape::AccessList(list) if choice == 0 => {
                key.sign_transaction(unsigned.eip2930(list.clone()))
            }
            Shape::AccessList(list) => key.sign_transaction(unsigned.eip1559(list.clone())),
            Shape::Blobs(count) => {
                let hashes = (0..*count).map(|_| versioned_hash(self.dice.word())).collect();
                key.sign_transaction(unsigned.eip4844(hashes))
            }
            Shape::SetCode(authorizations) => {
                key.sign_transaction(unsigned.eip7702(sign_authorizations(authorizations)?))
            }
        }
    }

    fn fees(&self, tip: u64) -> Fees {
        let base = u128::from(self.scene.base_fee);
        let tip = if self.draft.tipping { u128::from(tip) } else { 0 };
        Fees {
            tip,
            price: base.saturating_add(tip),
            cap: base.saturating_mul(2).saturating_add(tip),
            blob_cap: self.scene.blob_fee.saturating_mul(2),
        }
    }
}

fn sign_authorizations(
    planned: &[PlannedAuthorization],
) -> Result<Vec<SignedAuthorization>, SigningError> {
    let sign = |planned: &PlannedAuthorization| {
        let signed = planned.key.sign_authorization(planned.authorization.clone())?;
        Ok(match planned.forgery {
            Some(forgery) => forgery.apply(signed),
            None => signed,
        })
    };
    planned.iter().map(sign).collect()
}

/// A blob's versioned hash (EIP-4844): version 1, and a digest of which nobody sees the blob.
fn versioned_hash(mut digest: B256) -> B256 {
    digest.0[0] = 1;
    digest
}

/// Wei per gas.
#[derive(Debug, Clone, Copy)]
struct Fees {
    tip: u128,
    /// What types 0 and 1 pay.
    price: u128,
    /// What types 2 to 4 pay at most.
    cap: u128,
    blob_cap: u128,
}

/// What all transaction types have in common.
#[derive(Debug, Clone, Copy)]
struct Unsigned<'a> {
    chain_id: u64,
    nonce: u64,
    fees: Fees,
    intent: &'a Intent,
}

impl Unsigned<'_> {
    fn value(&self) -> U256 {
        U256::from(self.intent.value)
    }

    /// The callee; types 3 and 4 cannot create.
    fn callee(&self) -> Address {
        self.intent.to.to().copied().unwrap_or_default()
    }

    fn legacy(&self, protected: bool) -> TxLegacy {
        TxLegacy {
            chain_id: protected.then_some(self.chain_id),
            nonce: self.nonce,
            gas_price: self.fees.price,
            gas_limit: self.intent.gas,
            to: self.intent.to,
            value: self.value(),
            input: self.intent.input.clone(),
        }
    }

    fn eip2930(&self, access_list: AccessList) -> TxEip2930 {
        TxEip2930 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_price: self.fees.price,
            gas_limit: self.intent.gas,
            to: self.intent.to,
            value: self.value(),
            access_list,
            input: self.intent.input.clone(),
        }
    }

    fn eip1559(&self, access_list: AccessList) -> TxEip1559 {
        TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit: self.intent.gas,
            max_fee_per_gas: self.fees.cap,
            max_priority_fee_per_gas: self.fees.tip,
            to: self.intent.to,
            value: self.value(),
            access_list,
            input: self.intent.input.clone(),
        }
    }

    fn eip4844(&self, blob_versioned_hashes: Vec<B256>) -> TxEip4844 {
        TxEip4844 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit: self.intent.gas,
            max_fee_per_gas: self.fees.cap,
            max_priority_fee_per_gas: self.fees.tip,
            to: self.callee(),
            value: self.value(),
            access_list: AccessList::default(),
            blob_versioned_hashes,
            max_fee_per_blob_gas: self.fees.blob_cap,
            input: self.intent.input.clone(),
        }
    }

    fn eip7702(&self, authorization_list: Vec<SignedAuthorization>) -> TxEip7702 {
        TxEip7702 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit: self.intent.gas,
            max_fee_per_gas: self.fees.cap,
            max_priority_fee_per_gas: self.fees.tip,
            to: self.callee(),
            value: self.value(),
            access_list: AccessList::default(),
            authorization_list,
            input: self.intent.input.clone(),
        }
    }
}
