//! What a crash leaves at the end of the last chunk.

use bsp_codec::chunk::{ChunkError, ChunkStream};
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// How much is read at a time, in bytes.
const PIECE: usize = 1 << 20;

/// Cuts off the part of a record that a chunk ends in, if it does. The bytes are kept beside it, in `<chunk>.torn`: damage in the
/// midst of a file looks the same, and then there may be whole records behind it.
///
/// Other damage is left alone. A reader stops before it and says so.
pub(super) fn cut_torn_tail(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let Err(error) = check(&mut file)? else { return Ok(()) };
    let chunk = path.display();
    if !error.is_torn() {
        tracing::warn!("{chunk} is damaged, its readers will stop there: {error}");
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
        "{chunk} ended in {torn} bytes of a record, as after a crash: cut off, and kept in {}",
        kept.display()
    );
    Ok(())
}

/// Reads all records.
fn check(file: &mut File) -> io::Result<Result<(), ChunkError>> {
    let mut stream = ChunkStream::new();
    let mut piece = vec![0; PIECE];
    loop {
        let length = file.read(&mut piece)?;
        if length == 0 {
            return Ok(stream.finish());
        }
        stream.feed(piece.get(..length).unwrap_or_default());
        loop {
            match stream.next_record() {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return Ok(Err(error)),
            }
        }
    }
}
