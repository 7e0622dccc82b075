//! Who may do what, and what settings are refused.

use crate::{
    abi::*,
    chain::{Chain, NETWORK, OWNER, WHOLE, account, finalization, network, proof, settings},
};
use alloy_primitives::{Address, B256, U256, keccak256};
use alloy_sol_types::SolCall;

const OPERATOR: u64 = 1;
const GOVERNOR: u64 = 50;
const AUDITOR: u64 = 60;
const STRANGER: u64 = 70;

const NOT_GOVERNOR: &str = "Sender is not GOVERNANCE_ROLE";
const NOT_OWNER: &str = "Sender is not the owner";

/// A contract on which every role is taken.
async fn peopled() -> Option<Chain> {
    let chain = Chain::with_operators(1).await?;
    chain.send(OWNER, addGovernorCall { governor: account(GOVERNOR) }).await;
    chain.send(account(GOVERNOR), addAuditorCall { auditor: account(AUDITOR) }).await;
    Some(chain)
}

/// Nobody but those who may gets past the first check of a function.
async fn is_closed<C: SolCall>(chain: &Chain, call: C, reason: &str) {
    for who in [OPERATOR, AUDITOR, STRANGER, GOVERNOR] {
        let refusal = chain.refusal(account(who), &call).await;
        let may = who == GOVERNOR && reason == NOT_GOVERNOR;
        assert_eq!(refusal.as_deref() == Some(reason), !may, "{} {who}: {refusal:?}", C::SIGNATURE);
    }
    let owners = chain.refusal(OWNER, &call).await;
    assert_eq!(owners, None, "{}", C::SIGNATURE);
}

#[tokio::test]
async fn each_function_is_closed_to_those_who_may_not() {
    let Some(chain) = peopled().await else { return };
    let someone = account(99);
    is_closed(&chain, addBSPOperatorCall { operator: someone, validatorId: 1 }, NOT_GOVERNOR).await;
    is_closed(&chain, removeBSPOperatorCall { operator: account(OPERATOR) }, NOT_GOVERNOR).await;
    is_closed(&chain, enableValidatorCall { validatorId: 1 }, NOT_GOVERNOR).await;
    is_closed(&chain, disableValidatorCall { validatorId: 1 }, NOT_GOVERNOR).await;
    is_closed(&chain, addAuditorCall { auditor: someone }, NOT_GOVERNOR).await;
    is_closed(&chain, removeAuditorCall { auditor: account(AUDITOR) }, NOT_GOVERNOR).await;
    let chain_data = configureChainCall { chainId: NETWORK, chain: network() };
    is_closed(&chain, chain_data, NOT_GOVERNOR).await;
    is_closed(&chain, changeSettingsCall { settings: settings() }, NOT_GOVERNOR).await;
    is_closed(&chain, addGovernorCall { governor: someone }, NOT_OWNER).await;
    is_closed(&chain, removeGovernorCall { governor: account(GOVERNOR) }, NOT_OWNER).await;
    is_closed(&chain, transferOwnershipCall { newOwner: someone }, NOT_OWNER).await;
    for who in [OWNER, account(GOVERNOR), account(STRANGER)] {
        let refusal = chain.refusal(who, &acceptOwnershipCall {}).await;
        assert_eq!(refusal.as_deref(), Some("Sender is not the pending owner"));
    }
}

