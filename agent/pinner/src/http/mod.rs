//! The HTTP faces of the store.
//!
//! | path | listener | what it is |
//! | --- | --- | --- |
//! | `/upload`, `/cid`, `/get`, `/health` | private | what ipfs-pinner answers its clients |
//! | `/api/v0/…` | private | the part of Kubo's RPC that others call |
//! | `/pins` | private | the Pinning Service API |
//! | `/ipfs/<cid>` | both | a trustless gateway (raw blocks, CAR) and plain files |
//!
//! The private listener changes the store. It listens on this machine alone unless a token is set
//! or access without one is allowed in so many words, and web pages can't use it. The public
//! listener answers `/ipfs/<cid>` and nothing else. Neither ever asks another server for content to
//! answer `/ipfs/<cid>`.

mod admission;
mod api;
mod body;
mod car;
mod connections;
mod content_id;
mod form;
mod gateway;
mod guard;
mod intake;
mod ipfs_pinner;
mod options;
mod outflow;
mod pins;
mod problem;
mod rpc;
mod server;

pub use api::PinnerApi;
pub use car::{CarItem, CarReadError, CarReader};
pub use options::{Access, HttpLimits, HttpOptions};
pub use pins::RequestsError;
pub use server::{Face, PinnerServer, ServerError};

use axum::body::Body;

/// The longest name of a pin, in bytes.
const MAX_NAME: usize = 255;

type Request = axum::http::Request<Body>;
