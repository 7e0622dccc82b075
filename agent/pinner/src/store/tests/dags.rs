//! DAGs of every kind: walks, archives, pins.

use super::*;

/// A dag-pb node with these links and data.
fn node(links: &[(Cid, &str)], data: &[u8]) -> (Cid, Bytes) {
    let mut block = Vec::new();
    for (cid, name) in links {
        let cid = cid.to_bytes();
        let mut link = vec![0x0a, cid.len() as u8];
        link.extend_from_slice(&cid);
        link.extend([0x12, name.len() as u8]);
        link.extend_from_slice(name.as_bytes());
        link.extend([0x18, 1]);
        block.extend([0x12, link.len() as u8]);
        block.extend(link);
    }
    block.extend([0x0a, data.len() as u8]);
    block.extend_from_slice(data);
    (of_codec(walk::DAG_PB, &block), block.into())
}

/// A dag-cbor array of links.
fn array(links: &[Cid]) -> (Cid, Bytes) {
    let mut block = vec![0x80 | u8::try_from(links.len()).unwrap()];
    assert!(links.len() < 24);
    for cid in links {
        let cid = cid.to_bytes();
        block.extend([0xd8, 0x2a, 0x58, cid.len() as u8 + 1, 0]);
        block.extend(cid);
    }
    (of_codec(walk::DAG_CBOR, &block), block.into())
}

fn of_codec(codec: u64, block: &[u8]) -> Cid {
    Cid::new_v1(codec, Multihash::wrap(0x12, &Sha256::digest(block)).unwrap())
}

fn leaf(content: &'static [u8]) -> (Cid, Bytes) {
    (cid_of(content), Bytes::from_static(content))
}

fn walked(store: &Store, root: &Cid) -> Vec<Cid> {
    store.dag_blocks(root).map(|block| block.unwrap().0).collect()
}

#[test]
fn a_directory_with_a_diamond_is_pinned_with_each_block_once() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let (a, b) = (leaf(b"a"), leaf(b"b"));
    let inner = node(&[(a.0, "a"), (b.0, "b")], &[0x08, 0x01]);
    let root = node(&[(b.0, "b"), (inner.0, "one"), (inner.0, "two")], &[0x08, 0x01]);
    let blocks = [a.clone(), b.clone(), inner.clone(), root.clone()];
    store.put_blocks(&blocks).unwrap();
    let pin = store.pin(&root.0, NewPin::default()).unwrap();
    assert_eq!(pin.blocks, 4);
    assert_eq!(pin.size, blocks.iter().map(|(_, block)| block.len() as u64).sum::<u64>());
    assert_eq!(walked(&store, &root.0), [root.0, b.0, inner.0, a.0]);
    store.collect_garbage(Duration::ZERO).unwrap();
    assert_eq!(walked(&store, &root.0).len(), 4);
    let error = store.file(&root.0).unwrap_err();
    assert!(matches!(error, StoreError::NotAFile { .. }), "{error}");
    store.unpin(&root.0).unwrap();
    assert_eq!(store.usage().unwrap().blocks, 0);
}

#[test]
fn links_of_dag_cbor_are_followed() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let (a, b) = (leaf(b"a"), leaf(b"b"));
    let inner = array(&[b.0]);
    let root = array(&[a.0, inner.0]);
    store.put_blocks(&[a.clone(), inner.clone(), root.clone()]).unwrap();
    let error = store.pin(&root.0, NewPin::default()).unwrap_err();
    assert!(matches!(&error, StoreError::Missing(cid) if **cid == b.0), "{error}");
    assert_eq!(store.pinned(&root.0).unwrap(), None);
    store.put_blocks(std::slice::from_ref(&b)).unwrap();
    assert_eq!(store.pin(&root.0, NewPin::default()).unwrap().blocks, 4);
    assert_eq!(walked(&store, &root.0), [root.0, a.0, inner.0, b.0]);
    assert!(matches!(store.file(&root.0), Err(StoreError::NotAFile { .. })));
}

