//! Kubo's RPC, as ewm-das and others call it.

use crate::support::{Server, content};
use bsp_codec::dag::{Cid, Dag, cid_of};
use serde_json::{Value, json};

impl Server {
    async fn command(&self, command: &str) -> (u16, Value) {
        let answer =
            self.client.post(self.url(&format!("/api/v0/{command}"))).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap())
    }

    async fn import(&self, query: &str, archives: &[Vec<u8>]) -> (u16, Vec<Value>) {
        let files: Vec<(&str, &[u8])> =
            archives.iter().map(|archive| ("a.car", &archive[..])).collect();
        let (status, body) = self.post(&format!("/api/v0/dag/import{query}"), &files).await;
        (status, body.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }
}

/// A section of an archive, or its header, with its length before it.
fn section(content: &[u8]) -> Vec<u8> {
    let (mut len, mut out) = (content.len(), Vec::new());
    while len >= 0x80 {
        out.push((len & 0x7f) as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
    out.extend_from_slice(content);
    out
}

/// An archive with any roots.
fn archive(roots: &[Cid], blocks: &[(Cid, Vec<u8>)]) -> Vec<u8> {
    let mut header = b"\xa2\x65roots\x99".to_vec();
    header.extend_from_slice(&u16::try_from(roots.len()).unwrap().to_be_bytes());
    for root in roots {
        let root = root.to_bytes();
        header.extend_from_slice(&[0xd8, 0x2a, 0x58, u8::try_from(root.len()).unwrap() + 1, 0]);
        header.extend_from_slice(&root);
    }
    header.extend_from_slice(b"\x67version\x01");
    let mut archive = section(&header);
    for (cid, block) in blocks {
        archive.extend(section(&[cid.to_bytes(), block.clone()].concat()));
    }
    archive
}

fn blocks_of(content: &[u8]) -> Vec<(Cid, Vec<u8>)> {
    Dag::build(content).blocks().map(|(cid, block)| (cid, block.to_vec())).collect()
}

#[tokio::test]
async fn the_version_is_told_to_a_post_alone() {
    let server = Server::private().await;
    let (status, version) = server.command("version").await;
    assert_eq!(status, 200);
    assert!(version["Version"].is_string());
    assert_eq!(server.get("/api/v0/version").await.status(), 405);
    let answer = server.client.post(server.url("/api/v0/none")).send().await.unwrap();
    assert_eq!(answer.status(), 404);
}

#[tokio::test]
async fn every_root_of_an_import_gets_a_line() {
    let server = Server::private().await;
    // As ewm-das sends it: every block is a root.
    let blocks: Vec<_> = (0u32..141).map(|index| index.to_be_bytes().to_vec()).collect();
    let blocks: Vec<_> = blocks.into_iter().map(|block| (cid_of(&block), block)).collect();
    let roots: Vec<Cid> = blocks.iter().map(|(cid, _)| *cid).collect();
    let (status, lines) = server.import("?pin-roots=true", &[archive(&roots, &blocks)]).await;
    assert_eq!(status, 200);
    let expected = roots
        .iter()
        .map(|root| json!({ "Root": { "Cid": { "/": root.to_string() }, "PinErrorMsg": "" } }));
    assert_eq!(lines, expected.collect::<Vec<_>>());
    assert_eq!(server.store.usage().unwrap().pins, 141);
}

#[tokio::test]
async fn a_file_that_is_imported_is_there() {
    let server = Server::private().await;
    let bytes = content(6_000_000);
    let blocks = blocks_of(&bytes);
    let root = blocks[0].0;
    let (_, lines) = server.import("?stats=true", &[archive(&[root], &blocks)]).await;
    let len: usize = blocks.iter().map(|(_, block)| block.len()).sum();
    let stats = json!({ "Stats": { "BlockCount": blocks.len(), "BlockBytesCount": len } });
    assert_eq!(lines[1], stats);
    assert_eq!(server.store.pinned(&root).unwrap().unwrap().root, root);
    for (cid, block) in &blocks {
        let url = server.url(&format!("/api/v0/block/get?arg={cid}"));
        assert_eq!(server.client.post(url).send().await.unwrap().bytes().await.unwrap(), block);
        let (_, stat) = server.command(&format!("block/stat?arg=/ipfs/{cid}")).await;
        assert_eq!(stat, json!({ "Key": cid.to_string(), "Size": block.len() }));
    }
    for (query, range) in [("", 0..6_000_000), ("&offset=262140&length=10", 262_140..262_150)] {
        let url = server.url(&format!("/api/v0/cat?arg={root}{query}"));
        let answer = server.client.post(url).send().await.unwrap();
        assert_eq!(answer.bytes().await.unwrap(), bytes[range]);
    }
}

#[tokio::test]
async fn a_root_that_cannot_be_pinned_says_so_in_its_line() {
    let server = Server::private().await;
    let blocks = blocks_of(&content(600_000));
    let (present, missing) = (blocks[1].0, cid_of(b"missing"));
    let roots = [missing, present, blocks[0].0];
    let (status, lines) = server.import("", &[archive(&roots, &blocks[..3])]).await;
    assert_eq!(status, 200);
    let errors: Vec<_> =
        lines.iter().map(|line| line["Root"]["PinErrorMsg"].as_str().unwrap().is_empty()).collect();
    assert_eq!(errors, [false, true, false], "{lines:?}");
    let (_, none) = server.import("?pin-roots=false", &[archive(&roots, &blocks)]).await;
    assert!(none.is_empty());
}

#[tokio::test]
async fn archives_that_lie_are_refused() {
    let server = Server::private().await;
    let hello = cid_of(b"hello");
    let good = archive(&[hello], &[(hello, b"hello".to_vec())]);
    let json = Cid::new_v1(0x0129, *hello.hash());
    let longer = vec![0; (2 << 20) + 1];
    for (what, bad) in [
        ("wrong hash", archive(&[hello], &[(hello, b"other".to_vec())])),
        ("other codec", archive(&[json], &[(json, b"hello".to_vec())])),
        ("too long", archive(&[cid_of(b"")], &[(cid_of(&longer), longer)])),
        ("cut off", good[..good.len() - 1].to_vec()),
        ("endless length", [&good[..], &[0xff; 20]].concat()),
        ("promised length", [&good[..], &[0xff, 0xff, 0xff, 0xff, 0x0f]].concat()),
        ("CARv2", section(b"\xa1\x67version\x02")),
        ("no archive", b"hello".to_vec()),
        ("nothing", Vec::new()),
    ] {
        let (status, answer) = server.import("", std::slice::from_ref(&bad)).await;
        assert!((400..500).contains(&status), "{what}: {status}");
        assert_eq!(
            (&answer[0]["Code"], &answer[0]["Type"]),
            (&json!(1), &json!("error")),
            "{what}"
        );
        assert!(answer[0]["Message"].is_string());
    }
    assert_eq!(server.store.usage().unwrap().pins, 0);
}

#[tokio::test]
async fn pins_are_added_listed_and_removed() {
    let server = Server::private().await;
    let bytes = content(600_000);
    let blocks = blocks_of(&bytes);
    let root = blocks[0].0;
    server.import("?pin-roots=false", &[archive(&[root], &blocks)]).await;
    assert_eq!(server.command("pin/ls").await, (200, json!({ "Keys": {} })));

    let added = server.command(&format!("pin/add?arg={root}&name=a%22b")).await;
    assert_eq!(added, (200, json!({ "Pins": [root.to_string()] })));
    let mut keys = serde_json::Map::new();
    keys.insert(root.to_string(), json!({ "Type": "recursive", "Name": "a\"b" }));
    let expected = (200, json!({ "Keys": keys }));
    assert_eq!(server.command("pin/ls").await, expected);
    assert_eq!(server.command(&format!("pin/ls?arg={root}&type=recursive")).await, expected);
    assert_eq!(server.command("pin/ls?type=direct").await.1, json!({ "Keys": {} }));
    let line = json!({ "Cid": root.to_string(), "Type": "recursive", "Name": "a\"b" });
    assert_eq!(server.command("pin/ls?stream=true").await.1, line);

    let removed = server.command(&format!("pin/rm?arg={root}")).await;
    assert_eq!(removed, (200, json!({ "Pins": [root.to_string()] })));
    let (status, error) = server.command(&format!("pin/rm?arg={root}")).await;
    assert_eq!(status, 500);
    assert_eq!(error["Message"], format!("{root} is not pinned"));
    assert_eq!(server.command(&format!("pin/ls?arg={root}")).await.0, 500);
}

#[tokio::test]
async fn more_pins_than_a_page_are_all_listed() {
    let server = Server::private().await;
    let roots: Vec<_> = (0u32..1201).map(|index| server.keep(&index.to_be_bytes())).collect();
    let (_, listed) = server.command("pin/ls").await;
    let keys = listed["Keys"].as_object().unwrap();
    assert_eq!(keys.len(), roots.len());
    assert!(roots.iter().all(|root| keys.contains_key(&root.to_string())));
}

#[tokio::test]
async fn commands_with_wrong_arguments_are_refused() {
    let server = Server::private().await;
    let hello = server.keep(b"hello");
    let elsewhere = cid_of(b"elsewhere");
    for (command, status) in [
        ("block/get".to_owned(), 400),
        ("block/get?arg=none".to_owned(), 400),
        (format!("block/get?arg={hello}&arg={hello}"), 400),
        (format!("block/get?arg={elsewhere}"), 500),
        (format!("block/get?arg=/ipfs/{hello}/below"), 400),
        ("block/get?arg=/ipfs/../../etc/passwd".to_owned(), 400),
        (format!("block/stat?arg={elsewhere}"), 500),
        (format!("dag/get?arg={hello}&output-codec=dag-cbor"), 400),
        (format!("cat?arg={hello}&offset=-1"), 400),
        (format!("cat?arg={hello}&offset=6"), 400),
        (format!("cat?arg={elsewhere}"), 500),
        (format!("pin/add?arg={elsewhere}"), 500),
        (format!("pin/add?arg={hello}&recursive=false"), 400),
        (format!("pin/add?arg={hello}&name={}", "n".repeat(256)), 400),
        ("pin/ls?type=some".to_owned(), 400),
        ("pin/ls?stream=maybe".to_owned(), 400),
        ("dag/import?pin-roots=maybe".to_owned(), 400),
        ("dag/import".to_owned(), 500),
    ] {
        let (found, error) = server.command(&command).await;
        assert_eq!(found, status, "{command}");
        assert!(error["Message"].is_string() && error["Type"] == "error", "{error}");
    }
    let raw = server.command(&format!("dag/get?arg={hello}")).await.1;
    assert_eq!(raw, json!({ "/": { "bytes": "aGVsbG8" } }));
}
