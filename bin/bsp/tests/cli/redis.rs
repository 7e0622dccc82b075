//! A Redis server of a test's own, for tests that are not asynchronous.

use bsp_tests::servers::{
    free_address,
    program::{Program, all_there},
    redis::RedisServer as Server,
};
use tokio::runtime::Runtime;

pub(crate) struct RedisServer {
    // Before the runtime: it ends within it.
    server: Server,
    _runtime: Runtime,
}

impl RedisServer {
    /// `None`, loudly, without the program.
    pub(crate) fn start() -> Option<Self> {
        if !all_there(&[Program::Redis]) {
            return None;
        }
        let runtime = Runtime::new().unwrap();
        let server = runtime.block_on(Server::start()).unwrap();
        Some(Self { server, _runtime: runtime })
    }

    pub(crate) fn url(&self, topic: &str) -> String {
        format!("redis://{}/0?topic={topic}", self.server.address())
    }

    pub(crate) fn connection(&self) -> redis::Connection {
        self.server.client().unwrap().get_connection().unwrap()
    }
}

/// A port that nobody listened on just now.
pub(crate) fn free_port() -> u16 {
    free_address().unwrap().port()
}
