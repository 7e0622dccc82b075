//! An agent's store of pins, read as its format says, and without the agent's code.
//!
//! `pins/packs/*.pack` are files of frames behind a preamble of 16 bytes. A frame begins with 56
//! bytes:
//!
//! ```text
//! 0   "bspF"
//! 4   kind: 1 block, 2 pin
//! 5   encoding of the body: 0 as it is, 1 zstd
//! 8   bytes of the body
//! 12  bytes of the body once it is decoded
//! 16  SHA-256 of a block
//! 48  CRC-32 of the body
//! ```
//!
//! Numbers are little-endian, of four bytes. The body of a pin has the root's CID, and at its end
//! the digests of all blocks.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

const PREAMBLE: usize = 16;
const HEADER: usize = 56;

/// The stores of all agents, as far as they have been read.
#[derive(Debug, Clone, Default)]
pub struct Packs(Arc<Mutex<HashMap<PathBuf, Store>>>);

/// One agent's.
#[derive(Debug, Default)]
struct Store {
    /// How far each file has been read.
    read: BTreeMap<PathBuf, usize>,
    blocks: HashMap<[u8; 32], Vec<u8>>,
    pins: Vec<Vec<u8>>,
}

/// A frame that is whole.
struct Frame<'a> {
    kind: u8,
    is_compressed: bool,
    raw_len: usize,
    digest: [u8; 32],
    body: &'a [u8],
}

impl Packs {
    /// Why a DAG is not pinned in the store of this data folder: its root as a CID's bytes, and the
    /// digests and bytes of its blocks.
    ///
    /// # Errors
    ///
    /// Where the store can't be read.
    pub fn fault(
        &self,
        data: &Path,
        root: &[u8],
        blocks: &[([u8; 32], &[u8])],
    ) -> io::Result<Option<String>> {
        let mut stores = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let store = stores.entry(data.to_owned()).or_default();
        store.read_on(&data.join("pins/packs"))?;
        Ok(store.fault(root, blocks))
    }
}

impl Store {
    /// Reads what has been written since the last time.
    fn read_on(&mut self, folder: &Path) -> io::Result<()> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            files.push(entry?.path());
        }
        files.sort();
        if self.read.keys().any(|known| !files.contains(known)) {
            // What is left of a file that is gone is in another one.
            *self = Self::default();
        }
        for path in files.into_iter().filter(|path| path.extension().is_some_and(|it| it == "pack"))
        {
            let bytes = match fs::read(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                bytes => bytes?,
            };
            let mut at = self.read.get(&path).copied().unwrap_or(PREAMBLE);
            while let Some(frame) = bytes.get(at..).and_then(frame) {
                at += HEADER + frame.body.len();
                self.take(&frame);
            }
            self.read.insert(path, at);
        }
        Ok(())
    }

    fn take(&mut self, frame: &Frame<'_>) {
        match frame.kind {
            1 => {
                let decoded = match frame.is_compressed {
                    true => zstd::bulk::decompress(frame.body, frame.raw_len).unwrap_or_default(),
                    false => frame.body.to_vec(),
                };
                self.blocks.insert(frame.digest, decoded);
            }
            2 => self.pins.push(frame.body.to_vec()),
            _ => {}
        }
    }

    fn fault(&self, root: &[u8], blocks: &[([u8; 32], &[u8])]) -> Option<String> {
        for (digest, bytes) in blocks {
            match self.blocks.get(digest) {
                None => return Some("a block is not in the store".to_owned()),
                Some(found) if found != bytes => {
                    return Some("a block has other bytes in the store".to_owned());
                }
                Some(_) => {}
            }
        }
        let mut wanted: Vec<_> = blocks.iter().map(|(digest, _)| *digest).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let is_pin = |body: &Vec<u8>| {
            let start = body.len().saturating_sub(32 * wanted.len());
            let mut pinned: Vec<_> = body[start..].chunks_exact(32).collect();
            pinned.sort_unstable();
            pinned == wanted && body.windows(root.len()).any(|part| part == root)
        };
        let is_pinned = self.pins.iter().any(is_pin);
        (!is_pinned).then(|| "the store has no pin of it".to_owned())
    }
}

/// The frame at the beginning of some bytes; `None` if there is none, or not all of it.
fn frame(bytes: &[u8]) -> Option<Frame<'_>> {
    let header = bytes.get(..HEADER)?;
    let number = |at: usize| -> Option<u32> {
        Some(u32::from_le_bytes(header.get(at..at + 4)?.try_into().ok()?))
    };
    if !header.starts_with(b"bspF") {
        return None;
    }
    let len = usize::try_from(number(8)?).ok()?;
    let body = bytes.get(HEADER..)?.get(..len)?;
    (crc32fast::hash(body) == number(48)?).then_some(())?;
    Some(Frame {
        kind: *header.get(4)?,
        is_compressed: *header.get(5)? == 1,
        raw_len: usize::try_from(number(12)?).ok()?,
        digest: header.get(16..48)?.try_into().ok()?,
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame as the store writes it, but for the checksum of its header.
    fn written(kind: u8, digest: [u8; 32], body: &[u8]) -> Vec<u8> {
        let len = u32::try_from(body.len()).unwrap().to_le_bytes();
        let mut header = [&b"bspF"[..], &[kind, 0, 0, 0], &len, &len, &digest].concat();
        header.extend(crc32fast::hash(body).to_le_bytes());
        header.extend([0; 4]);
        [header, body.to_vec()].concat()
    }

    #[test]
    fn a_pin_is_a_frame_with_all_digests_and_a_block_for_each() {
        let folder = tempfile::tempdir().unwrap();
        let packs_folder = folder.path().join("pins/packs");
        fs::create_dir_all(&packs_folder).unwrap();
        let pack = packs_folder.join("0000000001.pack");
        let (one, two) = ([1; 32], [2; 32]);
        let blocks = [(one, &b"one"[..]), (two, b"two")];
        let packs = Packs::default();
        let fault = || packs.fault(folder.path(), b"root", &blocks).unwrap();
        let mut log = vec![0; PREAMBLE];
        log.extend(written(1, one, b"one"));
        fs::write(&pack, &log).unwrap();
        assert_eq!(fault().unwrap(), "a block is not in the store");
        let second = written(1, two, b"two");
        fs::write(&pack, [&log[..], &second[..second.len() - 1]].concat()).unwrap();
        assert_eq!(fault().unwrap(), "a block is not in the store", "half of it is there");
        log.extend(second);
        fs::write(&pack, &log).unwrap();
        assert_eq!(fault().unwrap(), "the store has no pin of it");
        log.extend(written(2, [0; 32], &[b"root".as_slice(), &one].concat()));
        fs::write(&pack, &log).unwrap();
        assert_eq!(fault().unwrap(), "the store has no pin of it", "of another one");
        log.extend(written(2, [0; 32], &[b"root".as_slice(), &two, &one].concat()));
        fs::write(&pack, &log).unwrap();
        assert_eq!(fault(), None);

        fs::rename(&pack, packs_folder.join("0000000002.pack")).unwrap();
        assert_eq!(fault(), None, "it was written anew");
        let other = [(one, &b"other"[..])];
        let fault = packs.fault(folder.path(), b"root", &other).unwrap();
        assert_eq!(fault.unwrap(), "a block has other bytes in the store");
    }
}
