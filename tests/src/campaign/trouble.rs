//! What can go wrong around the agent, and how it is brought about.

use crate::{
    proxy::{FaultProxy, Mode},
    scene::Scene,
    servers::{
        anvil::OPERATOR,
        gateway::{GatewayFault, RpcGateway},
        pinner::PinnerFault,
    },
};
use eyre::OptionExt;
use std::time::Duration;

/// A kind of trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TroubleKind {
    /// redis-server is killed, and comes back at the end.
    RedisRestarts,
    /// redis-server is at `maxmemory`: it refuses whatever takes memory.
    RedisFull,
    /// The host ends: redis-server and the agent are killed at once, and come back one after the
    /// other.
    HostReboots,
    /// Connections to Redis are cut and refused.
    RedisRefuses,
    /// Connections to Redis are cut after some kilobytes.
    RedisCuts,
    /// Redis does not answer.
    RedisSilent,
    /// Connections to the pinner are cut and refused.
    PinnerRefuses,
    /// Uploads are cut.
    PinnerCuts,
    /// Uploads fail with status 500.
    PinnerFails,
    /// Uploads are answered with status 200 and an error.
    PinnerLies,
    /// Uploads are answered with nothing.
    PinnerSaysNothing,
    /// Connections to the proof chain's RPC are cut and refused.
    RpcRefuses,
    /// The RPC's answers are cut.
    RpcCuts,
    /// The RPC does not answer.
    RpcSilent,
    /// The RPC's answers are late.
    RpcLate,
    /// Two of five requests are answered by a node that is three blocks behind.
    RpcLags,
    /// Submissions revert without a reason when they are tried, and the contract's views explain
    /// nothing.
    RpcRevertsWithoutReason,
    /// The contract refuses all submissions, with a text that nobody knows.
    ContractReverts,
    /// The operator loses its role.
    OperatorDisabled,
    /// The mempool forgets what is in it.
    TransactionsDropped,
    /// The proof chain replaces its last two blocks by empty ones.
    Reorganisation,
}

impl TroubleKind {
    /// All kinds that there are with a proof chain and a pinning server, or without.
    pub fn all(with_chain: bool) -> Vec<Self> {
        let mut all = vec![
            Self::RedisRestarts,
            Self::RedisFull,
            Self::HostReboots,
            Self::RedisRefuses,
            Self::RedisCuts,
            Self::RedisSilent,
            Self::PinnerRefuses,
            Self::PinnerCuts,
            Self::PinnerFails,
            Self::PinnerLies,
            Self::PinnerSaysNothing,
        ];
        if with_chain {
            all.extend([
                Self::RpcRefuses,
                Self::RpcCuts,
                Self::RpcSilent,
                Self::RpcLate,
                Self::RpcLags,
                Self::RpcRevertsWithoutReason,
                Self::ContractReverts,
                Self::OperatorDisabled,
                Self::TransactionsDropped,
                Self::Reorganisation,
            ]);
        }
        all
    }

    /// What the table calls it.
    pub const fn title(self) -> &'static str {
        match self {
            Self::RedisRestarts => "redis-server killed and restarted",
            Self::RedisFull => "Redis at maxmemory",
            Self::HostReboots => "redis-server and agent killed at once",
            Self::RedisRefuses => "Redis connections refused",
            Self::RedisCuts => "Redis connections cut in the middle",
            Self::RedisSilent => "Redis silent",
            Self::PinnerRefuses => "pinner connections refused",
            Self::PinnerCuts => "pinner uploads cut in the middle",
            Self::PinnerFails => "pinner answers 500",
            Self::PinnerLies => "pinner answers 200 with an error",
            Self::PinnerSaysNothing => "pinner answers 200 with nothing",
            Self::RpcRefuses => "RPC connections refused",
            Self::RpcCuts => "RPC answers cut in the middle",
            Self::RpcSilent => "RPC silent",
            Self::RpcLate => "RPC answers 300 ms late",
            Self::RpcLags => "RPC: two of five answers from three blocks ago",
            Self::RpcRevertsWithoutReason => "RPC reverts without a reason",
            Self::ContractReverts => "contract reverts with an unknown text",
            Self::OperatorDisabled => "operator's role taken away",
            Self::TransactionsDropped => "mempool emptied",
            Self::Reorganisation => "proof chain reorganised, 2 blocks",
        }
    }
}

impl TroubleKind {
    /// Whether the agent dies of it.
    pub const fn kills_the_agent(self) -> bool {
        matches!(self, Self::HostReboots)
    }
}

/// Some trouble at some time of a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trouble {
    /// What.
    pub kind: TroubleKind,
    /// How long after the agent's start.
    pub begins: Duration,
    /// For how long, where it is not a matter of a moment.
    pub lasts: Duration,
}

