//! Puts call frames together: the inputs of the batch, the relays and the factories.

use crate::contracts::{BATCH, FACTORY, FACTORY2, RELAY_REVERT};
use alloy_primitives::{Address, B256, Bytes, U256};

/// One call of a batch, and whether it is to succeed.
#[derive(Debug, Clone)]
pub struct Call {
    target: Address,
    value: U256,
    gas: U256,
    succeeds: bool,
    input: Bytes,
}

impl Call {
    /// A call without value or input that gets all gas there is (less the 64th that EIP-150 keeps
    /// back) and is to succeed.
    pub const fn to(target: Address) -> Self {
        Self { target, value: U256::ZERO, gas: U256::MAX, succeeds: true, input: Bytes::new() }
    }

    /// A creation by [`FACTORY`] with `value` wei.
    pub fn create(value: U256, init_code: &Bytes, succeeds: bool) -> Self {
        let input = creation_input(value, B256::ZERO, init_code, succeeds);
        Self::to(FACTORY).input(input)
    }

    /// A creation by [`FACTORY2`] with no value.
    pub fn create2(salt: B256, init_code: &Bytes, succeeds: bool) -> Self {
        Self::to(FACTORY2).input(creation_input(U256::ZERO, salt, init_code, succeeds))
    }

    /// The call's input.
    #[must_use]
    pub fn input(mut self, input: impl Into<Bytes>) -> Self {
        self.input = input.into();
        self
    }

    /// The call's input, given as words.
    #[must_use]
    pub fn words(self, words: &[B256]) -> Self {
        self.input(words.concat())
    }

    /// Wei to send along.
    #[must_use]
    pub fn value(mut self, wei: U256) -> Self {
        self.value = wei;
        self
    }

    /// Gas to give to the call, the stipend of a call with value not counted.
    #[must_use]
    pub fn gas(mut self, gas: u64) -> Self {
        self.gas = U256::from(gas);
        self
    }

    /// The call is to fail. One that fails otherwise than by reverting uses up its gas: limit it
    /// with [`Self::gas`].
    #[must_use]
    pub const fn fails(mut self) -> Self {
        self.succeeds = false;
        self
    }

    /// The same call made by a relay, which checks the expectation.
    #[must_use]
    pub fn through(self, relay: Address) -> Self {
        Self::to(relay).input([self.head().concat(), self.input.to_vec()].concat())
    }

    /// The same call in a frame that reverts afterwards.
    #[must_use]
    pub fn reverted(self) -> Self {
        self.through(RELAY_REVERT).fails()
    }

    fn head(&self) -> [[u8; 32]; 4] {
        let expected = U256::from(self.succeeds);
        [
            self.target.into_word().0,
            self.value.to_be_bytes(),
            self.gas.to_be_bytes(),
            expected.to_be_bytes(),
        ]
    }
}

/// Input of a factory.
pub fn creation_input(value: U256, salt: B256, init_code: &Bytes, succeeds: bool) -> Bytes {
    let head = [value.to_be_bytes(), salt.0, U256::from(succeeds).to_be_bytes()];
    [&head.concat()[..], init_code].concat().into()
}

/// Input of the batch.
pub fn batch_input(calls: &[Call]) -> Bytes {
    let mut input = Vec::new();
    for call in calls {
        let length = U256::from(call.input.len());
        input.extend(call.head().concat());
        input.extend(length.to_be_bytes::<32>());
        input.extend_from_slice(&call.input);
    }
    input.into()
}

/// Several calls as one, made by a batch of their own.
pub fn nested_batch(calls: &[Call]) -> Call {
    Call::to(BATCH).input(batch_input(calls))
}
