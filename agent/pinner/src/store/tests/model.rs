//! The store beside a model of it: whatever is done, both say the same.

use super::*;
use proptest::prelude::*;
use std::{collections::BTreeMap, fs};

#[derive(Debug, Clone, Copy)]
enum Step {
    Import(u8),
    GiveUp(u8),
    Put(u8),
    PinPut(u8),
    Unpin(u8),
    Confirm(u8),
    Collect,
    Reopen,
    LoseIndex,
}

fn step() -> impl Strategy<Value = Step> {
    let file = 0u8..12;
    prop_oneof![
        6 => file.clone().prop_map(Step::Import),
        1 => file.clone().prop_map(Step::GiveUp),
        2 => file.clone().prop_map(Step::Put),
        2 => file.clone().prop_map(Step::PinPut),
        4 => file.clone().prop_map(Step::Unpin),
        2 => file.prop_map(Step::Confirm),
        2 => Just(Step::Collect),
        1 => Just(Step::Reopen),
        1 => Just(Step::LoseIndex),
    ]
}

/// Files that share chunks with one another.
fn file(n: u8) -> Vec<u8> {
    let n = usize::from(n);
    let chunk = |seed: usize| content(CHUNK_LEN, seed as u64);
    match n % 3 {
        0 => content(1000 * n, n as u64),
        1 => [chunk(n % 4), chunk(n % 5), content(n, 7)].concat(),
        _ => [chunk(n % 4), chunk(n % 4)].concat(),
    }
}

fn blocks(n: u8) -> Vec<(Cid, Bytes)> {
    let file = file(n);
    let dag = Dag::build(&file);
    dag.blocks().map(|(cid, block)| (cid, Bytes::copy_from_slice(block))).collect()
}

fn compare(store: &Store, model: &BTreeMap<u8, PinState>) {
    for n in 0..12 {
        let root = cid_of(&file(n));
        let pin = store.pinned(&root).unwrap();
        assert_eq!(pin.as_ref().map(|pin| pin.state), model.get(&n).copied(), "file {n}");
        if pin.is_some() {
            assert!(read(store, &root) == file(n), "file {n}");
        }
    }
}

/// After a collection nothing is left but what pins hold.
fn compare_blocks(store: &Store, model: &BTreeMap<u8, PinState>) {
    let needed: std::collections::HashSet<Vec<u8>> = model
        .keys()
        .flat_map(|n| blocks(*n))
        .map(|(cid, _)| cid.hash().digest().to_vec())
        .collect();
    assert_eq!(store.usage().unwrap().blocks, needed.len() as u64);
}

fn run(steps: &[Step]) {
    let mut fixture = Fixture::new();
    fixture.options.pack_len = Some(1 << 20);
    let mut store = fixture.open();
    let mut model = BTreeMap::new();
    for step in steps {
        match *step {
            Step::Import(n) => {
                import(&store, &file(n));
                model.entry(n).or_insert(PinState::Unconfirmed);
            }
            Step::GiveUp(n) => store.import().update(&file(n)).unwrap(),
            Step::Put(n) => store.put_blocks(&blocks(n)).unwrap(),
            Step::PinPut(n) => {
                if store.pin(&cid_of(&file(n)), NewPin::default()).is_ok() {
                    model.entry(n).or_insert(PinState::Unconfirmed);
                } else {
                    assert!(!model.contains_key(&n));
                }
            }
            Step::Unpin(n) => {
                let there = store.unpin(&cid_of(&file(n))).unwrap().is_some();
                assert_eq!(there, model.remove(&n).is_some());
            }
            Step::Confirm(n) => {
                assert_eq!(store.confirm(&cid_of(&file(n))).unwrap(), model.contains_key(&n));
                model.entry(n).and_modify(|state| *state = PinState::Confirmed);
            }
            Step::Collect => {
                store.collect_garbage(Duration::ZERO).unwrap();
                compare_blocks(&store, &model);
            }
            Step::Reopen | Step::LoseIndex => {
                drop(store);
                if matches!(step, Step::LoseIndex) {
                    fs::remove_file(fixture.path().join("index.redb")).unwrap();
                }
                store = fixture.open();
            }
        }
    }
    compare(&store, &model);
    store.collect_garbage(Duration::ZERO).unwrap();
    compare_blocks(&store, &model);
    compare(&store, &model);
    assert!(store.check(true).unwrap().is_sound());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    #[test]
    fn the_store_does_what_the_model_does(steps in proptest::collection::vec(step(), 1..40)) {
        run(&steps);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]
    #[test]
    fn any_file_in_any_pieces_has_the_reference_identifier(
        len in prop_oneof![3 => 0usize..3_000_000, 1 => 0usize..(64 << 20)],
        pieces in proptest::collection::vec(1usize..900_000, 1..6),
    ) {
        let mut fixture = Fixture::new();
        fixture.options.uncompressed = true;
        let store = fixture.open();
        let file = content(len, 9);
        let mut import = store.import();
        let mut rest = file.as_slice();
        for piece in pieces.iter().cycle() {
            let (head, tail) = rest.split_at(rest.len().min(*piece));
            import.update(head).unwrap();
            rest = tail;
            if rest.is_empty() { break; }
        }
        let pin = import.finish(NewPin::default()).unwrap();
        prop_assert_eq!(pin.root, cid_of(&file));
        prop_assert!(read(&store, &pin.root) == file);
    }
}
