//! Looks on while agents work: whenever an entry is acknowledged, its proof has to be on record and
//! its file on disk at that moment. It sees an acknowledgement some milliseconds late, so it errs
//! in the agents' favour.

use super::{
    Audit, BlockRef, Expect, FedEntry, Violation,
    disk::{fault_of_unselected, proofs_in_names, segment_file},
    stream::StreamName,
};
use redis::{Script, aio::MultiplexedConnection};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::mpsc, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// How often the stream is checked.
const PERIOD: Duration = Duration::from_millis(25);

/// Tells which of the entries `ARGV[2..]` of the stream `KEYS[1]` are acknowledged: gone, or
/// delivered to the group `ARGV[1]` and no longer pending. Payloads stay in the server.
const ACKNOWLEDGED: &str = r"
local delivered = nil
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
if not groups.err then
    for _, group in ipairs(groups) do
        local fields = {}
        for at = 1, #group, 2 do fields[group[at]] = group[at + 1] end
        if fields.name == ARGV[1] then delivered = fields['last-delivered-id'] end
    end
end
local function number(id)
    local dash = string.find(id, '-', 1, true)
    return tonumber(string.sub(id, 1, dash - 1)), tonumber(string.sub(id, dash + 1))
end
local function not_behind(id, other)
    local ms, seq = number(id)
    local other_ms, other_seq = number(other)
    return ms < other_ms or (ms == other_ms and seq <= other_seq)
end
local gone = {}
for at = 2, #ARGV do
    local id = ARGV[at]
    if #redis.call('XRANGE', KEYS[1], id, id) == 0 then
        gone[#gone + 1] = id
    elseif delivered and not_behind(id, delivered)
        and #redis.call('XPENDING', KEYS[1], ARGV[1], id, id, 1) == 0 then
        gone[#gone + 1] = id
    end
end
return gone
";

/// What a watcher has seen.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Entries whose acknowledgement was checked.
    pub checked: usize,
    /// What was missing at one.
    pub violations: Vec<Violation>,
    /// Entries that were acknowledged without a proof: only right if the block was skipped.
    pub without_proof: Vec<(String, BlockRef)>,
}

/// Looks on until it is told to stop.
#[derive(Debug)]
pub struct Watcher {
    entries: mpsc::UnboundedSender<FedEntry>,
    seen: Arc<Mutex<Seen>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Starts to look on, with nothing to look at yet.
    pub fn start(audit: Audit, stream: StreamName, redis: redis::Client) -> Self {
        let (entries, arriving) = mpsc::unbounded_channel();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let stop = CancellationToken::new();
        let look = Look {
            audit,
            stream,
            redis,
            arriving,
            outstanding: HashMap::new(),
            seen: Arc::clone(&seen),
        };
        let task = tokio::spawn(look.run(stop.clone()));
        Self { entries, seen, stop, task }
    }

    /// Looks at an entry from now on.
    pub fn add(&self, entry: FedEntry) {
        // The task ends only after the last entry was added.
        let _ = self.entries.send(entry);
    }

    /// How many acknowledgements were checked so far.
    pub fn checked(&self) -> usize {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).checked
    }

    /// Looks a last time, and tells what was seen.
    ///
    /// # Errors
    ///
    /// Where the watcher itself has failed.
    pub async fn finish(self) -> eyre::Result<Seen> {
        self.stop.cancel();
        self.task.await?;
        Ok(self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// The watcher's task.
#[derive(Debug)]
struct Look {
    audit: Audit,
    stream: StreamName,
    redis: redis::Client,
    arriving: mpsc::UnboundedReceiver<FedEntry>,
    outstanding: HashMap<String, FedEntry>,
    seen: Arc<Mutex<Seen>>,
}

impl Look {
    async fn run(mut self, stop: CancellationToken) {
        let mut connection = None;
        loop {
            let last = stop.is_cancelled();
            while let Ok(entry) = self.arriving.try_recv() {
                self.outstanding.insert(entry.id.clone(), entry);
            }
            if connection.is_none() {
                connection = self.connect().await;
            }
            if let Some(open) = &mut connection {
                match self.acknowledged(open).await {
                    Ok(ids) => self.check(&ids).await,
                    // Restarted, or about to be: what happens meanwhile is seen afterwards.
                    Err(_) => connection = None,
                }
            }
            if last {
                return;
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    async fn connect(&self) -> Option<MultiplexedConnection> {
        let config = redis::AsyncConnectionConfig::new()
            .set_connection_timeout(Some(Duration::from_secs(2)))
            .set_response_timeout(Some(Duration::from_secs(10)));
        self.redis.get_multiplexed_async_connection_with_config(&config).await.ok()
    }

    async fn acknowledged(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> redis::RedisResult<Vec<String>> {
        if self.outstanding.is_empty() {
            return Ok(Vec::new());
        }
        let script = Script::new(ACKNOWLEDGED);
        let mut call = script.key(&self.stream.topic);
        call.arg(&self.stream.group);
        for id in self.outstanding.keys() {
            call.arg(id);
        }
        call.invoke_async(connection).await
    }

    async fn check(&mut self, ids: &[String]) {
        for id in ids {
            let Some(entry) = self.outstanding.remove(id) else { continue };
            let finding = self.finding(&entry).await;
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            seen.checked += 1;
            match (finding, entry.expect.block()) {
                (Finding::Early(fault), Some(block)) => {
                    let block = block.clone();
                    seen.violations.push(Violation::AcknowledgedEarly {
                        id: entry.id,
                        block,
                        fault,
                    });
                }
                (Finding::NoProof, Some(block)) => {
                    seen.without_proof.push((entry.id, block.clone()));
                }
                _ => {}
            }
        }
    }

    async fn finding(&self, entry: &FedEntry) -> Finding {
        let folders = &self.audit.folders;
        match &entry.expect {
            // The dead letter and the acknowledgement are one step; the audit at the end finds a
            // missing one.
            Expect::Poison => Finding::Done,
            Expect::Held(_) => Finding::Early("it had to stay in the stream".to_owned()),
            Expect::Unselected(block) => fault_of_unselected(folders, block, entry.payload)
                .map_or(Finding::Done, Finding::Early),
            Expect::Proved(block) | Expect::ProvedOrSkipped(block) => {
                self.finding_of_selected(block).await.unwrap_or_else(|error| {
                    Finding::Early(format!("it could not be checked: {error:#}"))
                })
            }
        }
    }

    /// Several blocks of one height have files of one name, up to the proof.
    async fn finding_of_selected(&self, block: &BlockRef) -> eyre::Result<Finding> {
        let folders = &self.audit.folders;
        for id in proofs_in_names(folders, &block.segment())? {
            let proofs = self.audit.proofs.settled(id).await?;
            let Some(proof) = proofs.iter().find(|proof| proof.block_hash == block.hash) else {
                continue;
            };
            let Some(file) = segment_file(folders, &block.segment(), id)? else {
                return Ok(Finding::Early("its file is gone".to_owned()));
            };
            let cid = proof.url.strip_prefix("ipfs://").unwrap_or_default();
            let fault = self.audit.pins.fault(cid, &file.bytes, folders)?;
            return Ok(fault.map_or(Finding::Done, Finding::Early));
        }
        Ok(Finding::NoProof)
    }
}

/// What an acknowledgement stood on.
enum Finding {
    Done,
    NoProof,
    Early(String),
}