impl Trouble {
    /// Brings it about. Tells whether there was an occasion: an empty mempool can't be emptied.
    ///
    /// # Errors
    ///
    /// Where a server does not do as it is told.
    pub async fn begin(&self, scene: &mut Scene) -> eyre::Result<bool> {
        match self.kind {
            TroubleKind::RedisRestarts | TroubleKind::HostReboots => scene.redis.kill().await?,
            // One byte is less than any server has in use.
            TroubleKind::RedisFull => scene.redis.limit_memory(1).await?,
            TroubleKind::RedisRefuses => scene.redis_proxy.set(Mode::Refuse),
            TroubleKind::RedisCuts => scene.redis_proxy.set(Mode::CutAfter { bytes: 20_000 }),
            TroubleKind::RedisSilent => scene.redis_proxy.set(Mode::BlackHole),
            TroubleKind::PinnerRefuses => set_pinner(scene, Mode::Refuse),
            TroubleKind::PinnerCuts => set_pinner(scene, Mode::CutAfter { bytes: 5_000 }),
            TroubleKind::PinnerFails => set_uploads(scene, PinnerFault::ServerError),
            TroubleKind::PinnerLies => set_uploads(scene, PinnerFault::ErrorBody),
            TroubleKind::PinnerSaysNothing => set_uploads(scene, PinnerFault::Nothing),
            TroubleKind::RpcRefuses => rpc(scene)?.set(Mode::Refuse),
            TroubleKind::RpcCuts => rpc(scene)?.set(Mode::CutAfter { bytes: 300 }),
            TroubleKind::RpcSilent => rpc(scene)?.set(Mode::BlackHole),
            TroubleKind::RpcLate => {
                rpc(scene)?.set(Mode::Delay { by: Duration::from_millis(300) });
            }
            TroubleKind::RpcLags => gateway(scene)?.set(GatewayFault::Lagging { blocks: 3 }),
            TroubleKind::RpcRevertsWithoutReason => {
                gateway(scene)?.set(GatewayFault::RevertsWithoutReason);
            }
            TroubleKind::ContractReverts
            | TroubleKind::OperatorDisabled
            | TroubleKind::TransactionsDropped
            | TroubleKind::Reorganisation => return self.begin_on_chain(scene).await,
        }
        Ok(true)
    }

    async fn begin_on_chain(&self, scene: &Scene) -> eyre::Result<bool> {
        let chain = scene.chain.as_ref().ok_or_eyre("there is no proof chain")?;
        match self.kind {
            TroubleKind::ContractReverts => {
                chain.contract.force_revert("none of the agent's business").await?;
            }
            TroubleKind::OperatorDisabled => chain.contract.disable(OPERATOR.address).await?,
            TroubleKind::TransactionsDropped => {
                let pending = chain.anvil.pending().await?;
                for hash in &pending {
                    chain.anvil.drop_transaction(*hash).await?;
                }
                return Ok(!pending.is_empty());
            }
            _ => chain.anvil.reorganise(2).await?,
        }
        Ok(true)
    }

    /// Ends it.
    ///
    /// # Errors
    ///
    /// Where a server does not do as it is told.
    pub async fn end(&self, scene: &mut Scene) -> eyre::Result<()> {
        match self.kind {
            TroubleKind::RedisRestarts | TroubleKind::HostReboots => {
                scene.redis.restart().await?;
            }
            TroubleKind::RedisFull => scene.redis.limit_memory(0).await?,
            TroubleKind::ContractReverts | TroubleKind::OperatorDisabled => {
                let chain = scene.chain.as_ref().ok_or_eyre("there is no proof chain")?;
                chain.contract.force_revert("").await?;
                chain.contract.enable(OPERATOR.address).await?;
                // Too deep for a reorganisation to take it back.
                for _ in 0..3 {
                    chain.anvil.mine().await?;
                }
            }
            _ => {}
        }
        scene.redis_proxy.set(Mode::Pass);
        set_pinner(scene, Mode::Pass);
        set_uploads(scene, PinnerFault::None);
        if let Some(chain) = &scene.chain {
            chain.proxy.set(Mode::Pass);
            chain.gateway.set(GatewayFault::None);
        }
        Ok(())
    }
}

/// Without a pinning server, its troubles are none.
fn set_pinner(scene: &Scene, mode: Mode) {
    if let Some(pinner) = &scene.pinner {
        pinner.proxy.set(mode);
    }
}

fn set_uploads(scene: &Scene, fault: PinnerFault) {
    if let Some(pinner) = &scene.pinner {
        pinner.server.set(fault);
    }
}

fn gateway(scene: &Scene) -> eyre::Result<&RpcGateway> {
    Ok(&scene.chain.as_ref().ok_or_eyre("there is no proof chain")?.gateway)
}

fn rpc(scene: &Scene) -> eyre::Result<&FaultProxy> {
    Ok(&scene.chain.as_ref().ok_or_eyre("there is no proof chain")?.proxy)
}
