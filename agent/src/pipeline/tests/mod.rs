//! The pipeline between stand-ins: what is asked of whom, in which order, and what a restart finds.

mod fakes;
mod refusals;
mod supplements;

use crate::{
    alarm::AlarmKind,
    args::Verify,
    journal::{BlockKey, Journal, Stage, Verification},
    pin::PinError,
    source::{Delivery, Payload},
};
use bsp_codec::{Replica, ReplicaKind};
use bsp_tests::messages::{dev::DevBlocks, poison};
use cid::Cid;
use fakes::{Answer, World, attempt, delivery, proof_of};

/// Blocks of the dev chain whose content the format carries whole.
fn replicas(count: usize) -> Vec<Replica> {
    let mut blocks = DevBlocks::new(7).unwrap();
    std::iter::repeat_with(|| blocks.next_replica().unwrap())
        .filter(|replica| replica.transactions.iter().all(|tx| tx.tx_type != 4))
        .take(count)
        .collect()
}

/// A block, and a message that lies about the state under its hash.
fn genuine_and_forged(forged_entry: &str) -> (Replica, Delivery) {
    let replica = replicas(9).into_iter().find(|block| !block.transactions.is_empty()).unwrap();
    let forged = poison::lies_about_state(&replica).unwrap().message.data.unwrap();
    let payload = Some(Payload::Snappy(forged.into()));
    let lie = Delivery { payload, ..delivery(forged_entry, &replica) };
    (replica, lie)
}

fn stage(journal: &Journal, replica: &Replica) -> Option<Stage> {
    let key = BlockKey { hash: replica.hash, kind: ReplicaKind::Replica };
    journal.get(&key).unwrap().map(|record| record.stage)
}

fn position(events: &[String], wanted: &str) -> usize {
    let found = events.iter().position(|event| event.starts_with(wanted));
    found.unwrap_or_else(|| panic!("no {wanted:?} in {events:?}"))
}

#[tokio::test]
async fn a_block_is_stored_and_pinned_before_it_is_proved_and_proved_before_it_is_acknowledged() {
    let world = World::new();
    let replica = &replicas(1)[0];
    let number = replica.header.number;
    let journal = world.run(vec![delivery("1-0", replica)]).await;
    let events = world.events();
    assert_eq!(events.len(), 3, "{events:?}");
    assert!(position(&events, "pin ") < position(&events, "prove "));
    assert!(position(&events, "prove ") < position(&events, "acknowledge 1-0"));
    assert_eq!(world.files(), [format!("0/1337-{number}-replica-{}", proof_of(number))]);
    let Some(Stage::Acknowledged { verification, segment, .. }) = stage(&journal, replica) else {
        panic!("{:?}", stage(&journal, replica));
    };
    assert_eq!(verification, Verification::Executed);
    assert_eq!(events[0], format!("pin {}", segment.cid));
}

/// As bsp-geth v2.3.0 writes them: blocks of every kind with empty read lists.
#[tokio::test]
async fn a_block_without_its_read_lists_is_never_proved() {
    let (idle, mut emptied): (Vec<_>, Vec<_>) =
        replicas(40).into_iter().partition(|replica| replica.transactions.is_empty());
    emptied.truncate(4);
    emptied.extend(idle.into_iter().take(2));
    emptied.push(supplements::incomplete().replica);
    for replica in &mut emptied {
        replica.state = Default::default();
    }
    assert!(emptied.iter().any(|replica| replica.transactions.is_empty()));
    let world = World::new();
    let deliveries = emptied.iter().map(|block| delivery(&block.header.number.to_string(), block));
    world.run(deliveries.collect()).await;
    let events = world.events();
    assert!(!events.iter().any(|event| event.starts_with("prove ")), "{events:?}");
}

#[tokio::test]
async fn many_blocks_share_few_places() {
    let world = World::new();
    let replicas = replicas(30);
    let deliveries = replicas.iter().map(|block| delivery(&block.header.number.to_string(), block));
    let journal = world.run(deliveries.collect()).await;
    for replica in &replicas {
        assert!(matches!(stage(&journal, replica), Some(Stage::Acknowledged { .. })));
    }
    assert_eq!(world.files().len(), 30);
}

