//! Redis is short of memory, loses a stream that is in use, or ends together with the node.

use super::{FaultPlan, Outcome, SETTLE_DEADLINE};
use crate::{
    node::{
        scene::{NodeScene, TOPIC},
        target::TargetView,
    },
    wait::wait_for,
};
use eyre::OptionExt;
use redis::{InfoDict, aio::MultiplexedConnection, streams::StreamReadReply};
use std::time::Duration;

/// The group that stands for the agents.
const GROUP: &str = "agents";

/// Redis refuses whatever takes memory, also when the node is started again.
pub(super) async fn redis_full(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = plan.scene(2).await?;
    scene.may_repeat = true;
    scene.start().await?;
    for _ in 0..plan.rounds {
        scene.extend(10).await?;
        scene.settle(SETTLE_DEADLINE).await?;
        scene.redis.limit_memory(1).await?;
        scene.extend(20).await?;
        scene.settle_one("file", SETTLE_DEADLINE).await?;
        scene.stop().await?;
        scene.start().await?;
        scene.catch_up().await?;
        scene.extend(10).await?;
        scene.redis.limit_memory(0).await?;
    }
    scene.extend(5).await?;
    Outcome::of(&mut scene, plan.rounds).await
}

/// The stream is deleted while the node's connection is open. Nobody had acknowledged anything, so
/// all of it has to come again.
pub(super) async fn stream_deleted(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = plan.scene(2).await?;
    scene.may_repeat = true;
    scene.start().await?;
    for _ in 0..plan.rounds {
        scene.extend(15).await?;
        scene.settle(SETTLE_DEADLINE).await?;
        let mut redis = scene.redis.connect().await?;
        redis::cmd("DEL").arg(TOPIC).query_async::<()>(&mut redis).await?;
        scene.forget_stream()?;
        scene.extend(5).await?;
        scene.settle(SETTLE_DEADLINE).await?;
    }
    Outcome::of(&mut scene, plan.rounds).await
}

/// A server that is allowed to remove any key is short of memory, and removes the stream. Once it
/// has enough, all of the stream has to be there.
pub(super) async fn stream_evicted(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = plan.scene(4).await?;
    scene.may_repeat = true;
    scene.start().await?;
    scene.extend(15).await?;
    scene.settle(SETTLE_DEADLINE).await?;
    let mut redis = scene.redis.connect().await?;
    let used: u64 = info(&mut redis, "used_memory").await?;
    scene.redis.evict_beyond(used.saturating_add(32 << 10), "allkeys-lru").await?;
    let mut evictions = 0;
    for _ in 0..100 {
        scene.extend(5).await?;
        evictions = info(&mut redis, "evicted_keys").await?;
        if evictions > 0 {
            break;
        }
    }
    eyre::ensure!(evictions > 0, "nothing was evicted, so that nothing was tested");
    scene.redis.limit_memory(0).await?;
    scene.forget_stream()?;
    scene.extend(5).await?;
    Ok(Outcome::of(&mut scene, evictions).await?.noting("the server evicted the stream"))
}

async fn info(redis: &mut MultiplexedConnection, name: &str) -> eyre::Result<u64> {
    let info: InfoDict = redis::cmd("INFO").arg("everything").query_async(redis).await?;
    info.get(name).ok_or_eyre("INFO lacks a figure")
}

/// The host ends: node and Redis are killed at once, and Redis comes back empty. What every group
/// had acknowledged does not come again.
pub(super) async fn host_reboots(plan: FaultPlan) -> eyre::Result<Outcome> {
    let mut scene = plan.scene_on_disk(2).await?;
    scene.may_repeat = true;
    scene.start().await?;
    let (mut acknowledged, mut again) = (0, 0);
    scene.catch_up().await?;
    for _ in 0..plan.rounds {
        scene.extend(15).await?;
        scene.settle(SETTLE_DEADLINE).await?;
        acknowledged = acknowledge_all(&mut scene).await?;
        // The producer looks at acknowledgements while it delivers.
        scene.extend(5).await?;
        scene.settle(SETTLE_DEADLINE).await?;
        removed_up_to(&mut scene, acknowledged).await?;
        scene.recorded(SETTLE_DEADLINE).await?;
        let before = entries_up_to(&scene, acknowledged);
        let node = scene.take_node()?;
        let (node, redis) = tokio::join!(node.kill(), scene.redis.kill());
        node.and(redis)?;
        scene.redis.forget()?;
        scene.redis.restart().await?;
        scene.start().await?;
        // What comes again comes before what is new.
        scene.catch_up().await?;
        scene.extend(5).await?;
        scene.settle(SETTLE_DEADLINE).await?;
        again += entries_up_to(&scene, acknowledged) - before;
    }
    let outcome = Outcome::of(&mut scene, plan.rounds).await?;
    eyre::ensure!(again == 0, "{again} blocks came again that were acknowledged");
    Ok(outcome.noting(format!("blocks up to {acknowledged} were acknowledged, none came again")))
}

/// Reads and acknowledges all that the stream holds. Returns the tip, whose entry is among it.
async fn acknowledge_all(scene: &mut NodeScene) -> eyre::Result<u64> {
    let mut redis = scene.redis.connect().await?;
    let made = redis::cmd("XGROUP")
        .arg(&["CREATE", TOPIC, GROUP, "0", "MKSTREAM"])
        .query_async::<()>(&mut redis)
        .await;
    if let Err(error) = made {
        eyre::ensure!(error.code() == Some("BUSYGROUP"), "{error}");
    }
    let read: Option<StreamReadReply> = redis::cmd("XREADGROUP")
        .arg(&["GROUP", GROUP, "one", "COUNT", "100000", "STREAMS", TOPIC, ">"])
        .query_async(&mut redis)
        .await?;
    let entries = read.into_iter().flat_map(|read| read.keys).flat_map(|key| key.ids);
    let ids: Vec<String> = entries.map(|entry| entry.id).collect();
    eyre::ensure!(!ids.is_empty(), "there was nothing to acknowledge");
    redis::cmd("XACK").arg(TOPIC).arg(GROUP).arg(&ids).query_async::<()>(&mut redis).await?;
    Ok(scene.driver.tip().number)
}

/// Waits until the producer has removed what was acknowledged, and so knows of it.
async fn removed_up_to(scene: &mut NodeScene, acknowledged: u64) -> eyre::Result<()> {
    let mut redis = scene.redis.connect().await?;
    wait_for("what was acknowledged is removed", Duration::from_secs(120), async || {
        scene.extend(1).await.ok()?;
        let length: u64 = redis::cmd("XLEN").arg(TOPIC).query_async(&mut redis).await.ok()?;
        (length <= scene.driver.tip().number.saturating_sub(acknowledged)).then_some(())
    })
    .await?;
    scene.settle(SETTLE_DEADLINE).await
}

/// How many entries the stream has had of blocks up to a height.
fn entries_up_to(scene: &NodeScene, height: u64) -> usize {
    let known = scene.driver.known();
    let streams = scene.views().iter().filter(|view| view.name() == "redis");
    let entries = streams.flat_map(TargetView::entries);
    entries
        .filter(|entry| known.get(&entry.hash).is_some_and(|block| block.id.number <= height))
        .count()
}
