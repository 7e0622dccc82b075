//! The workload's contracts: what stands at genesis, and what the chain creates.
//!
//! A few contracts that do one thing each, put together by calls: the *batch* makes several calls
//! in one transaction, the *relays* make one call in a given way, the *factories* create. Each of
//! these three checks whether the call or creation succeeded where it was expected to, and reverts
//! where not, so that a transaction whose receipt says success has done what its author meant,
//! failing frames included.

use crate::asm::{AsmError, assemble};
use alloy_eips::eip6110::MAINNET_DEPOSIT_CONTRACT_ADDRESS;
use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use std::collections::BTreeMap;

const fn at(number: u8) -> Address {
    let mut bytes = [0; 20];
    bytes[0] = 0xc0;
    bytes[1] = 0xde;
    bytes[19] = number;
    Address::new(bytes)
}

/// Makes several calls, one after the other: input is a sequence of
/// `target ‖ value ‖ gas ‖ expected (0 or 1) ‖ length ‖ input`, 32 bytes each but for the last.
pub const BATCH: Address = at(0x01);
/// Makes one `CALL`: input is `target ‖ value ‖ gas ‖ expected ‖ input`.
pub const RELAY_CALL: Address = at(0x02);
/// Makes one `CALLCODE`; input as [`RELAY_CALL`].
pub const RELAY_CALLCODE: Address = at(0x03);
/// Makes one `DELEGATECALL`; input as [`RELAY_CALL`], value ignored.
pub const RELAY_DELEGATECALL: Address = at(0x04);
/// Makes one `STATICCALL`; input as [`RELAY_CALL`], value ignored.
pub const RELAY_STATICCALL: Address = at(0x05);
/// Makes one `CALL` and reverts whatever came of it; input as [`RELAY_CALL`], expectation ignored.
pub const RELAY_REVERT: Address = at(0x06);
/// Creates with `CREATE`: input is `value ‖ salt (ignored) ‖ expected ‖ init code`.
pub const FACTORY: Address = at(0x07);
/// Creates with `CREATE2`; input as [`FACTORY`].
pub const FACTORY2: Address = at(0x08);
/// `BALANCE` of each word of the input.
pub const PROBE_BALANCE: Address = at(0x10);
/// `EXTCODESIZE` of each word of the input.
pub const PROBE_CODE_SIZE: Address = at(0x11);
/// `EXTCODEHASH` of each word of the input.
pub const PROBE_CODE_HASH: Address = at(0x12);
/// `EXTCODECOPY` of each word of the input.
pub const PROBE_CODE_COPY: Address = at(0x13);
/// `SELFBALANCE`, whatever the input.
pub const PROBE_SELF_BALANCE: Address = at(0x14);
/// `BLOCKHASH` of each word of the input.
pub const PROBE_BLOCK_HASH: Address = at(0x15);
/// `EXTCODECOPY` of the input's first word to a memory offset that no gas can pay for.
pub const PROBE_FAR_COPY: Address = at(0x16);
/// Reads and writes own storage, see [`load`] and [`store`].
pub const SLOTS: Address = at(0x20);
/// Another account with the code of [`SLOTS`].
pub const SLOTS_TWIN: Address = at(0x21);
/// `SSTORE` as its first costly act, [`STORE_NOW_OVERHEAD`] gas into the call.
pub const STORE_NOW: Address = at(0x22);
/// `SELFDESTRUCT` in favour of the input's word, [`DESTROY_OVERHEAD`] gas into the call.
pub const DESTROY: Address = at(0x23);
/// Sends one wei to the input's word, [`PAY_NOW_OVERHEAD`] gas into the call.
pub const PAY_NOW: Address = at(0x24);
/// `BALANCE` of the input's word, [`DESTROY_OVERHEAD`] gas into the call.
pub const BALANCE_NOW: Address = at(0x25);
/// Emits a log of every size, then reads and writes transient storage (EIP-1153).
pub const LOGGER: Address = at(0x26);
/// Calls itself until its gas is used up.
pub const RECURSION: Address = at(0x27);
/// Loads memory at the input's word, the cheapest way for everyone to use up gas.
pub const MEMORY: Address = at(0x28);
/// Reverts.
pub const REVERT: Address = at(0x29);
/// Loops until its gas is used up.
pub const SPIN: Address = at(0x2a);
/// A fungible token with the `transfer` of ERC-20.
pub const TOKEN: Address = at(0x30);
/// An upgradable proxy (ERC-1967) in front of [`TOKEN`].
pub const TOKEN_PROXY: Address = at(0x31);
/// Two minimal proxies (ERC-1167) in front of [`TOKEN`], with equal code.
pub const TOKEN_CLONES: [Address; 2] = [at(0x32), at(0x33)];
/// Contracts that nothing calls, so that asking for their size is all that ever touches them.
pub const QUIET: [Address; 4] = [at(0x40), at(0x41), at(0x42), at(0x43)];

