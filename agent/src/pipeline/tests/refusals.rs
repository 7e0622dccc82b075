//! What becomes of messages that can't be taken: one by one, many in a row, and of a fork or
//! network that is not known.

use super::{
    fakes::{Answer, World, delivery, proof_of},
    replicas, stage,
};
use crate::{
    alarm::AlarmKind,
    journal::{BlockKey, Journal, Mark, Stage},
    prepare::tests::newer,
    proof::Proof,
    source::{Delivery, EntryId, Payload},
};
use bsp_capture::ChainSpec;
use bsp_codec::{Replica, ReplicaKind};
use bsp_tests::messages::dev::DevBlocks;

/// The message of a block with a header of a fork that is not known.
fn of_a_newer_fork(entry: &str, replica: &Replica) -> Delivery {
    let (hash, rlp) = newer(replica, 2);
    Delivery {
        entry: EntryId(entry.to_owned()),
        hash: Some(hash.to_string()),
        payload: Some(Payload::Rlp(rlp.into())),
        supplement: None,
        deliveries: 1,
    }
}

fn garbage(id: usize) -> Delivery {
    Delivery {
        entry: EntryId(format!("garbage-{id}")),
        hash: Some(format!("0x{}", "11".repeat(32))),
        payload: Some(Payload::Rlp(vec![0xc1, id as u8].into())),
        supplement: None,
        deliveries: 1,
    }
}

fn is_proved(journal: &Journal, replica: &Replica) -> bool {
    matches!(stage(journal, replica), Some(Stage::Acknowledged { .. }))
}

impl World {
    fn message_of(&self, kind: AlarmKind) -> Option<String> {
        self.alarms.raised().get(&kind).map(|alarm| alarm.message.clone())
    }

    fn buried(&self) -> usize {
        self.letters.lock().unwrap().len()
    }

    fn acknowledged(&self, id: &str) -> bool {
        self.events().contains(&format!("acknowledge {id}"))
    }

    fn mentions(&self, entry: &str) -> bool {
        self.events().iter().any(|event| event.ends_with(&format!(" {entry}")))
    }
}

#[tokio::test]
async fn a_message_of_an_unknown_fork_stays_in_the_source_and_the_others_go_on() {
    let world = World::new();
    let blocks = replicas(3);
    let deliveries = || {
        vec![
            delivery("1-0", &blocks[0]),
            of_a_newer_fork("2-0", &blocks[1]),
            delivery("3-0", &blocks[2]),
        ]
    };
    let done = || world.acknowledged("1-0") && world.acknowledged("3-0");
    let held = || world.message_of(AlarmKind::MessagesHeld).is_some();
    let journal = world.run_until(deliveries(), || done() && held()).await;
    let message = world.message_of(AlarmKind::MessagesHeld).unwrap();
    for part in ["23 fields", "Amsterdam", "upgrade bsp-agent", "1 such entries"] {
        assert!(message.contains(part), "{part} in {message}");
    }
    assert_eq!(world.buried(), 0);
    assert!(!world.mentions("2-0"), "{:?}", world.events());
    assert!(is_proved(&journal, &blocks[2]));
    drop(journal);

    // After a restart with a version that knows it, it is a message like any other: nothing was
    // noted of it.
    let journal = world.run(vec![delivery("2-0", &blocks[1])]).await;
    assert!(is_proved(&journal, &blocks[1]));
}

#[tokio::test]
async fn a_stream_of_an_unknown_fork_is_taken_no_further() {
    let world = World::new();
    let blocks = replicas(2);
    let mut deliveries: Vec<_> =
        (0..300).map(|id| of_a_newer_fork(&format!("{id}-0"), &blocks[0])).collect();
    deliveries.push(delivery("last", &blocks[1]));
    let stopped = || {
        let message = world.message_of(AlarmKind::MessagesHeld);
        message.is_some_and(|message| message.contains("no more are taken"))
    };
    let journal = world.run_until(deliveries, stopped).await;
    assert!(world.message_of(AlarmKind::MessagesHeld).unwrap().contains("upgrade bsp-agent"));
    assert!(world.events().is_empty(), "{:?}", world.events());
    assert_eq!(stage(&journal, &blocks[1]), None);
}

