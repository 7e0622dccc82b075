//! Whether everything that is pinned is here and whole.

use super::{
    Cid, NewPin, StoreError, apply, cid_of,
    index::PinRow,
    inner::{Holds, Inner},
    record::PinRecord,
    walk,
};

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// Blocks that were read.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Pins that were looked at.
    pub pins: u64,
    /// Blocks that are not what was stored, under a CID as raw bytes.
    pub damaged: Vec<Cid>,
    /// Pins that are not whole.
    pub broken: Vec<BrokenPin>,
}

impl CheckReport {
    /// Whether all is well.
    pub const fn is_sound(&self) -> bool {
        self.damaged.is_empty() && self.broken.is_empty()
    }
}

/// A pin of which something is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokenPin {
    /// Its root.
    pub root: Cid,
    /// Its name.
    pub name: String,
    /// Blocks that are missing or damaged, under a CID as raw bytes; empty where the list of its
    /// blocks itself can't be read.
    pub missing: Vec<Cid>,
}

/// Rows that are read from the index at a time.
const PAGE: usize = 256;

impl Inner {
    pub(super) fn check(&self, repair: bool) -> Result<CheckReport, StoreError> {
        if repair {
            let unlisted = self.unlisted_pins()?;
            self.rebuild()?;
            unlisted.into_iter().try_for_each(|pin| self.list_again(pin))?;
        }
        let mut report = CheckReport::default();
        self.check_blocks(&mut report)?;
        let mut after = Vec::new();
        loop {
            let page = self.index.pins(&after, PAGE)?;
            let Some(last) = page.last() else { return Ok(report) };
            after = last.record.root.to_bytes();
            report.pins += page.len() as u64;
            for pin in page {
                report.broken.extend(self.broken_pin(&pin)?);
            }
        }
    }

    /// Pins whose frame is damaged, so that only the index knows of them.
    fn unlisted_pins(&self) -> Result<Vec<PinRow>, StoreError> {
        let (mut unlisted, mut after) = (Vec::new(), Vec::new());
        loop {
            let page = self.index.pins(&after, PAGE)?;
            let Some(last) = page.last() else { return Ok(unlisted) };
            after = last.record.root.to_bytes();
            for pin in page {
                if apply::pinned_blocks(&self.packs, &pin)?.is_none() {
                    unlisted.push(pin);
                }
            }
        }
    }

    /// Pins again what the log does not tell of any more, if its DAG is whole.
    fn list_again(&self, pin: PinRow) -> Result<(), StoreError> {
        let PinRecord { root, name, state, .. } = pin.record;
        let pinned = walk::digests(self, &root).and_then(|blocks| {
            self.pin_blocks(&root, &blocks, NewPin { name, state }, &mut Holds::default())
        });
        match pinned {
            Err(StoreError::Io(error)) => Err(error.into()),
            Err(error) => {
                tracing::error!(
                    target: "bsp::pinner",
                    cid = %root,
                    %error,
                    "A pin is lost: its entry in the log is damaged, and its content is not whole"
                );
                Ok(())
            }
            Ok(_) => Ok(()),
        }
    }

    fn check_blocks(&self, report: &mut CheckReport) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let page = self.index.rows(after, PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(*last);
            for (digest, _) in page {
                let cid = cid_of(&digest);
                match self.block(&digest, &cid) {
                    Ok(Some(block)) => {
                        report.blocks += 1;
                        report.bytes += block.len() as u64;
                    }
                    // Missing, or removed in the meantime: the pins tell.
                    Ok(None) => {}
                    Err(StoreError::Damaged(_)) => report.damaged.push(cid),
                    Err(error) => return Err(error),
                }
            }
        }
    }

    fn broken_pin(&self, pin: &PinRow) -> Result<Option<BrokenPin>, StoreError> {
        let blocks = apply::pinned_blocks(&self.packs, pin)?;
        let is_readable = blocks.is_some();
        let mut missing = Vec::new();
        for digest in blocks.into_iter().flat_map(|(_, blocks)| blocks) {
            if self.row(&digest)?.is_none() {
                missing.push(cid_of(&digest));
            }
        }
        let is_whole = is_readable && missing.is_empty();
        // It may have been removed in the meantime.
        let root = pin.record.root;
        if is_whole || self.index.pin(&root.to_bytes())?.as_ref() != Some(pin) {
            return Ok(None);
        }
        Ok(Some(BrokenPin { root, name: pin.record.name.clone(), missing }))
    }
}
