//! A Redis stream: the `redis://` target of bsp-geth v2.2.0.

mod entries;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tests;

use crate::{Entry, RedisUrl, Target, TargetError, TargetHealth, failpoint, outage::Outage};
use async_trait::async_trait;
use entries::{StreamEntry, compress, leading_group};
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, RedisError, RedisResult, Value,
    aio::MultiplexedConnection,
};
use std::{fmt, time::Duration};
use tokio_util::sync::CancellationToken;

/// How long a connection may take to be there, login included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a pipeline may take, from its first byte to the last reply. It is about 8 MB long, so this allows for 2 Mbit/s.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);

/// Adds to a stream. An entry has the fields `hash` (`0x` and 64 lower-case digits) and `data` (the replica's RLP, as a
/// raw snappy block), as with bsp-geth v2.2.0, but no `MAXLEN`: an entry stays until its consumer removes it.
///
/// A reply means that the server has the entry, and its `appendfsync` setting when that is on its disk: with
/// `everysec`, its default, up to a second is lost if the server's machine crashes.
pub struct RedisTarget {
    name: String,
    topic: String,
    client: Client,
    /// `None` before the first delivery, and after trouble.
    connection: Option<MultiplexedConnection>,
    stop: CancellationToken,
    health: TargetHealth,
}

impl RedisTarget {
    /// Prepares a target. It connects at the first delivery, and again after each trouble.
    ///
    /// # Errors
    ///
    /// [`TargetError::Refused`], if the URL's parts can't be used.
    pub fn new(url: &RedisUrl, stop: CancellationToken) -> Result<Self, TargetError> {
        let name = url.to_string();
        if url.tls {
            // An error means that the program has chosen its cryptography already.
            let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        }
        match url.connection_info().and_then(Client::open) {
            Ok(client) => {
                let (topic, health) = (url.topic.clone(), TargetHealth::default());
                Ok(Self { name, topic, client, connection: None, stop, health })
            }
            Err(error) => Err(TargetError::Refused { target: name, reason: error.to_string() }),
        }
    }

    /// Adds entries, and returns how many of them, from the first on, were taken, with the error of the next one.
    async fn add(&mut self, entries: &[StreamEntry]) -> (usize, RedisResult<()>) {
        let mut pipeline = redis::pipe();
        pipeline.ignore_errors();
        for StreamEntry { hash, data } in entries {
            let add = pipeline.cmd("XADD").arg(&self.topic).arg("*");
            add.arg("hash").arg(hash).arg("data").arg(&data[..]);
        }
        let connection = match self.connect().await {
            Ok(connection) => connection,
            Err(error) => return (0, Err(error)),
        };
        let replies: Vec<RedisResult<Value>> = match pipeline.query_async(connection).await {
            Ok(replies) => replies,
            Err(error) => return (0, Err(error)),
        };
        failpoint::hit("after_pipeline");
        let taken = replies.iter().take_while(|reply| reply.is_ok()).count();
        (taken, replies.into_iter().collect::<RedisResult<Vec<_>>>().map(drop))
    }

    async fn connect(&mut self) -> RedisResult<&mut MultiplexedConnection> {
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(CONNECT_TIMEOUT))
                    .set_response_timeout(Some(RESPONSE_TIMEOUT));
                self.client.get_multiplexed_async_connection_with_config(&config).await?
            }
        };
        Ok(self.connection.insert(connection))
    }

    /// Adds all entries, however often it takes.
    async fn add_all(&mut self, mut entries: &[StreamEntry]) -> Result<(), TargetError> {
        let (name, stop, health) = (self.name.clone(), self.stop.clone(), self.health.clone());
        let mut outage = Outage::new(&name, &stop, &health);
        while !entries.is_empty() {
            // One by one after a failure, so that even a slow line gets ahead, and little is repeated.
            let count = if outage.is_on() { 1 } else { entries.len() };
            let now = entries.get(..count).unwrap_or(entries);
            let (taken, result) = tokio::select! {
                added = self.add(now) => added,
                () = stop.cancelled() => return Err(outage.stopped()),
            };
            entries = entries.get(taken..).unwrap_or_default();
            match result {
                Ok(()) => outage.end(),
                Err(error) if is_refusal(&error) => {
                    return Err(TargetError::Refused { target: name, reason: explain(&error) });
                }
                Err(error) => {
                    self.connection = None;
                    outage.wait(&error).await?;
                }
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Target for RedisTarget {
    fn name(&self) -> String {
        self.name.clone()
    }

    async fn deliver(&mut self, mut batch: &[Entry]) -> Result<(), TargetError> {
        while !batch.is_empty() {
            let (group, rest) = leading_group(batch);
            let entries = compress(group.to_vec())
                .await
                .map_err(|reason| TargetError::Refused { target: self.name.clone(), reason })?;
            self.add_all(&entries).await?;
            batch = rest;
        }
        Ok(())
    }

    fn health(&self) -> TargetHealth {
        self.health.clone()
    }
}

impl fmt::Debug for RedisTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisTarget").field(&self.name).finish()
    }
}

/// Whether waiting won't help.
fn is_refusal(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::AuthenticationFailed | ErrorKind::InvalidClientConfig)
        || matches!(error.code(), Some("NOAUTH" | "WRONGPASS" | "NOPERM" | "WRONGTYPE"))
        || error.to_string().contains("refused to switch database")
}

fn explain(error: &RedisError) -> String {
    let advice = match error.code() {
        Some("WRONGTYPE") => "another kind of key has the topic's name: use another ?topic=",
        Some("NOPERM") => "allow the user XADD on the topic's key",
        _ if error.kind() == ErrorKind::AuthenticationFailed => {
            "check the user and the password in the URL"
        }
        Some("NOAUTH" | "WRONGPASS") => "check the user and the password in the URL",
        _ => "check the URL",
    };
    format!("{error}; {advice}")
}
