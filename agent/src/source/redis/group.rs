//! The consumer group: made when it is not there, and asked who else reads the stream.

use super::{
    refusal::{ErrorClass, judge},
    reply,
};
use bsp_stream::RedisUrl;
use bsp_stream::{Connection, StreamId};
use redis::{RedisResult, Value, cmd};

/// Makes the group if it is not there. A server at its `maxmemory` refuses to make what is there
/// already, too, and must not keep an agent from starting that would drain it: so it is asked
/// first.
pub(super) async fn ensure(mut connection: Connection, url: &RedisUrl) -> RedisResult<()> {
    match all(&mut connection, &url.topic).await {
        Ok(groups) if groups.iter().any(|group| group.name == url.group) => Ok(()),
        Err(error) if judge(&error) != ErrorClass::NoGroup => Err(error),
        _ => create(connection, url).await,
    }
}

/// Whether the server takes a change of the stream: one that changes nothing.
pub(super) async fn probe(connection: &mut Connection, url: &RedisUrl) -> RedisResult<()> {
    cmd("XACK").arg(&url.topic).arg(&url.group).arg("0-0").exec_async(connection).await
}

/// Makes the group, and the stream if need be. A new group begins with the oldest entry there is,
/// as bsp-agent v1.9.2's.
pub(super) async fn create(mut connection: Connection, url: &RedisUrl) -> RedisResult<()> {
    let made: RedisResult<()> = cmd("XGROUP")
        .arg("CREATE")
        .arg(&url.topic)
        .arg(&url.group)
        .arg(0)
        .arg("MKSTREAM")
        .query_async(&mut connection)
        .await;
    match made {
        Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
        made => made,
    }
}

/// Makes the group again after somebody has deleted it, its stream, or everything.
pub(super) async fn recreate(mut connection: Connection, url: RedisUrl) -> RedisResult<()> {
    tracing::warn!(
        topic = url.topic,
        group = url.group,
        "The stream or its consumer group is gone; the agent creates it again, from the oldest entry"
    );
    // The stream counts from zero again, and so must what is compared with its count.
    cmd("ZREM")
        .arg(url.lost_topic())
        .arg(super::losses::members::undelivered_member(&url.group))
        .exec_async(&mut connection)
        .await?;
    create(connection, &url).await
}

/// All groups of the stream.
pub(super) async fn all(
    connection: &mut Connection,
    topic: &str,
) -> RedisResult<Vec<reply::Group>> {
    let groups: Value = cmd("XINFO").arg("GROUPS").arg(topic).query_async(connection).await?;
    reply::groups(groups)
}

/// The oldest entry that some group has not acknowledged, or has yet to read. `None` if ours is not
/// among the groups: it will begin with the oldest entry there is.
pub(super) async fn oldest_needed(
    connection: &mut Connection,
    url: &RedisUrl,
    groups: &[reply::Group],
) -> RedisResult<Option<StreamId>> {
    if !groups.iter().any(|group| group.name == url.group) {
        return Ok(None);
    }
    let mut oldest: Option<StreamId> = None;
    for group in groups {
        let pending = match group.pending {
            0 => None,
            _ => first_pending(connection, &url.topic, &group.name).await?,
        };
        let needed = pending.unwrap_or_else(|| group.last_delivered.after());
        oldest = Some(oldest.map_or(needed, |oldest| oldest.min(needed)));
    }
    Ok(oldest)
}

/// The oldest entry that is delivered to the group and not acknowledged.
pub(super) async fn first_pending(
    connection: &mut Connection,
    topic: &str,
    group: &str,
) -> RedisResult<Option<StreamId>> {
    let mut command = cmd("XPENDING");
    let rows: Value =
        command.arg(topic).arg(group).arg("-").arg("+").arg(1).query_async(connection).await?;
    Ok(reply::pending_entries(rows)?.first().map(|row| row.id))
}

/// Whether one entry is delivered to the group and not acknowledged.
pub(super) async fn is_pending(
    connection: &mut Connection,
    url: &RedisUrl,
    id: StreamId,
) -> RedisResult<bool> {
    let mut command = cmd("XPENDING");
    command.arg(&url.topic).arg(&url.group).arg(id.to_string()).arg(id.to_string()).arg(1);
    let rows: Value = command.query_async(connection).await?;
    Ok(!reply::pending_entries(rows)?.is_empty())
}
