//! Why a read set and a trace differ.

use alloy_primitives::{Address, B256};

/// A difference that is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Account in the trace alone: the node's state before the block does not have it, and what is
    /// absent has no row.
    AbsentBefore,
    /// Account in the trace alone: the delegate (EIP-7702) of an account whose call was refused,
    /// for its caller's balance or its depth. revm loads the delegate to price the call, geth when
    /// it runs.
    DelegateNotReached,
    /// Account in the read set alone: a system contract, which the protocol calls and tracers do
    /// not see.
    SystemContract,
    /// Account in the read set alone: the protocol's own caller, which geth looks up and revm does
    /// not. It has a row where somebody has sent it something.
    SystemCaller,
    /// Account in the read set alone: it gets a withdrawal, after all transactions.
    Withdrawal,
    /// Account in the read set alone: a step that failed names it. geth looks it up before it
    /// charges for it.
    FailedStep,
    /// Slot in the read set alone: of a system contract.
    SystemSlot,
    /// Slot of a system contract with another value: the trace has what the opening call has
    /// written.
    SystemValue,
    /// Slot in the read set alone: a step that failed names it.
    FailedStepSlot,
    /// Slot in the trace alone: of an account that did not exist before the block and was destroyed
    /// in it.
    DestroyedSlot,
    /// Slot in the read set alone: of an account that did not exist before the block, with value
    /// zero.
    NewAccountSlot,
    /// Code in the trace alone: the tracer shows the code of each account, and this one's never
    /// ran.
    NeverRan,
    /// Code in the trace alone: written earlier in the block.
    WrittenInBlock,
    /// Code in the read set alone: a system contract's.
    SystemCode,
    /// Code in the read set alone: of an account that a failed step was to call.
    FailedStepCode,
}

impl Cause {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 15] = [
        Self::AbsentBefore,
        Self::DelegateNotReached,
        Self::SystemContract,
        Self::SystemCaller,
        Self::Withdrawal,
        Self::FailedStep,
        Self::SystemSlot,
        Self::SystemValue,
        Self::FailedStepSlot,
        Self::DestroyedSlot,
        Self::NewAccountSlot,
        Self::NeverRan,
        Self::WrittenInBlock,
        Self::SystemCode,
        Self::FailedStepCode,
    ];

    /// For the table.
    pub const fn title(self) -> &'static str {
        match self {
            Self::AbsentBefore => "account in the trace alone: it did not exist before the block",
            Self::DelegateNotReached => {
                "account in the trace alone: delegate of a call that was refused"
            }
            Self::SystemContract => "account in the read set alone: system contract",
            Self::SystemCaller => "account in the read set alone: the protocol's own caller",
            Self::Withdrawal => "account in the read set alone: gets a withdrawal",
            Self::FailedStep => "account in the read set alone: named by a step that failed",
            Self::SystemSlot => "slot in the read set alone: of a system contract",
            Self::SystemValue => {
                "slot of a system contract: the trace has what the block's opening wrote"
            }
            Self::FailedStepSlot => "slot in the read set alone: named by a step that failed",
            Self::DestroyedSlot => "slot in the trace alone: of an account destroyed in the block",
            Self::NewAccountSlot => {
                "slot in the read set alone, value 0: of an account created in the block"
            }
            Self::NeverRan => "code in the trace alone: the account was looked at, and never ran",
            Self::WrittenInBlock => "code in the trace alone: written earlier in the block",
            Self::SystemCode => "code in the read set alone: of a system contract",
            Self::FailedStepCode => {
                "code in the read set alone: to be called by a step that failed"
            }
        }
    }
}

/// A difference that nothing explains.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The trace has an account that existed, the read set does not.
    #[error("account {address} is missing: {traced}")]
    MissingAccount {
        /// The account.
        address: Address,
        /// What the trace has.
        traced: String,
    },
    /// The read set has an account that nothing read.
    #[error("account {0} is extra")]
    ExtraAccount(Address),
    /// Nonce, balance or code hash differ.
    #[error("account {address}: the read set has {read}, the trace {traced}")]
    AccountValue {
        /// The account.
        address: Address,
        /// The row.
        read: String,
        /// What the trace has.
        traced: String,
    },
    /// An account has several rows.
    #[error("account {0} has several rows")]
    RepeatedAccount(Address),
    /// The trace has a slot, the read set does not.
    #[error("slot {1} of {0} is missing")]
    MissingSlot(Address, B256),
    /// The read set has a slot that nothing read.
    #[error("slot {1} of {0} is extra")]
    ExtraSlot(Address, B256),
    /// The values differ.
    #[error("slot {slot} of {address}: the read set has {read}, the trace {traced}")]
    SlotValue {
        /// The account.
        address: Address,
        /// The slot.
        slot: B256,
        /// The row.
        read: B256,
        /// What the trace has.
        traced: B256,
    },
    /// A code ran and is missing.
    #[error("the code of {0}, which ran, is missing")]
    MissingCode(Address),
    /// The read set has a code of no account that was touched.
    #[error("code {0} is extra")]
    ExtraCode(B256),
    /// A code does not have its hash.
    #[error("code {0} has another hash")]
    WrongCode(B256),
    /// The replica on the stream has another read set than the RPC.
    #[error("the stream's read set is not the RPC's")]
    StreamDiffers,
}
