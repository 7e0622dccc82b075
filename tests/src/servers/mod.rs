//! Real servers, and a stand-in for the one that can't be installed. All listen on free ports of the loopback.

pub mod anvil;
pub mod certificate;
pub mod pinner;
pub mod process;
pub mod program;
pub mod redis;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// A port of the loopback that nobody listens on now.
///
/// # Errors
///
/// Where there is none.
pub fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
