//! The trustless gateway, by its specification.

use crate::support::{Server, content};
use bsp_codec::dag::{Cid, Dag};

#[tokio::test]
async fn a_block_is_given_as_it_is() {
    let server = Server::public().await;
    let bytes = content(600_000);
    server.keep(&bytes);
    for (cid, block) in Dag::build(&bytes).blocks() {
        let path = format!("/ipfs/{cid}");
        let by_query = server.get(&format!("{path}?format=raw")).await;
        let by_header = server.get_with(&path, &[("accept", "application/vnd.ipld.raw")]).await;
        for answer in [by_query, by_header] {
            assert_eq!(answer.status(), 200);
            let headers = answer.headers().clone();
            assert_eq!(headers["content-type"], "application/vnd.ipld.raw");
            assert_eq!(headers["content-length"], block.len().to_string());
            assert_eq!(headers["cache-control"], "public, max-age=29030400, immutable");
            assert_eq!(headers["etag"], format!("\"{cid}.raw\""));
            assert_eq!(headers["x-ipfs-path"], path);
            assert_eq!(headers["x-content-type-options"], "nosniff");
            let disposition = format!("attachment; filename=\"{cid}.bin\"");
            assert_eq!(headers["content-disposition"], disposition);
            assert_eq!(answer.bytes().await.unwrap(), block);
        }
    }
}

#[tokio::test]
async fn a_file_is_downloaded_in_whole_and_in_part() {
    let server = Server::public().await;
    let bytes = content(1_300_000);
    let path = format!("/ipfs/{}", server.keep(&bytes));
    let answer = server.get(&format!("{path}?filename=1-2-segment.avro")).await;
    let disposition = "attachment; filename=\"1-2-segment.avro\"";
    assert_eq!(answer.headers()["content-disposition"], disposition);
    assert_eq!(answer.headers()["content-type"], "application/octet-stream");
    assert_eq!(answer.bytes().await.unwrap(), bytes);

    for (range, from, to) in
        [("0-0", 0, 1), ("262143-262144", 262_143, 262_145), ("1000000-", 1_000_000, 1_300_000)]
    {
        let answer = server.get_with(&path, &[("range", &format!("bytes={range}"))]).await;
        assert_eq!(answer.status(), 206, "{range}");
        let expected = format!("bytes {from}-{}/1300000", to - 1);
        assert_eq!(answer.headers()["content-range"], expected);
        assert_eq!(answer.bytes().await.unwrap(), bytes[from..to]);
    }
    let answer = server.get_with(&path, &[("range", "bytes=1300000-")]).await;
    assert_eq!(answer.status(), 416);
    assert_eq!(answer.headers()["content-range"], "bytes */1300000");
}

#[tokio::test]
async fn head_gives_the_headers_alone() {
    let server = Server::public().await;
    let path = format!("/ipfs/{}", server.keep(&content(600_000)));
    let answer = server.client.head(server.url(&path)).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-length"], "600000");
    assert_eq!(answer.bytes().await.unwrap().len(), 0);
}

#[tokio::test]
async fn what_a_client_has_is_not_sent_again() {
    let server = Server::public().await;
    let path = format!("/ipfs/{}", server.keep(b"hello"));
    for path in [format!("{path}?format=raw"), path] {
        let etag = server.get(&path).await.headers()["etag"].to_str().unwrap().to_owned();
        let answer = server.get_with(&path, &[("if-none-match", &etag)]).await;
        assert_eq!(answer.status(), 304);
        assert_eq!(answer.headers()["etag"], etag.as_str());
        assert_eq!(server.get_with(&path, &[("if-none-match", "\"other\"")]).await.status(), 200);
    }
}

