//! What the operator gives beside the files.

use super::left_out::LeftOut;
use crate::input::{self, Input};
use bsp_capture::{ChainSpec, ExecutionSpec, VerifyOptions};
use eyre::Context;
use std::{path::Path, sync::Arc};

/// What the format leaves out, and chain rules, from the operator's files.
#[derive(Debug, Default)]
pub(super) struct Supplied {
    left_out: Option<Arc<LeftOut>>,
    spec: Option<ChainSpec>,
}

impl Supplied {
    pub(super) fn read(
        authorizations: Option<&Path>,
        supplement: Option<&Path>,
        genesis: Option<&Path>,
    ) -> eyre::Result<Self> {
        let left_out = match (supplement, authorizations) {
            (Some(path), _) => Some(LeftOut::from_supplement(path, "--supplement".to_owned())?),
            (None, Some(path)) => {
                Some(LeftOut::from_authorizations(path, "--authorizations".to_owned())?)
            }
            (None, None) => None,
        };
        let spec = genesis.map(read_genesis).transpose()?;
        Ok(Self { left_out: left_out.map(Arc::new), spec })
    }

    /// What the format leaves out of a block: what the operator gave, or else what lies beside the
    /// file.
    ///
    /// # Errors
    ///
    /// Files that do not belong together.
    pub(super) fn left_out_of(&self, input: &Input) -> eyre::Result<Arc<LeftOut>> {
        if let Some(spec) = &self.spec
            && spec.chain_id() != input.segment.replica.network_id
        {
            let (given, own) = (spec.chain_id(), input.segment.replica.network_id);
            let name = input.path.display();
            eyre::bail!("{name} is of chain {own}, but --genesis describes chain {given}");
        }
        let left_out = match &self.left_out {
            Some(given) => Arc::clone(given),
            None => Arc::new(LeftOut::beside(input)?),
        };
        left_out.check_fits(input)?;
        Ok(left_out)
    }

    pub(super) fn options<'a>(&'a self, left_out: &'a LeftOut) -> VerifyOptions<'a> {
        VerifyOptions {
            spec: self.spec.as_ref(),
            authorizations: left_out.authorizations.as_ref(),
            supplement: left_out.supplement.as_ref(),
        }
    }
}

fn read_genesis(path: &Path) -> eyre::Result<ChainSpec> {
    ChainSpec::from_genesis_file(&input::read_bounded(path)?)
        .wrap_err_with(|| format!("{} is not a genesis file", path.display()))
}
