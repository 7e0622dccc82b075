//! The files of the log.
//!
//! `packs/<number>.pack`, numbered from 1 in the order of their making. Each starts with 16 bytes:
//! "bsp-pack", the version of the format, and its number. Only the last one is written to.

use super::frame::{HEADER_LEN, Header, Place};
use bsp_common::files::{remove_if_there, sync_folder};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Bytes before a pack's first frame.
pub(super) const PREAMBLE_LEN: u32 = 16;

const MAGIC: &[u8; 8] = b"bsp-pack";
const FORMAT: u32 = 1;

/// Files that are kept open.
const MOST_OPEN: usize = 64;

/// The folder of the packs.
#[derive(Debug)]
pub(super) struct Packs {
    folder: PathBuf,
    open: Mutex<HashMap<u32, Arc<File>>>,
}

impl Packs {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.join("packs"), open: Mutex::default() }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn path(&self, pack: u32) -> PathBuf {
        self.folder.join(format!("{pack:010}.pack"))
    }

    /// The packs that are there, with their lengths in bytes.
    pub(super) fn list(&self) -> io::Result<BTreeMap<u32, u64>> {
        let mut packs = BTreeMap::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(".pack"));
            if let Some(number) = number.and_then(|number| number.parse().ok()) {
                packs.insert(number, entry.metadata()?.len());
            }
        }
        Ok(packs)
    }

    /// A pack to read from; `None` if it is not there.
    pub(super) fn file(&self, pack: u32) -> io::Result<Option<Arc<File>>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(&pack) {
            return Ok(Some(file.clone()));
        }
        let file = match File::open(self.path(pack)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => Arc::new(file?),
        };
        if open.len() >= MOST_OPEN {
            open.clear();
        }
        open.insert(pack, file.clone());
        Ok(Some(file))
    }

    /// Makes the next pack, and has its name on disk.
    pub(super) fn create(&self, pack: u32) -> io::Result<File> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(self.path(pack))?;
        file.write_all_at(&preamble(pack), 0)?;
        file.sync_data()?;
        sync_folder(&self.folder)?;
        Ok(file)
    }

    /// Opens a pack for writing. Whether it has the right beginning is said too.
    pub(super) fn open_last(&self, pack: u32) -> io::Result<(File, bool)> {
        let file = File::options().read(true).write(true).open(self.path(pack))?;
        let sound = starts_soundly(&file, pack)?;
        Ok((file, sound))
    }

    /// Removes a pack. Those who read it now may end.
    pub(super) fn remove(&self, pack: u32) -> io::Result<()> {
        self.forget(pack);
        remove_if_there(&self.path(pack))?;
        sync_folder(&self.folder)
    }

    /// Lets go of an open file.
    pub(super) fn forget(&self, pack: u32) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&pack);
    }
}

/// Whether a pack starts as it has to.
pub(super) fn starts_soundly(file: &File, pack: u32) -> io::Result<bool> {
    let mut found = [0; PREAMBLE_LEN as usize];
    match file.read_exact_at(&mut found, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| found == preamble(pack)),
    }
}

fn preamble(pack: u32) -> [u8; PREAMBLE_LEN as usize] {
    let mut bytes = [0; PREAMBLE_LEN as usize];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    bytes[12..].copy_from_slice(&pack.to_le_bytes());
    bytes
}

/// Reads the frame at a place, of which the body's length is known; `None` where it is not whole.
pub(super) fn read_frame(
    file: &File,
    at: Place,
    body_len: u32,
) -> io::Result<Option<(Header, Bytes)>> {
    let mut frame = vec![0; HEADER_LEN + body_len as usize];
    match file.read_exact_at(&mut frame, u64::from(at.offset)) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let header = Header::decode(&frame, at);
    let body = Bytes::from(frame).split_off(HEADER_LEN);
    Ok(header.filter(|header| header.fits(&body)).map(|header| (header, body)))
}
