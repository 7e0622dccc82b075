//! Each part, opened as the settings say.

use super::{StartError, pins::Pins};
use crate::{
    alarm::{AlarmKind, Alarms},
    config::{AgentConfig, ChainConfig, KeyConfig, ProofConfig, SegmentConfig, SourceConfig},
    journal::Journal,
    proof::{
        ChainProver, ChainProverConfig, LedgerProver, Prover,
        divisor::{BUILT_IN, Selection},
        key::{self, KeyError, KeySettings},
        preflight,
        rpc::Endpoint,
    },
    segments::SegmentFolder,
    source::{
        EntryId, Source, UnselectedFolder,
        folder::FolderSource,
        redis::{self, RedisSourceConfig},
    },
};
use alloy_primitives::Address;
use alloy_signer_local::PrivateKeySigner;
use bsp_capture::{ChainSpec, ExecutionSpec};
use bsp_common::Secret;
use bsp_stream::{RedisUrl, TlsFiles, UrlError};
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio_util::sync::CancellationToken;

/// The journal's file in the data folder.
pub(super) const JOURNAL: &str = "journal.redb";
/// The ledger's file in the data folder.
pub(super) const LEDGER: &str = "ledger.jsonl";

/// AVRO's `int` holds the id.
const MOST_CHAIN_ID: u64 = i32::MAX as u64;

/// The journal's fact that names this consumer.
const CONSUMER: &str = "consumer";

/// All parts of an agent.
pub(super) struct Parts {
    pub(super) journal: Journal,
    pub(super) source: Source,
    pub(super) unselected: UnselectedFolder,
    pub(super) segments: SegmentFolder,
    pub(super) pins: Pins,
    pub(super) prover: Arc<dyn Prover>,
    pub(super) chain_spec: Option<ChainSpec>,
    pub(super) consumer: String,
}

impl Parts {
    /// Opens what is on this machine first, then what is on others.
    pub(super) async fn open(
        config: &AgentConfig,
        alarms: &Alarms,
        stop: &CancellationToken,
    ) -> Result<Self, StartError> {
        let settings = &config.segments;
        let data = &settings.data_dir;
        let journal = Journal::open(&data.join(JOURNAL), alarms.clone())?;
        let consumer = consumer(&journal, config.intake.consumer_name.as_deref()).await?;
        let unselected = UnselectedFolder::open(
            data.join("unselected"),
            settings.unselected_budget_bytes,
            alarms,
            stop,
        )?;
        Ok(Self {
            unselected,
            segments: segments(settings)?,
            chain_spec: chain_spec(settings.genesis.as_deref())?,
            pins: Pins::open(config, &journal, alarms, stop).await?,
            prover: prover(config, data, alarms, stop).await?,
            source: source(config, &consumer, resumed(&journal)?, alarms, stop).await?,
            journal,
            consumer,
        })
    }
}

/// The folders within the data folder that a start makes if they are not there.
pub(super) fn folders(config: &AgentConfig) -> Vec<PathBuf> {
    let settings = &config.segments;
    let mut names = vec!["unselected", "dead"];
    if settings.binary_file_path.is_none() {
        names.push("segments");
    }
    if config.pins.is_embedded() {
        names.push("pins");
    }
    if matches!(config.source, SourceConfig::Folder { .. }) {
        names.push("source");
    }
    names.into_iter().map(|name| settings.data_dir.join(name)).collect()
}

/// The name that was chosen, or one that this folder keeps: entries that were taken under it are
/// found again.
async fn consumer(journal: &Journal, chosen: Option<&str>) -> Result<String, StartError> {
    if let Some(chosen) = chosen {
        return Ok(chosen.to_owned());
    }
    if let Some(kept) = journal.fact(CONSUMER)? {
        return Ok(kept);
    }
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let name = format!("{host}-{:08x}", rand::random::<u32>());
    journal.set_fact(CONSUMER, &name).await?;
    Ok(name)
}

fn segments(settings: &SegmentConfig) -> Result<SegmentFolder, StartError> {
    let folder = match &settings.binary_file_path {
        Some(folder) => folder.clone(),
        None => made(settings.data_dir.join("segments"))?,
    };
    Ok(SegmentFolder::new(folder))
}

/// The rules of the network that a genesis file describes.
pub(super) fn chain_spec(genesis: Option<&Path>) -> Result<Option<ChainSpec>, StartError> {
    let Some(path) = genesis else { return Ok(None) };
    let wrong = |reason: String| StartError::Genesis { path: path.to_owned(), reason };
    let text = fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let spec = ChainSpec::from_genesis_file(&text).map_err(|error| wrong(error.to_string()))?;
    let id = spec.chain_id();
    if id > MOST_CHAIN_ID {
        return Err(wrong(format!(
            "chain id {id} can't be carried: the network's format has room for ids up to {MOST_CHAIN_ID}, so no agent can \
             take blocks of this chain"
        )));
    }
    Ok(Some(spec))
}

/// The entries of blocks that go on from the journal: their segments are on disk, so they need not
/// come again.
fn resumed(journal: &Journal) -> Result<Vec<EntryId>, StartError> {
    let stored = journal.unfinished()?.into_iter().filter(|record| record.stage.is_stored());
    Ok(stored.flat_map(|record| record.entries).collect())
}

