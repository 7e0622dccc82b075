//! `bsp-agent --check`: a table of everything that a start needs.

use bsp_tests::{
    scene::{Scene, SceneConfig},
    servers::{
        anvil::OPERATOR,
        program::{Program, all_there},
    },
};

/// Runs the check in a scene and gives its exit code and table.
async fn check(scene: &mut Scene) -> (Option<i32>, String) {
    let command = scene.agent("agent").unwrap().arg("--check");
    let output = tokio::task::spawn_blocking(move || command.run()).await.unwrap().unwrap();
    let table = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), table)
}

#[tokio::test]
async fn the_table_names_what_is_wrong() {
    if !all_there(&[Program::Redis, Program::Anvil]) {
        return;
    }
    let mut scene = Scene::start(SceneConfig::of_chain().unwrap()).await.unwrap();
    let (code, table) = check(&mut scene).await;
    assert_eq!(code, Some(0), "{table}");
    assert!(!table.contains("FAIL"), "{table}");

    let chain = scene.chain.as_ref().unwrap();
    chain.contract.disable(OPERATOR.address).await.unwrap();
    chain.anvil.set_balance(OPERATOR.address, 1).await.unwrap();
    scene.pinner.as_ref().unwrap().proxy.set(bsp_tests::proxy::Mode::Refuse);
    let (code, table) = check(&mut scene).await;
    assert_eq!(code, Some(1), "{table}");
    let failed: Vec<_> = table.lines().filter(|line| line.contains("FAIL")).collect();
    assert!(failed.len() >= 3, "{table}");

    scene.redis.kill().await.unwrap();
    let (code, table) = check(&mut scene).await;
    assert_eq!(code, Some(1), "{table}");
    assert!(table.lines().filter(|line| line.contains("FAIL")).count() > failed.len(), "{table}");
}
