//! All requests, in memory and, where a file is set, on disk.

use super::{
    super::problem::Problem,
    filter::Filter,
    record::{PinRequest, Status, Wanted},
    unknown,
};
use crate::store::{NewPin, Store, StoreError};
use axum::http::StatusCode;
use bsp_codec::dag::Cid;
use bsp_common::database::{self, OpenError};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};
use tokio::sync::Notify;

/// Creation time to request, as JSON.
const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("pin_requests");

/// Bytes that all requests may take in memory.
const MAX_WEIGHT: usize = 256 << 20;

/// Why the file of requests can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the pin requests in {} can't be read: {source}", path.display())]
pub struct RequestsError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong.
    pub source: OpenError,
}

/// The requests that were made and not removed.
#[derive(Debug)]
pub(in super::super) struct PinRequests {
    file: Option<Database>,
    /// Held while something changes, disk and store included.
    changing: Mutex<()>,
    table: Mutex<Table>,
    queued: Notify,
}

#[derive(Debug, Default)]
struct Table {
    /// By creation time.
    requests: BTreeMap<u64, PinRequest>,
    weight: usize,
}

impl PinRequests {
    /// Reads the requests of a file, which is made if it is not there; without one, none are kept.
    pub(in super::super) fn open(path: Option<&Path>) -> Result<Self, RequestsError> {
        let Some(path) = path else { return Ok(Self::with(None, Table::default())) };
        let failed = |source| RequestsError { path: path.to_owned(), source };
        let file = database::open(path).map_err(failed)?;
        let read = database::guarded(|| read_all(&file));
        let damaged = |reason: String| failed(OpenError::Damaged(reason));
        let table =
            read.unwrap_or_else(|| Err("it can't be read at all".to_owned())).map_err(damaged)?;
        Ok(Self::with(Some(file), table))
    }

    fn with(file: Option<Database>, table: Table) -> Self {
        let queued = Notify::new();
        queued.notify_one();
        Self { file, changing: Mutex::default(), table: Mutex::new(table), queued }
    }

    /// Makes a request, and removes the one that it replaces.
    pub(super) fn add(
        &self,
        wanted: Wanted,
        store: &Store,
        can_fetch: bool,
        replaced: Option<u64>,
    ) -> Result<PinRequest, Problem> {
        let _changing = lock(&self.changing);
        let old = replaced.map(|id| self.find(id)).transpose()?;
        let cid = wanted.cid()?;
        let was_pinned = store.pinned(&cid)?.is_some();
        let owned = !was_pinned || self.others_of(&cid, None).iter().any(|other| other.owned);
        let (status, details) = pin_now(store, &cid, &wanted.name, can_fetch)?;
        let created = self.next_time();
        let request = PinRequest { created, wanted, status, details, owned };
        self.keep(&request)?;
        if let Some(old) = old {
            self.forget(&old, store)?;
        }
        if status == Status::Queued {
            self.queued.notify_one();
        }
        Ok(request)
    }

    /// A request as it is.
    pub(super) fn get(&self, id: u64, store: &Store) -> Result<PinRequest, Problem> {
        as_it_is(self.find(id)?, store)
    }

    /// Removes a request, and the pin if no other one needs it.
    pub(super) fn remove(&self, id: u64, store: &Store) -> Result<(), Problem> {
        let _changing = lock(&self.changing);
        self.forget(&self.find(id)?, store)
    }

    /// How many requests a filter takes, and the latest of them.
    pub(super) fn list(
        &self,
        filter: &Filter,
        store: &Store,
    ) -> Result<(usize, Vec<PinRequest>), Problem> {
        let (count, latest) = {
            let table = lock(&self.table);
            let mut taken = table.requests.values().rev().filter(|request| filter.takes(request));
            let latest: Vec<PinRequest> = taken.by_ref().take(filter.limit).cloned().collect();
            (latest.len() + taken.count(), latest)
        };
        let latest = latest.into_iter().map(|request| as_it_is(request, store));
        Ok((count, latest.collect::<Result<_, _>>()?))
    }

    /// Waits until there may be a request to work on.
    pub(super) async fn queued(&self) {
        self.queued.notified().await;
    }

    /// The oldest request that nobody works on, which the caller now does.
    pub(super) fn claim(&self) -> Option<PinRequest> {
        let mut table = lock(&self.table);
        let mut requests = table.requests.values_mut();
        let request = requests.find(|request| request.status == Status::Queued)?;
        request.status = Status::Pinning;
        let request = request.clone();
        drop(table);
        // For whoever else waits.
        self.queued.notify_one();
        Some(request)
    }

    /// Notes what became of a request. Where it was removed meanwhile, its pin goes too.
    pub(super) fn finish(
        &self,
        mut request: PinRequest,
        failure: Option<String>,
        store: &Store,
    ) -> Result<(), Problem> {
        let _changing = lock(&self.changing);
        request.status = if failure.is_some() { Status::Failed } else { Status::Pinned };
        request.details = failure.unwrap_or_default();
        if lock(&self.table).requests.contains_key(&request.created) {
            return self.keep(&request);
        }
        self.unpin_unneeded(&request, store)
    }

