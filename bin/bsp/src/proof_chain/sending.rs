//! Transactions, from what they will do and cost to the block that holds them for good.

use super::connection::{Connection, Key};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_sol_types::SolCall;
use bsp_agent::proof::{
    Confirmations,
    amount::{Amount, GasPrice},
    fees::{Fees, GWEI},
    outcome::{Refusal, Verdict},
    rpc::{Receipt, RpcError},
    transaction::{SignedTransaction, Unsigned},
};
use clap::Args;
use eyre::{OptionExt, bail};
use serde_json::{Value, json};
use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

/// Before the second look at a chain: one for development has its block at once.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
/// Between two looks, once it takes longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// When a transaction that the node does not show is handed to it again.
const AGAIN_AFTER: Duration = Duration::from_secs(15);

/// What may be spent, and when it is spent for good.
#[derive(Debug, Args)]
pub(super) struct SpendArgs {
    /// Send without asking.
    #[arg(long)]
    pub(super) yes: bool,

    /// When a transaction counts: `finalized`, or the number of confirmations that it needs; 1
    /// means that it is included in a block.
    #[arg(long, value_name = "finalized|N", default_value_t = Confirmations::Blocks(1))]
    pub(super) confirmations: Confirmations,

    /// Highest fee for each gas, in gwei.
    #[arg(long, value_name = "GWEI", default_value_t = 1000)]
    pub(super) max_fee_gwei: u64,

    /// Seconds to wait for each transaction.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(super) deadline: u64,
}

/// Whom a transaction is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum To {
    /// It creates a contract.
    Creation,
    /// It calls one.
    Contract(Address),
    /// It calls the one that a transaction before it has created, for about so much gas.
    Created { typical_gas: u64 },
}

/// A transaction to come.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) what: String,
    pub(super) to: To,
    pub(super) input: Bytes,
}

/// A transaction that counts.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) what: String,
    pub(super) receipt: Receipt,
}

impl Step {
    pub(super) fn call(what: impl Into<String>, to: To, call: &impl SolCall) -> Self {
        Self { what: what.into(), to, input: call.abi_encode().into() }
    }
}

impl Done {
    pub(super) fn json(&self) -> Value {
        json!({
            "what": self.what,
            "transaction": self.receipt.transaction,
            "block": self.receipt.block.0,
            "gas_used": self.receipt.gas_used,
        })
    }
}

/// Who sends.
#[derive(Debug)]
pub(super) struct Sender<'a> {
    pub(super) chain: &'a Connection,
    pub(super) key: &'a Key,
    pub(super) spend: &'a SpendArgs,
    /// Says nothing of what it does.
    pub(super) is_silent: bool,
}

