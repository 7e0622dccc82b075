//! What an error of reth's provider means for a block that is to be produced.

use bsp_replication::{ChainError, ProduceError};
use reth_storage_api::errors::{db::DatabaseError, provider::ProviderError};

/// The code that reth v2.5.1's libmdbx gives for a read transaction that was open for too long.
const READ_TRANSACTION_TIMEOUT: i32 = -96_000;

/// The node's database did not answer a question about the chain.
#[expect(clippy::needless_pass_by_value, reason = "as `map_err` passes it")]
pub(crate) fn chain_error(error: ProviderError) -> ChainError {
    ChainError(error.to_string())
}

/// The state before block `number`, or the block itself, could not be read.
///
/// State that was deleted never comes back. What is not found may be on its way to the disk, or on
/// a branch that was left a moment ago. Everything else is the database's own trouble.
pub(crate) fn read_error(number: u64, error: &ProviderError) -> ProduceError {
    let reason = error.to_string();
    match error {
        ProviderError::StateAtBlockPruned(_) | ProviderError::BlockExpired { .. } => {
            ProduceError::Pruned { number, reason }
        }
        ProviderError::StateForHashNotFound(_)
        | ProviderError::StateForNumberNotFound(_)
        | ProviderError::BlockHashNotFound(_)
        | ProviderError::HeaderNotFound(_)
        | ProviderError::UnknownBlockHash(_)
        | ProviderError::BlockNotExecuted { .. }
        | ProviderError::BlockBodyIndicesNotFound(_)
        | ProviderError::StorageChangesetNotFound { .. }
        | ProviderError::AccountChangesetNotFound { .. }
        | ProviderError::MissingStaticFileBlock(..)
        | ProviderError::MissingStaticFileTx(..) => ProduceError::NotReady { number, reason },
        ProviderError::Database(error) if is_timeout(error) => {
            ProduceError::NotReady { number, reason }
        }
        _ => ProduceError::Chain(ChainError(reason)),
    }
}

fn is_timeout(error: &DatabaseError) -> bool {
    let (DatabaseError::Open(info)
    | DatabaseError::Read(info)
    | DatabaseError::InitTx(info)
    | DatabaseError::InitCursor(info)) = error
    else {
        return false;
    };
    info.code == READ_TRANSACTION_TIMEOUT
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;
    use reth_storage_api::errors::db::DatabaseErrorInfo;

    fn database(code: i32) -> ProviderError {
        let info = DatabaseErrorInfo { message: "read".into(), code };
        ProviderError::Database(DatabaseError::Read(info))
    }

    #[test]
    fn pruned_state_never_comes_back() {
        let error = read_error(7, &ProviderError::StateAtBlockPruned(8));
        assert!(matches!(error, ProduceError::Pruned { number: 7, .. }));
    }

    #[test]
    fn what_is_not_there_yet_is_waited_for() {
        for error in [
            ProviderError::StateForHashNotFound(B256::ZERO),
            ProviderError::BlockHashNotFound(B256::ZERO),
            ProviderError::BlockNotExecuted { requested: 9, executed: 8 },
            database(READ_TRANSACTION_TIMEOUT),
        ] {
            assert!(matches!(read_error(9, &error), ProduceError::NotReady { .. }), "{error}");
        }
    }

    #[test]
    fn the_rest_is_the_database() {
        assert!(matches!(read_error(9, &database(-30_780)), ProduceError::Chain(_)));
        let error = ProviderError::InvalidStorageOutput;
        assert!(matches!(read_error(9, &error), ProduceError::Chain(_)));
    }
}