async fn source(
    config: &AgentConfig,
    consumer: &str,
    resumed: Vec<EntryId>,
    alarms: &Alarms,
    stop: &CancellationToken,
) -> Result<Source, StartError> {
    let data_dir = &config.segments.data_dir;
    match &config.source {
        SourceConfig::Redis { url, password } => {
            let config = RedisSourceConfig {
                url: redis_url(url, password.as_ref())?,
                consumer: consumer.to_owned(),
                claim_idle: config.intake.claim_idle,
                tls: TlsFiles::from_env(),
                data_dir: data_dir.clone(),
                resumed,
            };
            Ok(redis::open(config, alarms.clone(), stop.clone()).await?)
        }
        SourceConfig::Folder { path, remove_finished } => {
            let state = data_dir.join("source");
            let max = usize::try_from(config.intake.max_decoded_bytes).unwrap_or(usize::MAX);
            let source = FolderSource::new(path, state).with_max_replica_bytes(max);
            let source = if *remove_finished { source.removing_finished() } else { source };
            Ok(source.with_idle(config.intake.claim_idle).open(alarms, stop)?)
        }
    }
}

async fn prover(
    config: &AgentConfig,
    data: &Path,
    alarms: &Alarms,
    stop: &CancellationToken,
) -> Result<Arc<dyn Prover>, StartError> {
    match &config.proof {
        ProofConfig::Ledger => {
            let path = data.join(LEDGER);
            Ok(Arc::new(LedgerProver::start(&path, alarms.clone(), stop.clone())?))
        }
        ProofConfig::Chain(chain) => {
            let signer = signer(chain)?;
            let config = chain_prover_config(chain, &config.segments)?;
            ask_chain(&config, signer.address(), alarms).await?;
            let prover = ChainProver::start(config, signer, alarms.clone(), stop.clone());
            Ok(Arc::new(prover.map_err(|error| StartError::Proofs(error.to_string()))?))
        }
    }
}

/// A chain that does not answer, or an address without a contract, is a mistake in the settings
/// more often than not. A role or a balance that is missing may come while the agent runs, and is
/// an alarm then. A divisor that is not the contract's is an alarm from now on.
async fn ask_chain(
    config: &ChainProverConfig,
    operator: Address,
    alarms: &Alarms,
) -> Result<(), StartError> {
    let checks = preflight::check(config, operator).await;
    for check in &checks {
        let (name, message) = (check.name, &check.message);
        if check.ok {
            tracing::info!("The agent checked the {name}: {message}");
        } else {
            tracing::warn!("The check of the {name} failed: {message}");
        }
    }
    let divisor = checks.iter().find(|check| !check.ok && check.name == preflight::DIVISOR);
    if let Some(check) = divisor {
        alarms.raise(AlarmKind::BlockDivisor, check.message.clone());
    }
    let essential = [preflight::RPC, preflight::CONTRACT];
    let failed = checks.into_iter().find(|check| !check.ok && essential.contains(&check.name));
    failed.map_or(Ok(()), |check| Err(StartError::Proofs(check.message)))
}

/// The stream's URL, with the password that the environment gives.
pub(super) fn redis_url(
    url: &Secret<String>,
    password: Option<&Secret<String>>,
) -> Result<RedisUrl, UrlError> {
    RedisUrl::parse(url.expose(), password.map(|password| password.expose().as_str()))
}

/// The operator's key.
pub(super) fn signer(chain: &ChainConfig) -> Result<PrivateKeySigner, KeyError> {
    key::load(&key_settings(&chain.key))
}

fn key_settings(key: &KeyConfig) -> KeySettings {
    match key {
        KeyConfig::Private(key) => {
            KeySettings { private_key: Some(key.clone()), ..KeySettings::default() }
        }
        KeyConfig::Keystore { path, password } => KeySettings {
            keystore: Some(path.clone()),
            password: Some(password.clone()),
            ..KeySettings::default()
        },
    }
}

pub(super) fn chain_prover_config(
    chain: &ChainConfig,
    segments: &SegmentConfig,
) -> Result<ChainProverConfig, StartError> {
    let endpoint = Endpoint::parse(chain.rpc_url.expose().as_str());
    let endpoint = endpoint.map_err(|error| StartError::Proofs(error.to_string()))?;
    Ok(ChainProverConfig {
        max_in_flight: chain.max_in_flight,
        confirmations: chain.confirmations,
        max_fee_per_gas: chain.max_fee_per_gas,
        resubmit_after: chain.resubmit_after,
        deadline: chain.deadline,
        balance_alarm: chain.balance_alarm,
        selection: selection(segments),
        ..ChainProverConfig::new(endpoint, chain.contract)
    })
}

/// `None` if the genesis file is invalid, which is reported elsewhere.
fn selection(segments: &SegmentConfig) -> Option<Selection> {
    let divisor = segments.block_divisor;
    Some(match chain_spec(segments.genesis.as_deref()).ok()? {
        Some(chain) => Selection { divisor, networks: vec![chain.chain_id()], is_certain: true },
        None => Selection { divisor, networks: BUILT_IN.to_vec(), is_certain: false },
    })
}

/// A folder, made if it is not there.
fn made(path: PathBuf) -> Result<PathBuf, StartError> {
    let created = match fs::create_dir(&path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ if path.is_dir() => Ok(()),
        _ => Err(io::ErrorKind::NotADirectory.into()),
    };
    created.map_err(|error| StartError::Folder { path: path.clone(), error })?;
    Ok(path)
}
