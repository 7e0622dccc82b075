//! Flags about proofs.

use crate::proof::Confirmations;

/// Where proofs go, and what they may cost.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Proofs")]
pub struct ProofArgs {
    /// Where proofs go.
    #[arg(long, env = "BSP_AGENT_PROOF", value_enum, value_name = "WHERE", default_value_t = ProofTarget::Chain)]
    pub proof: ProofTarget,

    /// Address of the proof-chain contract, 0x and 40 hex digits.
    ///
    /// The contract may be on any EVM chain. Its RPC comes from the environment, as MB_RPC_URL; the
    /// operator's key as MB_PRIVATE_KEY, or as a keystore file named by MB_KEYSTORE_PATH with its
    /// password in MB_KEYSTORE_PWD.
    #[arg(long, env = "ProofChain", hide_env_values = true, value_name = "ADDRESS")]
    pub proof_chain_address: Option<String>,

    /// Proof transactions in flight at once; each stays in flight until it counts.
    #[arg(long, env = "BSP_AGENT_PROOF_MAX_IN_FLIGHT", value_name = "N", default_value_t = 16)]
    pub proof_max_in_flight: usize,

    /// When a proof counts: `finalized`, or the number of confirmations that it needs.
    ///
    /// `finalized` asks the RPC which block is final; if the RPC does not tell, a proof needs 12
    /// confirmations. 1 means that it is included in a block. A proof that the proof chain takes
    /// back after it counted is not sent again.
    #[arg(long, env = "BSP_AGENT_PROOF_CONFIRMATIONS", value_name = "finalized|N", default_value_t = Confirmations::Finalized)]
    pub proof_confirmations: Confirmations,

    /// Highest fee for each gas, in gwei, that resubmission goes up to.
    #[arg(long, env = "BSP_AGENT_PROOF_MAX_FEE_GWEI", value_name = "GWEI", default_value_t = 1000)]
    pub proof_max_fee_gwei: u64,

    /// Seconds after which a transaction that is not mined is sent again with a higher fee.
    #[arg(
        long,
        env = "BSP_AGENT_PROOF_RESUBMIT_SECS",
        value_name = "SECONDS",
        default_value_t = 30
    )]
    pub proof_resubmit_secs: u64,

    /// Seconds after which a proof that is not mined raises an alarm.
    #[arg(
        long,
        env = "BSP_AGENT_PROOF_DEADLINE_SECS",
        value_name = "SECONDS",
        default_value_t = 480
    )]
    pub proof_deadline_secs: u64,

    /// Raise an alarm when the balance pays for fewer proofs than this.
    #[arg(long, env = "BSP_AGENT_BALANCE_ALARM", value_name = "PROOFS", default_value_t = 100)]
    pub balance_alarm: u64,
}

/// Where proofs go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ProofTarget {
    /// The proof-chain contract.
    Chain,
    /// The file ledger.jsonl of --data-dir, with the same fields. Nothing is sent.
    Ledger,
}

impl Default for ProofArgs {
    fn default() -> Self {
        Self {
            proof: ProofTarget::Chain,
            proof_chain_address: None,
            proof_max_in_flight: 16,
            proof_confirmations: Confirmations::Finalized,
            proof_max_fee_gwei: 1000,
            proof_resubmit_secs: 30,
            proof_deadline_secs: 480,
            balance_alarm: 100,
        }
    }
}