#[tokio::test]
async fn a_block_that_comes_again_is_proved_once_and_every_entry_of_it_goes() {
    let world = World::new();
    let replica = &replicas(1)[0];
    let twice = vec![delivery("1-0", replica), delivery("2-0", replica)];
    world.run(twice).await;
    world.run(vec![delivery("3-0", replica)]).await;
    let mut events = world.events();
    assert_eq!(events.iter().filter(|event| event.starts_with("prove")).count(), 1);
    events.retain(|event| event.starts_with("acknowledge"));
    events.sort();
    assert_eq!(events, ["acknowledge 1-0", "acknowledge 2-0", "acknowledge 3-0"]);
}

#[tokio::test]
async fn poison_goes_to_the_dead_letters_and_the_line_moves_on() {
    let world = World::new();
    let replicas = replicas(2);
    let poisons = poison::all(&replicas[0]).unwrap();
    let mut deliveries: Vec<_> = poisons
        .iter()
        .map(|poison| Delivery {
            entry: crate::source::EntryId(poison.name.to_owned()),
            hash: poison.message.hash.as_ref().map(|hash| String::from_utf8_lossy(hash).into()),
            payload: poison.message.data.clone().map(|data| Payload::Snappy(data.into())),
            supplement: None,
            deliveries: 1,
        })
        .collect();
    deliveries.push(delivery("good", &replicas[1]));
    let journal = world.run(deliveries).await;
    let letters = world.letters.lock().unwrap();
    for poison in &poisons {
        let letter = letters.iter().find(|letter| letter.entry.0 == poison.name);
        let letter = letter.unwrap_or_else(|| panic!("{} is not buried", poison.name));
        assert!(!letter.reason.is_empty());
        assert_eq!(letter.payload.as_deref(), poison.message.data.as_deref(), "{}", poison.name);
    }
    assert_eq!(letters.len(), poisons.len());
    assert!(matches!(stage(&journal, &replicas[1]), Some(Stage::Acknowledged { .. })));
    assert!(journal.unfinished().unwrap().is_empty());
    assert!(world.alarms.raised().contains_key(&AlarmKind::DeadLetter));
}

#[tokio::test]
async fn a_specimen_that_does_not_re_execute_is_never_proved() {
    let world = World::new();
    let (replica, lie) = genuine_and_forged("1-0");
    let journal = world.run(vec![lie.clone()]).await;
    let Some(Stage::Refused { reason, acknowledged: true, .. }) = stage(&journal, &replica) else {
        panic!("{:?}", stage(&journal, &replica));
    };
    let letters = world.letters.lock().unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].reason, reason);
    assert_eq!(letters[0].payload.clone().map(Payload::Snappy), lie.payload);
    assert!(world.events().iter().all(|event| !event.starts_with("prove")));
    assert!(world.files()[0].ends_with(".refused"));
}

#[tokio::test]
async fn a_forged_copy_does_not_keep_the_genuine_block_out() {
    let mut world = World::new();
    world.cpu_tasks = 1;
    let (replica, lie) = genuine_and_forged("1-0");
    let journal = world.run(vec![lie, delivery("2-0", &replica)]).await;
    let letters = world.letters.lock().unwrap();
    assert_eq!(letters.iter().map(|letter| letter.entry.0.as_str()).collect::<Vec<_>>(), ["1-0"]);
    assert!(matches!(stage(&journal, &replica), Some(Stage::Acknowledged { .. })));
    assert!(world.events().iter().any(|event| event == "acknowledge 2-0"));
}

