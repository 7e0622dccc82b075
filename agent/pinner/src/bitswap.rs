//! Messages of bitswap 1.2.0: what a peer wants, has and gives.
//!
//! The fields are those of the protocol's `message.proto`. What comes from peers is read by
//! [`Message::read`], which bounds what it takes before it is decoded.

use crate::protobuf::{Fields, Malformed, Value};
use bsp_codec::dag::Cid;
use bytes::Bytes;
use prost::Message as _;

/// The longest message that is taken, in bytes. Kubo sends at most one block of 2 MiB in one.
pub const MAX_MESSAGE_LEN: usize = 4 << 20;

/// The most wants, blocks and presences of a message, together. Kubo remembers 1024 wants a peer.
pub const MAX_ITEMS: usize = 16_384;

/// Why a message is not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MessageError {
    /// Not protobuf, or fields of other types.
    #[error("a message that is no bitswap")]
    Malformed,
    /// More than [`MAX_ITEMS`].
    #[error("a message of more than {MAX_ITEMS} wants, blocks and presences")]
    TooManyItems,
}

/// One message.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Message {
    /// What the sender wants, or wants no longer.
    #[prost(message, optional, tag = "1")]
    pub wantlist: Option<Wantlist>,
    /// Blocks that the receiver wanted.
    #[prost(message, repeated, tag = "3")]
    pub payload: Vec<Block>,
    /// Which blocks the sender has.
    #[prost(message, repeated, tag = "4")]
    pub presences: Vec<Presence>,
    /// Bytes of blocks that the sender is yet to send.
    #[prost(int32, tag = "5")]
    pub pending_bytes: i32,
}

/// Changes to what the sender wants.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Wantlist {
    /// One for each block.
    #[prost(message, repeated, tag = "1")]
    pub entries: Vec<Entry>,
    /// Whether these are all wants, and earlier ones hold no longer.
    #[prost(bool, tag = "2")]
    pub full: bool,
}

/// A want, or the end of one.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Entry {
    /// A binary CID.
    #[prost(bytes = "bytes", tag = "1")]
    pub cid: Bytes,
    /// Among the sender's wants, the highest first.
    #[prost(int32, tag = "2")]
    pub priority: i32,
    /// Whether the sender wants it no longer.
    #[prost(bool, tag = "3")]
    pub cancel: bool,
    /// The block, or whether the receiver has it.
    #[prost(enumeration = "WantType", tag = "4")]
    pub want_type: i32,
    /// Whether the receiver is to say so if it does not have it.
    #[prost(bool, tag = "5")]
    pub send_dont_have: bool,
}

/// What is wanted of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum WantType {
    /// The block.
    Block = 0,
    /// Whether the receiver has it.
    Have = 1,
}

/// A block.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Block {
    /// Its CID without the digest: version, codec, hash code and length, each a varint.
    #[prost(bytes = "bytes", tag = "1")]
    pub prefix: Bytes,
    /// Its bytes.
    #[prost(bytes = "bytes", tag = "2")]
    pub data: Bytes,
}

/// Whether the sender has a block.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Presence {
    /// A binary CID.
    #[prost(bytes = "bytes", tag = "1")]
    pub cid: Bytes,
    /// Whether it has it.
    #[prost(enumeration = "PresenceType", tag = "2")]
    pub presence_type: i32,
}

/// What a presence says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub enum PresenceType {
    /// The sender has the block.
    Have = 0,
    /// It has not.
    DontHave = 1,
}

impl Message {
    /// A message from its protobuf. Its items share the memory of `bytes`.
    ///
    /// # Errors
    ///
    /// [`MessageError`].
    pub fn read(bytes: Bytes) -> Result<Self, MessageError> {
        // An empty item takes two bytes here and dozens once it is decoded.
        match items_of(&bytes) {
            Err(Malformed) => Err(MessageError::Malformed),
            Ok(items) if items > MAX_ITEMS => Err(MessageError::TooManyItems),
            Ok(_) => Self::decode(bytes).map_err(|_| MessageError::Malformed),
        }
    }

    /// A message that only says what the sender wants.
    pub fn of_wants(entries: Vec<Entry>) -> Self {
        Self { wantlist: Some(Wantlist { entries, full: false }), ..Self::default() }
    }

    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        let wants =
            self.wantlist.as_ref().is_some_and(|list| list.full || !list.entries.is_empty());
        !wants && self.payload.is_empty() && self.presences.is_empty()
    }
}

impl Entry {
    /// The want of a block, or of an answer whether the receiver has it. It is to say so if not.
    pub fn want(cid: &Cid, want_type: WantType) -> Self {
        Self {
            cid: cid.to_bytes().into(),
            priority: 1,
            cancel: false,
            want_type: want_type.into(),
            send_dont_have: true,
        }
    }

