//! A block written by hand in a few lines, and the rows that it should give.

use super::{
    plain,
    world::{Account, World},
};
use alloy_consensus::{Header, Signed, TxEip1559, TxEip7702, transaction::Recovered};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip4895::{Withdrawal, Withdrawals},
    eip7702::{Authorization, RecoveredAuthority, RecoveredAuthorization},
};
use alloy_evm::ToTxEnv;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, address, hex, keccak256};
use bsp_capture::{
    BlockParts, Capture, ChainSpec, SignedTransaction, SpecimenState, capture, capture_with_changes,
};
use bsp_codec::{
    AccountRead, BlockhashRead, CodeRead, Profile, Replica, ReplicaKind, StorageRead,
    convert::{SourceBlock, export_block, roots},
};
use bsp_devchain::asm::assemble;
use revm::context::{TxEnv, either::Either};

/// Sends every transaction, has plenty of ether and no code.
pub(crate) const SENDER: Address = address!("0x5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e");
/// Gets the fees. Does not exist unless a scene says so.
pub(crate) const MINER: Address = address!("0xc01bba5ec01bba5ec01bba5ec01bba5ec01bba5e");
/// Accounts for any purpose, none of which exists unless a scene says so.
pub(crate) const A: Address = address!("0xa1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1");
pub(crate) const B: Address = address!("0xb2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2");
pub(crate) const C: Address = address!("0xc3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3c3");
pub(crate) const D: Address = address!("0xd4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4");

/// Mainnet's forks, each with a block inside of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fork {
    London,
    Paris,
    Shanghai,
    Cancun,
    Prague,
    Osaka,
}

impl Fork {
    pub(crate) const ALL: [Self; 6] =
        [Self::London, Self::Paris, Self::Shanghai, Self::Cancun, Self::Prague, Self::Osaka];

    const fn block(self) -> (u64, u64) {
        match self {
            Self::London => (13_000_000, 1_630_000_000),
            Self::Paris => (16_000_000, 1_670_000_000),
            Self::Shanghai => (17_500_000, 1_690_000_000),
            Self::Cancun => (20_000_000, 1_715_000_000),
            Self::Prague => (22_500_000, 1_750_000_000),
            Self::Osaka => (24_000_000, 1_765_000_000),
        }
    }

    fn header(self) -> Header {
        let (number, timestamp) = self.block();
        let cancun = self >= Self::Cancun;
        Header {
            number,
            timestamp,
            parent_hash: U256::from(number - 1).into(),
            beneficiary: MINER,
            gas_limit: 30_000_000,
            base_fee_per_gas: Some(BASE_FEE),
            excess_blob_gas: cancun.then_some(0),
            parent_beacon_block_root: cancun.then_some(B256::repeat_byte(0xbe)),
            ..Default::default()
        }
    }
}

/// Wei per gas.
const BASE_FEE: u64 = 7;

/// A transaction of [`SENDER`]'s.
#[derive(Debug, Clone)]
pub(crate) struct Tx {
    to: TxKind,
    gas: u64,
    tip: u64,
    value: u64,
    input: Bytes,
    warm: Vec<Address>,
    authorizations: Vec<RecoveredAuthorization>,
}

impl Tx {
    fn new(to: TxKind, input: Bytes) -> Self {
        let (warm, authorizations) = (Vec::new(), Vec::new());
        Self { to, gas: 1_000_000, tip: 1, value: 0, input, warm, authorizations }
    }

    /// Calls an account.
    pub(crate) fn call(to: Address) -> Self {
        Self::new(TxKind::Call(to), Bytes::new())
    }

    /// Creates a contract with the init code that `source` assembles to.
    pub(crate) fn create(source: &str) -> Self {
        Self::new(TxKind::Create, assemble(source).expect("a program"))
    }

    pub(crate) const fn gas(mut self, gas: u64) -> Self {
        self.gas = gas;
        self
    }

