//! The dead letters of a stream, for tools: what could not be handled, with its reason.
//!
//! They are in the stream `<topic>.dead`, with the fields `id` (of the entry), `hash`, `data`,
//! `supplement`, `reason`, `group` and `time_ms`. What the entry had not is absent. Those that
//! Redis could not take are in the agent's data folder, and are not seen here.

use super::{
    refusal::{ErrorClass, cannot_write, judge},
    reply,
};
use crate::source::SourceError;
use bsp_stream::server_error::with_advice;
use bsp_stream::{Connection, Connector, RedisUrl, StreamId, TlsFiles, connect::REPLY_DEADLINE};
use bytes::Bytes;
use redis::{Cmd, RedisError, RedisResult, Value, cmd, pipe};
use serde::Serialize;
use std::collections::HashMap;

/// Letters read at once: each may hold megabytes.
const PAGE: usize = 8;

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Letter {
    /// Its id among the dead letters.
    pub id: String,
    /// The entry's id in its stream.
    pub entry: String,
    /// The entry's block hash as it was given, if any.
    pub hash: Option<String>,
    /// What is wrong with it.
    pub reason: String,
    /// The group whose agent gave up on it.
    pub group: String,
    /// When, in milliseconds since 1970.
    pub time_ms: u64,
    /// Length of the payload, if any.
    pub bytes: Option<usize>,
    /// The payload, if any; not in lists.
    #[serde(skip)]
    pub payload: Option<Bytes>,
    /// What the payload's format leaves out of the block, see [`bsp_codec::supplement`], if any;
    /// not in lists.
    #[serde(skip)]
    pub supplement: Option<Bytes>,
}

/// Why a letter can't be handled.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeadError {
    /// Redis fails.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// There is no such letter.
    #[error("there is no dead letter {0}: `bsp dead list` shows those there are")]
    NoSuchLetter(String),
    /// It holds nothing that could be put into the stream.
    #[error("dead letter {0} has neither a hash nor a payload to try again: drop it")]
    Empty(String),
}

/// The dead letters of a stream.
#[derive(Debug)]
pub struct DeadLetters {
    url: RedisUrl,
    connection: Connection,
}

impl DeadLetters {
    /// Connects, once.
    pub async fn open(url: &RedisUrl, tls: &TlsFiles) -> Result<Self, SourceError> {
        let connector = Connector::new(url.clone(), tls);
        let connection =
            connector.connect(REPLY_DEADLINE).await.map_err(|error| explain(url, &error))?;
        Ok(Self { url: url.clone(), connection })
    }

    /// All of them, the oldest first, without their payloads.
    pub async fn list(&mut self) -> Result<Vec<Letter>, DeadError> {
        let mut letters = Vec::new();
        let mut start = "-".to_owned();
        loop {
            let page = self.range(&start, "+", PAGE).await?;
            let Some(last) = page.last() else { return Ok(letters) };
            start = format!("({}", last.id);
            letters.extend(page.into_iter().map(|letter| Letter {
                payload: None,
                supplement: None,
                ..letter
            }));
        }
    }

    /// One of them, with its payload.
    pub async fn show(&mut self, id: &str) -> Result<Letter, DeadError> {
        let no_such = || DeadError::NoSuchLetter(id.to_owned());
        let id = id.parse::<StreamId>().map_err(|_| no_such())?.to_string();
        self.range(&id, &id, 1).await?.into_iter().next().ok_or_else(no_such)
    }

    /// Puts one back into the stream as a new entry, and takes it from the dead letters.
    pub async fn retry(&mut self, id: &str) -> Result<(), DeadError> {
        let letter = self.show(id).await?;
        must_hold_something(&letter)?;
        let result = put_back(&mut self.connection, &self.url, &letter).await;
        Ok(result.map_err(|error| explain(&self.url, &error))?)
    }

    /// Puts a letter that is kept elsewhere into the stream as a new entry.
    pub async fn add(&mut self, letter: &Letter) -> Result<(), DeadError> {
        must_hold_something(letter)?;
        let command = adding(&self.url.topic, letter);
        let added: RedisResult<()> = command.exec_async(&mut self.connection).await;
        Ok(added.map_err(|error| explain(&self.url, &error))?)
    }

