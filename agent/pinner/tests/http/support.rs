//! A server over an empty store, and what is sent to it.

use bsp_pinner::{
    http::{Face, HttpOptions, PinnerApi, PinnerServer},
    store::{Store, StoreOptions},
};
use std::net::{Ipv4Addr, SocketAddr};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) store: Store,
    pub(crate) address: SocketAddr,
    pub(crate) stop: CancellationToken,
    pub(crate) task: JoinHandle<()>,
    pub(crate) client: reqwest::Client,
    _folder: tempfile::TempDir,
}

impl Server {
    pub(crate) async fn private() -> Self {
        Self::start(Face::Private, HttpOptions::default()).await
    }

    pub(crate) async fn public() -> Self {
        Self::start(Face::Public, HttpOptions::default()).await
    }

    pub(crate) async fn start(face: Face, options: HttpOptions) -> Self {
        Self::start_with(face, |_| options).await
    }

    pub(crate) async fn start_with(
        face: Face,
        options: impl FnOnce(&Store) -> HttpOptions,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("pins"), StoreOptions::default()).unwrap();
        let api = PinnerApi::new(store.clone(), options(&store)).unwrap();
        let server = PinnerServer::bind(api, face, (Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
        let address = server.local_addr().unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(server.serve(stop.clone()));
        Self { store, address, stop, task, client: reqwest::Client::new(), _folder: folder }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Keeps a file, and returns its CID.
    pub(crate) fn keep(&self, content: &[u8]) -> bsp_pinner::Cid {
        let mut import = self.store.import();
        import.update(content).unwrap();
        import.finish(Default::default()).unwrap().root
    }

    /// Whether nothing is kept.
    pub(crate) fn is_empty(&self) -> bool {
        let usage = self.store.usage().unwrap();
        (usage.pins, usage.blocks) == (0, 0)
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        self.client.get(self.url(path)).send().await.unwrap()
    }

    /// A request with headers.
    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> reqwest::Response {
        let mut request = self.client.get(self.url(path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.send().await.unwrap()
    }

    /// Sends a form whose parts are files.
    pub(crate) async fn post(&self, path: &str, files: &[(&str, &[u8])]) -> (u16, String) {
        let mut form = reqwest::multipart::Form::new();
        for (name, content) in files {
            let part = reqwest::multipart::Part::bytes(content.to_vec());
            form = form.part("file", part.file_name((*name).to_owned()));
        }
        let sent = self.client.post(self.url(path)).multipart(form).send();
        let answer = sent.await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Sends bytes on a connection of their own, and returns all that comes back.
    pub(crate) async fn exchange(&self, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Bytes without a pattern that repeats.
pub(crate) fn content(len: usize) -> Vec<u8> {
    (0u32..).flat_map(|next| next.wrapping_mul(0x9e37_79b1).to_le_bytes()).take(len).collect()
}
