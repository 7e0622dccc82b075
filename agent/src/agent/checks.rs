//! Everything that a start needs, as checks for `--check`.

use super::{StartError, parts};
use crate::{
    check::{Check, Finding},
    config::{AgentConfig, ProofConfig, SourceConfig},
    pin::IpfsPinner,
    proof::preflight,
    source::redis::{Overview, ca_file_from_env, overview_if_there},
};
use std::{sync::Arc, time::Duration};

/// Time for a server's answers to all that is asked of it.
const DEADLINE: Duration = Duration::from_secs(30);

/// The checks of these settings. Nothing is made or changed but a file that is removed again. What can be asked of
/// servers is asked here.
///
/// # Errors
///
/// Settings that are none, such as an unusable key.
pub async fn start_checks(config: &AgentConfig) -> Result<Vec<Check>, StartError> {
    let (source, proofs) = tokio::join!(source(config), proofs(config));
    let mut checks = folders(config);
    checks.extend(source?);
    checks.push(pinner(config)?);
    checks.extend(proofs?);
    Ok(checks)
}

fn folders(config: &AgentConfig) -> Vec<Check> {
    let segments = &config.segments;
    let mut checks = vec![
        Check::writable_folder("data folder", segments.data_dir.clone()),
        Check::writable_folder("log folder", config.log.folder.clone()),
    ];
    if let Some(folder) = &segments.binary_file_path {
        checks.push(Check::writable_folder("segment folder", folder.clone()));
    }
    checks
}

fn pinner(config: &AgentConfig) -> Result<Check, StartError> {
    Ok(match &config.segments.pinner {
        Some(url) => Check::pinner(Arc::new(IpfsPinner::new(url.expose())?)),
        None => Check::skipped("pinner", "content is kept in the data folder, nothing remote"),
    })
}

async fn source(config: &AgentConfig) -> Result<Vec<Check>, StartError> {
    let (url, password) = match &config.source {
        SourceConfig::Folder(folder) => {
            let found = folder.read_dir().map(|_| format!("{} can be read", folder.display()));
            let found = found.map_err(|error| format!("{}: {error}", folder.display()));
            return Ok(vec![told("source folder", found)]);
        }
        SourceConfig::Redis { url, password } => (url, password.as_ref()),
    };
    let url = parts::redis_url(url, password)?;
    let ca_file = ca_file_from_env();
    let seen = tokio::time::timeout(DEADLINE, overview_if_there(&url, ca_file.as_deref())).await;
    let seen = match seen {
        Ok(seen) => seen.map_err(|error| error.to_string()),
        Err(_) => Err(format!("{url} does not answer within {} s", DEADLINE.as_secs())),
    };
    Ok(match seen {
        Ok(Some(seen)) => redis(&seen),
        Ok(None) => vec![
            told("redis", Ok(url.to_string())),
            told("stream", Ok("is not there yet; it is made at the start".to_owned())),
        ],
        Err(error) => vec![told("redis", Err(error))],
    })
}

fn redis(seen: &Overview) -> Vec<Check> {
    let length = seen.length;
    let group = seen.groups.iter().find(|group| group.ours);
    let group = group.map_or_else(
        || "is made at the start, and reads the stream from its beginning".to_owned(),
        |group| {
            let lag = group.lag.map_or_else(|| "unknown".to_owned(), |lag| lag.to_string());
            format!("{}: {lag} undelivered, {} pending", group.name, group.pending)
        },
    );
    vec![
        told("redis", Ok(seen.source.clone())),
        told("stream", Ok(format!("{length} entries, {} dead letters", seen.dead))),
        told("group", Ok(group)),
    ]
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
    let settings = parts::chain_prover_config(chain)?;
    let asked = preflight::check(&settings, signer.address());
    let Ok(checks) = tokio::time::timeout(DEADLINE, asked).await else {
        let late = format!("no answer within {} s; check MB_RPC_URL", DEADLINE.as_secs());
        return Ok(vec![told("proof chain RPC", Err(late))]);
    };
    let as_finding = |check: &preflight::Check| -> Finding {
        if check.ok { Ok(check.message.clone()) } else { Err(check.message.clone()) }
    };
    Ok(checks.iter().map(|check| told(check.name, as_finding(check))).collect())
}

/// A check whose answer is known.
fn told(name: &'static str, finding: Finding) -> Check {
    Check::new(name, async move { finding })
}