/// Gas that [`STORE_NOW`] uses before its `SSTORE`.
pub const STORE_NOW_OVERHEAD: u64 = 5;
/// Gas that [`DESTROY`] and [`BALANCE_NOW`] use before their opcode.
pub const DESTROY_OVERHEAD: u64 = 5;
/// Gas that [`PAY_NOW`] uses before its `CALL`.
pub const PAY_NOW_OVERHEAD: u64 = 18;

/// Selector of `transfer(address,uint256)` (ERC-20).
pub const TRANSFER_SELECTOR: [u8; 4] = [0xa9, 0x05, 0x9c, 0xbb];

/// A contract of the genesis state.
#[derive(Debug, Clone)]
pub struct Contract {
    /// Where it stands.
    pub address: Address,
    /// 1, as for any created contract.
    pub nonce: u64,
    /// Balance in wei.
    pub balance: U256,
    /// Runtime code.
    pub code: Bytes,
    /// Storage at genesis.
    pub storage: BTreeMap<B256, B256>,
}

impl Contract {
    const fn new(address: Address, code: Bytes) -> Self {
        Self { address, nonce: 1, balance: U256::ZERO, code, storage: BTreeMap::new() }
    }

    fn assembled(address: Address, source: &str) -> Result<Self, AsmError> {
        assemble(source).map(|code| Self::new(address, code))
    }

    fn with_balance(mut self, wei: u128) -> Self {
        self.balance = U256::from(wei);
        self
    }

    fn with_storage(mut self, slots: impl IntoIterator<Item = (B256, B256)>) -> Self {
        self.storage.extend(slots);
        self
    }
}

/// All contracts of the genesis state; the token's whole supply is shared between `holders`.
///
/// # Errors
///
/// Where a contract's source does not assemble.
pub fn genesis_contracts(holders: &[Address]) -> Result<Vec<Contract>, AsmError> {
    let mut contracts = callers()?;
    contracts.extend(probes()?);
    contracts.extend(actors()?);
    contracts.extend(tokens(holders)?);
    contracts.push(deposit_contract()?);
    Ok(contracts)
}

/// Wei that contracts which send value start with: a million ether.
const ENDOWMENT: u128 = 1_000_000_000_000_000_000_000_000;

const BATCH_SOURCE: &str = "
    0
    next:                                 ; p
        DUP1 CALLDATASIZE EQ @done JUMPI
        DUP1 128 ADD CALLDATALOAD         ; p length
        DUP1 DUP3 160 ADD 0 CALLDATACOPY  ; memory[0..length) = the call's input
        0 0 DUP3 0                        ; p length | no output | input
        DUP6 32 ADD CALLDATALOAD          ; value
        DUP7 CALLDATALOAD                 ; target
        DUP8 64 ADD CALLDATALOAD          ; gas
        CALL                              ; p length success
        DUP3 96 ADD CALLDATALOAD EQ @expected JUMPI
        0 0 REVERT
    expected:
        160 ADD ADD                       ; p + 160 + length
        @next JUMP
    done: STOP";

/// What a relay does up to and including its call, which leaves the success flag on the stack.
fn relay_call(opcode: &str, value: &str) -> String {
    format!(
        "128 CALLDATASIZE SUB                 ; length
         DUP1 128 0 CALLDATACOPY              ; memory[0..length) = the call's input
         0 0 DUP3 0 {value}                   ; length | no output | input | value, where it takes one
         0 CALLDATALOAD 64 CALLDATALOAD {opcode}"
    )
}

