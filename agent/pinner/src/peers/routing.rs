//! The distributed hash table: who has a block, and telling others what is pinned here.

use super::{behaviour::Behaviour, node::Command};
use crate::store::Store;
use bsp_codec::dag::Cid;
use libp2p::{
    PeerId, Swarm, identify,
    kad::{self, GetProvidersOk, QueryId, QueryResult, RecordKey},
    swarm::dial_opts::{DialOpts, PeerCondition},
};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot},
    task,
    time::sleep,
};
use tracing::{debug, info, warn};

/// After so many providers of a block no more are looked for.
const PROVIDERS: usize = 16;

/// The most searches at once.
const SEARCHES: usize = 64;

/// The most announcements at once.
const ANNOUNCEMENTS: usize = 16;

/// Pins are read from the store so many at a time.
const PAGE: usize = 256;

/// What is under way.
#[derive(Debug, Default)]
pub(crate) struct Routing {
    protocol: Option<String>,
    searches: HashMap<QueryId, Search>,
    announcements: HashMap<QueryId, oneshot::Sender<bool>>,
    /// Providers that are being dialled, and who asked for them.
    dialling: HashMap<PeerId, Vec<mpsc::Sender<PeerId>>>,
}

#[derive(Debug)]
struct Search {
    found: mpsc::Sender<PeerId>,
    providers: HashSet<PeerId>,
}

impl Routing {
    /// With the protocol of the table, `None` for no table.
    pub(crate) fn new(protocol: Option<String>) -> Self {
        Self { protocol, ..Self::default() }
    }

    /// Takes a peer into the table if it speaks its protocol.
    pub(crate) fn met(&self, swarm: &mut Swarm<Behaviour>, peer: PeerId, info: &identify::Info) {
        let Some(kad) = swarm.behaviour_mut().kad.as_mut() else { return };
        let speaks = |protocol: &String| info.protocols.iter().any(|it| it.as_ref() == protocol);
        if self.protocol.as_ref().is_some_and(speaks) {
            for address in info.listen_addrs.iter().take(8) {
                kad.add_address(&peer, address.clone());
            }
        }
    }

    /// Looks for providers. The sender is dropped when there are no more.
    pub(crate) fn find(
        &mut self,
        swarm: &mut Swarm<Behaviour>,
        multihash: &[u8],
        found: mpsc::Sender<PeerId>,
    ) {
        if self.searches.len() >= SEARCHES {
            return;
        }
        if let Some(kad) = swarm.behaviour_mut().kad.as_mut() {
            let query = kad.get_providers(RecordKey::new(&multihash));
            self.searches.insert(query, Search { found, providers: HashSet::new() });
        }
    }

    /// Tells the table that this node has something.
    pub(crate) fn provide(
        &mut self,
        swarm: &mut Swarm<Behaviour>,
        multihash: &[u8],
        told: oneshot::Sender<bool>,
    ) {
        let Some(kad) = swarm.behaviour_mut().kad.as_mut() else { return };
        if self.announcements.len() >= ANNOUNCEMENTS {
            return;
        }
        match kad.start_providing(RecordKey::new(&multihash)) {
            Ok(query) => {
                self.announcements.insert(query, told);
            }
            Err(error) => debug!(target: "bsp::pinner", %error, "A pin is not announced"),
        }
    }

    /// Goes on with what an event of the table belongs to.
    pub(crate) fn take(&mut self, swarm: &mut Swarm<Behaviour>, event: kad::Event) {
        let kad::Event::OutboundQueryProgressed { id, result, step, .. } = event else { return };
        match result {
            QueryResult::GetProviders(Ok(GetProvidersOk::FoundProviders { providers, .. })) => {
                for provider in providers {
                    self.dial(swarm, id, provider);
                }
            }
            QueryResult::StartProviding(result) => {
                if let Some(told) = self.announcements.remove(&id) {
                    let _ = told.send(result.is_ok());
                }
            }
            _ => {}
        }
        let enough = |search: &Search| search.providers.len() >= PROVIDERS;
        if step.last || self.searches.get(&id).is_some_and(enough) {
            self.searches.remove(&id);
            if let Some(mut query) =
                swarm.behaviour_mut().kad.as_mut().and_then(|kad| kad.query_mut(&id))
            {
                query.finish();
            }
        }
    }

    /// Connects to a provider. Its addresses are known while the search goes on.
    fn dial(&mut self, swarm: &mut Swarm<Behaviour>, id: QueryId, provider: PeerId) {
        let Some(search) = self.searches.get_mut(&id) else { return };
        let known = search.providers.len() >= PROVIDERS || !search.providers.insert(provider);
        if known || provider == *swarm.local_peer_id() {
            return;
        }
        let found = search.found.clone();
        if swarm.is_connected(&provider) {
            let _ = found.try_send(provider);
            return;
        }
        self.dialling.entry(provider).or_default().push(found);
        let dial = DialOpts::peer_id(provider).condition(PeerCondition::DisconnectedAndNotDialing);
        match swarm.dial(dial.build()) {
            // The dial that is under way decides.
            Ok(()) | Err(libp2p::swarm::DialError::DialPeerConditionFalse(_)) => {}
            Err(_) => self.missed(provider),
        }
    }

    /// Notes that a peer is connected.
    pub(crate) fn reached(&mut self, peer: PeerId) {
        for found in self.dialling.remove(&peer).into_iter().flatten() {
            let _ = found.try_send(peer);
        }
    }

    /// Notes that a peer can't be reached.
    pub(crate) fn missed(&mut self, peer: PeerId) {
        self.dialling.remove(&peer);
    }
}

/// Announces the roots of all pins, again and again, until it is dropped.
pub(crate) async fn provide_pins(
    store: Store,
    commands: mpsc::Sender<Command>,
    interval: Duration,
) {
    loop {
        let (mut announced, mut failed) = (0u64, 0u64);
        let mut after = None;
        loop {
            let store = store.clone();
            let page = task::spawn_blocking(move || store.pins(after.as_ref(), PAGE)).await;
            let pins = match page {
                Ok(Ok(pins)) => pins,
                Ok(Err(error)) => {
                    warn!(target: "bsp::pinner", %error, "The pins can't be read; the rest is announced next time");
                    break;
                }
                Err(_) => return,
            };
            let Some(last) = pins.last() else { break };
            after = Some(last.root);
            for pin in &pins {
                let done = announce(&commands, &pin.root).await;
                *(if done { &mut announced } else { &mut failed }) += 1;
            }
        }
        info!(target: "bsp::pinner", announced, failed, "The pins are announced to the distributed hash table");
        sleep(interval).await;
    }
}

/// Announces one root; whether a peer was told.
pub(crate) async fn announce(commands: &mpsc::Sender<Command>, root: &Cid) -> bool {
    let (told, answer) = oneshot::channel();
    let command = Command::Provide { multihash: root.hash().to_bytes(), told };
    commands.send(command).await.is_ok() && answer.await.unwrap_or(false)
}
