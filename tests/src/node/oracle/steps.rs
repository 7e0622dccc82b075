//! The steps that ended their frame by failing: geth looks things up before it charges for them,
//! revm after.

use crate::rpc::JsonRpc;
use alloy_primitives::{Address, B256, U64, U256};
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeSet;

/// What failed steps named.
#[derive(Debug, Default)]
pub struct FailedSteps {
    /// Accounts: targets of calls, beneficiaries of destructions.
    pub accounts: BTreeSet<Address>,
    /// Slots that were to be written.
    pub slots: BTreeSet<B256>,
}

#[derive(Deserialize)]
struct Traced {
    result: Steps,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Steps {
    struct_logs: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    op: String,
    depth: u64,
    #[serde(default)]
    stack: Vec<U256>,
}

impl FailedSteps {
    /// Has the node trace a canonical block step by step.
    ///
    /// # Errors
    ///
    /// Where it does not answer.
    pub async fn of(rpc: &JsonRpc, number: u64) -> eyre::Result<Self> {
        let options = json!({ "disableStorage": true });
        let traced: Vec<Traced> =
            rpc.call("debug_traceBlockByNumber", json!([U64::from(number), options])).await?;
        let mut failed = Self::default();
        traced.iter().for_each(|it| failed.add(&it.result.struct_logs));
        Ok(failed)
    }

    /// A store or a call that is its frame's last step has failed: neither ends a frame otherwise.
    /// A destruction ends its frame in any case.
    fn add(&mut self, steps: &[Step]) {
        for (index, step) in steps.iter().enumerate() {
            let next = steps.get(index + 1).map_or(0, |next| next.depth);
            if next >= step.depth {
                continue;
            }
            let operand = |from_top: usize| {
                let index = step.stack.len().checked_sub(from_top + 1)?;
                step.stack.get(index).map(|word| B256::from(*word))
            };
            match &*step.op {
                "SSTORE" => self.slots.extend(operand(0)),
                "SELFDESTRUCT" => self.accounts.extend(operand(0).map(Address::from_word)),
                "CALL" | "CALLCODE" | "DELEGATECALL" | "STATICCALL" => {
                    self.accounts.extend(operand(1).map(Address::from_word));
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_last_steps_of_a_frame_have_failed() {
        let step = |op: &str, depth, stack: &[u64]| Step {
            op: op.to_owned(),
            depth,
            stack: stack.iter().copied().map(U256::from).collect(),
        };
        let mut failed = FailedSteps::default();
        failed.add(&[
            step("SSTORE", 1, &[9, 1]),
            step("CALL", 1, &[0, 7, 50]),
            step("SSTORE", 2, &[9, 2]),
            step("CALL", 1, &[0, 8, 50]),
        ]);
        assert_eq!(failed.slots, [B256::with_last_byte(2)].into());
        assert_eq!(failed.accounts, [Address::with_last_byte(8)].into());
    }
}
