//! What nothing needs goes, and nothing else.

use super::*;
use std::fs;

const NO_GRACE: Duration = Duration::ZERO;
const LONG_GRACE: Duration = Duration::from_secs(1 << 40);

fn small_packs() -> Fixture {
    let mut fixture = Fixture::new();
    fixture.options.pack_len = Some(1 << 20);
    fixture
}

fn packs_len(fixture: &Fixture) -> u64 {
    let packs = fs::read_dir(fixture.path().join("packs")).unwrap();
    packs.map(|pack| pack.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn blocks_without_a_pin_stay_for_a_while() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let (pinned, loose) = (content(1000, 1), Bytes::from(content(1000, 2)));
    let pin = import(&store, &pinned);
    let cid = cid_of(&loose);
    store.put_blocks(&[(cid, loose.clone())]).unwrap();
    assert_eq!(store.collect_garbage(LONG_GRACE).unwrap().blocks, 0);
    assert_eq!(store.block(&cid).unwrap(), Some(loose.clone()));
    assert_eq!(store.collect_garbage(NO_GRACE).unwrap().blocks, 1);
    assert_eq!(store.block(&cid).unwrap(), None);
    assert!(read(&store, &pin.root) == pinned);
    // What a pin has taken in the meantime is no garbage.
    store.put_blocks(&[(cid, loose.clone())]).unwrap();
    store.pin(&cid, NewPin::default()).unwrap();
    assert_eq!(store.collect_garbage(NO_GRACE).unwrap().blocks, 0);
    assert_eq!(store.block(&cid).unwrap(), Some(loose));
}

#[test]
fn what_an_import_relies_on_is_not_garbage() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let file = content(3 * CHUNK_LEN, 1);
    let old = import(&store, &file);
    let mut again = store.import();
    again.update(&[&file[..], b"and more"].concat()).unwrap();
    store.unpin(&old.root).unwrap();
    store.collect_garbage(NO_GRACE).unwrap();
    let pin = again.finish(NewPin::default()).unwrap();
    assert!(read(&store, &pin.root) == [&file[..], b"and more"].concat());
    // The log alone says the same.
    drop(store);
    fs::remove_file(fixture.path().join("index.redb")).unwrap();
    let store = fixture.open();
    assert!(read(&store, &pin.root) == [&file[..], b"and more"].concat());
    assert_eq!(store.pinned(&old.root).unwrap(), None);
}

#[test]
fn packs_that_are_mostly_dead_are_copied_and_removed() {
    let fixture = small_packs();
    let store = fixture.open();
    let files: Vec<Vec<u8>> = (0..30).map(|n| content(200_000, n)).collect();
    files.iter().for_each(|file| drop(import(&store, file)));
    for (n, file) in files.iter().enumerate() {
        if n % 5 == 2 {
            store.confirm(&cid_of(file)).unwrap();
        } else {
            store.unpin(&cid_of(file)).unwrap();
        }
    }
    let before = packs_len(&fixture);
    assert!(store.collect_garbage(NO_GRACE).unwrap().packs >= 4);
    assert!(packs_len(&fixture) * 2 < before, "{} of {before}", packs_len(&fixture));
    let check = |store: &Store| {
        for (n, file) in files.iter().enumerate() {
            let pin = store.pinned(&cid_of(file)).unwrap();
            assert_eq!(pin.is_some(), n % 5 == 2, "file {n}");
            if let Some(pin) = pin {
                assert_eq!(pin.state, PinState::Confirmed);
                assert!(read(store, &pin.root) == *file, "file {n}");
            }
        }
        assert_eq!(store.usage().unwrap().pins, 6);
    };
    check(&store);
    drop(store);
    fs::remove_file(fixture.path().join("index.redb")).unwrap();
    let store = fixture.open();
    check(&store);
    assert!(store.check(false).unwrap().is_sound());
}

#[test]
fn the_end_of_a_pin_outlives_the_pack_that_tells_it() {
    let fixture = small_packs();
    let store = fixture.open();
    // A pack that stays, with a pin that ends; a second pack with that end, which goes.
    let gone = import(&store, b"gone");
    let stays = content(900_000, 1);
    import(&store, &stays);
    let dead = content(900_000, 2);
    import(&store, &dead);
    store.unpin(&gone.root).unwrap();
    store.unpin(&cid_of(&dead)).unwrap();
    import(&store, &content(900_000, 3));
    assert_eq!(store.collect_garbage(NO_GRACE).unwrap().packs, 1);
    drop(store);
    fs::remove_file(fixture.path().join("index.redb")).unwrap();
    let store = fixture.open();
    assert_eq!(store.pinned(&gone.root).unwrap(), None);
    assert!(read(&store, &cid_of(&stays)) == stays);
}

