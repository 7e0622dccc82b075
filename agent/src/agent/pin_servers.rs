//! The embedded store, served to others over HTTP.

use super::StartError;
use crate::{
    alarm::{AlarmKind, Alarms},
    config::{IfTaken, PinnerHttp},
};
use bsp_common::Backoff;
use bsp_pinner::{
    http::{Face, HttpOptions, PinnerApi, PinnerServer, ServerError},
    store::Store,
};
use futures::future::join_all;
use std::{net::SocketAddr, path::Path};
use tokio_util::sync::CancellationToken;

/// Servers that listen and do not answer yet.
#[derive(Debug)]
pub(super) struct PinServers {
    bound: Vec<PinnerServer>,
    address: Option<SocketAddr>,
    /// What somebody else has for now.
    waiting: Option<(PinnerApi, SocketAddr, ServerError)>,
}

impl PinServers {
    /// Listens as the settings say.
    ///
    /// `requests` is the file in which requests of the Pinning Service API survive a restart.
    pub(super) async fn bind(
        store: Store,
        requests: &Path,
        http: &PinnerHttp,
    ) -> Result<Self, StartError> {
        let options = HttpOptions {
            access: http.access.clone(),
            requests: Some(requests.to_owned()),
            ..HttpOptions::default()
        };
        let api = PinnerApi::new(store, options)?;
        let mut servers = Self { bound: Vec::new(), address: None, waiting: None };
        if let Some(address) = http.private {
            servers.bind_private(api.clone(), address, http.if_taken).await?;
        }
        if let Some(address) = http.public {
            servers.bound.push(PinnerServer::bind(api, Face::Public, address).await?);
        }
        Ok(servers)
    }

    async fn bind_private(
        &mut self,
        api: PinnerApi,
        address: SocketAddr,
        if_taken: IfTaken,
    ) -> Result<(), StartError> {
        let bound = PinnerServer::bind(api.clone(), Face::Private, address).await;
        let server = match (bound, if_taken) {
            (Ok(server), _) => server,
            (Err(error @ ServerError::InUse { .. }), IfTaken::Wait) => {
                self.waiting = Some((api, address, error));
                return Ok(());
            }
            (Err(ServerError::InUse { .. }), IfTaken::OtherPort) => {
                PinnerServer::bind(api, Face::Private, SocketAddr::new(address.ip(), 0)).await?
            }
            (Err(error), _) => return Err(error.into()),
        };
        self.address = server.local_addr().ok();
        self.bound.push(server);
        Ok(())
    }

    /// Where programs find the store that may change it.
    pub(super) const fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Answers until it is stopped.
    pub(super) async fn serve(self, alarms: Alarms, stop: CancellationToken) {
        let waiting = self.waiting;
        let later = async {
            if let Some((api, address, error)) = waiting
                && let Some(server) = bind_later(api, address, error, &alarms, &stop).await
            {
                serve(server, &stop).await;
            }
        };
        let now = join_all(self.bound.into_iter().map(|server| serve(server, &stop)));
        tokio::join!(now, later);
    }
}

async fn serve(server: PinnerServer, stop: &CancellationToken) {
    if let Ok(address) = server.local_addr() {
        tracing::info!(%address, "The pinned segments are served");
    }
    server.serve(stop.clone()).await;
}

/// Tries until the address is free. Segments are pinned and proved meanwhile, but nobody can fetch
/// them there.
async fn bind_later(
    api: PinnerApi,
    address: SocketAddr,
    mut error: ServerError,
    alarms: &Alarms,
    stop: &CancellationToken,
) -> Option<PinnerServer> {
    let mut trouble = alarms.trouble(AlarmKind::PinnerFailing);
    let mut backoff = Backoff::default();
    loop {
        trouble.report(format!(
            "the pinned segments are not served: {error}; --pinner-addr chooses another address, or off"
        ));
        stop.run_until_cancelled(tokio::time::sleep(backoff.next_pause())).await?;
        match PinnerServer::bind(api.clone(), Face::Private, address).await {
            Ok(server) => return Some(server),
            Err(again) => error = again,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pin::{EmbeddedPinner, Pinner};
    use bsp_pinner::{http::Access, store::StoreOptions};
    use bsp_tests::wait::wait_for;
    use std::time::Duration;
    use tokio::net::TcpListener;

    fn store(folder: &tempfile::TempDir) -> Store {
        Store::open(&folder.path().join("pins"), StoreOptions::default()).unwrap()
    }

    fn requests(folder: &tempfile::TempDir, number: u32) -> std::path::PathBuf {
        folder.path().join(format!("requests-{number}.redb"))
    }

    fn at(address: SocketAddr, if_taken: IfTaken) -> PinnerHttp {
        PinnerHttp { private: Some(address), if_taken, ..PinnerHttp::default() }
    }

    #[tokio::test]
    async fn a_port_that_is_taken_fails_the_start_is_waited_for_or_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = taken.local_addr().unwrap();
        let failed =
            PinServers::bind(store.clone(), &requests(&folder, 0), &at(address, IfTaken::Fail))
                .await;
        let failed = bsp_common::text::with_causes(&failed.unwrap_err());
        assert!(failed.contains("--pinner-addr") && failed.contains("is in use"), "{failed}");
        let other = PinServers::bind(
            store.clone(),
            &requests(&folder, 1),
            &at(address, IfTaken::OtherPort),
        )
        .await
        .unwrap();
        assert_ne!(other.address().unwrap(), address);

        let waiting = PinServers::bind(store, &requests(&folder, 2), &at(address, IfTaken::Wait))
            .await
            .unwrap();
        assert_eq!(waiting.address(), None);
        let (alarms, stop) = (Alarms::default(), CancellationToken::new());
        let serving = tokio::spawn(waiting.serve(alarms.clone(), stop.clone()));
        let is_raised = || alarms.raised().contains_key(&AlarmKind::PinnerFailing);
        let patience = Duration::from_secs(60);
        wait_for("the alarm", patience, async || is_raised().then_some(())).await.unwrap();
        drop(taken);
        wait_for("its end", patience, async || (!is_raised()).then_some(())).await.unwrap();
        let url = format!("http://{address}/health");
        assert_eq!(reqwest::get(url).await.unwrap().status(), 200);
        stop.cancel();
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_pinned_is_fetched_from_both_addresses() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder);
        let content = crate::pin::test_content(700_000);
        EmbeddedPinner::new(store.clone(), folder.path()).pin(&content).await.unwrap();
        let any = "127.0.0.1:0".parse().unwrap();
        let token = bsp_common::Secret::new("t0ken".to_owned());
        let http = PinnerHttp {
            public: Some(any),
            access: Access::Token(token),
            ..at(any, IfTaken::Fail)
        };
        let servers = PinServers::bind(store, &requests(&folder, 0), &http).await.unwrap();
        let addresses: Vec<_> =
            servers.bound.iter().map(|server| server.local_addr().unwrap()).collect();
        let stop = CancellationToken::new();
        let _end = stop.clone().drop_guard();
        tokio::spawn(servers.serve(Alarms::default(), stop));
        let get = async |index: usize, token: &str| {
            let url = format!("http://{}/ipfs/{}", addresses[index], content.cid);
            reqwest::Client::new().get(url).bearer_auth(token).send().await.unwrap()
        };
        for (index, token) in [(0, "t0ken"), (1, "none")] {
            assert_eq!(get(index, token).await.bytes().await.unwrap(), content.bytes);
        }
        assert_eq!(get(0, "none").await.status(), 401);
    }
}
