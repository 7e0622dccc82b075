//! What all listeners of a store share, and the paths that each answers.

use super::{
    admission::{self, Admission},
    gateway, guard, ipfs_pinner,
    options::HttpOptions,
    pins::{self, PinRequests, RequestsError},
    problem::{Problem, blocking},
    rpc,
    server::Face,
};
use crate::{
    fetch::Fetcher,
    store::{NewPin, Pin, Store},
};
use axum::{Router, http::StatusCode, middleware};
use bsp_codec::dag::Cid;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// The HTTP interface of one store. Clones share its state, so one serves all listeners.
#[derive(Debug, Clone)]
pub struct PinnerApi {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    options: HttpOptions,
    uploads: Arc<Semaphore>,
    requests: PinRequests,
}

impl PinnerApi {
    /// The interface of a store.
    ///
    /// # Errors
    ///
    /// If the file of pin requests can't be used.
    pub fn new(store: Store, options: HttpOptions) -> Result<Self, RequestsError> {
        let uploads = Arc::new(Semaphore::new(options.limits.uploads));
        let requests = PinRequests::open(options.requests.as_deref())?;
        Ok(Self { shared: Arc::new(Shared { store, options, uploads, requests }) })
    }

    /// The paths of a listener, for a server of one's own. Its connections have to be bounded
    /// there; [`PinnerServer`](super::PinnerServer) does it.
    pub fn router(&self, face: Face) -> Router {
        let admission = Admission::new(face, self);
        let paths = match face {
            Face::Public => gateway::routes(),
            Face::Private => gateway::routes()
                .merge(ipfs_pinner::routes())
                .merge(rpc::routes())
                .merge(pins::routes()),
        };
        let paths = paths.fallback(async || (StatusCode::NOT_FOUND, "404 page not found\n"));
        let guarded = match face {
            Face::Public => paths.layer(middleware::from_fn(gateway::allow_all)),
            Face::Private => {
                paths.layer(middleware::from_fn_with_state(self.clone(), guard::guard))
            }
        };
        guarded
            .layer(middleware::from_fn_with_state(admission, admission::admit))
            .with_state(self.clone())
    }

    pub(super) fn store(&self) -> &Store {
        &self.shared.store
    }

    /// Pins what is under a root, and fetches what is missing if it can.
    pub(super) async fn pin(&self, root: Cid, new: NewPin) -> Result<Pin, Problem> {
        let (store, named) = (self.store().clone(), new.clone());
        let pinned = blocking(move || store.pin(&root, named)).await;
        match (pinned, self.fetcher()) {
            (Err(problem), Some(fetcher)) if problem.status == StatusCode::NOT_FOUND => {
                Ok(fetcher.dag(&root, new).await?)
            }
            (pinned, _) => pinned,
        }
    }

    pub(super) fn fetcher(&self) -> Option<&Fetcher> {
        self.options().fetcher.as_ref().filter(|fetcher| fetcher.has_sources())
    }

    pub(super) fn requests(&self) -> &PinRequests {
        &self.shared.requests
    }

    pub(super) fn options(&self) -> &HttpOptions {
        &self.shared.options
    }

    pub(super) fn uploads(&self) -> &Arc<Semaphore> {
        &self.shared.uploads
    }
}
