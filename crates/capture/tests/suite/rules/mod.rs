//! One hand-written block a rule: the exact rows of the four lists, in order, as bsp-geth v2.2.0
//! gives them.

mod block_end;
mod calls;
mod creations;
mod delegations;
mod destructions;
mod failures;
mod opcodes;
mod system_calls;
mod transactions;
