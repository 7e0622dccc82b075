//! Archives out of the store and into it.

use super::{BlockImport, Cid, Store, StoreError};
use bsp_codec::car::{CarLimits, CarReader, CarWriter};
use std::io::{BufReader, Read, Write};

/// The most blocks of an archive: 64 GiB of full leaves.
const MAX_BLOCKS: usize = 1 << 18;

impl Store {
    /// Writes the DAG under a root as a CARv1, depth first, each block once. Returns the archive's
    /// length in bytes.
    ///
    /// # Errors
    ///
    /// Those of `out`, and those of [`dag_blocks`](Self::dag_blocks); the archive is cut short
    /// then.
    pub fn export_car(&self, root: &Cid, out: &mut impl Write) -> Result<u64, StoreError> {
        let mut car = CarWriter::new(out, &[*root])?;
        for block in self.dag_blocks(root) {
            let (cid, block) = block?;
            car.write(&cid, &block)?;
        }
        Ok(car.written())
    }

    /// Keeps the blocks of a CARv1 with any number of roots, and returns the roots. Nothing is
    /// pinned: garbage collection may remove what the caller does not pin. On return the blocks
    /// survive a crash.
    ///
    /// # Errors
    ///
    /// [`StoreError::Car`] for what is no such archive, or holds a block that its CID does not
    /// name; no block of it is kept then. [`StoreError::UnsupportedCid`],
    /// [`StoreError::OverBudget`], [`StoreError::Io`].
    pub fn import_car(&self, input: impl Read) -> Result<Vec<Cid>, StoreError> {
        let limits = CarLimits { max_blocks: MAX_BLOCKS, ..CarLimits::default() };
        let mut car = CarReader::with_any_roots(BufReader::new(input), limits)?;
        let mut put = BlockImport::new(self.inner.clone());
        while let Some((cid, block)) = car.next_block()? {
            put.add_checked(&cid, block)?;
        }
        put.finish()?;
        Ok(car.roots().to_vec())
    }
}