/// The ownership goes to who accepts it, the old owner keeps nothing, and the governors stay.
#[tokio::test]
async fn ownership_passes_in_two_steps() {
    let Some(chain) = peopled().await else { return };
    let heir = account(80);
    chain.send(OWNER, transferOwnershipCall { newOwner: account(STRANGER) }).await;
    chain.send(OWNER, transferOwnershipCall { newOwner: heir }).await;
    assert_eq!(chain.view(ownerCall {}).await, OWNER);
    assert_eq!(chain.view(pendingOwnerCall {}).await, heir);
    let stranger = chain.try_send(account(STRANGER), &acceptOwnershipCall {}).await;
    assert_eq!(stranger.unwrap_err(), "Sender is not the pending owner");
    chain.send(heir, acceptOwnershipCall {}).await;
    assert_eq!(chain.view(ownerCall {}).await, heir);
    assert_eq!(chain.view(pendingOwnerCall {}).await, Address::ZERO);
    let again = chain.try_send(heir, &acceptOwnershipCall {}).await;
    assert_eq!(again.unwrap_err(), "Sender is not the pending owner");
    let former = chain.try_send(OWNER, &enableValidatorCall { validatorId: 9 }).await;
    assert_eq!(former.unwrap_err(), NOT_GOVERNOR);
    chain.send(account(GOVERNOR), enableValidatorCall { validatorId: 9 }).await;

    chain.send(heir, transferOwnershipCall { newOwner: OWNER }).await;
    chain.send(heir, transferOwnershipCall { newOwner: Address::ZERO }).await;
    let withdrawn = chain.try_send(OWNER, &acceptOwnershipCall {}).await;
    assert_eq!(withdrawn.unwrap_err(), "Sender is not the pending owner");
}

/// What a group can do whose owner's key is lost: all but appoint governors and hand over.
#[tokio::test]
async fn governors_go_on_without_the_owner() {
    let Some(chain) = peopled().await else { return };
    let governor = account(GOVERNOR);
    chain.send(governor, addBSPOperatorCall { operator: account(2), validatorId: 2 }).await;
    chain.send(governor, enableValidatorCall { validatorId: 2 }).await;
    chain.send(governor, configureChainCall { chainId: 5, chain: network() }).await;
    chain.send(governor, changeSettingsCall { settings: settings() }).await;
    for operator in [1, 2] {
        chain.send(account(operator), proof(5, "a", "s")).await;
    }
    chain.end_of(5).await;
    chain.send(account(STRANGER), finalization(5)).await;
    chain.send(governor, removeBSPOperatorCall { operator: account(2) }).await;
}

#[tokio::test]
async fn an_account_has_one_role_and_is_listed_with_it() {
    let Some(chain) = peopled().await else { return };
    for taken in [OPERATOR, GOVERNOR, AUDITOR] {
        let taken = account(taken);
        let exists = Some("Operator already exists".to_owned());
        let operator = addBSPOperatorCall { operator: taken, validatorId: 3 };
        assert_eq!(chain.refusal(OWNER, &operator).await, exists);
        assert_eq!(chain.refusal(OWNER, &addAuditorCall { auditor: taken }).await, exists);
        assert_eq!(chain.refusal(OWNER, &addGovernorCall { governor: taken }).await, exists);
    }
    let nobody = addBSPOperatorCall { operator: Address::ZERO, validatorId: 3 };
    assert_eq!(chain.refusal(OWNER, &nobody).await.unwrap(), "Invalid operator address");
    let far = addBSPOperatorCall { operator: account(9), validatorId: 256 };
    let refusal = chain.refusal(OWNER, &far).await.unwrap();
    assert_eq!(refusal, "Validator ID cannot be greater than 255");
    let call = enableValidatorCall { validatorId: 256 };
    assert_eq!(chain.refusal(OWNER, &call).await.unwrap(), "validatorId out of range");
    let call = disableValidatorCall { validatorId: 256 };
    assert_eq!(chain.refusal(OWNER, &call).await.unwrap(), "validatorId out of range");

    for n in 2..=4 {
        chain.enable(account(n), 7).await;
    }
    chain.send(OWNER, removeBSPOperatorCall { operator: account(2) }).await;
    chain.send(OWNER, removeBSPOperatorCall { operator: account(4) }).await;
    let all = chain.view(getAllOperatorsCall {}).await;
    assert_eq!(all.producers, [account(OPERATOR), account(3)]);
    assert_eq!((all.governors, all.auditors), (vec![account(GOVERNOR)], vec![account(AUDITOR)]));
    assert_eq!(chain.view(validatorIDsCall { account: account(2) }).await, 0);
    assert_eq!(chain.view(operatorRolesCall { account: account(2) }).await, B256::ZERO);
    let role = chain.view(operatorRolesCall { account: account(3) }).await;
    assert_eq!(role, keccak256("BLOCK_SPECIMEN_PRODUCER_ROLE"));
    assert!(!chain.view(isEnabledCall { operator: account(GOVERNOR) }).await);
}