#[tokio::test]
async fn a_block_after_a_fork_of_the_genesis_file_that_is_not_known_is_held_unstored() {
    let mut world = World::new();
    let blocks = replicas(3);
    let mut genesis = DevBlocks::new(7).unwrap().chain().genesis().clone();
    genesis.config.amsterdam_time = Some(blocks[1].header.timestamp);
    world.genesis = Some(ChainSpec::from_genesis(&genesis));
    let deliveries = blocks.iter().map(|block| delivery(&block.header.number.to_string(), block));
    let held = || {
        let message = world.message_of(AlarmKind::MessagesHeld).unwrap_or_default();
        message.contains("Amsterdam") && message.contains("2 such entries")
    };
    let first = blocks[0].header.number;
    let done = || world.acknowledged(&first.to_string());
    let journal = world.run_until(deliveries.collect(), || done() && held()).await;
    assert_eq!(world.files(), [format!("0/1337-{first}-replica-{}", proof_of(first))]);
    assert_eq!(stage(&journal, &blocks[1]), None);
    assert_eq!(world.buried(), 0);
}

#[tokio::test]
async fn a_network_without_rules_is_held_until_they_are_given() {
    let mut world = World::new();
    let block = &replicas(1)[0];
    // 1337 is not only our own chain's. Rules of another chain are none of it.
    for genesis in [None, Some(ChainSpec::dev().with_chain_id(77))] {
        world.genesis = genesis;
        world.alarms.clear(AlarmKind::MessagesHeld);
        let held = || world.message_of(AlarmKind::MessagesHeld).is_some();
        let journal = world.run_until(vec![delivery("1-0", block)], held).await;
        assert!(world.message_of(AlarmKind::MessagesHeld).unwrap().contains("--genesis"));
        assert!(world.files().is_empty() && world.events().is_empty());
        assert_eq!(stage(&journal, block), None);
    }
    world.genesis = Some(ChainSpec::dev());
    let journal = world.run(vec![delivery("1-0", block)]).await;
    assert!(is_proved(&journal, block));
}

#[tokio::test]
async fn sixty_four_bad_messages_in_front_do_not_stop_the_good_ones() {
    let world = World::new();
    let blocks = replicas(6);
    let mut deliveries: Vec<_> = (0..64).map(garbage).collect();
    deliveries.extend(blocks.iter().map(|block| delivery(&block.hash.to_string(), block)));
    let journal = world.run(deliveries).await;
    assert!(blocks.iter().all(|block| is_proved(&journal, block)));
    assert_eq!(world.buried(), 64);
    let payloads = world.letters.lock().unwrap();
    assert!(payloads.iter().all(|letter| letter.payload.is_some()));
    assert!(world.message_of(AlarmKind::RefusalsInRow).is_none());
    let left = world.events().iter().filter(|event| event.starts_with("redeliver")).count();
    // The last few may be judged after the first good one.
    assert!((32..=64 - 15).contains(&left), "{left}");
}

#[tokio::test]
async fn where_nothing_passes_no_more_is_buried_not_even_after_restarts() {
    let world = World::new();
    let journal = world.run_until((0..20).map(garbage).collect(), || {
        let message = world.message_of(AlarmKind::RefusalsInRow).unwrap_or_default();
        message.contains("20 messages in a row")
    });
    drop(journal.await);
    assert_eq!(world.buried(), 15);
    for _ in 0..2 {
        world.alarms.clear(AlarmKind::RefusalsInRow);
        let raised = || world.message_of(AlarmKind::RefusalsInRow).is_some();
        drop(world.run_until((15..20).map(garbage).collect(), raised).await);
        assert_eq!(world.buried(), 15);
    }
    let mut deliveries: Vec<_> = (15..20).map(garbage).collect();
    deliveries.push(delivery("good", &replicas(1)[0]));
    world.run(deliveries).await;
    assert_eq!(world.buried(), 20);
    assert!(world.message_of(AlarmKind::RefusalsInRow).is_none());
}