/// Goes on where the flag on the stack equals the input's word at `offset`, and reverts where not.
fn expect_word_at(offset: u64) -> String {
    format!("{offset} CALLDATALOAD EQ @expected JUMPI 0 0 REVERT expected: STOP")
}

fn relay(opcode: &str, value: &str) -> String {
    format!("{} {}", relay_call(opcode, value), expect_word_at(96))
}

fn factory(salt: &str, opcode: &str) -> String {
    format!(
        "96 CALLDATASIZE SUB                  ; length
         DUP1 96 0 CALLDATACOPY               ; memory[0..length) = the init code
         {salt} DUP2 0 0 CALLDATALOAD {opcode}
         ISZERO ISZERO {}",
        expect_word_at(64)
    )
}

/// The contracts that call and create on somebody's behalf: call and create entry, and the
/// gas-stage reads of the `CALL` family.
fn callers() -> Result<Vec<Contract>, AsmError> {
    let value = "32 CALLDATALOAD";
    let create = factory("0", "CREATE");
    let reverting = format!("{} POP 0 0 REVERT", relay_call("CALL", value));
    let sources = [
        (BATCH, BATCH_SOURCE),
        (RELAY_CALL, &relay("CALL", value)),
        (RELAY_CALLCODE, &relay("CALLCODE", value)),
        (RELAY_DELEGATECALL, &relay("DELEGATECALL", "")),
        (RELAY_STATICCALL, &relay("STATICCALL", "")),
        (RELAY_REVERT, &reverting),
        (FACTORY, &create),
        (FACTORY2, &factory("32 CALLDATALOAD", "CREATE2")),
    ];
    sources
        .into_iter()
        .map(|(address, source)| Ok(Contract::assembled(address, source)?.with_balance(ENDOWMENT)))
        .collect()
}

/// A loop over the words of the input; `body` finds one on the stack and takes it off.
fn for_each_word(body: &str) -> String {
    format!(
        "0
         next:                                ; p
             DUP1 CALLDATASIZE EQ @done JUMPI
             DUP1 CALLDATALOAD                ; p word
             {body}
             32 ADD @next JUMP
         done: STOP"
    )
}

/// The contracts that read accounts and block hashes at the execution stage of one opcode.
fn probes() -> Result<Vec<Contract>, AsmError> {
    let sources = [
        (PROBE_BALANCE, &*for_each_word("BALANCE POP")),
        (PROBE_CODE_SIZE, &for_each_word("EXTCODESIZE POP")),
        (PROBE_CODE_HASH, &for_each_word("EXTCODEHASH POP")),
        (PROBE_CODE_COPY, &for_each_word("32 0 0 DUP4 EXTCODECOPY POP")),
        (PROBE_SELF_BALANCE, "SELFBALANCE POP STOP"),
        (PROBE_BLOCK_HASH, &for_each_word("BLOCKHASH POP")),
        (PROBE_FAR_COPY, "32 0 0xffffffffff 0 CALLDATALOAD EXTCODECOPY STOP"),
    ];
    sources.into_iter().map(|(address, source)| Contract::assembled(address, source)).collect()
}

/// [`SLOTS`]: the lower half of a word names a slot. The upper half is zero to load it, or one more
/// than the value to store there.
const SLOTS_BODY: &str = "
    DUP1 128 SHR                          ; p word value+1
    DUP1 @store JUMPI
    POP SLOAD POP @advance JUMP
    store:
        1 SWAP1 SUB SWAP1                 ; p value word
        0xffffffffffffffffffffffffffffffff AND
        SSTORE
    advance:";

const LOGGER_SOURCE: &str = "
    0xb5b5 0 MSTORE
    32 0 LOG0
    1 32 0 LOG1
    2 1 32 0 LOG2
    3 2 1 32 0 LOG3
    4 3 2 1 32 0 LOG4
    5 1 TSTORE 1 TLOAD POP STOP";

