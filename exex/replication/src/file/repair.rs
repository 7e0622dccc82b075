//! What an earlier session has left at the end of the last chunk.

use alloy_primitives::B256;
use bsp_codec::chunk::{ChunkError, ChunkStream};
use std::{
    collections::HashSet,
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// How much is read at a time, in bytes.
const PIECE: usize = 1 << 20;

/// A chunk's whole records, and what comes behind them.
struct Content {
    hashes: HashSet<B256>,
    end: Result<(), ChunkError>,
}

/// The hashes of a chunk's records, up to damage if there is any. They are on disk then: the
/// process that wrote them may have died before it had them synced.
pub(super) fn synced_hashes(path: &Path) -> io::Result<HashSet<B256>> {
    let mut file = File::open(path)?;
    file.sync_all()?;
    Ok(read(&mut file)?.hashes)
}

/// How many bytes of a chunk are whole records, from its start.
pub(super) fn whole_bytes(path: &Path) -> io::Result<u64> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    Ok(read(&mut file)?.end.map_or_else(|error| error.offset, |()| length))
}

/// Cuts off the part of a record that a chunk ends in, if it does. The bytes are kept beside it, in
/// `<chunk>.torn`: damage in the midst of a file looks the same, and then there may be whole
/// records behind it.
///
/// Other damage is left alone. A reader stops before it and says so.
pub(super) fn cut_torn_tail(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let Err(error) = read(&mut file)?.end else { return Ok(()) };
    let chunk = path.display();
    if !error.is_torn() {
        tracing::warn!(target: "exex::bsp", %chunk, %error, "The chunk is damaged: its readers will stop there");
        return Ok(());
    }
    let kept = path.with_extension("rlp.torn");
    file.seek(SeekFrom::Start(error.offset))?;
    let mut copy = File::create(&kept)?;
    let torn = io::copy(&mut file, &mut copy)?;
    copy.sync_all()?;
    file.set_len(error.offset)?;
    file.sync_all()?;
    tracing::warn!(
        target: "exex::bsp", %chunk, bytes = torn, kept = %kept.display(),
        "The chunk ended in a part of a record, as after a crash; the part was cut off and kept"
    );
    Ok(())
}

fn read(file: &mut File) -> io::Result<Content> {
    let mut stream = ChunkStream::new();
    let mut hashes = HashSet::new();
    let mut piece = vec![0; PIECE];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            return Ok(Content { hashes, end: stream.finish() });
        }
        stream.feed(piece.get(..length).unwrap_or_default());
        loop {
            match stream.next_record() {
                Ok(Some(located)) => _ = hashes.insert(located.record.hash),
                Ok(None) => break,
                Err(error) => return Ok(Content { hashes, end: Err(error) }),
            }
        }
    }
}
