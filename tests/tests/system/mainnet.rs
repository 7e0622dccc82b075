//! Real mainnet blocks, from the stream to the proof chain, with the shipped program.

use crate::run::Run;
use bsp_tests::{
    audit::{ProofBook, ProofRecord},
    messages::{
        Message, block_of,
        mainnet::{self, MainnetBlock},
    },
    scene::{Scene, SceneConfig},
    servers::program::{Program, all_there},
};
use sha2::{Digest, Sha256};
use std::fs;

#[tokio::test]
async fn real_blocks_become_the_networks_own_files_and_are_proved_with_their_hash_and_cid() {
    let Some(folder) = mainnet::folder() else { return };
    if !all_there(&[Program::Redis, Program::Anvil]) {
        return;
    }
    let blocks = mainnet::blocks(&folder).unwrap();
    let config = SceneConfig { networks: vec![1], ..SceneConfig::of_chain().unwrap() };
    let mut run = Run::start(config, &[]).await;
    let messages: Vec<_> = blocks.iter().map(|it| Message::of(&it.replica).unwrap()).collect();
    run.feed(&messages).await;
    run.settle().await;
    run.end().await;
    for block in &blocks {
        check(&run.scene, block).await;
    }
    let report = run.scene.audit().await.unwrap();
    assert!(report.violations.is_empty(), "{report}");
    assert_eq!((report.proved, report.watched), (blocks.len(), blocks.len()));
}

/// The event says exactly what the reference file gives, and the file is the reference, byte for
/// byte.
async fn check(scene: &Scene, block: &MainnetBlock) {
    let chain = scene.chain.as_ref().unwrap();
    let book = ProofBook::Chain {
        rpc: chain.anvil.rpc().clone(),
        contract: chain.contract.address(),
        confirmations: 1,
        reorganising: chain.anvil.reorganising(),
    };
    let name = block_of(&block.replica).segment();
    let proofs = book.all().await.unwrap();
    let proof = proofs.iter().find(|it| it.block_hash == block.replica.hash).expect(&name);
    let cid = block
        .cid
        .clone()
        .unwrap_or_else(|| bsp_tests::audit::dag::file_cid(&block.file).unwrap().to_string());
    let expected = ProofRecord {
        chain_id: 1,
        height: block.replica.header.number,
        block_hash: block.replica.hash,
        specimen_hash: block.specimen_hash,
        url: format!("ipfs://{cid}"),
        ..proof.clone()
    };
    assert_eq!(*proof, expected);
    let sub_folder = (block.replica.header.number / 10_000 * 10_000).to_string();
    let folder = scene.folders_of("agent").segments.join(sub_folder);
    let path = folder.join(format!("{name}-{}", proof.id));
    let file = fs::read(&path).unwrap();
    assert!(file == block.file, "{name} is not the reference");
    assert_eq!(<[u8; 32]>::from(Sha256::digest(&file)), block.sha256.0, "{name}");
}