/// The contracts that act: storage, self-destruction, payment, and the ways to fail.
fn actors() -> Result<Vec<Contract>, AsmError> {
    let slots = assemble(&for_each_word(SLOTS_BODY))?;
    let filled = |address| {
        let values = (0..8u64).map(|slot| (word(slot), word(slot + 100)));
        Contract::new(address, slots.clone()).with_storage(values)
    };
    let mut contracts = vec![filled(SLOTS), filled(SLOTS_TWIN)];
    let sources = [
        (STORE_NOW, "1 0 SSTORE STOP"),
        (DESTROY, "0 CALLDATALOAD SELFDESTRUCT"),
        (PAY_NOW, "0 0 0 0 1 0 CALLDATALOAD 0 CALL STOP"),
        (BALANCE_NOW, "0 CALLDATALOAD BALANCE STOP"),
        (LOGGER, LOGGER_SOURCE),
        (RECURSION, "0 0 0 0 0 ADDRESS GAS CALL STOP"),
        (MEMORY, "0 CALLDATALOAD MLOAD STOP"),
        (REVERT, "0 0 REVERT"),
        (SPIN, "loop: @loop JUMP"),
    ];
    for (address, source) in sources {
        contracts.push(Contract::assembled(address, source)?.with_balance(ENDOWMENT));
    }
    for (number, address) in QUIET.into_iter().enumerate() {
        contracts.push(Contract::assembled(address, &format!("{number} POP STOP"))?);
    }
    Ok(contracts)
}

const TOKEN_SOURCE: &str = "
    0 CALLDATALOAD 224 SHR 0xa9059cbb EQ @transfer JUMPI
    0 0 REVERT
    transfer:
        CALLER 0 MSTORE 0 32 MSTORE
        64 0 KECCAK256                    ; from, the slot of the caller's balance
        DUP1 SLOAD 36 CALLDATALOAD        ; from balance amount
        DUP1 DUP3 LT @poor JUMPI
        SWAP1 SUB SWAP1 SSTORE
        4 CALLDATALOAD 0 MSTORE
        64 0 KECCAK256                    ; to, the slot of the receiver's balance
        DUP1 SLOAD 36 CALLDATALOAD ADD SWAP1 SSTORE
        36 CALLDATALOAD 0 MSTORE
        4 CALLDATALOAD CALLER             ; Transfer(from, to, amount)
        0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef
        32 0 LOG3
        1 0 MSTORE 32 0 RETURN
    poor: 0 0 REVERT";

const PROXY_SOURCE: &str = "
    CALLDATASIZE 0 0 CALLDATACOPY
    0 0 CALLDATASIZE 0
    0x360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc SLOAD
    GAS DELEGATECALL
    RETURNDATASIZE 0 0 RETURNDATACOPY
    @passed JUMPI
    RETURNDATASIZE 0 REVERT
    passed: RETURNDATASIZE 0 RETURN";

/// keccak-256 of `eip1967.proxy.implementation`, minus one (ERC-1967).
const IMPLEMENTATION_SLOT: B256 =
    B256::new(hex!("360894a13ba1a3210667c828492db98dca3e2076cc3735a920a3ca505d382bbc"));

/// Tokens that each holder starts with.
const SUPPLY_EACH: u64 = 1_000_000_000;

/// The token and its proxies: slots of a mapping, code loaded through `DELEGATECALL`, equal code in
/// two accounts.
fn tokens(holders: &[Address]) -> Result<Vec<Contract>, AsmError> {
    let balances = || holders.iter().map(|holder| (balance_slot(*holder), word(SUPPLY_EACH)));
    let implementation = (IMPLEMENTATION_SLOT, TOKEN.into_word());
    let mut contracts = vec![
        Contract::assembled(TOKEN, TOKEN_SOURCE)?.with_storage(balances()),
        Contract::assembled(TOKEN_PROXY, PROXY_SOURCE)?
            .with_storage(balances())
            .with_storage([implementation]),
    ];
    let clone = Bytes::from(
        [
            &hex!("363d3d373d3d3d363d73")[..],
            TOKEN.as_slice(),
            &hex!("5af43d82803e903d91602b57fd5bf3"),
        ]
        .concat(),
    );
    for address in TOKEN_CLONES {
        contracts.push(Contract::new(address, clone.clone()).with_storage(balances()));
    }
    Ok(contracts)
}