    /// The fee recipient's part of the gas price, in wei; one if not said.
    pub(crate) const fn tip(mut self, tip: u64) -> Self {
        self.tip = tip;
        self
    }

    pub(crate) const fn value(mut self, value: u64) -> Self {
        self.value = value;
        self
    }

    /// Puts an account into the access list.
    pub(crate) fn warm(mut self, address: Address) -> Self {
        self.warm.push(address);
        self
    }

    /// Adds an authorization for this chain.
    pub(crate) fn authorize(self, authority: Address, delegate: Address, nonce: u64) -> Self {
        self.authorize_as(RecoveredAuthority::Valid(authority), 1, delegate, nonce)
    }

    /// Adds any authorization.
    pub(crate) fn authorize_as(
        mut self,
        authority: RecoveredAuthority,
        chain_id: u64,
        delegate: Address,
        nonce: u64,
    ) -> Self {
        let chain_id = U256::from(chain_id);
        let inner = Authorization { chain_id, address: delegate, nonce };
        self.authorizations.push(RecoveredAuthorization::new_unchecked(inner, authority));
        self
    }

    /// The environment to execute, and a stand-in for the signed transaction that it would come
    /// from.
    fn executable(self, nonce: u64) -> (TxEnv, Recovered<SignedTransaction>) {
        let recovered = Recovered::new_unchecked(self.signed(nonce), SENDER);
        let mut env: TxEnv = recovered.to_tx_env();
        env.authorization_list = self.authorizations.into_iter().map(Either::Right).collect();
        (env, recovered)
    }

    fn signed(&self, nonce: u64) -> SignedTransaction {
        let signature = Signature::test_signature();
        let warm =
            |address: &Address| AccessListItem { address: *address, storage_keys: Vec::new() };
        let access_list = AccessList(self.warm.iter().map(warm).collect());
        let (gas_limit, value, input) = (self.gas, U256::from(self.value), self.input.clone());
        let max_fee_per_gas = u128::from(BASE_FEE + self.tip);
        let max_priority_fee_per_gas = u128::from(self.tip);
        if self.authorizations.is_empty() {
            let tx = TxEip1559 {
                chain_id: 1,
                nonce,
                gas_limit,
                max_fee_per_gas,
                max_priority_fee_per_gas,
                to: self.to,
                value,
                access_list,
                input,
            };
            return Signed::new_unhashed(tx, signature).into();
        }
        let tx = TxEip7702 {
            chain_id: 1,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to: *self.to.to().expect("a type-4 transaction is a call"),
            value,
            access_list,
            input,
            authorization_list: Vec::new(),
        };
        Signed::new_unhashed(tx, signature).into()
    }
}

/// A block on its parent state.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    pub(crate) header: Header,
    ommers: Vec<Header>,
    withdrawals: Option<Vec<Withdrawal>>,
    world: World,
    transactions: Vec<Tx>,
}

impl Scene {
    /// An empty block on a state that has [`SENDER`] and nobody else: no system contracts and no
    /// fee recipient.
    pub(crate) fn new(fork: Fork) -> Self {
        let mut world = World::default();
        world.insert(SENDER, Account::with_balance(1 << 62));
        Self {
            header: fork.header(),
            ommers: Vec::new(),
            withdrawals: (fork >= Fork::Shanghai).then(Vec::new),
            world,
            transactions: Vec::new(),
        }
    }

    /// Adds an account to the parent state.
    pub(crate) fn account(mut self, address: Address, account: Account) -> Self {
        self.world.insert(address, account);
        self
    }

    /// Adds a contract without balance and storage to the parent state.
    pub(crate) fn contract(self, address: Address, source: &str) -> Self {
        self.account(address, Account::contract(source))
    }

    pub(crate) fn transaction(mut self, transaction: Tx) -> Self {
        self.transactions.push(transaction);
        self
    }

