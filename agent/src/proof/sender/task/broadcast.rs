//! Hands transactions to the node, and reads its answer.

use crate::proof::{
    outcome::{Refusal, Verdict},
    sender::{claims::ProofContract, submission::Signed},
};

/// What a node's answer to a broadcast means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reaction {
    /// It is in the pool.
    Taken,
    /// It may be in the pool or not: the next look tells.
    Unknown(String),
    /// Another transaction has the nonce.
    NonceInUse,
    /// The balance does not cover it.
    NoFunds(String),
    /// No node will take it.
    Never(String),
}

impl ProofContract {
    pub(crate) async fn hand_over(&self, signed: &Signed) -> Reaction {
        match self.rpc.broadcast(&signed.raw, signed.hash).await {
            Ok(()) => Reaction::Taken,
            Err(error) => reaction(Refusal::of(&error)),
        }
    }
}

fn reaction(Refusal { verdict, reason }: Refusal) -> Reaction {
    match verdict {
        Verdict::NonceTooLow | Verdict::Underpriced => Reaction::NonceInUse,
        Verdict::InsufficientFunds => Reaction::NoFunds(reason),
        Verdict::Hold | Verdict::StopAndAlarm => Reaction::Never(reason),
        // What the contract says in a broadcast (some nodes run it first) is asked for by a call,
        // where it costs nothing.
        _ => Reaction::Unknown(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broadcast_is_never_taken_for_a_proof_nor_for_a_failure_without_a_look() {
        let read = |verdict| reaction(Refusal { verdict, reason: "x".to_owned() });
        let unknown = Reaction::Unknown("x".to_owned());
        for verdict in [
            Verdict::Unknown,
            Verdict::Temporary,
            Verdict::FeeTooLow,
            Verdict::AlreadySubmitted,
            Verdict::SessionOver,
            Verdict::NoReason,
        ] {
            assert_eq!(read(verdict), unknown, "{verdict:?}");
        }
        assert_eq!(read(Verdict::NonceTooLow), Reaction::NonceInUse);
        assert_eq!(read(Verdict::Underpriced), Reaction::NonceInUse);
        assert_eq!(read(Verdict::InsufficientFunds), Reaction::NoFunds("x".to_owned()));
        assert_eq!(read(Verdict::Hold), Reaction::Never("x".to_owned()));
    }
}
