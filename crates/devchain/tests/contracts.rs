//! The workload contracts, one transaction at a time on the genesis state: that their expectations
//! bite, and that the gas they are said to use before their opcode is what they use.

use alloy_evm::{EvmEnv, EvmFactory, eth::EthEvmFactory};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use bsp_devchain::{
    DevChain, DevConfig, WorldState,
    contracts::*,
    frames::{Call, batch_input},
    keys::{Key, Role},
};
use revm::{
    context::{
        CfgEnv, TxEnv,
        result::{ExecutionResult, HaltReason, OutOfGasError},
    },
    database::WrapDatabaseRef,
    primitives::hardfork::SpecId,
};

struct Genesis {
    chain: DevChain,
    sender: Address,
}

impl Genesis {
    fn new() -> Self {
        let chain = DevChain::new(1, DevConfig::default()).unwrap();
        Self { chain, sender: Key::derive(1, Role::Sender, 0).address() }
    }

    fn run(&self, to: Address, input: Bytes, gas_limit: u64) -> ExecutionResult {
        let config = CfgEnv::new_with_spec(SpecId::OSAKA).with_chain_id(1337);
        let env = EvmEnv::new(config, Default::default());
        let state: WrapDatabaseRef<&WorldState> = WrapDatabaseRef(self.chain.state());
        let mut evm = EthEvmFactory::default().create_evm(state, env);
        let tx = TxEnv {
            caller: self.sender,
            kind: TxKind::Call(to),
            data: input,
            gas_limit,
            chain_id: Some(1337),
            ..Default::default()
        };
        alloy_evm::Evm::transact(&mut evm, tx).unwrap().result
    }

    /// Gives exactly `gas` to the contract's own frame.
    fn run_frame(&self, to: Address, input: Bytes, gas: u64) -> ExecutionResult {
        let zeros = input.iter().filter(|byte| **byte == 0).count() as u64;
        let intrinsic = 21_000 + 4 * zeros + 16 * (input.len() as u64 - zeros);
        self.run(to, input, intrinsic + gas)
    }

    fn batch(&self, calls: &[Call]) -> ExecutionResult {
        self.run(BATCH, batch_input(calls), 2_000_000)
    }
}

const COLD_ACCOUNT: u64 = 2_600;

/// An account that does not exist, without zero bytes, so that the floor price of its bytes
/// (EIP-7623) is far.
fn missing() -> Bytes {
    Address::repeat_byte(0xee).into_word().0.into()
}

fn is_out_of_gas(result: &ExecutionResult) -> bool {
    matches!(
        result,
        ExecutionResult::Halt { reason: HaltReason::OutOfGas(OutOfGasError::Basic), .. }
    )
}

#[test]
fn a_batch_reverts_where_a_call_does_not_end_as_expected() {
    let genesis = Genesis::new();
    let (good, bad) = (Call::to(SLOTS).words(&[load(1)]), Call::to(REVERT));
    assert!(genesis.batch(&[good.clone(), bad.clone().fails(), good.clone()]).is_success());
    assert!(!genesis.batch(&[good.clone().fails()]).is_success());
    assert!(!genesis.batch(&[good, bad]).is_success());
}

#[test]
fn a_relay_reverts_where_its_call_does_not_end_as_expected() {
    let genesis = Genesis::new();
    for relay in [RELAY_CALL, RELAY_CALLCODE, RELAY_DELEGATECALL, RELAY_STATICCALL] {
        let (good, bad) = (Call::to(SLOTS).words(&[load(1)]), Call::to(REVERT));
        assert!(genesis.batch(&[good.clone().through(relay)]).is_success(), "{relay}");
        assert!(genesis.batch(&[bad.clone().fails().through(relay)]).is_success(), "{relay}");
        assert!(!genesis.batch(&[good.fails().through(relay)]).is_success(), "{relay}");
        assert!(!genesis.batch(&[bad.through(relay)]).is_success(), "{relay}");
    }
    assert!(genesis.batch(&[Call::to(SLOTS).reverted()]).is_success());
}