    /// Adds a withdrawal, in Gwei.
    pub(crate) fn withdrawal(mut self, address: Address, amount: u64) -> Self {
        let withdrawal = Withdrawal { address, amount, ..Default::default() };
        self.withdrawals.get_or_insert_default().push(withdrawal);
        self
    }

    /// Adds an uncle of the parent's generation.
    pub(crate) fn ommer(mut self, beneficiary: Address) -> Self {
        let number = self.header.number - 1;
        self.ommers.push(Header { number, beneficiary, ..Default::default() });
        self
    }

    /// Captures the block and asserts its rows, in order. Along the way asserts that capture
    /// changed nothing, and that the lists are all it takes to execute the block again.
    #[track_caller]
    pub(crate) fn expect(&self, rows: Rows<'_>) -> Capture {
        let spec = ChainSpec::mainnet();
        let (captured, changes) =
            capture_with_changes(&spec, self.parts(), self.executable(), &self.world)
                .expect("the block executes");
        let lists = &captured.reads.lists;
        assert_eq!(lists.account_read, rows.account_read(&self.world), "AccountRead");
        assert_eq!(lists.storage_read, rows.storage_read(), "StorageRead");
        assert_eq!(lists.code_read, rows.code_read(&self.world), "CodeRead");
        assert_eq!(lists.blockhash_read, rows.blockhash_read(), "BlockhashRead");
        self.expect_same_on_lists_alone(&captured);
        let plain = plain::execute(&spec, self.parts(), self.executable(), &self.world);
        assert_eq!(plain::Outcome::of_capture((captured.clone(), changes)), plain);
        captured
    }

    /// The block's replica, on mainnet. Everything in it is right but for the signatures.
    pub(crate) fn replica(&self) -> Replica {
        let captured = capture(&ChainSpec::mainnet(), self.parts(), self.executable(), &self.world)
            .expect("the block executes");
        let (receipts_root, logs_bloom) = captured.receipts_root_and_bloom();
        let transactions: Vec<_> =
            self.executable().into_iter().map(|(_, tx)| tx.into_inner()).collect();
        let withdrawals = self.withdrawals.clone().map(Withdrawals::new);
        let header = Header {
            ommers_hash: roots::ommers_hash(&self.ommers),
            transactions_root: roots::transactions_root(&transactions),
            withdrawals_root: self.withdrawals.as_deref().map(roots::withdrawals_root),
            gas_used: captured.gas_used,
            receipts_root,
            logs_bloom,
            ..self.header.clone()
        };
        let source = SourceBlock {
            network_id: 1,
            header: &header,
            transactions: &transactions,
            ommers: &self.ommers,
            withdrawals: withdrawals.as_ref(),
            senders: &vec![SENDER; transactions.len()],
            receipts: &captured.receipts,
        };
        let (kind, profile) = (ReplicaKind::Replica, Profile::Network);
        export_block(&source, captured.reads.lists, kind, profile).expect("a replica")
    }

    #[track_caller]
    fn expect_same_on_lists_alone(&self, captured: &Capture) {
        let state = SpecimenState::new(&captured.reads.lists)
            .expect("lists that agree")
            .with_code_sizes(captured.reads.code_sizes().collect());
        let again = capture(&ChainSpec::mainnet(), self.parts(), self.executable(), &state)
            .expect("the block executes on its own lists");
        assert_eq!(again, *captured);
    }

    fn parts(&self) -> BlockParts<'_> {
        BlockParts {
            header: &self.header,
            ommers: &self.ommers,
            withdrawals: self.withdrawals.as_deref(),
        }
    }

    fn executable(&self) -> Vec<(TxEnv, Recovered<SignedTransaction>)> {
        let first = self.world.nonce(SENDER);
        let nonces = first..;
        self.transactions
            .iter()
            .cloned()
            .zip(nonces)
            .map(|(tx, nonce)| tx.executable(nonce))
            .collect()
    }
}

