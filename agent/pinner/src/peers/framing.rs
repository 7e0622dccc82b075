//! Messages on a stream, each after its length as a varint.

use crate::bitswap::{MAX_MESSAGE_LEN, Message};
use bytes::{Bytes, BytesMut};
use futures::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use prost::Message as _;
use std::io::{self, ErrorKind};

/// Memory for a message is taken as its bytes come, so much at a time.
const PIECE: usize = 64 << 10;

/// Why the next message is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FramingError {
    #[error("a message of {0} bytes, at most {MAX_MESSAGE_LEN} are accepted")]
    TooLong(u64),
    #[error("a length that is no number")]
    Length,
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// The length of the next message, `None` where the stream ends before it.
pub(crate) async fn read_len(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<Option<usize>, FramingError> {
    let mut len = 0u64;
    // Five bytes hold 35 bits, far more than any length.
    for shift in (0..35).step_by(7) {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            if shift == 0 {
                return Ok(None);
            }
            return Err(io::Error::from(ErrorKind::UnexpectedEof).into());
        }
        len |= u64::from(byte[0] & 0x7f) << shift;
        if byte[0] < 0x80 {
            let fits = usize::try_from(len).ok().filter(|len| *len <= MAX_MESSAGE_LEN);
            return fits.map(Some).ok_or(FramingError::TooLong(len));
        }
    }
    Err(FramingError::Length)
}

/// The bytes of a message.
pub(crate) async fn read_body(
    stream: &mut (impl AsyncRead + Unpin),
    len: usize,
) -> io::Result<Bytes> {
    let mut body = BytesMut::new();
    while body.len() < len {
        let start = body.len();
        body.resize(len.min(start + PIECE), 0);
        stream.read_exact(&mut body[start..]).await?;
    }
    Ok(body.freeze())
}

/// Sends a message.
pub(crate) async fn write_message(
    stream: &mut (impl AsyncWrite + Unpin),
    message: &Message,
) -> io::Result<()> {
    stream.write_all(&message.encode_length_delimited_to_vec()).await?;
    stream.flush().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bitswap::Entry;
    use futures::io::Cursor;

    #[tokio::test]
    async fn reads_what_it_wrote() {
        let message = Message::of_wants(vec![Entry::default(); 5000]);
        let mut stream = Cursor::new(Vec::new());
        for _ in 0..2 {
            write_message(&mut stream, &message).await.unwrap();
        }
        stream.set_position(0);
        for _ in 0..2 {
            let len = read_len(&mut stream).await.unwrap().unwrap();
            let body = read_body(&mut stream, len).await.unwrap();
            assert_eq!(Message::read(body).unwrap(), message);
        }
        assert_eq!(read_len(&mut stream).await.unwrap(), None);
    }

    #[tokio::test]
    async fn lengths_are_bounded() {
        let read = async |bytes: &[u8]| read_len(&mut Cursor::new(bytes)).await;
        assert_eq!(read(&[0x80, 0x80, 0x80, 0x02]).await.unwrap(), Some(MAX_MESSAGE_LEN));
        let longer = read(&[0x81, 0x80, 0x80, 0x02]).await;
        assert!(matches!(longer, Err(FramingError::TooLong(len)) if len == 4_194_305));
        assert!(matches!(read(&[0xff; 20]).await, Err(FramingError::Length)));
        assert!(matches!(read(&[0x80]).await, Err(FramingError::Io(_))));
    }

    #[tokio::test]
    async fn what_is_broken_off_is_an_error() {
        let error = read_body(&mut Cursor::new(&[0; 70_000]), 70_001).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    }
}
