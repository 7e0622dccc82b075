//! Everything that a start needs, as checks for `--check`.

use super::{StartError, parts, pins};
use crate::{
    alarm::Alarms,
    check::{Check, Finding},
    config::{AgentConfig, ProofConfig, ServerConfig, SourceConfig},
    journal::{Journal, JournalError},
    logging,
    proof::{LedgerProver, preflight},
    server::Server,
    source::{
        SourceError,
        folder::FolderSource,
        redis::{Overview, check_writes, overview_if_there},
    },
};
use bsp_capture::ExecutionSpec;
use bsp_common::text::counted;
use std::{
    fs::{self, OpenOptions},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// Time for a server's answers to all that is asked of it.
const DEADLINE: Duration = Duration::from_secs(30);

/// The checks of these settings. Nothing is made or changed but a file that is removed again, and a
/// journal or ledger that a crash left is mended as at a start. What can be asked of servers is
/// asked here.
///
/// # Errors
///
/// Settings that are none, such as an unusable key.
pub async fn start_checks(config: &AgentConfig) -> Result<Vec<Check>, StartError> {
    let (source, proofs) = tokio::join!(source(config), proofs(config));
    let mut checks = folders(config);
    checks.push(state(config));
    if let Some(path) = config.segments.genesis.clone() {
        checks.push(genesis(path));
    }
    if let Some(server) = &config.server {
        checks.push(port(server.clone()));
    }
    checks.extend(source?);
    checks.extend(pinners(config)?);
    checks.extend(proofs?);
    Ok(checks)
}

fn folders(config: &AgentConfig) -> Vec<Check> {
    let segments = &config.segments;
    let mut checks = vec![
        Check::writable_folder("data folder", segments.data_dir.clone()),
        Check::writable_folder("log folder", config.log.folder.clone()),
        log_file(&config.log.folder),
    ];
    let made_at_a_start = parts::folders(config).into_iter();
    checks.extend(made_at_a_start.filter(|folder| there(folder)).map(Check::writable_data));
    if let Some(folder) = &segments.binary_file_path {
        checks.push(Check::writable_folder("segment folder", folder.clone()));
    }
    checks
}

/// The log is not begun: where there is none, the folder tells whether there can be one.
fn log_file(folder: &Path) -> Check {
    let path = folder.join(logging::FILE);
    Check::new("log file", async move {
        match OpenOptions::new().append(true).open(&path) {
            Ok(_) => Ok(format!("{} can be written", path.display())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(format!("{} is made at the start", path.display()))
            }
            Err(error) => Err(format!("{} can't be written: {error}", path.display())),
        }
    })
}

fn there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

fn pinners(config: &AgentConfig) -> Result<Vec<Check>, StartError> {
    let checks = config.pins.targets.iter().map(|target| {
        Ok(match pins::remote(target)? {
            Some(pinner) => Check::pinner(pinner),
            None => embedded(config),
        })
    });
    checks.collect()
}

/// The store's folder is among those of the data folder; here its address is bound and released.
fn embedded(config: &AgentConfig) -> Check {
    let http = config.pins.http.clone();
    let kept = "segments are kept in the data folder";
    let Some(address) = http.private.or(http.public) else {
        return Check::skipped("pinner", format!("{kept}, and not served"));
    };
    Check::new("pinner", async move {
        let addresses = [http.private, http.public];
        for address in addresses.into_iter().flatten() {
            let bound = tokio::net::TcpListener::bind(address).await;
            bound.map_err(|error| format!("{address} can't be listened on: {error}"))?;
        }
        Ok(format!("{kept}, and served at {address}"))
    })
}

/// What an earlier run has left in the data folder, and whether another one has it.
fn state(config: &AgentConfig) -> Check {
    let folder = config.segments.data_dir.clone();
    let with_ledger = matches!(config.proof, ProofConfig::Ledger);
    Check::new("journal", async move {
        let read = tokio::task::spawn_blocking(move || read_state(&folder, with_ledger)).await;
        read.unwrap_or_else(|error| Err(format!("the check failed: {error}")))
    })
}

fn read_state(folder: &Path, with_ledger: bool) -> Finding {
    let (journal, ledger) = (folder.join(parts::JOURNAL), folder.join(parts::LEDGER));
    // While it is open nobody else writes in this folder, so the ledger can be read as well.
    let _journal;
    let mut found = "none yet".to_owned();
    if journal.exists() {
        let opened = Journal::open(&journal, Alarms::default()).map_err(|error| match error {
            JournalError::InUse { path } => format!(
                "{} is in use by a running agent: stop that one before this start, or give another --data-dir",
                path.display()
            ),
            error => error.to_string(),
        })?;
        let unfinished = opened.unfinished().map_err(|error| error.to_string())?.len();
        let unfinished = counted(unfinished as u64, "block");
        found = format!("{} is whole, {unfinished} unfinished", journal.display());
        _journal = opened;
    }
    if with_ledger && ledger.exists() {
        LedgerProver::check(&ledger).map_err(|error| error.to_string())?;
        found += &format!("; {} is whole", ledger.display());
    }
    Ok(found)
}

fn genesis(path: PathBuf) -> Check {
    Check::new("genesis", async move {
        let read = tokio::task::spawn_blocking(move || {
            let spec = parts::chain_spec(Some(&path)).map_err(|error| error.to_string())?;
            let id = spec.map_or(0, |spec| spec.chain_id());
            Ok(format!("{} is of chain {id}", path.display()))
        });
        read.await.unwrap_or_else(|error| Err(format!("the check failed: {error}")))
    })
}

/// The port is bound and released.
fn port(config: ServerConfig) -> Check {
    Check::new("metrics", async move {
        let server = Server::bind(&config).await.map_err(|error| error.to_string())?;
        let address = server.local_addr().map_err(|error| error.to_string())?;
        Ok(format!("{address} can be listened on"))
    })
}

async fn source(config: &AgentConfig) -> Result<Vec<Check>, StartError> {
    let (url, password) = match &config.source {
        SourceConfig::Folder { path: folder, .. } => {
            let state = config.segments.data_dir.join("source");
            let found = FolderSource::new(folder, state).check();
            let found = found.map_err(|error| error.to_string());
            return Ok(vec![told("source folder", found)]);
        }
        SourceConfig::Redis { url, password } => (url, password.as_ref()),
    };
    let url = parts::redis_url(url, password)?;
    let tls = bsp_stream::TlsFiles::from_env();
    let asked = async {
        let seen = overview_if_there(&url, &tls).await?;
        Ok::<_, SourceError>((seen, check_writes(&url, &tls).await?))
    };
    let asked = match tokio::time::timeout(DEADLINE, asked).await {
        Ok(asked) => asked.map_err(|error| error.to_string()),
        Err(_) => Err(format!("{url} does not answer within {} s", DEADLINE.as_secs())),
    };
    let (seen, note) = match asked {
        Ok(asked) => asked,
        Err(error) => return Ok(vec![told("redis", Err(error))]),
    };
    let server = note.map_or_else(|| url.to_string(), |note| format!("{url}: {note}"));
    let mut checks = vec![told("redis", Ok(server))];
    match seen {
        Some(seen) => checks.extend(stream(&seen)),
        None => {
            let told_later = "is not there yet; it is made at the start".to_owned();
            checks.push(told("stream", Ok(told_later)));
        }
    }
    Ok(checks)
}

fn stream(seen: &Overview) -> Vec<Check> {
    let group = seen.groups.iter().find(|group| group.ours);
    let group = group.map_or_else(
        || "is made at the start, and reads the stream from its beginning".to_owned(),
        |group| {
            let lag = group.lag.map_or_else(|| "unknown".to_owned(), |lag| lag.to_string());
            format!("{}: {lag} undelivered, {} pending", group.name, group.pending)
        },
    );
    let unread = seen.unread.as_ref().map_or_else(String::new, |unread| {
        format!("; no group will read those before {} (see `bsp status`)", unread.before)
    });
    let (entries, dead) = (counted(seen.length, "entry"), counted(seen.dead, "dead letter"));
    let entries = format!("{entries}, {dead}{unread}");
    vec![told("stream", Ok(entries)), told("group", Ok(group))]
}

async fn proofs(config: &AgentConfig) -> Result<Vec<Check>, StartError> {
    let chain = match &config.proof {
        ProofConfig::Ledger => {
            let why = "proofs are recorded in the data folder, nothing is sent";
            return Ok(vec![Check::skipped("proof chain", why)]);
        }
        ProofConfig::Chain(chain) => chain,
    };
    let signer = parts::signer(chain)?;
    let settings = parts::chain_prover_config(chain, &config.segments)?;
    let asked = preflight::check(&settings, signer.address());
    let Ok(checks) = tokio::time::timeout(DEADLINE, asked).await else {
        let late = format!("no answer within {} s; check MB_RPC_URL", DEADLINE.as_secs());
        return Ok(vec![told("proof chain RPC", Err(late))]);
    };
    let as_finding = |check: &preflight::PreflightCheck| -> Finding {
        if check.ok { Ok(check.message.clone()) } else { Err(check.message.clone()) }
    };
    Ok(checks.iter().map(|check| told(check.name, as_finding(check))).collect())
}

/// A check whose answer is known.
fn told(name: &'static str, finding: Finding) -> Check {
    Check::new(name, async move { finding })
}
