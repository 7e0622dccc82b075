//! The bodies of frames that are no blocks.

use super::{Digest, PinState};
use bsp_codec::dag::Cid;
use std::time::{Duration, SystemTime};

/// The most blocks of a pin: 32 GiB of full leaves.
pub const MAX_PIN_BLOCKS: usize = 1 << 17;

/// The longest name of a pin, in bytes.
pub const MAX_NAME_LEN: usize = 1024;

/// A pin, but for its blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinRecord {
    /// The place of its first frame as a number: no two pins have the same, later ones a larger.
    pub id: u64,
    /// Its root.
    pub root: Cid,
    /// Its name.
    pub name: String,
    /// Bytes of all its blocks.
    pub size: u64,
    /// Milliseconds since 1970.
    pub created: u64,
    /// Whether the size budget may take it.
    pub state: PinState,
}

impl PinRecord {
    /// When it was pinned first.
    pub fn created(&self) -> SystemTime {
        let since = Duration::from_millis(self.created);
        SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    /// Appends the record.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for number in [self.id, self.size, self.created] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.push(u8::from(self.state == PinState::Confirmed));
        put_cid(&self.root, out);
        let len = u16::try_from(self.name.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(self.name.as_bytes());
    }

    /// Takes a record off the front of `input`.
    pub fn decode(input: &mut &[u8]) -> Option<Self> {
        let mut numbers = [0; 3];
        for number in &mut numbers {
            *number = u64::from_le_bytes(take(input)?);
        }
        let [id, size, created] = numbers;
        let state = match take(input)? {
            [0] => PinState::Unconfirmed,
            [1] => PinState::Confirmed,
            _ => return None,
        };
        let root = take_cid(input)?;
        let name_len = u16::from_le_bytes(take(input)?);
        let (name, rest) = input.split_at_checked(usize::from(name_len))?;
        *input = rest;
        let name = str::from_utf8(name).ok()?.to_owned();
        Some(Self { id, root, name, size, created, state })
    }
}

/// The body of a pin's frame: its record, and the digests of its blocks, each once.
pub fn encode_pin(record: &PinRecord, blocks: &[Digest]) -> Vec<u8> {
    let mut body = Vec::with_capacity(blocks.len() * 32 + 128);
    record.encode(&mut body);
    blocks.iter().for_each(|digest| body.extend_from_slice(digest));
    body
}

/// Reads the body of a pin's frame.
pub fn decode_pin(mut body: &[u8]) -> Option<(PinRecord, Vec<Digest>)> {
    let record = PinRecord::decode(&mut body)?;
    let (blocks, rest) = body.as_chunks();
    (rest.is_empty() && blocks.len() <= MAX_PIN_BLOCKS).then(|| (record, blocks.to_vec()))
}

/// What the frames that end or confirm a pin say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PinNote {
    /// Which pin: its [`PinRecord::id`].
    pub id: u64,
    /// The pack that held the pin's frame then.
    pub pack: u32,
    /// Its root.
    pub root: Cid,
}

impl PinNote {
    /// The body.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = [&self.id.to_le_bytes()[..], &self.pack.to_le_bytes()].concat();
        put_cid(&self.root, &mut body);
        body
    }

    /// Reads a body.
    pub fn decode(mut body: &[u8]) -> Option<Self> {
        let id = u64::from_le_bytes(take(&mut body)?);
        let pack = u32::from_le_bytes(take(&mut body)?);
        let root = take_cid(&mut body)?;
        body.is_empty().then_some(Self { id, pack, root })
    }
}

fn put_cid(cid: &Cid, out: &mut Vec<u8>) {
    let bytes = cid.to_bytes();
    out.push(u8::try_from(bytes.len()).unwrap_or(0));
    out.extend_from_slice(&bytes);
}

fn take_cid(input: &mut &[u8]) -> Option<Cid> {
    let [len] = take(input)?;
    let (cid, rest) = input.split_at_checked(usize::from(len))?;
    *input = rest;
    Cid::try_from(cid).ok()
}

fn take<const N: usize>(input: &mut &[u8]) -> Option<[u8; N]> {
    let (bytes, rest) = input.split_first_chunk()?;
    *input = rest;
    Some(*bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bsp_codec::dag::cid_of;

    fn record() -> PinRecord {
        PinRecord {
            id: 1 << 40,
            root: cid_of(b"root"),
            name: "na\u{ef}ve".to_owned(),
            size: 5,
            created: 1_700_000_000_000,
            state: PinState::Confirmed,
        }
    }

    #[test]
    fn a_pin_comes_back_and_no_part_of_it_does() {
        let blocks = [[1; 32], [2; 32]];
        let body = encode_pin(&record(), &blocks);
        assert_eq!(decode_pin(&body), Some((record(), blocks.to_vec())));
        for len in (0..body.len()).filter(|len| !(body.len() - len).is_multiple_of(32)) {
            assert_eq!(decode_pin(&body[..len]), None, "first {len} bytes");
        }
    }

    #[test]
    fn a_note_comes_back_and_no_part_of_it_does() {
        let note = PinNote { id: 7, pack: 3, root: cid_of(b"root") };
        let body = note.encode();
        assert_eq!(PinNote::decode(&body), Some(note));
        assert_eq!(PinNote::decode(&[&body[..], &[0]].concat()), None);
        for len in 0..body.len() {
            assert_eq!(PinNote::decode(&body[..len]), None, "first {len} bytes");
        }
    }
}