    /// Deletes one permanently.
    pub async fn discard(&mut self, id: &str) -> Result<(), DeadError> {
        let no_such = || DeadError::NoSuchLetter(id.to_owned());
        let id = id.parse::<StreamId>().map_err(|_| no_such())?;
        let mut command = cmd("XDEL");
        command.arg(self.url.dead_topic()).arg(id.to_string());
        let deleted: RedisResult<u64> = command.query_async(&mut self.connection).await;
        match deleted.map_err(|error| explain(&self.url, &error))? {
            0 => Err(no_such()),
            _ => Ok(()),
        }
    }

    async fn range(
        &mut self,
        start: &str,
        end: &str,
        count: usize,
    ) -> Result<Vec<Letter>, SourceError> {
        let mut command = cmd("XRANGE");
        command.arg(self.url.dead_topic()).arg(start).arg(end).arg("COUNT").arg(count);
        let letters = async {
            let reply: Value = command.query_async(&mut self.connection).await?;
            reply::sequence(reply)?.into_iter().map(letter).collect()
        };
        let letters: RedisResult<_> = letters.await;
        letters.map_err(|error| explain(&self.url, &error))
    }
}

fn must_hold_something(letter: &Letter) -> Result<(), DeadError> {
    match letter.hash.is_none() && letter.payload.is_none() {
        true => Err(DeadError::Empty(letter.id.clone())),
        false => Ok(()),
    }
}

/// Adds the entry that a letter was made of.
fn adding(topic: &str, letter: &Letter) -> Cmd {
    let mut add = cmd("XADD");
    add.arg(topic).arg("*");
    push_block_fields(
        &mut add,
        letter.hash.as_deref(),
        letter.payload.as_deref(),
        letter.supplement.as_deref(),
    );
    add
}

/// The fields of a block that a stream's entry and its dead letter have in common.
pub(super) fn push_block_fields(
    add: &mut Cmd,
    hash: Option<&str>,
    payload: Option<&[u8]>,
    supplement: Option<&[u8]>,
) {
    if let Some(hash) = hash {
        add.arg("hash").arg(hash);
    }
    if let Some(payload) = payload {
        add.arg("data").arg(payload);
    }
    if let Some(supplement) = supplement {
        add.arg("supplement").arg(supplement);
    }
}

async fn put_back(connection: &mut Connection, url: &RedisUrl, letter: &Letter) -> RedisResult<()> {
    let mut transaction = pipe();
    transaction.add_command(adding(&url.topic, letter));
    if !connection.has_all_keys() {
        transaction.exec_async(connection).await?;
        transaction = pipe();
    }
    transaction.atomic().cmd("XDEL").arg(url.dead_topic()).arg(&letter.id);
    transaction.exec_async(connection).await
}

fn letter(reply: Value) -> RedisResult<Letter> {
    let (id, mut fields) = reply::named_fields(reply)?;
    let payload = fields.remove("data");
    Ok(Letter {
        id: id.to_string(),
        entry: text(&fields, "id").unwrap_or_default(),
        hash: text(&fields, "hash"),
        reason: text(&fields, "reason").unwrap_or_default(),
        group: text(&fields, "group").unwrap_or_default(),
        time_ms: text(&fields, "time_ms").and_then(|time| time.parse().ok()).unwrap_or(0),
        bytes: payload.as_ref().map(Bytes::len),
        payload,
        supplement: fields.remove("supplement"),
    })
}

fn text(fields: &HashMap<String, Bytes>, name: &str) -> Option<String> {
    fields.get(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// An error of a single attempt, in words for the operator.
pub(super) fn explain(url: &RedisUrl, error: &RedisError) -> SourceError {
    let source_name = url.to_string();
    match judge(error) {
        ErrorClass::Refused(reason) => SourceError::Refused { source_name, reason },
        ErrorClass::NoGroup => SourceError::Refused {
            source_name,
            reason: "there is no such stream or consumer group yet: start the agent once, or check topic and group".to_owned(),
        },
        ErrorClass::Passing if cannot_write(error) => {
            SourceError::Refused { source_name, reason: with_advice(error) }
        }
        ErrorClass::Passing => SourceError::Unavailable { source_name, reason: with_advice(error) },
    }
}