#[tokio::test]
async fn a_role_is_taken_only_from_who_has_it() {
    let Some(chain) = peopled().await else { return };
    for (who, operator, auditor, governor) in [
        (OPERATOR, None, Some("Operator is not auditor"), Some("Operator is not governor")),
        (AUDITOR, Some("Operator is not BSP"), None, Some("Operator is not governor")),
        (GOVERNOR, Some("Operator is not BSP"), Some("Operator is not auditor"), None),
        (
            STRANGER,
            Some("Operator is not BSP"),
            Some("Operator is not auditor"),
            Some("Operator is not governor"),
        ),
    ] {
        let account = account(who);
        let refusals = [
            chain.refusal(OWNER, &removeBSPOperatorCall { operator: account }).await,
            chain.refusal(OWNER, &removeAuditorCall { auditor: account }).await,
            chain.refusal(OWNER, &removeGovernorCall { governor: account }).await,
        ];
        let refusals: Vec<_> = refusals.iter().map(Option::as_deref).collect();
        assert_eq!(refusals, [operator, auditor, governor], "{who}");
    }
}

#[tokio::test]
async fn settings_that_would_break_sessions_are_refused() {
    let Some(chain) = Chain::bare().await else { return };
    let good = settings;
    for (settings, reason) in [
        (Settings { sessionDuration: 0, ..good() }, "Session duration cannot be 0"),
        (Settings { sessionDuration: u64::MAX, ..good() }, "Session duration out of range"),
        (Settings { minSubmissions: 0, ..good() }, "Minimum submissions must be at least 1"),
        (Settings { minSubmissions: 256, ..good() }, "Maximum allowed minimum submissions is 255"),
        (Settings { secondsPerBlock: 0, ..good() }, "Seconds per block cannot be 0"),
        (
            Settings { quorum: U256::from(WHOLE + 1), ..good() },
            "Quorum cannot be greater than 100%",
        ),
    ] {
        let refusal = chain.refusal(OWNER, &changeSettingsCall { settings }).await;
        assert_eq!(refusal.as_deref(), Some(reason));
    }
    let changed = Settings {
        sessionDuration: 3,
        minSubmissions: 4,
        secondsPerBlock: 5,
        quorum: U256::from(WHOLE),
    };
    chain.send(OWNER, changeSettingsCall { settings: changed }).await;
    let now = chain.view(getMetadataCall {}).await;
    assert_eq!((now.stakingManager, now.reward), (Address::ZERO, 0));
    assert_eq!((now.sessionDuration, now.minSubmissions), (3, 4));
    assert_eq!((now.quorum, now.secondsPerBlock), (U256::from(WHOLE), U256::from(5)));
}

/// No chain can be configured such that the window can't be reckoned.
#[tokio::test]
async fn chains_that_could_not_be_proved_are_refused() {
    let Some(chain) = Chain::bare().await else { return };
    let good = network;
    let far = U256::ONE << 64;
    let tomorrow = U256::from(chain.head().await + 2);
    for (chain_data, reason) in [
        (ChainData { nthBlock: 0, ..good() }, "Nth block cannot be 0"),
        (
            ChainData { secondsPerBlockTargetChain: U256::ZERO, ..good() },
            "Seconds per block cannot be 0",
        ),
        (ChainData { secondsPerBlockTargetChain: far, ..good() }, "Seconds per block out of range"),
        (ChainData { allowedThreshold: 0, ..good() }, "Threshold cannot be 0"),
        (ChainData { maxSubmissionsPerBlockHeight: 0, ..good() }, "Max submissions cannot be 0"),
        (
            ChainData { maxSubmissionsPerBlockHeight: 4, ..good() },
            "Max submissions cannot be more than 3",
        ),
        (ChainData { blockOnCurrentChain: tomorrow, ..good() }, "Sync block is in the future"),
        (ChainData { blockOnTargetChain: far, ..good() }, "Sync block out of range"),
    ] {
        let call = configureChainCall { chainId: NETWORK, chain: chain_data };
        assert_eq!(chain.refusal(OWNER, &call).await.as_deref(), Some(reason));
    }
}