    fn find(&self, id: u64) -> Result<PinRequest, Problem> {
        lock(&self.table).requests.get(&id).cloned().ok_or_else(unknown)
    }

    /// The other requests for the same content.
    fn others_of(&self, cid: &Cid, but: Option<u64>) -> Vec<PinRequest> {
        let table = lock(&self.table);
        let others = table.requests.values().filter(|other| Some(other.created) != but);
        others
            .filter(|other| other.wanted.cid().is_ok_and(|other| other == *cid))
            .cloned()
            .collect()
    }

    fn next_time(&self) -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let last = lock(&self.table).requests.keys().next_back().copied().unwrap_or_default();
        u64::try_from(now).unwrap_or(u64::MAX).max(last + 1)
    }

    /// Writes a request to disk and into the table.
    fn keep(&self, request: &PinRequest) -> Result<(), Problem> {
        let weight = request.weight();
        if lock(&self.table).weight + weight > MAX_WEIGHT {
            return Err(Problem::new(
                StatusCode::INSUFFICIENT_STORAGE,
                "there are too many pin requests: remove some of them",
            ));
        }
        let json = serde_json::to_vec(request).map_err(|error| failed(&error))?;
        self.write(request.created, Some(&json))?;
        let mut table = lock(&self.table);
        table.weight += weight;
        if let Some(old) = table.requests.insert(request.created, request.clone()) {
            table.weight = table.weight.saturating_sub(old.weight());
        }
        Ok(())
    }

    fn forget(&self, request: &PinRequest, store: &Store) -> Result<(), Problem> {
        self.unpin_unneeded(request, store)?;
        self.write(request.created, None)?;
        let mut table = lock(&self.table);
        if let Some(old) = table.requests.remove(&request.created) {
            table.weight = table.weight.saturating_sub(old.weight());
        }
        Ok(())
    }

    fn unpin_unneeded(&self, request: &PinRequest, store: &Store) -> Result<(), Problem> {
        let cid = request.wanted.cid()?;
        if request.owned && self.others_of(&cid, Some(request.created)).is_empty() {
            store.unpin(&cid)?;
        }
        Ok(())
    }

    fn write(&self, id: u64, json: Option<&[u8]>) -> Result<(), Problem> {
        let Some(file) = &self.file else { return Ok(()) };
        let write = || {
            let change = file.begin_write()?;
            {
                let mut table = change.open_table(TABLE)?;
                match json {
                    Some(json) => table.insert(id, json)?,
                    None => table.remove(id)?,
                };
            }
            change.commit()?;
            Ok::<_, redb::Error>(())
        };
        match database::guarded(write) {
            Some(written) => written.map_err(|error| failed(&error)),
            None => Err(failed(&"the file of pin requests is damaged")),
        }
    }
}

/// Pins content that is here whole.
fn pin_now(
    store: &Store,
    cid: &Cid,
    name: &str,
    can_fetch: bool,
) -> Result<(Status, String), Problem> {
    let new = NewPin { name: name.to_owned(), ..NewPin::default() };
    match store.pin(cid, new) {
        Ok(_) => Ok((Status::Pinned, String::new())),
        Err(StoreError::Missing(_)) if can_fetch => Ok((Status::Queued, String::new())),
        Err(error @ StoreError::Missing(_)) => {
            Ok((Status::Failed, format!("{error}, and there is no source to fetch it from")))
        }
        Err(error) => Err(error.into()),
    }
}

/// A pin that was removed in another way, by the size budget for example, is no pin any more.
fn as_it_is(mut request: PinRequest, store: &Store) -> Result<PinRequest, Problem> {
    if request.status == Status::Pinned && store.pinned(&request.wanted.cid()?)?.is_none() {
        request.status = Status::Failed;
        "the pin was removed".clone_into(&mut request.details);
    }
    Ok(request)
}

fn read_all(file: &Database) -> Result<Table, String> {
    let mut table = Table::default();
    let read = file.begin_read().map_err(|error| error.to_string())?;
    let rows = match read.open_table(TABLE) {
        Ok(rows) => rows,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(table),
        Err(error) => return Err(error.to_string()),
    };
    for row in rows.iter().map_err(|error| error.to_string())? {
        let (id, json) = row.map_err(|error| error.to_string())?;
        let mut request: PinRequest =
            serde_json::from_slice(json.value()).map_err(|error| error.to_string())?;
        if request.status == Status::Pinning {
            request.status = Status::Queued;
        }
        table.weight += request.weight();
        table.requests.insert(id.value(), request);
    }
    Ok(table)
}

fn failed(error: &dyn ToString) -> Problem {
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
