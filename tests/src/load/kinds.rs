//! One transaction of each kind.

use super::{Sender, blobs};
use alloy_consensus::{
    EthereumTxEnvelope, SignableTransaction, TxEip1559, TxEip2930, TxEip4844, TxEip4844WithSidecar,
    TxEip7702, TxLegacy,
};
use alloy_eips::{
    eip2718::Encodable2718,
    eip2930::{AccessList, AccessListItem},
    eip7002::WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS,
    eip7251::CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS,
    eip7702::Authorization,
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use bsp_devchain::{
    contracts::{
        BATCH, FACTORY2, InitCodes, PROBE_BLOCK_HASH, PROBE_CODE_COPY, PROBE_CODE_HASH,
        PROBE_CODE_SIZE, QUIET, REVERT, SLOTS, SPIN, TOKEN, load, store,
    },
    frames::{Call, batch_input},
};

/// The most that a transaction pays for gas, wei.
const FEE_CAP: u128 = 50_000_000_000;

/// What it pays above the base fee, wei.
const TIP: u128 = 1_000_000_000;

/// Enough for the fee of a request, whatever the queue, wei.
const REQUEST_FEE: u64 = 1_000_000_000;

/// What a transaction does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Legacy: sends value to an account that did not exist.
    Transfer,
    /// Legacy: reverts.
    Revert,
    /// EIP-2930: reads and writes slots that its list names.
    AccessList,
    /// EIP-1559: creates a contract.
    Creation,
    /// EIP-1559: `CREATE2`, calls the creation, and has it destroy itself.
    Destruction,
    /// EIP-1559: `BLOCKHASH`, `EXTCODESIZE`, `EXTCODEHASH`, `EXTCODECOPY`.
    Probes,
    /// EIP-1559: runs out of gas.
    OutOfGas,
    /// EIP-4844: carries two blobs.
    Blobs,
    /// EIP-7702: delegates an account, and calls it.
    Delegation,
    /// EIP-1559: asks for a withdrawal (EIP-7002).
    WithdrawalRequest,
    /// EIP-1559: asks for a consolidation (EIP-7251).
    ConsolidationRequest,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Transfer,
        Self::Revert,
        Self::AccessList,
        Self::Creation,
        Self::Destruction,
        Self::Probes,
        Self::OutOfGas,
        Self::Blobs,
        Self::Delegation,
        Self::WithdrawalRequest,
        Self::ConsolidationRequest,
    ];

    /// The transaction's type (EIP-2718).
    pub const fn transaction_type(self) -> u8 {
        match self {
            Self::Transfer | Self::Revert => 0,
            Self::AccessList => 1,
            Self::Blobs => 3,
            Self::Delegation => 4,
            _ => 2,
        }
    }

    /// Whether its receipt has to say success.
    pub const fn succeeds(self) -> bool {
        !matches!(self, Self::Revert | Self::OutOfGas)
    }
}

/// What a transaction is made from.
pub(super) struct Maker<'a> {
    pub(super) chain_id: u64,
    pub(super) round: u64,
    pub(super) init_codes: &'a InitCodes,
    pub(super) authority: &'a mut Sender,
    pub(super) sender: &'a mut Sender,
}

