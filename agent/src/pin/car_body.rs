//! A file's archive as it is uploaded: the leaves are slices of the file, not copies.

use super::Content;
use crate::blocking::on_disk;
use bsp_codec::{car, dag::Dag};
use bytes::Bytes;
use cid::Cid;
use futures::stream;
use reqwest::Body;
use std::io::{self, Write};

/// A CARv1 with the file for its root.
#[derive(Debug, Clone)]
pub(super) struct CarBody {
    root: Cid,
    pieces: Vec<Bytes>,
    len: u64,
}

impl CarBody {
    /// Hashes the file, away from the runtime's threads.
    pub(super) async fn of(content: &Content) -> Self {
        let bytes = content.bytes.clone();
        on_disk(move || Self::build(&bytes)).await
    }

    fn build(content: &Bytes) -> Self {
        let dag = Dag::build(content);
        let mut pieces = Pieces { content, list: Vec::new(), copied: Vec::new(), len: 0 };
        // It has no error of its own.
        let _ = car::write_car(dag.root(), dag.blocks(), &mut pieces);
        pieces.close();
        Self { root: *dag.root(), len: pieces.len, pieces: pieces.list }
    }

    /// The file's identifier, computed here.
    pub(super) const fn root(&self) -> Cid {
        self.root
    }

    /// Length in bytes.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    /// All of it, in order.
    pub(super) fn pieces(&self) -> &[Bytes] {
        &self.pieces
    }

    /// For a request.
    pub(super) fn into_body(self) -> Body {
        Body::wrap_stream(stream::iter(self.pieces.into_iter().map(Ok::<_, io::Error>)))
    }
}

/// Takes what is written: slices of the content as such, the rest as copies.
struct Pieces<'a> {
    content: &'a Bytes,
    list: Vec<Bytes>,
    copied: Vec<u8>,
    len: u64,
}

impl Pieces<'_> {
    fn close(&mut self) {
        if !self.copied.is_empty() {
            self.list.push(std::mem::take(&mut self.copied).into());
        }
    }

    fn is_of_content(&self, written: &[u8]) -> bool {
        let (whole, part) = (self.content.as_ptr_range(), written.as_ptr_range());
        whole.start <= part.start && part.end <= whole.end
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, written: &[u8]) -> io::Result<usize> {
        if !written.is_empty() && self.is_of_content(written) {
            self.close();
            self.list.push(self.content.slice_ref(written));
        } else {
            self.copied.extend_from_slice(written);
        }
        self.len += written.len() as u64;
        Ok(written.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_the_codec_writes_and_copies_no_leaf() {
        for len in [0, 1, 262_144, 262_145, 1_000_000] {
            let content: Bytes = (0..len).map(|index: u32| (index / 1000) as u8).collect();
            let body = CarBody::build(&content);
            let (dag, mut car) = (Dag::build(&content), Vec::new());
            car::write_car(dag.root(), dag.blocks(), &mut car).unwrap();
            assert_eq!(body.pieces().concat(), car, "{len}");
            assert_eq!((body.len(), body.root()), (car.len() as u64, *dag.root()));
            let whole = content.as_ptr_range();
            let is_copy = |piece: &&Bytes| !whole.contains(&piece.as_ptr());
            let copied: usize = body.pieces().iter().filter(is_copy).map(Bytes::len).sum();
            assert!(copied < 1000, "{len}: {copied}");
        }
    }
}
