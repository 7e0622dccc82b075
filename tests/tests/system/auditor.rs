//! The auditor against states made by hand: it is silent about what is right, and names what is
//! wrong.

use bsp_codec::{Profile, Segment, avro, dag, digest};
use bsp_tests::{
    audit::{Expect, FedEntry, Report, Violation},
    messages::{Message, dev::DevBlocks},
    scene::{Pinning, Proving, Scene, SceneConfig},
    servers::program::{Program, all_there},
    wait::wait_for,
};
use std::{fs, time::Duration};

/// A scene whose "agent" is this test.
async fn scene() -> Scene {
    let config = SceneConfig {
        proving: Proving::Ledger,
        pinning: Pinning::Server,
        networks: Vec::new(),
        agent: "/nonexistent/bsp-agent".into(),
        tool: "/nonexistent/bsp".into(),
    };
    let mut scene = Scene::start(config).await.unwrap();
    scene.agent("by-hand").unwrap();
    fs::create_dir_all(scene.folders_of("by-hand").data).unwrap();
    scene.watch().unwrap();
    scene
}

/// The steps of an agent, each of which a test may leave out or do wrong.
struct ByHand {
    file: Vec<u8>,
    proof: String,
    entry: FedEntry,
}

impl ByHand {
    /// Feeds a block and makes its segment.
    async fn begin(scene: &mut Scene, blocks: &mut DevBlocks) -> Self {
        let replica = blocks.next_replica().unwrap();
        scene.push(&Message::of(&replica).unwrap()).await.unwrap();
        let file = avro::encode_segment(&Segment::of(replica), Profile::Network).unwrap();
        let proof = digest::sha256(&file).to_string();
        Self { file, proof, entry: scene.fed().last().unwrap().clone() }
    }

    fn store(&self, scene: &Scene, bytes: &[u8]) {
        let name = format!("{}-{}", self.entry.expect.block().unwrap().segment(), self.proof);
        let folder = scene.folders_of("by-hand").segments.join("0");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
    }

    async fn pin(&self, scene: &Scene) {
        let part = reqwest::multipart::Part::bytes(self.file.clone()).file_name("specimen");
        let form = reqwest::multipart::Form::new().part("file", part);
        let url = format!("http://{}/upload", scene.pinner.as_ref().unwrap().proxy.address());
        reqwest::Client::new().post(url).multipart(form).send().await.unwrap();
    }

    fn prove(&self, scene: &Scene) {
        let block = self.entry.expect.block().unwrap();
        let line = serde_json::json!({
            "chain_id": block.network_id,
            "height": block.number,
            "block_hash": block.hash,
            "specimen_hash": digest::specimen_hash(&self.file),
            "url": format!("ipfs://{}", dag::cid_of(&self.file)),
            "id": self.proof,
        });
        let path = scene.folders_of("by-hand").data.join("ledger.jsonl");
        let ledger = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, format!("{ledger}{line}\n")).unwrap();
    }

    async fn acknowledge(&self, scene: &Scene) {
        let mut redis = scene.redis.connect().await.unwrap();
        let topic = &scene.stream.topic;
        redis::cmd("XDEL").arg(topic).arg(&self.entry.id).exec_async(&mut redis).await.unwrap();
    }

    async fn all(&self, scene: &Scene) {
        self.store(scene, &self.file);
        self.pin(scene).await;
        self.prove(scene);
        self.acknowledge(scene).await;
    }
}

async fn audit(mut scene: Scene) -> Report {
    // No journal is there, so nothing is known to be skipped.
    scene.audit().await.unwrap()
}

fn only(report: &Report) -> &Violation {
    assert_eq!(report.violations.len(), 1, "{report}");
    &report.violations[0]
}

#[tokio::test]
async fn all_is_well() {
    if !all_there(&[Program::Redis]) {
        return;
    }
    let mut scene = scene().await;
    let mut blocks = DevBlocks::new(1).unwrap();
    for _ in 0..5 {
        ByHand::begin(&mut scene, &mut blocks).await.all(&scene).await;
    }
    let report = audit(scene).await;
    assert!(report.violations.is_empty(), "{report}");
    assert_eq!((report.entries, report.proved, report.watched), (5, 5, 5));
}

