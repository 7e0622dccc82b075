//! Sessions from their first submission to their end.

use crate::{
    abi::*,
    chain::{
        Chain, Mined, NETWORK, OWNER, WHOLE, account, event, finalization, hash, proof, settings,
    },
};
use alloy_primitives::{Address, U256};

/// The bits of some validators.
fn map(validators: &[u8]) -> U256 {
    validators.iter().fold(U256::ZERO, |map, id| map | (U256::ONE << (255 - usize::from(*id))))
}

fn quorum(mined: &Mined) -> Option<BlockSpecimenQuorum> {
    let quorum = event(&mined.logs);
    let none: Option<QuorumNotReached> = event(&mined.logs);
    assert_eq!(mined.logs.len(), 1, "a session has one end");
    assert!(quorum.is_some() != none.is_some());
    quorum
}

/// Lets accounts prove, ends the session, and lets a stranger finalize it.
async fn end_of(
    chain: &Chain,
    height: u64,
    proofs: &[(u64, &str, &str)],
) -> Option<BlockSpecimenQuorum> {
    for (who, block, specimen) in proofs {
        chain.send(account(*who), proof(height, block, specimen)).await;
    }
    chain.end_of(height).await;
    let stranger = Address::repeat_byte(0x77);
    quorum(&chain.send(stranger, finalization(height)).await)
}

/// The deadline's own block takes submissions, and the next one a finalization.
#[tokio::test]
async fn a_session_ends_at_its_deadline() {
    let Some(chain) = Chain::with_operators(3).await else { return };
    let begun = chain.send(account(1), proof(5, "a", "s")).await.block;
    assert_eq!(
        chain.try_send(OWNER, &finalization(5)).await.unwrap_err(),
        "Session not past deadline"
    );
    chain.mine(begun + 9 - chain.head().await).await;
    let last = chain.send(account(2), proof(5, "a", "s")).await.block;
    assert_eq!(last, begun + 10);
    let late = chain.refusal(account(3), &proof(5, "a", "s")).await;
    assert_eq!(late.as_deref(), Some("Session submissions have closed"));
    let ended = quorum(&chain.send(account(9), finalization(5)).await).unwrap();
    assert_eq!(ended.validatorBitMap, map(&[1, 2]));
    assert_eq!((ended.blockHash, ended.specimenHash), (hash("a"), hash("s")));
    assert_eq!((ended.chainId, ended.blockHeight), (NETWORK, 5));
}

#[tokio::test]
async fn a_session_is_finalized_once_and_only_if_it_was_begun() {
    let Some(chain) = Chain::with_operators(2).await else { return };
    let never = chain.try_send(OWNER, &finalization(5)).await;
    assert_eq!(never.unwrap_err(), "Session not started");
    assert!(end_of(&chain, 5, &[(1, "a", "s"), (2, "a", "s")]).await.is_some());
    let again = chain.try_send(OWNER, &finalization(5)).await;
    assert_eq!(again.unwrap_err(), "Session cannot be finalized");
    let late = chain.try_send(account(1), &proof(5, "b", "s")).await;
    assert_eq!(late.unwrap_err(), "Session submissions have closed");
    let open = isSessionOpenCall { chainId: NETWORK, blockHeight: 5, operator: account(1) };
    assert!(!chain.view(open).await);
    // What was submitted can still be read.
    let session = chain.view(getSessionCall { chainId: NETWORK, blockHeight: 5 }).await;
    assert!(session.done && session.candidates.len() == 1);
}

#[tokio::test]
async fn a_quorum_needs_the_share_and_the_number() {
    let Some(chain) = Chain::with_operators(5).await else { return };
    // One alone is all that took part, and is too few.
    assert_eq!(end_of(&chain, 1, &[(1, "a", "s")]).await, None);
    // Two of four are a half.
    let half = [(1, "a", "s"), (2, "a", "x"), (3, "a", "s"), (4, "b", "y")];
    let ended = end_of(&chain, 2, &half).await.unwrap();
    assert_eq!((ended.validatorBitMap, ended.specimenHash), (map(&[1, 3]), hash("s")));
    // Two of five are less.
    let less = [(1, "a", "s"), (2, "a", "x"), (3, "a", "s"), (4, "a", "y"), (5, "a", "z")];
    assert_eq!(end_of(&chain, 3, &less).await, None);
    // The same specimen of another block, or another specimen of the same block, is another claim.
    assert_eq!(end_of(&chain, 4, &[(1, "a", "s"), (2, "b", "s"), (3, "a", "x")]).await, None);

    let strict = Settings { quorum: U256::from(WHOLE), minSubmissions: 3, ..settings() };
    chain.send(OWNER, changeSettingsCall { settings: strict }).await;
    assert_eq!(end_of(&chain, 6, &[(1, "a", "s"), (2, "a", "s")]).await, None);
    let three = [(1, "a", "s"), (2, "a", "s"), (3, "a", "s")];
    assert!(end_of(&chain, 7, &three).await.is_some());
    let three_of_four = [(1, "a", "s"), (2, "a", "s"), (3, "a", "s"), (4, "a", "x")];
    assert_eq!(end_of(&chain, 8, &three_of_four).await, None);
}