#[tokio::test]
async fn a_forged_copy_that_comes_later_changes_nothing() {
    let mut world = World::new();
    world.cpu_tasks = 1;
    let (replica, lie) = genuine_and_forged("2-0");
    let journal = world.run(vec![delivery("1-0", &replica), lie]).await;
    assert!(matches!(stage(&journal, &replica), Some(Stage::Acknowledged { .. })));
    assert!(world.letters.lock().unwrap().is_empty());
    let events = world.events();
    assert_eq!(events.iter().filter(|event| event.starts_with("prove")).count(), 1);
    assert_eq!(events.last().unwrap(), "acknowledge 2-0");
}

#[tokio::test]
async fn without_execution_its_roots_are_all_that_counts() {
    let mut world = World::new();
    world.verify = Verify::Roots;
    let (replica, lie) = genuine_and_forged("1-0");
    let journal = world.run(vec![lie]).await;
    assert!(matches!(
        stage(&journal, &replica),
        Some(Stage::Acknowledged { verification: Verification::Roots, .. })
    ));
}

#[tokio::test]
async fn an_unselected_block_is_kept_aside() {
    let mut world = World::new();
    world.divisor = 1_000_000;
    let replica = &replicas(1)[0];
    let journal = world.run(vec![delivery("1-0", replica)]).await;
    assert_eq!(world.events(), ["acknowledge 1-0"]);
    assert_eq!(world.unselected().len(), 1);
    assert_eq!(stage(&journal, replica), None);
    assert!(world.files().is_empty());
}

#[tokio::test]
async fn a_pinner_that_is_down_is_waited_for() {
    let world = World::new();
    let down = || PinError::Temporary { pinner: "fake".to_owned(), reason: "down".to_owned() };
    world.pin_failures.lock().unwrap().extend([down(), down()]);
    let replica = &replicas(1)[0];
    let journal = world.run(vec![delivery("1-0", replica)]).await;
    assert_eq!(world.events()[..2], ["pin fails", "pin fails"]);
    assert!(matches!(stage(&journal, replica), Some(Stage::Acknowledged { .. })));
    assert!(world.alarms.raised().is_empty());
}

#[tokio::test]
async fn content_under_another_cid_is_never_proved() {
    let world = World::new();
    let other = PinError::OtherCid {
        pinner: "fake".to_owned(),
        computed: Box::new(Cid::default()),
        returned: "bafkother".to_owned(),
    };
    world.pin_failures.lock().unwrap().push_back(other);
    let replica = &replicas(1)[0];
    let journal = world.run(vec![delivery("1-0", replica)]).await;
    assert_eq!(world.events(), ["pin fails", "release 1-0"]);
    assert!(matches!(stage(&journal, replica), Some(Stage::Stored { .. })));
    assert!(world.alarms.raised().contains_key(&AlarmKind::PinnerOtherCid));
    // The next start tries again.
    let journal = world.restart(journal, Vec::new()).await;
    assert!(matches!(stage(&journal, replica), Some(Stage::Acknowledged { .. })));
}

#[tokio::test]
async fn a_proof_that_is_refused_for_good_is_recorded_with_its_reason_and_its_data_stays() {
    let world = World::new();
    let replica = &replicas(1)[0];
    let number = replica.header.number;
    world.answer(number, Answer::Skip);
    let journal = world.run(vec![delivery("1-0", replica)]).await;
    let Some(Stage::Skipped { reason, acknowledged: true, .. }) = stage(&journal, replica) else {
        panic!("{:?}", stage(&journal, replica));
    };
    assert_eq!(reason, "session closed");
    assert_eq!(world.files(), [format!("0/1337-{number}-replica-{}.skipped", replica.hash)]);
    assert_eq!(world.events().last().unwrap(), "acknowledge 1-0");
}

#[tokio::test]
async fn a_block_whose_proof_can_not_count_is_not_uploaded() {
    let world = World::new();
    let replica = &replicas(1)[0];
    world.answer(replica.header.number, Answer::Closed);
    let journal = world.run(vec![delivery("1-0", replica)]).await;
    let Some(Stage::Skipped { reason, acknowledged: true, .. }) = stage(&journal, replica) else {
        panic!("{:?}", stage(&journal, replica));
    };
    assert_eq!(reason, "too old; it was not uploaded");
    assert_eq!(world.events(), ["acknowledge 1-0"]);
    assert!(world.files()[0].ends_with(".skipped"));
}