#[tokio::test]
async fn blocks_that_do_not_re_execute_are_left_too_once_none_does() {
    let mut world = World::new();
    let blocks = replicas(24);
    // Rules that are not these blocks': what a fork without new fields looks like.
    let mut genesis = DevBlocks::new(7).unwrap().chain().genesis().clone();
    (genesis.config.prague_time, genesis.config.osaka_time) = (None, None);
    world.genesis = Some(ChainSpec::from_genesis(&genesis));
    let deliveries = || -> Vec<_> {
        blocks.iter().map(|block| delivery(&block.header.number.to_string(), block)).collect()
    };
    let left = || {
        let message = world.message_of(AlarmKind::RefusalsInRow).unwrap_or_default();
        message.contains("24 messages in a row")
    };
    drop(world.run_until(deliveries(), left).await);
    assert_eq!(world.buried(), 15);
    assert!(world.events().iter().all(|event| !event.starts_with("prove")));

    // With the right rules those that were left are proved.
    world.genesis = Some(ChainSpec::dev());
    let buried: Vec<_> =
        world.letters.lock().unwrap().iter().map(|letter| letter.entry.clone()).collect();
    let left = deliveries().into_iter().filter(|delivery| !buried.contains(&delivery.entry));
    let journal = world.run(left.collect()).await;
    assert_eq!(blocks.iter().filter(|block| is_proved(&journal, block)).count(), 9);
    assert!(world.message_of(AlarmKind::RefusalsInRow).is_none());
}

#[tokio::test]
async fn a_skipped_block_that_comes_again_is_taken_up_again() {
    let world = World::new();
    let block = &replicas(1)[0];
    let number = block.header.number;
    world.answer(number, Answer::Skip);
    drop(world.run(vec![delivery("1-0", block)]).await);
    world.answer(number, Answer::Prove);
    let journal = world.run(vec![delivery("2-0", block)]).await;
    assert!(is_proved(&journal, block));
    // The file that told of the skipping is gone.
    assert_eq!(world.files(), [format!("0/1337-{number}-replica-{}", proof_of(number))]);
}

#[tokio::test]
async fn a_block_of_the_ledger_that_comes_again_is_proved_on_the_chain() {
    let mut world = World::new();
    let block = &replicas(1)[0];
    let number = block.header.number;
    let proofs =
        |world: &World| world.events().iter().filter(|event| event.starts_with("prove")).count();
    drop(world.run(vec![delivery("1-0", block)]).await);
    drop(world.run(vec![delivery("2-0", block)]).await);
    assert_eq!(proofs(&world), 1);
    world.is_ledger = false;
    let journal = world.run(vec![delivery("3-0", block)]).await;
    assert_eq!(proofs(&world), 2);
    // One that the chain has comes for nothing.
    let key = BlockKey { hash: block.hash, kind: ReplicaKind::Replica };
    let record = journal.get(&key).unwrap().unwrap();
    let Stage::Acknowledged { segment, verification, .. } = record.stage.clone() else { panic!() };
    let proof = Proof { id: proof_of(number), mined_in: Some((1, block.hash)) };
    let on_chain = record.at(Stage::Acknowledged { segment, verification, proof });
    journal.put(key, &on_chain).await.unwrap();
    drop(journal);
    world.run(vec![delivery("4-0", block)]).await;
    assert_eq!(proofs(&world), 2);
    assert!(world.acknowledged("4-0"));
}

#[tokio::test]
async fn an_entry_that_its_source_refuses_to_settle_holds_nothing_up() {
    let world = World::new();
    let blocks = replicas(2);
    for block in &blocks {
        world.answer(block.header.number, Answer::SendAndPark);
    }
    let deliveries = vec![delivery("1-0", &blocks[0]), delivery("2-0", &blocks[1])];
    drop(world.run(deliveries).await);
    world.answer(blocks[0].header.number, Answer::Prove);
    world.answer(blocks[1].header.number, Answer::Skip);
    world.foreign.lock().unwrap().extend(["1-0".to_owned(), "2-0".to_owned()]);
    let journal = world.run(Vec::new()).await;
    let refused = |id: &str| {
        let event = format!("refuse to settle {id}");
        world.events().iter().filter(|seen| **seen == event).count()
    };
    for (block, id) in blocks.iter().zip(["1-0", "2-0"]) {
        let key = BlockKey { hash: block.hash, kind: ReplicaKind::Replica };
        let record = journal.get(&key).unwrap().unwrap();
        assert!(record.stage.is_final(), "{record:?}");
        assert_eq!(record.unsettled, [EntryId(id.to_owned())]);
        assert_eq!(refused(id), 1);
    }
}

