//! A connection that is made again whenever it is lost.

use super::{
    group,
    refusal::{ErrorClass, cannot_write, judge},
};
use crate::{
    alarm::{AlarmKind, Alarms, Trouble},
    retry::FAILURES_BEFORE_ALARM,
    source::SourceError,
};
use bsp_common::Backoff;
use bsp_stream::server_error::with_advice;
use bsp_stream::{Connection, Connector};
use redis::{RedisError, RedisResult};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How long after the stop an operation that is under way may take: most are over in a moment, and
/// are then not to be done again at the next start.
const GRACE: Duration = Duration::from_secs(3);

/// The failures in a row of one operation. To drop it is to tell that the operation works again.
#[derive(Debug, Default)]
pub(super) struct Failures {
    backoff: Backoff,
    trouble: Option<Trouble>,
}

/// One connection and how to get it back.
#[derive(Debug)]
pub(super) struct Link {
    role: &'static str,
    connector: Connector,
    reply_deadline: Duration,
    alarms: Alarms,
    stop: CancellationToken,
    state: tokio::sync::Mutex<LinkState>,
}

#[derive(Debug, Default)]
struct LinkState {
    connection: Option<Connection>,
    connected: u64,
}

impl Link {
    pub(super) fn new(
        role: &'static str,
        connector: Connector,
        reply_deadline: Duration,
        alarms: Alarms,
        stop: CancellationToken,
    ) -> Self {
        let state = tokio::sync::Mutex::default();
        Self { role, connector, reply_deadline, alarms, stop, state }
    }

    /// Runs an operation once, on the connection there is or a new one. After an error the next one
    /// gets a new connection.
    pub(super) async fn attempt<T, F, R>(&self, operation: F) -> RedisResult<T>
    where
        F: FnOnce(Connection) -> R,
        R: Future<Output = RedisResult<T>>,
    {
        let (connection, number) = self.connection().await?;
        let result = operation(connection).await;
        if result.is_err() {
            self.disconnect(number).await;
        }
        result
    }

    /// Runs an operation until it succeeds. An error is for the operator, or says that the process
    /// stops.
    ///
    /// The operation learns how often it failed before: then it may have happened although the
    /// reply was lost.
    pub(super) async fn run<T, F, R>(&self, operation: F) -> Result<T, SourceError>
    where
        F: Fn(Connection, u32) -> R,
        R: Future<Output = RedisResult<T>>,
    {
        match self.run_unless(|_| false, operation).await? {
            Ok(value) => Ok(value),
            Err(error) => Err(self.explain(&error)),
        }
    }

    /// As [`run`](Self::run), but for what has another place: an error that `gives_up` is returned
    /// at once.
    pub(super) async fn run_unless<T, F, R>(
        &self,
        gives_up: fn(&RedisError) -> bool,
        operation: F,
    ) -> Result<RedisResult<T>, SourceError>
    where
        F: Fn(Connection, u32) -> R,
        R: Future<Output = RedisResult<T>>,
    {
        let mut failures = Failures::default();
        loop {
            let before = failures.backoff.failures();
            let result = {
                let attempt = self.attempt(|connection| operation(connection, before));
                tokio::pin!(attempt);
                tokio::select! {
                    biased;
                    result = &mut attempt => result,
                    () = self.stop.cancelled() => {
                        match tokio::time::timeout(GRACE, attempt).await {
                            Ok(result) => result,
                            Err(_) => return Err(self.stopping()),
                        }
                    }
                }
            };
            match result {
                Err(error) if !gives_up(&error) => self.recover(&error, &mut failures).await?,
                result => return Ok(result),
            }
        }
    }

    /// Waits until another attempt is worthwhile after an error, and makes the consumer group again
    /// where it is gone.
    pub(super) async fn recover(
        &self,
        error: &RedisError,
        failures: &mut Failures,
    ) -> Result<(), SourceError> {
        if self.stop.is_cancelled() {
            return Err(self.stopping());
        }
        let wait = failures.backoff.next_pause();
        let count = failures.backoff.failures();
        let mut reason = with_advice(error);
        match judge(error) {
            ErrorClass::Refused(reason) => return Err(self.refused(reason)),
            ErrorClass::NoGroup => {
                let remade =
                    self.attempt(|c| group::recreate(c, self.connector.url().clone())).await;
                match remade {
                    Ok(()) if count == 1 => return Ok(()),
                    Ok(()) => {}
                    Err(error) => reason = format!("no consumer group: {}", with_advice(&error)),
                }
            }
            ErrorClass::Passing => {}
        }

        let source = self.connector.url();
        tracing::warn!(%source, role = self.role, error = reason, failures = count, ?wait, "Redis failed, trying again");
        if count >= FAILURES_BEFORE_ALARM {
            let begin = || self.alarms.trouble(AlarmKind::SourceUnavailable);
            let trouble = failures.trouble.get_or_insert_with(begin);
            trouble.report(format!("{source} fails: {reason}; the agent keeps trying"));
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            () = self.stop.cancelled() => Err(self.stopping()),
        }
    }

    /// An error of a single attempt, for a caller that does not try again.
    pub(super) fn explain(&self, error: &RedisError) -> SourceError {
        match judge(error) {
            ErrorClass::Refused(reason) => self.refused(reason),
            _ if cannot_write(error) => self.refused(with_advice(error)),
            ErrorClass::NoGroup | ErrorClass::Passing => self.unavailable(with_advice(error)),
        }
    }

    async fn connection(&self) -> RedisResult<(Connection, u64)> {
        let mut state = self.state.lock().await;
        if let Some(connection) = &state.connection {
            return Ok((connection.clone(), state.connected));
        }
        let connection = self.connector.connect(self.reply_deadline).await?;
        if state.connected > 0 {
            metrics::counter!("agent_stream_reconnects_total").increment(1);
        }
        state.connected += 1;
        state.connection = Some(connection.clone());
        Ok((connection, state.connected))
    }

    async fn disconnect(&self, number: u64) {
        let mut state = self.state.lock().await;
        if state.connected == number {
            state.connection = None;
        }
    }

    pub(super) fn refused(&self, reason: String) -> SourceError {
        SourceError::Refused { source_name: self.connector.url().to_string(), reason }
    }

    fn unavailable(&self, reason: String) -> SourceError {
        SourceError::Unavailable { source_name: self.connector.url().to_string(), reason }
    }

    fn stopping(&self) -> SourceError {
        self.unavailable("the agent stops".to_owned())
    }
}
