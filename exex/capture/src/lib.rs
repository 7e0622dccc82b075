//! What a block's execution reads of the parent state, in the network's order.

mod capture;
mod chain;
mod error;
mod evm;
mod evm_parent;
mod parent;
mod recorder;
mod specimen;
mod verify;

pub use capture::{
    BlockParts, Capture, Receipt, SignedTransaction, capture, capture_with_changes, evm_env,
    execution_context,
};
pub use chain::{ChainSpec, DEV_CHAIN_ID, ExecutionSpec};
pub use error::{CaptureError, OutcomeMismatch, RecordError};
pub use evm::{EvmContext, InspectingEvm, InspectingEvmFactory};
pub use parent::ParentState;
pub use recorder::{Reads, Recorder};
pub use specimen::{Contradiction, MissingState, SpecimenState};
pub use verify::{
    AuthorizationsError, CheckName, CheckResult, Outcome, RecoveredAuthorizations, Verdict,
    VerifyOptions, verify, verify_segment,
};
