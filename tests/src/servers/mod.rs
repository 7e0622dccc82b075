//! Real servers, and a stand-in for the one that can't be installed. All listen on free ports of
//! the loopback.

pub mod anvil;
pub mod certificate;
pub mod gateway;
pub mod pinner;
pub mod process;
pub mod program;
pub mod redis;

use rand::Rng;
use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::Range,
};

/// Ports that no system gives to a connection going out. Of others, one that is free now may be
/// somebody's before the server that it is meant for listens on it.
const PORTS: Range<u16> = 12_000..32_000;

/// How many ports are tried, of which most are free on any machine.
const TRIES: usize = 100;

/// A port of the loopback that nobody listens on now. Another test, which is a process of its own,
/// is unlikely to choose the same.
///
/// # Errors
///
/// Where there is none.
pub fn free_address() -> io::Result<SocketAddr> {
    let mut refusal = None;
    for _ in 0..TRIES {
        let address = (Ipv4Addr::LOCALHOST, rand::rng().random_range(PORTS));
        match TcpListener::bind(address) {
            Ok(listener) => return listener.local_addr(),
            Err(error) => refusal = Some(error),
        }
    }
    Err(refusal.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}