#[tokio::test]
async fn the_probe_is_answered() {
    let server = Server::public().await;
    for path in ["/ipfs/bafkqaaa?format=raw", "/ipfs/bafkqaaa"] {
        let answer = server.get(path).await;
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.bytes().await.unwrap().len(), 0);
    }
    let answer = server.client.head(server.url("/ipfs/bafkqaaa?format=raw")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn what_is_not_here_is_not_looked_for_elsewhere() {
    let server = Server::public().await;
    let path = format!("/ipfs/{}", bsp_codec::dag::cid_of(b"elsewhere"));
    for path in [format!("{path}?format=raw"), path] {
        let answer = server.get(&path).await;
        assert_eq!(answer.status(), 404);
        assert_eq!(answer.headers()["cache-control"], "no-store");
        let answer = server.get_with(&path, &[("cache-control", "only-if-cached")]).await;
        assert_eq!(answer.status(), 412);
    }
}

#[tokio::test]
async fn requests_that_cannot_be_met_are_refused_with_a_reason() {
    let server = Server::public().await;
    let cid = server.keep(b"hello");
    let json = Cid::new_v1(0x0129, *cid.hash());
    for (path, status, reason) in [
        ("/ipfs/QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn".to_owned(), 400, "CIDv0"),
        (format!("/ipfs/{json}?format=raw"), 400, "codec 0x129"),
        // An identity CID, and one of blake2b.
        ("/ipfs/bafkqabimfxhi4tbnzxq".to_owned(), 400, "is not a CID"),
        ("/ipfs/bafkqabdbnzxxi".to_owned(), 400, "multihash of type 0x0"),
        ("/ipfs/none".to_owned(), 400, "is not a CID"),
        (format!("/ipfs/{cid}/below"), 404, "directories"),
        (format!("/ipfs/{cid}?format=tar"), 400, "formats"),
        ("/ipfs/..%2f..%2fetc%2fpasswd".to_owned(), 400, "is not a CID"),
        ("/ipfs/%00".to_owned(), 400, "is not a CID"),
        (format!("/ipfs/{}", "b".repeat(5000)), 400, "is not a CID"),
    ] {
        let answer = server.get(&path).await;
        assert_eq!(answer.status().as_u16(), status, "{path}");
        let body = answer.text().await.unwrap();
        assert!(body.contains(reason), "{path}: {body}");
    }
}

#[tokio::test]
async fn a_node_asked_for_as_a_leaf_is_its_own_bytes() {
    let server = Server::public().await;
    let bytes = content(600_000);
    let root = server.keep(&bytes);
    let dag = Dag::build(&bytes);
    let node = dag.blocks().next().unwrap().1;
    let as_leaf = Cid::new_v1(0x55, *root.hash());
    for path in [format!("/ipfs/{as_leaf}"), format!("/ipfs/{as_leaf}?format=raw")] {
        assert_eq!(server.get(&path).await.bytes().await.unwrap(), node);
    }
}

#[tokio::test]
async fn a_dag_is_given_as_an_archive() {
    let server = Server::public().await;
    let bytes = content(600_000);
    let root = server.keep(&bytes);
    let path = format!("/ipfs/{root}");
    let mut expected = Vec::new();
    let dag = Dag::build(&bytes);
    bsp_codec::car::write_car(&root, dag.blocks(), &mut expected).unwrap();
    let kind = "application/vnd.ipld.car; version=1; order=dfs; dups=n";
    for answer in [
        server.get(&format!("{path}?format=car")).await,
        server.get(&format!("{path}?format=car&dag-scope=entity")).await,
        server.get_with(&path, &[("accept", "application/vnd.ipld.car;dups=y")]).await,
    ] {
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["content-type"], kind);
        assert_eq!(answer.headers()["accept-ranges"], "none");
        assert_eq!(answer.bytes().await.unwrap(), expected);
    }
    let mut root_alone = Vec::new();
    let first = dag.blocks().take(1);
    bsp_codec::car::write_car(&root, first, &mut root_alone).unwrap();
    let answer = server.get(&format!("{path}?format=car&dag-scope=block")).await;
    let etag = answer.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(answer.bytes().await.unwrap(), root_alone);
    let again = [("if-none-match", etag.as_str())];
    assert_eq!(
        server.get_with(&format!("{path}?format=car&dag-scope=block"), &again).await.status(),
        304
    );
    assert_eq!(server.get_with(&format!("{path}?format=car"), &again).await.status(), 200);

    let probe = server.get("/ipfs/bafkqaaa?format=car").await;
    let header = b"\x19\xa2\x65roots\x81\xd8\x2a\x45\x00\x01\x55\x00\x00\x67version\x01";
    assert_eq!(probe.bytes().await.unwrap(), header.as_slice());
}

#[tokio::test]
async fn an_archive_with_a_missing_block_breaks_off() {
    let server = Server::public().await;
    let bytes = content(900_000);
    let dag = Dag::build(&bytes);
    let some: Vec<_> =
        dag.blocks().take(3).map(|(cid, block)| (cid, block.to_vec().into())).collect();
    server.store.put_blocks(&some).unwrap();
    let answer = server.get(&format!("/ipfs/{}?format=car", dag.root())).await;
    assert!(answer.status() != 200 || answer.bytes().await.is_err());
    let answer = server.get(&format!("/ipfs/{}?format=raw", dag.root())).await;
    assert_eq!(answer.status(), 200);
}