/// Two operators of one validator are one voice.
#[tokio::test]
async fn validators_are_counted_and_not_operators() {
    let Some(chain) = Chain::with_operators(3).await else { return };
    chain.enable(account(11), 1).await;
    chain.enable(account(12), 1).await;
    let one = [(1, "a", "s"), (11, "a", "s"), (12, "a", "s")];
    assert_eq!(end_of(&chain, 1, &one).await, None);
    // Nor does one that says three things drown the others.
    let loud =
        [(1, "a", "x"), (1, "b", "x"), (1, "c", "x"), (11, "a", "y"), (2, "a", "s"), (3, "a", "s")];
    let ended = end_of(&chain, 2, &loud).await.unwrap();
    assert_eq!((ended.validatorBitMap, ended.specimenHash), (map(&[2, 3]), hash("s")));
}

/// All have proved both blocks: the later is the one that the other chain kept.
#[tokio::test]
async fn after_a_reorganisation_the_later_block_has_the_quorum() {
    let Some(chain) = Chain::with_operators(2).await else { return };
    let both = [(1, "old", "s"), (2, "old", "s"), (2, "new", "t"), (1, "new", "t")];
    let ended = end_of(&chain, 5, &both).await.unwrap();
    assert_eq!((ended.blockHash, ended.specimenHash), (hash("new"), hash("t")));
    // But not if fewer have.
    let some = [(1, "old", "s"), (2, "old", "s"), (2, "new", "t")];
    assert_eq!(end_of(&chain, 6, &some).await.unwrap().blockHash, hash("old"));
}

/// Who goes while a session is open has spoken; validator 0 gets nobody else's voice.
#[tokio::test]
async fn what_was_submitted_counts_though_the_operator_goes() {
    let Some(chain) = Chain::with_operators(2).await else { return };
    for who in [1, 2] {
        chain.send(account(who), proof(5, "a", "s")).await;
    }
    chain.send(OWNER, removeBSPOperatorCall { operator: account(1) }).await;
    chain.send(OWNER, disableValidatorCall { validatorId: 2 }).await;
    let gone = chain.refusal(account(1), &proof(5, "b", "s")).await;
    assert_eq!(gone.as_deref(), Some("Sender is not BLOCK_SPECIMEN_PRODUCER_ROLE"));
    let disabled = chain.refusal(account(2), &proof(5, "b", "s")).await;
    assert_eq!(disabled.as_deref(), Some("Validator is not enabled"));
    chain.end_of(5).await;
    let ended = quorum(&chain.send(OWNER, finalization(5)).await).unwrap();
    assert_eq!(ended.validatorBitMap, map(&[1, 2]));
}

/// A change of the duration leaves sessions that have begun as they are; the other settings hold
/// from the next finalization on.
#[tokio::test]
async fn settings_change_what_is_to_come() {
    let Some(chain) = Chain::with_operators(2).await else { return };
    let begun = chain.send(account(1), proof(5, "a", "s")).await.block;
    let changed = Settings { sessionDuration: 1000, minSubmissions: 1, ..settings() };
    chain.send(OWNER, changeSettingsCall { settings: changed }).await;
    let session = chain.view(getSessionCall { chainId: NETWORK, blockHeight: 5 }).await;
    assert_eq!(session.deadline, begun + 10);
    chain.end_of(5).await;
    let ended = quorum(&chain.send(OWNER, finalization(5)).await).unwrap();
    assert_eq!(ended.validatorBitMap, map(&[1]));
    let next = chain.send(account(1), proof(6, "a", "s")).await.block;
    let session = chain.view(getSessionCall { chainId: NETWORK, blockHeight: 6 }).await;
    assert_eq!(session.deadline, next + 1000);
}

/// Validators 0 and 255 are validators as any other: the ends of the map.
#[tokio::test]
async fn the_first_and_the_last_validator_have_their_bits() {
    let Some(chain) = Chain::with_operators(0).await else { return };
    chain.enable(account(1), 0).await;
    chain.enable(account(2), 255).await;
    let ended = end_of(&chain, 5, &[(1, "a", "s"), (2, "a", "s")]).await.unwrap();
    assert_eq!(ended.validatorBitMap, map(&[0, 255]));
}