#[tokio::test]
async fn a_proved_block_whose_file_was_moved_away_is_finished_and_told() {
    let world = World::new();
    let block = &replicas(1)[0];
    world.answer(block.header.number, Answer::SendAndPark);
    drop(world.run(vec![delivery("1-0", block)]).await);
    std::fs::remove_file(world.folder.path().join("segments").join(&world.files()[0])).unwrap();
    world.answer(block.header.number, Answer::Prove);
    let journal = world.run(Vec::new()).await;
    assert!(is_proved(&journal, block));
    assert!(world.acknowledged("1-0"));
    assert!(world.message_of(AlarmKind::SegmentMissing).unwrap().contains("is gone"));
}

#[tokio::test]
async fn a_file_that_is_gone_before_the_proof_is_made_again_of_the_message() {
    let world = World::new();
    let block = &replicas(1)[0];
    let other = crate::pin::PinError::OtherCid {
        pinner: "fake".to_owned(),
        computed: Box::default(),
        returned: String::new(),
    };
    world.pin_failures.lock().unwrap().push_back(other);
    drop(world.run(vec![delivery("1-0", block)]).await);
    std::fs::remove_file(world.folder.path().join("segments").join(&world.files()[0])).unwrap();
    // The resumed block finds no file and lets its entry go, and so the message comes again.
    drop(world.run(Vec::new()).await);
    let journal = world.run(vec![delivery("2-0", block)]).await;
    assert!(is_proved(&journal, block), "{:?}", stage(&journal, block));
}

#[tokio::test]
async fn an_unreadable_journal_is_not_taken_for_an_empty_one() {
    let world = World::new();
    let block = &replicas(1)[0];
    let journal = world.journal();
    journal.make_unreadable();
    let released = || world.events().contains(&"release 1-0".to_owned());
    world.run_with(journal, vec![delivery("1-0", block)], released).await;
    assert_eq!(world.events(), ["release 1-0"]);
    assert!(world.message_of(AlarmKind::JournalFailing).is_some());
}

#[tokio::test]
async fn a_message_that_ended_the_process_eight_times_goes_to_the_dead_letters() {
    let world = World::new();
    let blocks = replicas(2);
    let (guilty, suspect) = (EntryId("1-0".to_owned()), EntryId("2-0".to_owned()));
    {
        let journal = world.journal();
        journal.note_mark(&guilty, Some(Mark { ends: 6, in_flight: true }));
        journal.note_mark(&suspect, Some(Mark { ends: 2, in_flight: true }));
        journal.set_fact("last_end", "none yet").await.unwrap();
    }
    let deliveries = vec![delivery("1-0", &blocks[0]), delivery("2-0", &blocks[1])];
    let journal = world.run(deliveries).await;
    let letters = world.letters.lock().unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].entry, guilty);
    assert!(letters[0].reason.contains("the process ended while it was in flight"));
    assert!(letters[0].payload.is_some());
    // The other one was handled alone, and is cleared.
    assert!(is_proved(&journal, &blocks[1]));
    assert!(journal.marks().unwrap().is_empty());
}

#[tokio::test]
async fn a_block_whose_execution_ended_the_process_eight_times_is_not_executed_again() {
    let world = World::new();
    let block = &replicas(1)[0];
    let other = crate::pin::PinError::OtherCid {
        pinner: "fake".to_owned(),
        computed: Box::default(),
        returned: String::new(),
    };
    world.pin_failures.lock().unwrap().push_back(other);
    let journal = world.run(vec![delivery("1-0", block)]).await;
    let guilty = EntryId("1-0".to_owned());
    journal.note_mark(&guilty, Some(Mark { ends: 6, in_flight: true }));
    journal.set_fact("last_end", "none yet").await.unwrap();
    let journal = world.restart(journal, Vec::new()).await;
    assert!(matches!(stage(&journal, block), Some(Stage::Refused { acknowledged: true, .. })));
    assert_eq!(world.buried(), 1);
    assert!(world.files()[0].ends_with(".refused"));
}

#[tokio::test]
async fn a_panic_in_the_work_on_a_block_ends_the_agent() {
    let world = World::new();
    let block = &replicas(1)[0];
    world.answer(block.header.number, Answer::Panic);
    let failed = || world.alarms.have_failed();
    let journal = world.run_until(vec![delivery("1-0", block)], failed).await;
    assert!(!world.acknowledged("1-0"));
    let told = world.alarms.failed().await.to_string();
    assert!(told.contains("the work on a block has failed (told to)"), "{told}");
    // That was no end by intention.
    assert_eq!(journal.fact("last_end").unwrap().as_deref(), Some("none yet"));
}
