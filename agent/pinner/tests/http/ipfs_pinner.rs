//! A client of ipfs-pinner finds what it expects.

use crate::support::{Server, content};
use bsp_codec::dag::cid_of;
use bsp_pinner::store::PinState;

const HELLO: &str = "bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq";

fn reply(content: &[u8]) -> String {
    format!("{{\"cid\": \"{}\"}}", cid_of(content))
}

#[tokio::test]
async fn an_upload_is_pinned_under_its_name() {
    let server = Server::private().await;
    for len in [0, 1, 262_144, 262_145, 3_000_000] {
        let bytes = content(len);
        assert_eq!(server.post("/upload", &[("segment", &bytes)]).await, (200, reply(&bytes)));
        let pin = server.store.pinned(&cid_of(&bytes)).unwrap().unwrap();
        assert_eq!((pin.name.as_str(), pin.state), ("segment", PinState::Unconfirmed));
    }
    let sent = server.client.post(server.url("/upload")).multipart(
        reqwest::multipart::Form::new()
            .part("filedata", reqwest::multipart::Part::bytes(b"hello".as_slice()).file_name("a")),
    );
    let answer = sent.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(answer.text().await.unwrap(), format!("{{\"cid\": \"{HELLO}\"}}"));
}

#[tokio::test]
async fn several_files_give_their_objects_one_after_the_other() {
    let server = Server::private().await;
    let (status, body) = server.post("/upload", &[("a", b"1"), ("b", b"2"), ("c", b"3")]).await;
    assert_eq!(status, 200);
    assert_eq!(body, [reply(b"1"), reply(b"2"), reply(b"3")].concat());
    assert_eq!(server.store.usage().unwrap().pins, 3);
}

#[tokio::test]
async fn files_of_one_name_replace_one_another() {
    let server = Server::private().await;
    let files: [(&str, &[u8]); 3] = [("a", b"1"), ("b", b"2"), ("x/../a", b"3")];
    let (_, body) = server.post("/upload", &files).await;
    assert_eq!(body, [reply(b"2"), reply(b"3")].concat());
    assert_eq!(server.store.pinned(&cid_of(b"1")).unwrap(), None);
}

#[tokio::test]
async fn no_file_gives_an_empty_reply() {
    let server = Server::private().await;
    for path in ["/upload", "/cid"] {
        let form = reqwest::multipart::Form::new().text("file", "a plain value");
        let sent = server.client.post(server.url(path)).multipart(form).send().await.unwrap();
        assert_eq!(sent.status(), 200);
        assert_eq!(sent.text().await.unwrap(), "");
    }
}

#[tokio::test]
async fn cid_computes_and_keeps_nothing() {
    let server = Server::private().await;
    let bytes = content(1_000_000);
    let expected = (200, [reply(&bytes), reply(b"hello")].concat());
    assert_eq!(server.post("/cid", &[("a", &bytes), ("b", b"hello")]).await, expected);
    assert!(server.is_empty());
}

#[tokio::test]
async fn get_gives_the_file() {
    let server = Server::private().await;
    let bytes = content(1_500_000);
    let cid = server.keep(&bytes);
    let answer = server.get(&format!("/get?cid={cid}")).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.bytes().await.unwrap(), bytes);

    let url = server.url("/get");
    let pairs = format!("a=b&cid={cid}");
    let kind = ("content-type", "application/x-www-form-urlencoded");
    let form = server.client.post(&url).header(kind.0, kind.1).body(pairs).send().await.unwrap();
    assert_eq!(form.bytes().await.unwrap(), bytes);
    let form = reqwest::multipart::Form::new().text("other", "").text("cid", cid.to_string());
    let form = server.client.post(&url).multipart(form).send().await.unwrap();
    assert_eq!(form.bytes().await.unwrap(), bytes);
}

#[tokio::test]
async fn get_without_a_cid_gives_nothing() {
    let server = Server::private().await;
    for path in ["/get", "/get?cid=", "/get?other=1"] {
        let answer = server.get(path).await;
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap()), (200, String::new()));
    }
}

#[tokio::test]
async fn what_fails_says_so_with_status_500_and_json() {
    let server = Server::private().await;
    for path in [format!("/get?cid={HELLO}"), "/get?cid=none".into(), "/get?cid=%22%0a..%2f".into()]
    {
        let answer = server.get(&path).await;
        assert_eq!(answer.status(), 500, "{path}");
        let body = answer.text().await.unwrap();
        assert!(body.starts_with("{\"error\": \""), "{body}");
        let error: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert!(error["error"].is_string());
    }
    for path in ["/upload", "/cid"] {
        for kind in ["application/json", "multipart/form-data", "multipart/form-data; boundary=x"] {
            let sent = server.client.post(server.url(path)).header("content-type", kind);
            let answer = sent.body("--y\r\nno form").send().await.unwrap();
            assert_eq!(answer.status(), 500, "{kind}");
            assert!(answer.text().await.unwrap().starts_with("{\"error\": \""), "{kind}");
        }
        let answer = server.get(path).await;
        assert_eq!(answer.status(), 500);
    }
}

#[tokio::test]
async fn it_is_healthy() {
    let server = Server::private().await;
    for method in [reqwest::Method::GET, reqwest::Method::POST] {
        let answer = server.client.request(method, server.url("/health")).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "I'm healthy");
    }
    assert_eq!(server.get("/sabotage").await.status(), 404);
}