#[test]
fn the_budget_takes_the_oldest_confirmed_pins_and_never_another() {
    let mut fixture = small_packs();
    fixture.options.budget = Some(8 << 20);
    let store = fixture.open();
    let files: Vec<Vec<u8>> = (0..60).map(|n| content(300_000, n)).collect();
    for (n, file) in files.iter().enumerate() {
        import(&store, file);
        if n != 3 {
            store.confirm(&cid_of(file)).unwrap();
        }
        assert!(store.usage().unwrap().disk_bytes <= 8 << 20, "after file {n}");
    }
    let left: Vec<usize> =
        (0..60).filter(|n| store.pinned(&cid_of(&files[*n])).unwrap().is_some()).collect();
    assert!(left.len() > 10, "{left:?}");
    assert_eq!(left[0], 3, "the one that is not confirmed");
    assert!(left[1..].iter().rev().zip((0..60).rev()).all(|(a, b)| *a == b), "{left:?}");
    assert!(read(&store, &cid_of(&files[3])) == files[3]);
}

#[test]
fn a_budget_used_up_by_what_is_not_confirmed_refuses_more() {
    let mut fixture = small_packs();
    fixture.options.budget = Some(4 << 20);
    let store = fixture.open();
    let refused = (0..40).find_map(|n| {
        let mut import = store.import();
        let file = content(300_000, n);
        let kept = import.update(&file).and_then(|()| import.finish(NewPin::default()));
        kept.err()
    });
    assert!(matches!(refused, Some(StoreError::OverBudget { .. })), "{refused:?}");
    let pins = store.pins(None, 100).unwrap();
    assert!(pins.len() > 8, "{}", pins.len());
    for pin in &pins {
        assert_eq!(read(&store, &pin.root).len(), 300_000);
    }
    // Once a proof is confirmed there is room again.
    store.confirm(&pins[0].root).unwrap();
    store.confirm(&pins[1].root).unwrap();
    import(&store, &content(300_000, 1000));
}

#[test]
fn a_check_names_what_is_broken_and_repairs_the_index() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let files = [content(600_000, 1), content(600_000, 2)];
    let pins = [import(&store, &files[0]), import(&store, &files[1])];
    let report = store.check(true).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.blocks, report.pins), (8, 2));
    let pack = fixture.path().join("packs/0000000001.pack");
    let mut bytes = fs::read(&pack).unwrap();
    bytes[100_000] ^= 1;
    fs::write(&pack, bytes).unwrap();
    for repair in [false, true] {
        let report = store.check(repair).unwrap();
        assert_eq!(report.broken.len(), 1, "{report:?}");
        assert_eq!(report.broken[0].root, pins[0].root);
        assert_eq!(report.broken[0].missing.len(), 1);
    }
    import(&store, &files[0]);
    assert!(store.check(true).unwrap().is_sound());
    assert!(read(&store, &pins[0].root) == files[0]);
}

#[test]
fn a_pin_whose_entry_decays_is_pinned_again_by_a_repair() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let file = content(600_000, 1);
    let pin = import(&store, &file);
    store.confirm(&pin.root).unwrap();
    let pack = fixture.path().join("packs/0000000001.pack");
    let mut bytes = fs::read(&pack).unwrap();
    // The digests of its blocks are the last of its frame, and a frame of 105 bytes follows.
    let at = bytes.len() - 150;
    bytes[at] ^= 1;
    fs::write(&pack, bytes).unwrap();
    let report = store.check(false).unwrap();
    assert_eq!(report.broken.len(), 1, "{report:?}");
    assert!(report.broken[0].missing.is_empty());
    assert!(store.check(true).unwrap().is_sound());
    let again = store.pinned(&pin.root).unwrap().unwrap();
    assert_eq!((again.state, again.size), (PinState::Confirmed, pin.size));
    assert!(read(&store, &pin.root) == file);
}