impl Maker<'_> {
    /// The signed transaction, as `eth_sendRawTransaction` takes it.
    pub(super) fn make(mut self, kind: Kind) -> eyre::Result<Bytes> {
        let word = B256::from(U256::from(self.round + 1));
        match kind {
            Kind::Transfer => {
                let nobody = Address::from_word(alloy_primitives::keccak256(word));
                self.legacy(nobody, 21_000, U256::ONE)
            }
            Kind::Revert => self.legacy(REVERT, 60_000, U256::ZERO),
            Kind::AccessList => self.access_list(),
            Kind::Creation => {
                let code = self.init_codes.phoenix.clone();
                self.dynamic(TxKind::Create, code, 1_000_000, 0)
            }
            Kind::Destruction => {
                let input = self.destruction(word);
                self.dynamic(TxKind::Call(BATCH), input, 1_500_000, 0)
            }
            Kind::Probes => {
                let input = self.probes();
                self.dynamic(TxKind::Call(BATCH), input, 1_500_000, 0)
            }
            Kind::OutOfGas => self.dynamic(TxKind::Call(SPIN), Bytes::new(), 60_000, 0),
            Kind::Blobs => self.blobs(),
            Kind::Delegation => self.delegation(),
            Kind::WithdrawalRequest => {
                let input = [&[7; 48][..], &32_000_000_000u64.to_be_bytes()].concat();
                let to = TxKind::Call(WITHDRAWAL_REQUEST_PREDEPLOY_ADDRESS);
                self.dynamic(to, input.into(), 300_000, REQUEST_FEE)
            }
            Kind::ConsolidationRequest => {
                let to = TxKind::Call(CONSOLIDATION_REQUEST_PREDEPLOY_ADDRESS);
                self.dynamic(to, vec![9; 96].into(), 300_000, REQUEST_FEE)
            }
        }
    }

    fn sign<T>(&mut self, tx: T) -> eyre::Result<Bytes>
    where
        T: SignableTransaction<alloy_primitives::Signature>,
        EthereumTxEnvelope<TxEip4844>: From<alloy_consensus::Signed<T>>,
    {
        Ok(self.sender.key.sign_transaction(tx)?.inner().encoded_2718().into())
    }

    fn legacy(&mut self, to: Address, gas_limit: u64, value: U256) -> eyre::Result<Bytes> {
        let tx = TxLegacy {
            chain_id: Some(self.chain_id),
            nonce: self.sender.take_nonce(),
            gas_price: FEE_CAP,
            gas_limit,
            to: TxKind::Call(to),
            value,
            input: Bytes::new(),
        };
        self.sign(tx)
    }

    fn access_list(&mut self) -> eyre::Result<Bytes> {
        let storage_keys = (0..3).map(|slot| B256::from(U256::from(slot))).collect();
        let tx = TxEip2930 {
            chain_id: self.chain_id,
            nonce: self.sender.take_nonce(),
            gas_price: FEE_CAP,
            gas_limit: 200_000,
            to: TxKind::Call(SLOTS),
            value: U256::ZERO,
            access_list: AccessList(vec![AccessListItem { address: SLOTS, storage_keys }]),
            input: [load(1), store(2, self.round), load(900)].concat().into(),
        };
        self.sign(tx)
    }

    fn dynamic(
        &mut self,
        to: TxKind,
        input: Bytes,
        gas_limit: u64,
        value: u64,
    ) -> eyre::Result<Bytes> {
        let tx = TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.sender.take_nonce(),
            gas_limit,
            max_fee_per_gas: FEE_CAP,
            max_priority_fee_per_gas: TIP,
            to,
            value: U256::from(value),
            access_list: AccessList::default(),
            input,
        };
        self.sign(tx)
    }

    fn destruction(&self, salt: B256) -> Bytes {
        let phoenix = &self.init_codes.phoenix;
        let address = FACTORY2.create2_from_code(salt, phoenix);
        let beneficiary = [B256::from(U256::from(0xbeef))];
        batch_input(&[
            Call::create2(salt, phoenix, true),
            Call::to(address),
            Call::to(address).words(&beneficiary),
        ])
    }

    fn probes(&self) -> Bytes {
        let accounts = [QUIET[0].into_word(), TOKEN.into_word(), B256::repeat_byte(0x77)];
        let numbers = [self.round, self.round + 1_000_000].map(|it| B256::from(U256::from(it)));
        batch_input(&[
            Call::to(PROBE_BLOCK_HASH).words(&numbers),
            Call::to(PROBE_CODE_SIZE).words(&accounts),
            Call::to(PROBE_CODE_HASH).words(&accounts),
            Call::to(PROBE_CODE_COPY).words(&accounts[1..]),
        ])
    }

    fn blobs(&mut self) -> eyre::Result<Bytes> {
        let sidecar = blobs::sidecar(2);
        let tx = TxEip4844 {
            chain_id: self.chain_id,
            nonce: self.sender.take_nonce(),
            gas_limit: 100_000,
            max_fee_per_gas: FEE_CAP,
            max_priority_fee_per_gas: TIP,
            to: SLOTS,
            value: U256::ZERO,
            access_list: AccessList::default(),
            blob_versioned_hashes: blobs::versioned_hashes(&sidecar),
            max_fee_per_blob_gas: FEE_CAP,
            input: load(3).to_vec().into(),
        };
        let signed = self.sender.key.sign_transaction(tx.clone())?;
        let tx = TxEip4844WithSidecar::from_tx_and_sidecar(tx, sidecar);
        Ok(tx.into_signed(*signed.inner().signature()).encoded_2718().into())
    }

    fn delegation(&mut self) -> eyre::Result<Bytes> {
        let authorization = Authorization {
            chain_id: U256::from(self.chain_id),
            address: SLOTS,
            nonce: self.authority.take_nonce(),
        };
        let tx = TxEip7702 {
            chain_id: self.chain_id,
            nonce: self.sender.take_nonce(),
            gas_limit: 200_000,
            max_fee_per_gas: FEE_CAP,
            max_priority_fee_per_gas: TIP,
            to: self.authority.address(),
            value: U256::ZERO,
            access_list: AccessList::default(),
            authorization_list: vec![self.authority.key.sign_authorization(authorization)?],
            input: [load(1), store(5, self.round)].concat().into(),
        };
        self.sign(tx)
    }
}