#[test]
fn a_factory_reverts_where_its_creation_does_not_end_as_expected() {
    let genesis = Genesis::new();
    let codes = InitCodes::assemble().unwrap();
    let create = |code, expected| Call::create2(B256::ZERO, code, expected).gas(400_000);
    for code in [&codes.phoenix, &codes.codeless, &codes.nested, &codes.destroyed] {
        assert!(genesis.batch(&[create(code, true)]).is_success());
        assert!(!genesis.batch(&[create(code, false)]).is_success());
    }
    for code in [&codes.reverting, &codes.forbidden, &codes.oversized] {
        assert!(genesis.batch(&[create(code, false)]).is_success());
        assert!(!genesis.batch(&[create(code, true)]).is_success());
    }
    assert!(genesis.batch(&[Call::create(U256::ONE, &codes.phoenix, true)]).is_success());
}

#[test]
fn store_now_reaches_its_store_with_what_it_is_said_to_use() {
    let run = |gas| Genesis::new().run_frame(STORE_NOW, Bytes::new(), STORE_NOW_OVERHEAD + gas);
    let at_stipend = run(2_300);
    let reason = OutOfGasError::ReentrancySentry;
    assert!(
        matches!(at_stipend, ExecutionResult::Halt { reason: HaltReason::OutOfGas(r), .. } if r == reason),
        "{at_stipend:?}"
    );
    assert!(is_out_of_gas(&run(2_301)));
    assert!(is_out_of_gas(&run(22_099)));
    assert!(run(22_100).is_success());
}

#[test]
fn destroy_reaches_its_opcode_with_what_it_is_said_to_use() {
    // The contract has a balance, and the beneficiary is new.
    let needed = DESTROY_OVERHEAD + 5_000 + COLD_ACCOUNT + 25_000;
    assert!(Genesis::new().run_frame(DESTROY, missing(), needed).is_success());
    assert!(is_out_of_gas(&Genesis::new().run_frame(DESTROY, missing(), needed - 1)));
}

#[test]
fn balance_now_reaches_its_opcode_with_what_it_is_said_to_use() {
    let needed = DESTROY_OVERHEAD + COLD_ACCOUNT;
    assert!(Genesis::new().run_frame(BALANCE_NOW, missing(), needed).is_success());
    assert!(is_out_of_gas(&Genesis::new().run_frame(BALANCE_NOW, missing(), needed - 1)));
}

#[test]
fn pay_now_reaches_its_call_with_what_it_is_said_to_use() {
    let needed = PAY_NOW_OVERHEAD + COLD_ACCOUNT + 9_000 + 25_000;
    assert!(Genesis::new().run_frame(PAY_NOW, missing(), needed).is_success());
    assert!(is_out_of_gas(&Genesis::new().run_frame(PAY_NOW, missing(), needed - 1)));
}

#[test]
fn the_token_moves_balances_and_refuses_what_nobody_has() {
    let genesis = Genesis::new();
    let transfer = |amount: u64| {
        let to = Address::repeat_byte(0x11).into_word();
        let words = [to, U256::from(amount).into()].concat();
        Bytes::from([&TRANSFER_SELECTOR[..], &words].concat())
    };
    for token in [TOKEN, TOKEN_PROXY, TOKEN_CLONES[0], TOKEN_CLONES[1]] {
        let result = genesis.run(token, transfer(5), 200_000);
        assert!(result.is_success(), "{token}: {result:?}");
        let log = &result.logs()[0];
        assert_eq!((log.address, log.topics().len()), (token, 3));
        assert_eq!(U256::from_be_slice(&log.data.data), U256::from(5));
        assert!(!genesis.run(token, transfer(u64::MAX), 200_000).is_success(), "{token}");
    }
}
