//! Stored files on their way out, in constant memory.

use super::problem::{Problem, blocking};
use crate::store::StoredFile;
use axum::body::{Body, Bytes};
use futures::{StreamExt, stream};
use std::io::{self, Read, Seek, SeekFrom};

/// Bytes that are read at once.
const PIECE_LEN: u64 = 256 << 10;

/// A body of `len` bytes of a file, from a position on. Its first piece is read before this
/// returns, so that what is missing or damaged is known while a status can still say so; what is
/// found later breaks the connection off.
pub(super) async fn file_body(file: StoredFile, from: u64, len: u64) -> Result<Body, Problem> {
    let begun = blocking(move || {
        let mut file = file;
        file.seek(SeekFrom::Start(from))?;
        read_piece(file, len)
    });
    let (first, rest) = begun.await?;
    let later = stream::try_unfold(rest, async |rest| {
        let Some((file, len)) = rest else { return Ok::<_, io::Error>(None) };
        let read = tokio::task::spawn_blocking(move || read_piece(file, len));
        read.await.map_err(io::Error::other)?.map(Some)
    });
    Ok(Body::from_stream(stream::once(async { Ok(first) }).chain(later)))
}

type Rest = Option<(StoredFile, u64)>;

/// The next bytes, and the file with what is left to read of it.
fn read_piece(mut file: StoredFile, len: u64) -> io::Result<(Bytes, Rest)> {
    let now = len.min(PIECE_LEN);
    let mut piece = Vec::with_capacity(usize::try_from(now).unwrap_or_default());
    (&mut file).take(now).read_to_end(&mut piece)?;
    if piece.len() as u64 != now {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let rest = (len > now).then(|| (file, len - now));
    Ok((piece.into(), rest))
}
