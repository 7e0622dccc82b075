//! Redis servers of a test's own, and connections to them.

use bsp_tests::{
    servers::{
        free_address,
        program::{Program, all_there},
        redis::RedisServer,
    },
    wait::wait_for,
};
use redis::aio::MultiplexedConnection;
use std::time::Duration;

/// Long enough for any machine; no test waits that long unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Starts one that writes each command to its disk before it answers. `None`, loudly, without the
/// program.
pub(crate) async fn start(arguments: &[&str]) -> Option<RedisServer> {
    if !all_there(&[Program::Redis]) {
        return None;
    }
    let arguments = [&["--appendfsync", "always"], arguments].concat();
    Some(RedisServer::start_with_arguments(&arguments).await.unwrap())
}

/// The same with a password for the default user.
pub(crate) async fn start_with_password(password: &str) -> Option<RedisServer> {
    if !all_there(&[Program::Redis]) {
        return None;
    }
    Some(RedisServer::start_with_password(Some(password)).await.unwrap())
}

/// A connection of the test's own, as soon as the server takes one.
pub(crate) async fn connection(url: &str) -> MultiplexedConnection {
    let client = redis::Client::open(url).unwrap();
    let config = redis::AsyncConnectionConfig::new()
        .set_response_timeout(Some(PATIENCE))
        .set_connection_timeout(Some(PATIENCE));
    let connect = async || client.get_multiplexed_async_connection_with_config(&config).await.ok();
    wait_for("a connection", PATIENCE, connect).await.unwrap()
}

/// A port that nobody listened on just now.
pub(crate) fn free_port() -> u16 {
    free_address().unwrap().port()
}