    /// The end of a want.
    pub fn cancel(cid: &Cid) -> Self {
        Self { cid: cid.to_bytes().into(), cancel: true, ..Self::default() }
    }
}

impl Block {
    /// A block with the prefix of its CID. A CID of version 0 has none, so it gets that of version
    /// 1.
    pub fn new(cid: &Cid, data: Bytes) -> Self {
        let hash = cid.hash();
        let cid = Cid::new_v1(cid.codec(), *hash).to_bytes();
        let prefix = cid.len().saturating_sub(usize::from(hash.size()));
        Self { prefix: Bytes::copy_from_slice(cid.get(..prefix).unwrap_or_default()), data }
    }
}

impl Presence {
    /// What is said of a block.
    pub fn new(cid: &Cid, presence_type: PresenceType) -> Self {
        Self { cid: cid.to_bytes().into(), presence_type: presence_type.into() }
    }
}

/// Number of wants, blocks and presences of a message.
fn items_of(bytes: &[u8]) -> Result<usize, Malformed> {
    let mut items = 0;
    for field in Fields::new(bytes) {
        let field = field?;
        items += 1;
        if let (1, Value::Bytes(wantlist)) = (field.number, field.value) {
            for entry in Fields::new(wantlist) {
                entry?;
                items += 1;
            }
        }
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bsp_codec::dag::cid_of;
    use proptest::prelude::*;

    fn read(message: &Message) -> Result<Message, MessageError> {
        Message::read(message.encode_to_vec().into())
    }

    #[test]
    fn fields_have_the_numbers_of_the_protocol() {
        let cid = cid_of(b"x");
        let mut expected = vec![0x0a, 46, 0x0a, 42, 0x0a, 36];
        expected.extend_from_slice(&cid.to_bytes());
        expected.extend_from_slice(&[0x10, 1, 0x20, 1]);
        expected.extend_from_slice(&[0x10, 1]);
        expected.extend_from_slice(&[0x1a, 9, 0x0a, 4, 1, 0x55, 0x12, 0x20, 0x12, 1, b'x']);
        expected.extend_from_slice(&[0x22, 40, 0x0a, 36]);
        expected.extend_from_slice(&cid.to_bytes());
        expected.extend_from_slice(&[0x10, 1, 0x28, 5]);
        let entry = Entry { send_dont_have: false, ..Entry::want(&cid, WantType::Have) };
        let message = Message {
            wantlist: Some(Wantlist { entries: vec![entry], full: true }),
            payload: vec![Block::new(&cid, Bytes::from_static(b"x"))],
            presences: vec![Presence::new(&cid, PresenceType::DontHave)],
            pending_bytes: 5,
        };
        assert_eq!(message.encode_to_vec(), expected);
        assert_eq!(read(&message).unwrap(), message);
    }

    #[test]
    fn items_are_bounded() {
        let wants = |count| Message::of_wants(vec![Entry::default(); count]);
        let blocks =
            |count| Message { payload: vec![Block::default(); count], ..Message::default() };
        read(&wants(MAX_ITEMS - 1)).unwrap();
        read(&blocks(MAX_ITEMS)).unwrap();
        for message in [wants(MAX_ITEMS), wants(100_000), blocks(MAX_ITEMS + 1)] {
            assert!(matches!(read(&message), Err(MessageError::TooManyItems)));
        }
        // The same list in pieces, which protobuf puts together.
        let pieces = [0x0a, 2, 0x0a, 0].repeat(MAX_ITEMS);
        assert!(matches!(Message::read(pieces.into()), Err(MessageError::TooManyItems)));
    }

    #[test]
    fn garbage_is_refused() {
        for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x0a, 5, 1], &[0x08, 1], &[0xff; 20]] {
            let read = Message::read(Bytes::copy_from_slice(garbage));
            assert!(matches!(read, Err(MessageError::Malformed)), "{garbage:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Ok(message) = Message::read(bytes.into()) {
                prop_assert_eq!(read(&message).unwrap(), message);
            }
        }

        #[test]
        fn reads_what_it_wrote(
            wants in prop::collection::vec((any::<Vec<u8>>(), any::<i32>(), any::<bool>()), 0..20),
            blocks in prop::collection::vec(any::<Vec<u8>>(), 0..20),
        ) {
            let entries = wants.into_iter().map(|(cid, priority, cancel)| Entry {
                cid: cid.into(), priority, cancel, ..Entry::default()
            });
            let message = Message {
                payload: blocks.iter().map(|block| Block::new(&cid_of(block), block.clone().into())).collect(),
                ..Message::of_wants(entries.collect())
            };
            prop_assert_eq!(read(&message).unwrap(), message);
        }
    }
}
