//! `dag/import`: archives of blocks, and the pins of their roots.

use super::{
    super::{
        Request,
        api::PinnerApi,
        car::{CarItem, CarReader},
        form::{Form, Part},
        intake,
        problem::{Problem, blocking},
    },
    answered,
    args::Args,
    lines,
};
use crate::{
    dag,
    store::{NewPin, Store, StoreError},
};
use axum::{
    extract::{RawQuery, State},
    response::Response,
};
use bsp_codec::dag::Cid;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};
use std::{collections::HashSet, mem};

/// Bytes of blocks that are put into the store at once, with what each takes besides.
const BATCH_LEN: usize = 4 << 20;
const BLOCK_OVERHEAD: usize = 256;

/// The most blocks of one command.
const MAX_BLOCKS: u64 = 1 << 20;

/// The most roots of one command.
const MAX_ROOTS: usize = 1 << 16;

/// Roots that are pinned at once, which then wait for the disk together.
const PINNED_AT_ONCE: usize = 16;

pub(in super::super) async fn dag_import(
    State(api): State<PinnerApi>,
    RawQuery(query): RawQuery,
    request: Request,
) -> Response {
    let imported = async {
        let args = Args::of(query.as_deref());
        let (pin_roots, stats) = (args.flag("pin-roots", true)?, args.flag("stats", false)?);
        let _place = intake::place(api.uploads()).await?;
        let mut form = Form::read(request, api.options().limits.body).await?;
        let mut import = Import::new(api.store().clone());
        while let Some(part) = form.next_part().await? {
            import.archive(part).await?;
        }
        import.keep_batch().await?;
        let (count, bytes) = (import.blocks, import.bytes);
        let mut answer = if pin_roots { import.pin_roots().await? } else { Vec::new() };
        if stats {
            answer.push(json!({ "Stats": { "BlockCount": count, "BlockBytesCount": bytes } }));
        }
        Ok(lines(&answer))
    };
    answered(imported.await)
}

struct Import {
    store: Store,
    /// In the order in which the archives name them, each once.
    roots: Vec<Cid>,
    seen: HashSet<Cid>,
    batch: Vec<(Cid, Bytes)>,
    batch_len: usize,
    blocks: u64,
    bytes: u64,
}

impl Import {
    fn new(store: Store) -> Self {
        Self {
            store,
            roots: Vec::new(),
            seen: HashSet::new(),
            batch: Vec::new(),
            batch_len: 0,
            blocks: 0,
            bytes: 0,
        }
    }

    /// Keeps the blocks of one archive.
    async fn archive(&mut self, mut part: Part<'_>) -> Result<(), Problem> {
        let wrong = |error| Problem::bad_request(format!("import failed: {error}"));
        let mut reader = CarReader::new();
        while let Some(piece) = part.piece().await? {
            reader.push(&piece);
            while let Some(item) = reader.next_item().map_err(wrong)? {
                self.take(item).await?;
            }
        }
        reader.finish().map_err(wrong)
    }

    async fn take(&mut self, item: CarItem) -> Result<(), Problem> {
        match item {
            CarItem::Roots(roots) => {
                let new = roots.into_iter().filter(|root| self.seen.insert(*root));
                self.roots.extend(new);
                if self.roots.len() > MAX_ROOTS {
                    return Err(Problem::bad_request(format!("more than {MAX_ROOTS} roots")));
                }
            }
            CarItem::Block(cid, _) if !dag::is_supported(&cid) => {
                return Err(StoreError::UnsupportedCid(Box::new(cid)).into());
            }
            CarItem::Block(cid, block) => {
                self.blocks += 1;
                self.bytes += block.len() as u64;
                self.batch_len += block.len() + BLOCK_OVERHEAD;
                if self.blocks > MAX_BLOCKS {
                    return Err(Problem::bad_request(format!("more than {MAX_BLOCKS} blocks")));
                }
                self.batch.push((cid, block));
                if self.batch_len >= BATCH_LEN {
                    self.keep_batch().await?;
                }
            }
        }
        Ok(())
    }

    async fn keep_batch(&mut self) -> Result<(), Problem> {
        self.batch_len = 0;
        let (batch, store) = (mem::take(&mut self.batch), self.store.clone());
        blocking(move || store.put_blocks(&batch)).await
    }

    /// Pins what can be pinned, and says of each root what became of it.
    async fn pin_roots(self) -> Result<Vec<Value>, Problem> {
        let Self { store, roots, .. } = self;
        let pins = stream::iter(roots).map(move |root| pin_root(store.clone(), root));
        pins.buffered(PINNED_AT_ONCE).try_collect().await
    }
}

async fn pin_root(store: Store, root: Cid) -> Result<Value, Problem> {
    let error = match blocking(move || store.pin(&root, NewPin::default())).await {
        Ok(_) => String::new(),
        Err(problem) if problem.is_ours() => return Err(problem),
        Err(problem) => problem.reason,
    };
    Ok(json!({ "Root": { "Cid": { "/": root.to_string() }, "PinErrorMsg": error } }))
}
