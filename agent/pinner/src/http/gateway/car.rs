//! A DAG as an archive, depth first, each block once.

use super::super::{
    car::{header, section},
    problem::{Problem, blocking},
};
use crate::{
    dag,
    store::{DagBlocks, Store, StoreError},
};
use axum::body::{Body, Bytes};
use bsp_codec::dag::Cid;
use futures::{StreamExt, stream};
use std::{io, iter::Take};

/// Bytes that are sent at once, about.
const PIECE_LEN: usize = 256 << 10;

/// How much of a DAG is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The root alone.
    Block,
    /// A file's blocks; of anything else the root.
    Entity,
    /// Everything.
    All,
}

impl Scope {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Entity => "entity",
            Self::All => "all",
        }
    }

    fn follows(self, root: &Cid) -> bool {
        match self {
            Self::Block => false,
            Self::Entity => root.codec() == dag::DAG_PB,
            Self::All => true,
        }
    }
}

/// The archive of what is under a root. Its first piece is made before this returns, so that a root
/// that is not here is known; what is missing further down breaks the connection off.
pub(super) async fn archive(store: &Store, root: Cid, scope: Scope) -> Result<Body, Problem> {
    let most = if scope.follows(&root) { usize::MAX } else { 1 };
    let mut sections = Sections { blocks: store.dag_blocks(&root).take(most) };
    let begun = blocking(move || {
        let first = sections.next_piece(header(vec![root])?)?;
        Ok::<_, StoreError>((first, sections))
    });
    let (first, sections) = begun.await?;
    let later = stream::try_unfold(sections, async |mut sections| {
        let read = move || sections.next_piece(Vec::new()).map(|piece| (piece, sections));
        let (piece, sections) = tokio::task::spawn_blocking(read)
            .await
            .map_err(io::Error::other)?
            .map_err(io::Error::other)?;
        Ok::<_, io::Error>((!piece.is_empty()).then_some((piece, sections)))
    });
    Ok(Body::from_stream(stream::once(async { Ok(first) }).chain(later)))
}

/// An archive without blocks.
pub(super) fn empty_archive(root: Cid) -> io::Result<Vec<u8>> {
    header(vec![root])
}

#[derive(Debug)]
struct Sections {
    blocks: Take<DagBlocks>,
}

impl Sections {
    /// The next sections, after what is in `out`; empty at the end.
    fn next_piece(&mut self, mut out: Vec<u8>) -> Result<Bytes, StoreError> {
        while out.len() < PIECE_LEN {
            let Some(block) = self.blocks.next().transpose()? else { break };
            section(&block.0, &block.1, &mut out);
        }
        Ok(out.into())
    }
}
