//! A node that does nothing but follow its chain.

use crate::DEADLINE;
use bsp_tests::{
    node::{program, scene::NodeScene},
    servers::program::{Program, all_there},
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
