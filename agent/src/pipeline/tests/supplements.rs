//! Blocks of which the format leaves something out, with and without what came beside them.

use super::{
    fakes::{World, delivery},
    stage,
};
use crate::{
    journal::{Journal, Stage, Verification},
    source::Delivery,
};
use alloy_primitives::B256;
use bsp_codec::{Replica, supplement::Supplement};
use bsp_tests::messages::{dev::DevBlocks, poison};

/// A block with an EIP-7702 transaction behind another one, whose list the format leaves out.
pub(super) struct Incomplete {
    pub(super) replica: Replica,
    supplement: Supplement,
    /// The index of that transaction.
    first: usize,
}

pub(super) fn incomplete() -> Incomplete {
    let mut blocks = DevBlocks::new(7).unwrap();
    std::iter::repeat_with(|| blocks.next_supplemented().unwrap())
        .find_map(|(replica, supplement)| {
            let first = replica.transactions.iter().position(|tx| tx.tx_type == 4)?;
            let supplement = supplement.filter(|_| first > 0)?;
            Some(Incomplete { replica, supplement, first })
        })
        .unwrap()
}

impl Incomplete {
    /// The block with these bytes beside it.
    fn with(&self, supplement: Option<Vec<u8>>) -> Delivery {
        let supplement = supplement.map(Into::into);
        Delivery { supplement, ..delivery("1-0", &self.replica) }
    }

    fn in_part(&self) -> Verification {
        let (transactions, of) = (self.first, self.replica.transactions.len());
        Verification::ExecutedInPart { transactions, of }
    }
}

#[track_caller]
fn assert_proved(journal: &Journal, replica: &Replica, expected: Verification) {
    match stage(journal, replica) {
        Some(Stage::Acknowledged { verification, .. }) => assert_eq!(verification, expected),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn without_one_a_block_is_executed_in_part_and_that_is_told() {
    let (world, block) = (World::new(), incomplete());
    let journal = world.run(vec![block.with(None)]).await;
    assert_proved(&journal, &block.replica, block.in_part());
}

#[tokio::test]
async fn with_its_own_all_of_a_block_is_executed() {
    let (world, block) = (World::new(), incomplete());
    let journal = world.run(vec![block.with(Some(block.supplement.encode()))]).await;
    assert_proved(&journal, &block.replica, Verification::Executed);
    assert_eq!(world.files().len(), 1, "{:?}", world.files());
}

#[tokio::test]
async fn one_that_does_not_fit_speaks_against_itself_and_not_against_the_block() {
    let block = incomplete();
    let genuine = &block.supplement;
    let changed = |change: fn(&mut Supplement)| {
        let mut supplement = genuine.clone();
        change(&mut supplement);
        supplement.encode()
    };
    let encoded = genuine.encode();
    for bad in [
        Vec::new(),
        b"garbage".to_vec(),
        encoded[..encoded.len() - 1].to_vec(),
        changed(|supplement| supplement.block_hash = B256::repeat_byte(1)),
        changed(|supplement| supplement.authorizations.values_mut().for_each(Vec::clear)),
        changed(|supplement| {
            let lists = std::mem::take(&mut supplement.authorizations);
            supplement.authorizations =
                lists.into_iter().map(|(at, list)| (at + 1, list)).collect();
        }),
    ] {
        let world = World::new();
        let journal = world.run(vec![block.with(Some(bad))]).await;
        assert_proved(&journal, &block.replica, block.in_part());
        assert_eq!(world.files().len(), 1, "{:?}", world.files());
    }
}

#[tokio::test]
async fn a_block_that_lies_is_refused_with_its_supplement_too_and_keeps_it() {
    let (world, block) = (World::new(), incomplete());
    let lie = poison::lies_about_state(&block.replica).unwrap().message.data.unwrap();
    let supplement = block.supplement.encode();
    let payload = Some(crate::source::Payload::Snappy(lie.into()));
    let lying = Delivery { payload, ..block.with(Some(supplement.clone())) };
    world.run(vec![lying]).await;
    let events = world.events();
    assert!(!events.iter().any(|event| event.starts_with("prove ")), "{events:?}");
    let letters = world.letters.lock().unwrap();
    assert_eq!(letters[0].supplement.as_deref(), Some(&supplement[..]));
    let files = world.files();
    assert!(files.iter().any(|name| name.ends_with(".supplement")), "{files:?}");
}

#[tokio::test]
async fn one_of_a_block_that_the_divisor_leaves_aside_is_kept_with_it() {
    let block = incomplete();
    let world = World { divisor: block.replica.header.number + 1, ..World::new() };
    world.run(vec![block.with(Some(block.supplement.encode()))]).await;
    assert_eq!(world.unselected().len(), 2, "{:?}", world.unselected());
}

#[tokio::test]
async fn a_message_that_is_refused_at_once_keeps_its_own() {
    let (world, block) = (World::new(), incomplete());
    let supplement = block.supplement.encode();
    let payload = Some(crate::source::Payload::Rlp(vec![0xc0].into()));
    let wrong = Delivery { payload, ..block.with(Some(supplement.clone())) };
    world.run(vec![wrong]).await;
    let letters = world.letters.lock().unwrap();
    assert_eq!(letters[0].supplement.as_deref(), Some(&supplement[..]));
}
