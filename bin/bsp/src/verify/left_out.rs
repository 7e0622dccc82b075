//! What the network's format leaves out of a block: given by the operator, or found beside the
//! segment.

use crate::input::{self, Input};
use bsp_capture::RecoveredAuthorizations;
use bsp_codec::{Replica, ReplicaTransaction, supplement::Supplement};
use eyre::Context;
use serde::de::IgnoredAny;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// EIP-2718 type of the transactions that carry EIP-7702 authorizations.
const SET_CODE_TX_TYPE: u8 = 4;
/// How many folders above a segment's may have what belongs to it.
const FOLDERS_ABOVE: usize = 2;

/// What one block needs.
#[derive(Debug, Default)]
pub(super) struct LeftOut {
    pub(super) authorizations: Option<RecoveredAuthorizations>,
    pub(super) supplement: Option<Supplement>,
    /// Indices of the transactions that `authorizations` has lists for.
    authorized: Vec<usize>,
    /// How messages name it: the flag that gave it, or the file that was found.
    name: String,
    /// The file, if nobody has named it.
    pub(super) found: Option<PathBuf>,
}

impl LeftOut {
    pub(super) fn from_supplement(path: &Path, name: String) -> eyre::Result<Self> {
        let bytes = input::read_bounded(path)?;
        let read = Supplement::decode(&bytes);
        let supplement = read.wrap_err_with(|| path.display().to_string())?;
        Ok(Self { supplement: Some(supplement), name, ..Self::default() })
    }

    pub(super) fn from_authorizations(path: &Path, name: String) -> eyre::Result<Self> {
        let text = input::read_bounded(path)?;
        let shown = || path.display().to_string();
        let lists = RecoveredAuthorizations::from_json(&text).wrap_err_with(shown)?;
        let indices: BTreeMap<usize, IgnoredAny> =
            serde_json::from_slice(&text).wrap_err_with(shown)?;
        let authorized = indices.into_keys().collect();
        Ok(Self { authorizations: Some(lists), authorized, name, ..Self::default() })
    }

    /// What lies beside a segment: first its supplement, then its authorizations. A supplement of
    /// another block is passed over.
    pub(super) fn beside(input: &Input) -> eyre::Result<Self> {
        for path in supplement_files(input).into_iter().filter(|path| path.is_file()) {
            let left_out = Self::from_supplement(&path, path.display().to_string())?;
            if left_out.is_of(&input.segment.replica) {
                return Ok(Self { found: Some(path), ..left_out });
            }
        }
        match authorization_files(input).into_iter().find(|path| path.is_file()) {
            Some(path) => {
                let left_out = Self::from_authorizations(&path, path.display().to_string())?;
                Ok(Self { found: Some(path), ..left_out })
            }
            None => Ok(Self::default()),
        }
    }

    fn is_of(&self, replica: &Replica) -> bool {
        self.supplement.as_ref().is_none_or(|supplement| supplement.block_hash == replica.hash)
    }

    /// Tells where files have been mixed up, which would otherwise come out as a verdict on the
    /// block.
    pub(super) fn check_fits(&self, input: &Input) -> eyre::Result<()> {
        let (replica, file) = (&input.segment.replica, input.path.display());
        if let Some(supplement) = self.supplement.as_ref().filter(|_| !self.is_of(replica)) {
            let (given, own) = (supplement.block_hash, replica.hash);
            eyre::bail!("{file} is block {own}, but {} belongs to block {given}", self.name);
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
                "{file}: {} has a list for transaction {index}, but only transactions of type 4 have one, {takers}",
                self.name
            );
        }
        Ok(())
    }
}

/// The indices of the type-4 transactions that lack their authorizations both in the file and
/// beside it.
pub(super) fn without_authorizations(replica: &Replica, left_out: &LeftOut) -> String {
    let (lists, supplement) = (&left_out.authorizations, &left_out.supplement);
    let supplied = |index| {
        lists.as_ref().is_some_and(|lists| lists.of_transaction(index).is_some())
            || supplement.as_ref().is_some_and(|given| given.authorizations.contains_key(&index))
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

/// Where a segment's supplement may lie: beside it as the agent keeps it, or in `supplements/`.
fn supplement_files(input: &Input) -> Vec<PathBuf> {
    let (name, hash) = (input.segment.replica.segment_name(), input.segment.replica.hash);
    let folders = folders(input);
    let own = folders.first().map(|folder| folder.join(format!("{name}-{hash}.supplement")));
    let kept =
        folders.iter().map(|folder| folder.join("supplements").join(format!("{name}.supplement")));
    own.into_iter().chain(kept).collect()
}

/// Where a segment's authorizations may lie: in `authorizations/`, as `bsp dev` keeps them.
fn authorization_files(input: &Input) -> Vec<PathBuf> {
    let name = format!("{}.json", input.segment.replica.segment_name());
    folders(input).iter().map(|folder| folder.join("authorizations").join(&name)).collect()
}

/// The folder of a segment, and those above it. Standard input has none.
fn folders(input: &Input) -> Vec<PathBuf> {
    if input.path == Path::new("-") {
        return Vec::new();
    }
    let path = std::path::absolute(&input.path).unwrap_or_else(|_| input.path.clone());
    path.ancestors().skip(1).take(1 + FOLDERS_ABOVE).map(Path::to_owned).collect()
}
