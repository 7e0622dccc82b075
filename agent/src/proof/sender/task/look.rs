//! A look at the chain: the head, our nonces, and what became of each pending nonce's transactions.

use crate::proof::{
    Claim,
    contract::records,
    fees::Market,
    rpc::{Answer, Call, Head, Receipt, RpcError, answers},
    sender::{
        claims::{
            ProofContract,
            search::{canonical, is_canonical},
        },
        submission::{Effect, Mined, PendingNonce, Purpose},
    },
};
use alloy_primitives::B256;

/// What the chain is like now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) head: Head,
    /// The number of the latest block that is as deep as a proof has to be.
    pub(crate) settled: Option<u64>,
    /// Our nonce at the head: all below are used.
    pub(crate) nonce: u64,
    /// The same with what is in the pool.
    pub(crate) pending: u64,
    pub(crate) market: Market,
}

/// What became of a pending nonce's transactions.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sighting {
    /// In a canonical block.
    pub(crate) mined: Option<Mined>,
    /// Whether the node knows the newest one.
    pub(crate) in_pool: bool,
}

impl ProofContract {
    /// Looks at the chain.
    pub(crate) async fn look(&self) -> Result<Look, RpcError> {
        let me = self.account.address();
        let mut calls = vec![
            Call::latest_block(),
            Call::transaction_count(me, "latest"),
            Call::transaction_count(me, "pending"),
            Call::priority_fee(),
            Call::gas_price(),
        ];
        calls.extend(self.config.confirmations.question());
        let answers = self.rpc.batch(&calls).await?;
        let [head, nonce, pending, tip, price, finalized @ ..] = answers.as_slice() else {
            let reason = "fewer answers than questions".to_owned();
            return Err(RpcError::Malformed { method: "a batch", reason });
        };
        let head = answers::head(&calls[0], head)?;
        Ok(Look {
            head,
            settled: self.settled(head.number, finalized.first()),
            nonce: answers::quantity(&calls[1], nonce)?,
            // Some RPCs have no pool to ask.
            pending: answers::quantity(&calls[2], pending).unwrap_or(0),
            market: Market {
                base_fee: head.base_fee,
                tip: answers::price(&calls[3], tip).ok(),
                gas_price: answers::price(&calls[4], price).ok(),
            },
        })
    }

    /// The latest block that is as deep as a proof has to be now.
    pub(crate) async fn settled_now(&self) -> Result<Option<u64>, RpcError> {
        let mut calls = vec![Call::latest_block()];
        calls.extend(self.config.confirmations.question());
        let answers = self.rpc.batch(&calls).await?;
        let [head, finalized @ ..] = answers.as_slice() else { return Ok(None) };
        let head = answers::head(&calls[0], head)?;
        Ok(self.settled(head.number, finalized.first()))
    }

    fn settled(&self, head: u64, finalized: Option<&Answer>) -> Option<u64> {
        let call = Call::finalized_block();
        let finalized = finalized.map(|answer| answers::block(&call, answer));
        if let Some(Err(error)) = &finalized {
            self.note_no_finality(&error.to_string());
        } else if let Some(Ok(None)) = finalized {
            self.note_no_finality("no such block");
        }
        let finalized = finalized.and_then(|block| Some(block.ok()??.number));
        self.config.confirmations.settled(head, finalized)
    }

    /// Looks for the transactions of pending nonces. A pending nonce without a claim only uses its
    /// nonce up.
    pub(crate) async fn sight(
        &self,
        pending_nonces: &[(&PendingNonce, Option<&Claim>)],
    ) -> Result<Vec<Sighting>, RpcError> {
        let questions: Vec<_> =
            pending_nonces.iter().flat_map(|(pending, _)| questions(pending)).collect();
        let calls: Vec<_> = questions
            .iter()
            .map(|question| match question {
                Question::Receipt(hash) => Call::receipt(*hash),
                Question::Pool(hash) => Call::transaction(*hash),
            })
            .collect();
        let answers = self.rpc.batch(&calls).await?;

        let mut receipts = Vec::new();
        let mut in_pool = Vec::new();
        for ((call, answer), question) in calls.iter().zip(&answers).zip(&questions) {
            match question {
                Question::Receipt(hash) => receipts.extend(answers::receipt(call, answer, *hash)?),
                Question::Pool(hash) => {
                    if answers::sender(call, answer, *hash)?.is_some() {
                        in_pool.push(*hash);
                    }
                }
            }
        }
        let canonical =
            canonical(&self.rpc, receipts.iter().map(|receipt| receipt.block.0)).await?;
        receipts.retain(|receipt| is_canonical(&canonical, receipt.block));

        let sighting = |(pending, claim): &(&PendingNonce, Option<&Claim>)| Sighting {
            mined: self.mined(pending, *claim, &receipts),
            in_pool: in_pool.contains(&pending.newest.hash),
        };
        Ok(pending_nonces.iter().map(sighting).collect())
    }

    /// Of a pending nonce's mined transactions the one that counts: one that is on record,
    /// otherwise that of its nonce. What became of earlier nonces otherwise was handled when they
    /// ended.
    fn mined(
        &self,
        pending: &PendingNonce,
        claim: Option<&Claim>,
        receipts: &[Receipt],
    ) -> Option<Mined> {
        let mut of_nonce = None;
        for receipt in receipts {
            let purpose = pending.purpose_of(receipt.transaction);
            if purpose.is_none() && !pending.earlier.contains(&receipt.transaction) {
                continue;
            }
            let effect = self.effect(receipt, purpose, claim);
            let mined = Mined { hash: receipt.transaction, block: receipt.block, effect };
            if effect == Effect::Recorded {
                return Some(mined);
            }
            if purpose.is_some() {
                of_nonce = Some(mined);
            }
        }
        of_nonce
    }

    fn effect(&self, receipt: &Receipt, purpose: Option<Purpose>, claim: Option<&Claim>) -> Effect {
        if purpose == Some(Purpose::Cancel) {
            return Effect::Cancelled;
        }
        let logs = || receipt.logs.iter().map(|(emitter, log)| (*emitter, log));
        match receipt.success {
            false => Effect::Reverted,
            true if claim.is_some_and(|claim| records(logs(), self.config.contract, claim)) => {
                Effect::Recorded
            }
            true => Effect::NoEvent,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Question {
    Receipt(B256),
    Pool(B256),
}

fn questions(pending: &PendingNonce) -> impl Iterator<Item = Question> + '_ {
    let hashes = pending.signed().map(|signed| signed.hash).chain(pending.earlier.iter().copied());
    hashes.map(Question::Receipt).chain([Question::Pool(pending.newest.hash)])
}