impl Sender<'_> {
    const fn ceiling(&self) -> u128 {
        self.spend.max_fee_gwei as u128 * GWEI
    }

    /// Says what will be sent and what it costs, asks, and sends one after the other. `None`: the
    /// answer was no.
    ///
    /// # Errors
    ///
    /// Before anything is sent, if a transaction would revert or the balance does not cover them.
    pub(super) async fn run(&self, steps: Vec<Step>) -> eyre::Result<Option<Vec<Done>>> {
        let gas = self.estimate(&steps).await?;
        if !self.is_silent {
            self.announce(&steps, &gas).await?;
        }
        if !self.spend.yes && !ask("Send?")? {
            return Ok(None);
        }
        let mut done: Vec<Done> = Vec::new();
        let mut created = None;
        for step in steps {
            let to = match step.to {
                To::Creation => TxKind::Create,
                To::Contract(address) => TxKind::Call(address),
                To::Created { .. } => {
                    TxKind::Call(created.ok_or_eyre("nothing was created before")?)
                }
            };
            let receipt = self.send(&step.what, to, step.input).await?;
            created = receipt.created.or(created);
            let block = receipt.block.0;
            if !self.is_silent {
                tell(&format!("done: {}, in block {block} by {}", step.what, receipt.transaction));
            }
            done.push(Done { what: step.what, receipt });
        }
        Ok(Some(done))
    }

    async fn estimate(&self, steps: &[Step]) -> eyre::Result<Vec<u64>> {
        let mut gas = Vec::with_capacity(steps.len());
        for step in steps {
            gas.push(match step.to {
                To::Creation => self.gas(&step.what, TxKind::Create, &step.input).await?,
                To::Contract(to) => self.gas(&step.what, TxKind::Call(to), &step.input).await?,
                To::Created { typical_gas } => typical_gas,
            });
        }
        Ok(gas)
    }

    async fn gas(&self, what: &str, to: TxKind, input: &Bytes) -> eyre::Result<u64> {
        match self.chain.rpc.estimate(self.key.address(), to, input).await {
            Ok(gas) => Ok(gas),
            Err(error @ RpcError::Node { .. }) => {
                bail!("can't {what}: {}", Refusal::of(&error).reason)
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn announce(&self, steps: &[Step], gas: &[u64]) -> eyre::Result<()> {
        let market = self.chain.rpc.market().await?;
        let fees = Fees::suggest(market, self.ceiling());
        let now = market.base_fee.map_or(fees.max_fee, |base| base.saturating_add(fees.tip));
        let now = now.min(fees.max_fee);
        let chain_id = self.chain.chain_id;
        let amount = |price: u128, gas: u64| Amount {
            wei: U256::from(price).saturating_mul(U256::from(gas)),
            chain_id,
        };
        let (sender, endpoint) = (self.key.address(), self.chain.rpc.endpoint());
        tell(&format!("{sender} sends on chain {chain_id}, by {endpoint}:"));
        for (step, gas) in steps.iter().zip(gas) {
            tell(&format!("  {}, for about {gas} gas", step.what));
        }
        let total = gas.iter().fold(0_u64, |sum, gas| sum.saturating_add(*gas));
        let balance = self.chain.rpc.balance(sender).await?;
        let (about, most) = (amount(now, total), amount(fees.max_fee, with_reserve(total)));
        tell(&format!(
            "together about {about} at {}, at most {most}; what a rollup takes for its data comes on top",
            GasPrice(now)
        ));
        if balance < about.wei {
            bail!("{sender} has {}, which is not enough", Amount { wei: balance, chain_id });
        }
        Ok(())
    }

    /// Sends a transaction, and waits until it counts.
    async fn send(&self, what: &str, to: TxKind, input: Bytes) -> eyre::Result<Receipt> {
        let sender = self.key.address();
        let gas_limit = with_reserve(self.gas(what, to, &input).await?);
        let fees = Fees::suggest(self.chain.rpc.market().await?, self.ceiling());
        let nonce = self.chain.rpc.next_nonce(sender).await?;
        let chain_id = self.chain.chain_id;
        let signed = Unsigned { chain_id, nonce, gas_limit, fees, to, input }.sign(self.key)?;
        self.broadcast(&signed).await?;
        let receipt = self.until_it_counts(what, &signed).await?;
        if !receipt.success {
            bail!(
                "can't {what}: transaction {} has failed in block {}",
                signed.hash,
                receipt.block.0
            );
        }
        Ok(receipt)
    }

    async fn broadcast(&self, signed: &SignedTransaction) -> eyre::Result<()> {
        match self.chain.rpc.broadcast(&signed.raw, signed.hash).await {
            // It may be there already: an answer was lost, or it was handed over once more.
            Err(error @ RpcError::Node { .. }) => {
                let refusal = Refusal::of(&error);
                match refusal.verdict {
                    Verdict::Unknown => Ok(()),
                    _ => bail!(
                        "the node does not take transaction {}: {}",
                        signed.hash,
                        refusal.reason
                    ),
                }
            }
            result => Ok(result?),
        }
    }

    /// Waits for the block that holds it, and for those on it. A reorganisation may take it back
    /// meanwhile: then it is waited for anew.
    async fn until_it_counts(
        &self,
        what: &str,
        signed: &SignedTransaction,
    ) -> eyre::Result<Receipt> {
        let begun = Instant::now();
        let (mut handed_over, mut pause) = (begun, FIRST_PAUSE);
        loop {
            match self.look(signed.hash).await {
                Ok(Look::Counts(receipt)) => return Ok(receipt),
                Ok(Look::Waits) => {}
                Ok(Look::Nowhere) if handed_over.elapsed() > AGAIN_AFTER => {
                    // Refused now, it may still be mined: only the deadline ends the wait.
                    let _ = self.broadcast(signed).await;
                    handed_over = Instant::now();
                }
                Ok(Look::Nowhere) => {}
                Err(error) => tell(&format!("{}: {error}", self.chain.rpc.endpoint())),
            }
            if begun.elapsed() > Duration::from_secs(self.spend.deadline) {
                bail!(
                    "transaction {} does not count after {} s ({what}); it may still: look for it before you send \
                     the same again",
                    signed.hash,
                    self.spend.deadline
                );
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn look(&self, hash: B256) -> Result<Look, RpcError> {
        let rpc = &self.chain.rpc;
        let Some(receipt) = rpc.receipt(hash).await? else { return Ok(Look::Nowhere) };
        let settled = rpc.settled(self.spend.confirmations).await?;
        let block = rpc.block(receipt.block.0).await?;
        let is_canonical = block.is_some_and(|block| block.hash == receipt.block.1);
        let counts = is_canonical && settled >= Some(receipt.block.0);
        Ok(if counts { Look::Counts(receipt) } else { Look::Waits })
    }
}

/// Where a transaction is.
enum Look {
    /// In a block that is deep enough.
    Counts(Receipt),
    /// In a block that is not.
    Waits,
    /// In no block that the node knows.
    Nowhere,
}

/// A quarter more than estimated: the state may be another by then.
const fn with_reserve(gas: u64) -> u64 {
    gas.saturating_add(gas / 4)
}

/// Says something that is not the answer.
pub(super) fn tell(text: &str) {
    // If nobody reads it, there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Asks who sits at the terminal.
fn ask(question: &str) -> eyre::Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("nobody is there to ask: with --yes it sends without asking");
    }
    let mut stderr = io::stderr().lock();
    write!(stderr, "{question} [y/N] ")?;
    stderr.flush()?;
    drop(stderr);
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