/// The rows that a block should give, in order.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rows<'a> {
    accounts: &'a [Address],
    slots: &'a [(Address, u64, u64)],
    codes: &'a [Address],
    block_hashes: &'a [(u64, u64)],
}

impl<'a> Rows<'a> {
    /// Accounts; the rows hold what the scene says of them.
    pub(crate) fn accounts(accounts: &'a [Address]) -> Self {
        Self { accounts, ..Default::default() }
    }

    /// Account, key, value.
    pub(crate) const fn slots(mut self, slots: &'a [(Address, u64, u64)]) -> Self {
        self.slots = slots;
        self
    }

    /// The accounts whose codes are loaded.
    pub(crate) const fn codes(mut self, codes: &'a [Address]) -> Self {
        self.codes = codes;
        self
    }

    /// Block number and hash.
    pub(crate) const fn block_hashes(mut self, block_hashes: &'a [(u64, u64)]) -> Self {
        self.block_hashes = block_hashes;
        self
    }

    fn account_read(&self, world: &World) -> Vec<AccountRead> {
        self.accounts.iter().map(|address| world.account_row(*address)).collect()
    }

    fn storage_read(&self) -> Vec<StorageRead> {
        let row = |(account, key, value): &(Address, u64, u64)| StorageRead {
            account: *account,
            slot_key: U256::from(*key).into(),
            value: U256::from(*value).into(),
        };
        self.slots.iter().map(row).collect()
    }

    fn code_read(&self, world: &World) -> Vec<CodeRead> {
        self.codes.iter().map(|address| world.code_row(*address)).collect()
    }

    fn blockhash_read(&self) -> Vec<BlockhashRead> {
        let row = |(number, hash): &(u64, u64)| BlockhashRead {
            block_number: *number,
            block_hash: U256::from(*hash).into(),
        };
        self.block_hashes.iter().map(row).collect()
    }
}

/// One status a transaction.
pub(crate) fn statuses(captured: &Capture) -> Vec<bool> {
    captured.receipts.iter().map(|receipt| receipt.success).collect()
}

/// A program that calls an account with no input and drops the result. The pushes before the opcode
/// cost three gas each in every fork (`PUSH0` would cost two).
pub(crate) fn call(opcode: &str, gas: u64, target: Address, value: u8) -> String {
    call_with_output(opcode, gas, target, value, "0x00", "0x00")
}

/// The same with an output range.
pub(crate) fn call_with_output(
    opcode: &str,
    gas: u64,
    target: Address,
    value: u8,
    offset: &str,
    length: &str,
) -> String {
    let value = match opcode {
        "CALL" | "CALLCODE" => format!("0x{value:02x}"),
        _ => String::new(),
    };
    format!("{length} {offset} 0x00 0x00 {value} {target} 0x{gas:016x} {opcode} POP ")
}

/// What a call opcode's pushes cost.
pub(crate) fn call_pushes(opcode: &str) -> u64 {
    3 * if matches!(opcode, "CALL" | "CALLCODE") { 7 } else { 6 }
}

/// A program that creates a contract with CREATE2 and salt zero from at most 32 bytes of init code.
pub(crate) fn create2(init: &str, value: u8) -> String {
    let init = assemble(init).expect("a program");
    let (length, offset) = (init.len(), 32 - init.len());
    let init = hex::encode(&init);
    format!("0x{init} 0x00 MSTORE 0x00 {length} 0x{offset:02x} 0x{value:02x} CREATE2 POP ")
}

/// The address that [`create2`] gives in a contract.
pub(crate) fn created2(creator: Address, init: &str) -> Address {
    creator.create2(B256::ZERO, keccak256(assemble(init).expect("a program")))
}

/// The code of an account that delegates to `delegate`.
pub(crate) fn delegation(delegate: Address) -> Account {
    Account::coded(bsp_devchain::genesis::delegation_code(delegate))
}