#[tokio::test]
async fn a_block_that_is_lost_or_proved_twice_is_named() {
    if !all_there(&[Program::Redis]) {
        return;
    }
    let mut scene = scene().await;
    let mut blocks = DevBlocks::new(2).unwrap();
    let lost = ByHand::begin(&mut scene, &mut blocks).await;
    lost.acknowledge(&scene).await;
    let twice = ByHand::begin(&mut scene, &mut blocks).await;
    twice.all(&scene).await;
    twice.prove(&scene);
    let report = audit(scene).await;
    let found = |wanted: fn(&Violation) -> bool| report.violations.iter().any(wanted);
    assert!(found(|violation| matches!(violation, Violation::Unproved(_))), "{report}");
    let again =
        |violation: &Violation| matches!(violation, Violation::ProvedAgain { times: 2, .. });
    assert!(found(again), "{report}");
    let early = |violation: &Violation| matches!(violation, Violation::AcknowledgedEarly { .. });
    assert!(found(early), "{report}");
    assert_eq!(report.violations.len(), 3, "{report}");
}

#[tokio::test]
async fn an_acknowledgement_before_the_proof_is_seen_although_the_proof_follows() {
    if !all_there(&[Program::Redis]) {
        return;
    }
    let mut scene = scene().await;
    let mut blocks = DevBlocks::new(3).unwrap();
    let block = ByHand::begin(&mut scene, &mut blocks).await;
    block.store(&scene, &block.file);
    block.pin(&scene).await;
    block.acknowledge(&scene).await;
    wait_for("it is seen", Duration::from_secs(20), async || {
        (scene.acknowledgements_checked() == 1).then_some(())
    })
    .await
    .unwrap();
    block.prove(&scene);
    let report = audit(scene).await;
    assert!(matches!(only(&report), Violation::AcknowledgedEarly { .. }), "{report}");
    assert_eq!(report.proved, 1);
}

#[tokio::test]
async fn a_file_that_is_torn_missing_or_not_pinned_is_named() {
    if !all_there(&[Program::Redis]) {
        return;
    }
    let mut scene = scene().await;
    let mut blocks = DevBlocks::new(4).unwrap();
    let torn = ByHand::begin(&mut scene, &mut blocks).await;
    torn.all(&scene).await;
    let missing = ByHand::begin(&mut scene, &mut blocks).await;
    missing.pin(&scene).await;
    missing.prove(&scene);
    let unpinned = ByHand::begin(&mut scene, &mut blocks).await;
    unpinned.store(&scene, &unpinned.file);
    unpinned.prove(&scene);
    torn.store(&scene, &torn.file[..torn.file.len() - 1]);
    for block in [missing, unpinned] {
        block.acknowledge(&scene).await;
    }
    let report = audit(scene).await;
    let count = |wanted: fn(&Violation) -> bool| {
        report.violations.iter().filter(|violation| wanted(violation)).count()
    };
    assert_eq!(count(|it| matches!(it, Violation::FileWrong { .. })), 1, "{report}");
    assert_eq!(count(|it| matches!(it, Violation::ProofWrong { .. })), 2, "{report}");
    assert_eq!(count(|it| matches!(it, Violation::FileMissing { .. })), 1, "{report}");
    // Of the torn one the pinner has other bytes than the file.
    assert_eq!(count(|it| matches!(it, Violation::NotRetrievable { .. })), 2, "{report}");
}

#[tokio::test]
async fn poison_has_to_be_with_the_dead_letters_and_nothing_else() {
    if !all_there(&[Program::Redis]) {
        return;
    }
    let mut scene = scene().await;
    let mut blocks = DevBlocks::new(5).unwrap();
    let poison = |data: &[u8]| Message {
        hash: None,
        data: Some(data.to_vec()),
        supplement: None,
        expect: Expect::Poison,
    };
    for data in [&b"buried"[..], b"forgotten", b"changed"] {
        scene.push(&poison(data)).await.unwrap();
    }
    let good = ByHand::begin(&mut scene, &mut blocks).await;
    good.all(&scene).await;
    let mut redis = scene.redis.connect().await.unwrap();
    let ids: Vec<String> = scene.fed().iter().map(|entry| entry.id.clone()).collect();
    for (id, data) in [(&ids[0], "buried"), (&ids[2], "chang"), (&ids[3], "good")] {
        let mut add = redis::cmd("XADD");
        add.arg(scene.stream.dead_letters()).arg("*").arg("id").arg(id);
        add.arg("reason").arg("bad").arg("data").arg(data);
        add.exec_async(&mut redis).await.unwrap();
    }
    redis::cmd("XTRIM")
        .arg(&scene.stream.topic)
        .arg("MAXLEN")
        .arg(0)
        .exec_async(&mut redis)
        .await
        .unwrap();
    let report = audit(scene).await;
    let texts: Vec<_> = report.violations.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            format!("dead letter of {}: its payload is not what came", ids[2]),
            format!("entry {} is with the dead letters: bad", ids[3]),
            format!("bad entry {}: 0 dead letters", ids[1]),
        ]
    );
}