#[test]
fn what_is_malformed_or_too_deep_is_refused() {
    let fixture = Fixture::new();
    let store = fixture.open();
    for codec in [walk::DAG_PB, walk::DAG_CBOR] {
        let block = Bytes::from_static(&[0xff; 20]);
        let cid = of_codec(codec, &block);
        store.put_blocks(&[(cid, block)]).unwrap();
        let error = store.pin(&cid, NewPin::default()).unwrap_err();
        assert!(matches!(error, StoreError::Malformed { .. }), "{error}");
    }
    let mut chain = vec![array(&[])];
    for _ in 0..=MAX_DEPTH {
        let below = chain.last().unwrap().0;
        chain.push(array(&[below]));
    }
    store.put_blocks(&chain).unwrap();
    store.pin(&chain[MAX_DEPTH - 1].0, NewPin::default()).unwrap();
    let error = store.pin(&chain.last().unwrap().0, NewPin::default()).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
    // Arrays in arrays, in one block.
    let deep = Bytes::from(vec![0x81; 100_000]);
    let cid = of_codec(walk::DAG_CBOR, &deep);
    store.put_blocks(&[(cid, deep)]).unwrap();
    assert!(matches!(store.pin(&cid, NewPin::default()), Err(StoreError::Malformed { .. })));
}

#[test]
fn files_of_other_importers_are_read() {
    let fixture = Fixture::new();
    let store = fixture.open();
    // Leaves that are nodes with inline content, under identifiers of version 0.
    let inline = |text: &[u8]| {
        let data =
            [&[0x08, 0x02, 0x12, text.len() as u8], text, &[0x18, text.len() as u8]].concat();
        let (cid, block) = node(&[], &data);
        (Cid::new_v0(*cid.hash()).unwrap(), block)
    };
    let (a, b) = (inline(b"hello "), inline(b"world"));
    let data = [0x08, 0x02, 0x18, 11, 0x20, 6, 0x20, 5];
    let root = node(&[(a.0, ""), (b.0, "")], &data);
    store.put_blocks(&[a.clone(), b.clone(), root.clone()]).unwrap();
    assert_eq!(read(&store, &root.0), b"hello world");
    assert_eq!(read(&store, &a.0), b"hello ");
    // A root that lies about the length of a part.
    let lying = node(&[(a.0, ""), (b.0, "")], &[0x08, 0x02, 0x18, 11, 0x20, 5, 0x20, 6]);
    store.put_blocks(std::slice::from_ref(&lying)).unwrap();
    let mut out = Vec::new();
    let error = store.file(&lying.0).unwrap().unwrap().read_to_end(&mut out).unwrap_err();
    assert!(error.to_string().contains("another length"), "{error}");
}

#[test]
fn an_archive_brings_a_dag_into_another_store() {
    let (from, to) = (Fixture::new(), Fixture::new());
    let (from, to) = (from.open(), to.open());
    let file = content(3 * CHUNK_LEN + 5, 1);
    let pin = import(&from, &file);
    let mut archive = Vec::new();
    let len = from.export_car(&pin.root, &mut archive).unwrap();
    assert_eq!(len, archive.len() as u64);
    let mut expected = Vec::new();
    let dag = Dag::build(&file);
    bsp_codec::car::write_car(dag.root(), dag.blocks(), &mut expected).unwrap();
    assert!(archive == expected);
    assert_eq!(to.import_car(&archive[..]).unwrap(), [pin.root]);
    assert_eq!(to.pinned(&pin.root).unwrap(), None);
    let there = to.pin(&pin.root, NewPin::default()).unwrap();
    assert_eq!((there.size, there.blocks), (pin.size, pin.blocks));
    assert!(read(&to, &pin.root) == file);
}

#[test]
fn nothing_of_a_bad_archive_stays() {
    let fixture = Fixture::new();
    let store = fixture.open();
    let mut archive = Vec::new();
    let from = Fixture::new();
    let from = from.open();
    let pin = import(&from, &content(600_000, 1));
    from.export_car(&pin.root, &mut archive).unwrap();
    let last = archive.len() - 1;
    archive[last] ^= 1;
    let error = store.import_car(&archive[..]).unwrap_err();
    assert!(matches!(error, StoreError::Car(_)), "{error}");
    let error = store.import_car(&archive[..last]).unwrap_err();
    assert!(matches!(error, StoreError::Car(_)), "{error}");
    assert_eq!(store.usage().unwrap().blocks, 0);
    let missing = from.export_car(&cid_of(b"missing"), &mut Vec::new()).unwrap_err();
    assert!(matches!(missing, StoreError::Missing(_)), "{missing}");
}