/// A stand-in for the deposit contract: emits its input as a `DepositEvent` (EIP-6110).
fn deposit_contract() -> Result<Contract, AsmError> {
    let source = "
        CALLDATASIZE 0 0 CALLDATACOPY
        0x649bbc62d0e31342afea4e5cd82d4049e7e1ee912fc0889aa790803be39038c5
        CALLDATASIZE 0 LOG1 STOP";
    Contract::assembled(MAINNET_DEPOSIT_CONTRACT_ADDRESS, source)
}

/// The slot that holds `holder`'s balance in [`TOKEN`] and its proxies.
pub fn balance_slot(holder: Address) -> B256 {
    keccak256([holder.into_word(), B256::ZERO].concat())
}

fn word(value: u64) -> B256 {
    U256::from(value).into()
}

/// Tells [`SLOTS`] to read a slot.
pub fn load(slot: u64) -> B256 {
    word(slot)
}

/// Tells [`SLOTS`] to write a slot; `value` is below 2^64 − 1.
pub fn store(slot: u64, value: u64) -> B256 {
    let upper: U256 = (U256::from(value) + U256::ONE) << 128;
    (upper | U256::from(slot)).into()
}

/// Init codes that the workload creates contracts with.
#[derive(Debug, Clone)]
pub struct InitCodes {
    /// Reads slots 0 and 1, sets slot 0, and leaves a contract that self-destructs in favour of a
    /// non-zero input word and reads slot 0 otherwise.
    pub phoenix: Bytes,
    /// Reads slots 0 and 1, then reverts.
    pub reverting: Bytes,
    /// Reads slot 0 and leaves an account without code.
    pub codeless: Bytes,
    /// Creates an account in its turn, then does as [`Self::codeless`].
    pub nested: Bytes,
    /// Self-destructs in favour of its caller.
    pub destroyed: Bytes,
    /// Returns code that begins with 0xEF, which EIP-3541 forbids.
    pub forbidden: Bytes,
    /// Returns one byte more code than EIP-170 allows.
    pub oversized: Bytes,
}

impl InitCodes {
    /// Assembles all of them.
    ///
    /// # Errors
    ///
    /// Where a source does not assemble.
    pub fn assemble() -> Result<Self, AsmError> {
        let phoenix = assemble(
            "0 CALLDATALOAD DUP1 @destroy JUMPI
             0 SLOAD STOP
             destroy: SELFDESTRUCT",
        )?;
        Ok(Self {
            phoenix: deploying("0 SLOAD 1 SLOAD ADD 7 ADD 0 SSTORE", &phoenix)?,
            reverting: assemble("0 SLOAD 1 SLOAD 0 0 REVERT")?,
            codeless: assemble("0 SLOAD STOP")?,
            nested: assemble("0 0 0 CREATE POP 0 SLOAD STOP")?,
            destroyed: assemble("0 SLOAD CALLER SELFDESTRUCT")?,
            forbidden: assemble("0xef 0 MSTORE8 1 0 RETURN")?,
            oversized: assemble("24577 0 RETURN")?,
        })
    }
}

/// Init code that runs `constructor` and deploys `runtime`.
fn deploying(constructor: &str, runtime: &Bytes) -> Result<Bytes, AsmError> {
    let length = runtime.len();
    let init = assemble(&format!(
        "{constructor}
         {length} 1 @runtime ADD 0 CODECOPY   ; the runtime code follows the label's own byte
         {length} 0 RETURN
         runtime:"
    ))?;
    Ok([init, runtime.clone()].concat().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_contract_has_code_and_an_address_of_its_own() {
        let contracts = genesis_contracts(&[]).unwrap();
        let addresses: BTreeSet<_> = contracts.iter().map(|contract| contract.address).collect();
        assert_eq!(addresses.len(), contracts.len());
        assert!(contracts.iter().all(|contract| !contract.code.is_empty()));
    }

    #[test]
    fn selectors_and_slots_are_the_published_ones() {
        assert_eq!(keccak256("transfer(address,uint256)")[..4], TRANSFER_SELECTOR);
        let slot = U256::from_be_bytes(keccak256("eip1967.proxy.implementation").0);
        assert_eq!(B256::from(slot - U256::from(1)), IMPLEMENTATION_SLOT);
    }
}
