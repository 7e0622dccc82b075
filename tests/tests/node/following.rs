//! A node that does nothing but follow its chain.

use crate::DEADLINE;
use bsp_tests::{
    node::{
        program,
        scene::{NodeScene, TOPIC},
        target::TargetView,
    },
    servers::{
        certificate::Certificates,
        free_address,
        program::{Program, all_there},
        redis::RedisServer,
    },
    wait::wait_for,
};

#[tokio::test]
async fn every_block_arrives_as_its_execution_gives_it_through_reorgs_and_a_restart() {
    if !program::is_there() || !all_there(&[Program::Redis]) {
        return;
    }
    let mut scene = NodeScene::new(1, 3).await.unwrap();
    scene.start().await.unwrap();
    scene.extend(20).await.unwrap();
    scene.reorganise(3).await.unwrap();
    scene.extend(5).await.unwrap();
    scene.stop().await.unwrap();
    scene.start().await.unwrap();
    assert_eq!(scene.catch_up().await.unwrap(), 0);
    scene.extend(5).await.unwrap();
    scene.settle(DEADLINE).await.unwrap();
    for report in scene.audit().await.unwrap() {
        assert!(report.violations.is_empty(), "{report}");
        assert_eq!(report.canonical, 34, "{report}");
    }
}

/// In a node several libraries bring a cryptography of their own, and rustls wants to be told which
/// is meant.
#[tokio::test]
async fn a_stream_is_reached_over_tls() {
    if !program::is_there() || !all_there(&[Program::Redis]) {
        return;
    }
    let (certificates, address) = (Certificates::make(), free_address().unwrap());
    let arguments = certificates.redis_arguments(address.port());
    let redis = RedisServer::start_with_arguments(&arguments).await.unwrap();
    let mut scene = NodeScene::new(2, 2).await.unwrap();
    let target = format!("rediss://{address}/0?topic={TOPIC}");
    let launch = scene.launch.clone().with_args(["--exex.bsp.targets", &target]);
    let launch = launch.and_args(["--exex.bsp.start-block", "genesis"]);
    scene.launch = launch.with_env("SSL_CERT_FILE", certificates.authority().display().to_string());
    scene.start().await.unwrap();
    scene.extend(10).await.unwrap();
    let mut view = TargetView::stream(redis.client().unwrap(), TOPIC);
    wait_for("every block is there", DEADLINE, async || {
        view.read().await.unwrap();
        (view.entries().len() >= 10).then_some(())
    })
    .await
    .unwrap_or_else(|error| panic!("{error}\n{}", scene.last_lines(25)));
    let report = scene.expected().check("redis", view.entries());
    assert!(report.violations.is_empty(), "{report}");
}

/// reth tells what may be pruned to extensions alone, and what is registered as one costs the node
/// something.
#[tokio::test]
async fn the_producer_is_an_extension_only_where_the_node_prunes() {
    if !program::is_there() || !all_there(&[Program::Redis]) {
        return;
    }
    for (flags, is_extension) in [
        (&[][..], false),
        (&["--full"], true),
        (&["--exex.bsp.register=always"], true),
        (&["--full", "--exex.bsp.register=never"], false),
    ] {
        let mut scene = NodeScene::new(3, 2).await.unwrap();
        scene.launch = scene.launch.clone().and_args(flags.iter().copied());
        scene.start().await.unwrap();
        scene.extend(5).await.unwrap();
        scene.settle(DEADLINE).await.unwrap();
        let node = scene.node().unwrap();
        let extensions = node.metric("reth_exex_manager_num_exexs").await.unwrap();
        assert_eq!(extensions, is_extension.then_some(1.0), "{flags:?}");
        // By the clock this chain is months behind, more than a node with --full keeps.
        let expected = f64::from(flags.contains(&"--full"));
        wait_for("it is known whether history is at risk", DEADLINE, async || {
            let at_risk = node.metric("reth_exex_bsp_history_at_risk").await.unwrap();
            (at_risk == Some(expected)).then_some(())
        })
        .await
        .unwrap();
        assert_eq!(scene.printed().contains("Targets lack blocks"), expected == 1.0, "{flags:?}");
    }
}