#[tokio::test]
async fn a_held_block_is_not_acknowledged() {
    let world = World::new();
    let replica = &replicas(1)[0];
    world.answer(replica.header.number, Answer::Hold);
    let journal = world.run(vec![delivery("1-0", replica)]).await;
    assert_eq!(world.events().last().unwrap(), "release 1-0");
    assert!(matches!(stage(&journal, replica), Some(Stage::Verified { .. })));
    assert!(world.alarms.raised().contains_key(&AlarmKind::BlockHeld));
}

/// One place is enough: a held block does not keep it.
#[tokio::test]
async fn a_held_block_that_comes_again_and_is_proved_ends_the_alarm() {
    let mut world = World::new();
    world.open_blocks = 1;
    let replicas = replicas(2);
    let [held, other] = replicas.as_slice() else { panic!("two were asked for") };
    world.answer(held.header.number, Answer::HoldOnce);
    let first = delivery("1-0", held);
    let again = Delivery { deliveries: 2, ..first.clone() };
    let journal = world.run(vec![first, delivery("2-0", other), again]).await;
    let events = world.events();
    assert!(position(&events, "release 1-0") < position(&events, "acknowledge 2-0"), "{events:?}");
    assert_eq!(events.last().unwrap(), "acknowledge 1-0");
    assert!(matches!(stage(&journal, held), Some(Stage::Acknowledged { .. })));
    assert!(world.alarms.raised().is_empty(), "{:?}", world.alarms.raised());
}

#[tokio::test]
async fn a_proof_under_way_is_taken_up_again_with_its_attempts_and_without_the_source() {
    let world = World::new();
    let replica = &replicas(1)[0];
    let number = replica.header.number;
    world.answer(number, Answer::SendAndPark);
    let journal = world.run(vec![delivery("1-0", replica)]).await;
    let Some(Stage::ProofSent { attempts, .. }) = stage(&journal, replica) else {
        panic!("{:?}", stage(&journal, replica));
    };
    assert_eq!(attempts, [attempt()]);

    world.answer(number, Answer::Prove);
    let journal = world.restart(journal, Vec::new()).await;
    let events = world.events();
    assert!(events.contains(&format!("prove {number} with 1 attempts")), "{events:?}");
    assert_eq!(events.iter().filter(|event| event.starts_with("pin")).count(), 1);
    assert_eq!(events.last().unwrap(), "acknowledge 1-0");
    assert!(matches!(stage(&journal, replica), Some(Stage::Acknowledged { .. })));
}

#[tokio::test]
async fn a_stored_segment_that_was_altered_is_not_proved() {
    let world = World::new();
    let replica = &replicas(1)[0];
    world.answer(replica.header.number, Answer::Hold);
    let other = PinError::OtherCid {
        pinner: "fake".to_owned(),
        computed: Box::new(Cid::default()),
        returned: String::new(),
    };
    world.pin_failures.lock().unwrap().push_back(other);
    let journal = world.run(vec![delivery("1-0", replica)]).await;
    let file = world.folder.path().join("segments").join(&world.files()[0]);
    std::fs::write(file, b"something else").unwrap();
    let journal = world.restart(journal, Vec::new()).await;
    assert!(matches!(stage(&journal, replica), Some(Stage::Stored { .. })));
    assert!(world.alarms.raised().contains_key(&AlarmKind::BlockHeld));
    assert!(world.events().iter().all(|event| !event.starts_with("prove")));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_what_never_ends() {
    let world = World::new();
    let replica = &replicas(1)[0];
    world.answer(replica.header.number, Answer::Hang);
    let journal = world.run(vec![delivery("1-0", replica)]).await;
    assert!(matches!(stage(&journal, replica), Some(Stage::Verified { .. })));
    assert!(world.events().iter().all(|event| !event.starts_with("acknowledge")));
}
