//! RLP as a tree, to change replicas into what the encoder can't write.

/// RLP as a tree, to write what the encoder can't.
#[derive(Debug, Clone)]
pub(super) enum Node {
    String(Vec<u8>),
    List(Vec<Self>),
    /// Bytes that may be no RLP at all.
    Raw(Vec<u8>),
}

impl Node {
    pub(super) fn encode(&self) -> Vec<u8> {
        let (base, payload) = match self {
            Self::Raw(bytes) => return bytes.clone(),
            Self::String(bytes) if matches!(bytes[..], [byte] if byte < 0x80) => {
                return bytes.clone();
            }
            Self::String(bytes) => (0x80, bytes.clone()),
            Self::List(items) => (0xc0, items.iter().flat_map(Self::encode).collect()),
        };
        let mut out = if payload.len() < 56 {
            vec![base + payload.len() as u8]
        } else {
            let len = payload.len().to_be_bytes();
            let zeros = len.iter().take_while(|byte| **byte == 0).count();
            [&[base + 55 + (8 - zeros) as u8][..], &len[zeros..]].concat()
        };
        out.extend(payload);
        out
    }

    pub(super) fn decode(bytes: &mut &[u8]) -> Self {
        let header = alloy_rlp::Header::decode(bytes).unwrap();
        let (mut payload, rest) = bytes.split_at(header.payload_length);
        *bytes = rest;
        if !header.list {
            return Self::String(payload.to_vec());
        }
        let mut items = Vec::new();
        while !payload.is_empty() {
            items.push(Self::decode(&mut payload));
        }
        Self::List(items)
    }

    pub(super) fn items(&mut self) -> &mut Vec<Self> {
        let Self::List(items) = self else { panic!("not a list: {self:?}") };
        items
    }

    /// The item at the end of a path of positions.
    pub(super) fn at(&mut self, path: &[usize]) -> &mut Self {
        path.iter().fold(self, |node, index| &mut node.items()[*index])
    }
}
