//! What the operator gives beside the files.

use crate::input::{self, Input};
use alloy_genesis::Genesis;
use bsp_capture::{ChainSpec, ExecutionSpec, RecoveredAuthorizations, VerifyOptions};
use bsp_codec::{Replica, ReplicaTransaction, supplement::Supplement};
use eyre::Context;
use serde::de::IgnoredAny;
use std::{collections::BTreeMap, path::Path};

/// EIP-2718 type of the transactions that carry EIP-7702 authorizations.
const SET_CODE_TX_TYPE: u8 = 4;

/// Authorizations and chain rules out of the operator's files.
#[derive(Debug, Default)]
pub(super) struct Supplied {
    authorizations: Option<RecoveredAuthorizations>,
    supplement: Option<Supplement>,
    /// Indices of the transactions that `authorizations` has lists for.
    authorized: Vec<usize>,
    spec: Option<ChainSpec>,
}

impl Supplied {
    pub(super) fn read(
        authorizations: Option<&Path>,
        supplement: Option<&Path>,
        genesis: Option<&Path>,
    ) -> eyre::Result<Self> {
        let mut supplied = Self::default();
        if let Some(path) = supplement {
            let bytes = input::read_bounded(path)?;
            let read = Supplement::decode(&bytes);
            supplied.supplement = Some(read.wrap_err_with(|| path.display().to_string())?);
        }
        if let Some(path) = authorizations {
            let text = input::read_bounded(path)?;
            let name = || path.display().to_string();
            let lists = RecoveredAuthorizations::from_json(&text).wrap_err_with(name)?;
            supplied.authorizations = Some(lists);
            let indices: BTreeMap<usize, IgnoredAny> =
                serde_json::from_slice(&text).wrap_err_with(name)?;
            supplied.authorized = indices.into_keys().collect();
        }
        supplied.spec = genesis.map(read_genesis).transpose()?;
        Ok(supplied)
    }

    pub(super) const fn options(&self) -> VerifyOptions<'_> {
        VerifyOptions {
            spec: self.spec.as_ref(),
            authorizations: self.authorizations.as_ref(),
            supplement: self.supplement.as_ref(),
        }
    }

    /// Tells where the operator has mixed files up, which would otherwise come out as a verdict on
    /// the block.
    pub(super) fn check_fits(&self, input: &Input) -> eyre::Result<()> {
        let (replica, name) = (&input.segment.replica, input.path.display());
        if let Some(spec) = &self.spec
            && spec.chain_id() != replica.network_id
        {
            let (given, own) = (spec.chain_id(), replica.network_id);
            eyre::bail!("{name} is of chain {own}, but --genesis describes chain {given}");
        }
        if let Some(supplement) = &self.supplement
            && supplement.block_hash != replica.hash
        {
            let (given, own) = (supplement.block_hash, replica.hash);
            eyre::bail!("{name} is block {own}, but --supplement belongs to block {given}");
        }
        let strays = |index: &&usize| {
            replica.transactions.get(**index).is_none_or(|tx| tx.tx_type != SET_CODE_TX_TYPE)
        };
        if let Some(index) = self.authorized.iter().find(strays) {
            let takers = match indices_of_set_code(replica, |_| true) {
                takers if takers.is_empty() => "this block has none".into(),
                takers => format!("here {takers}"),
            };
            eyre::bail!(
                "{name}: --authorizations has a list for transaction {index}, but only transactions of type 4 have one, {takers}"
            );
        }
        Ok(())
    }
}

/// The indices of the type-4 transactions that lack their authorizations both in the file and
/// beside it.
pub(super) fn without_authorizations(replica: &Replica, options: VerifyOptions<'_>) -> String {
    let supplied = |index| {
        options.authorizations.is_some_and(|lists| lists.of_transaction(index).is_some())
            || options.supplement.is_some_and(|given| given.authorizations.contains_key(&index))
    };
    indices_of_set_code(replica, |(index, tx)| tx.authorization_list.is_none() && !supplied(*index))
}

fn indices_of_set_code(
    replica: &Replica,
    wanted: impl Fn(&(usize, &ReplicaTransaction)) -> bool,
) -> String {
    let indices: Vec<_> = replica
        .transactions
        .iter()
        .enumerate()
        .filter(|(_, tx)| tx.tx_type == SET_CODE_TX_TYPE)
        .filter(wanted)
        .map(|(index, _)| index.to_string())
        .collect();
    indices.join(", ")
}

fn read_genesis(path: &Path) -> eyre::Result<ChainSpec> {
    let genesis: Genesis = serde_json::from_slice(&input::read_bounded(path)?)
        .wrap_err_with(|| format!("{} is not a genesis file", path.display()))?;
    Ok(ChainSpec::from_genesis(&genesis))
}
