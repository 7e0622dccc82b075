//! A stand-in for Redis 8.6, which can't be installed everywhere: just the commands that a target
//! sends, and the producers' memory that this release added to `XADD`.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// The server's state.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The hashes that were added, in order.
    pub(crate) added: Vec<String>,
    /// What was added, by producer and idempotent id.
    pub(crate) remembered: HashMap<(String, String), usize>,
    /// How many connections to cut in place of the reply to an addition.
    pub(crate) cut: u32,
    /// Whether `IDMP` is refused, as by a server whose version says more than it can do.
    pub(crate) refuses_idmp: bool,
}

/// Starts one on a free port of the loopback.
pub(crate) async fn start(state: State) -> (SocketAddr, Arc<Mutex<State>>) {
    let state = Arc::new(Mutex::new(state));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shared = Arc::clone(&state);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&shared)));
        }
    });
    (address, state)
}

async fn serve(stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut stream = BufReader::new(stream);
    let mut queue: Option<Vec<Vec<String>>> = None;
    while let Some(words) = read_command(&mut stream).await {
        let reply = match (words[0].as_str(), queue.take()) {
            ("MULTI", None) => {
                queue = Some(Vec::new());
                "+OK\r\n".to_owned()
            }
            ("EXEC", Some(commands)) => {
                let replies: Vec<_> =
                    commands.iter().map(|words| state.lock().unwrap().answer(words)).collect();
                format!("*{}\r\n{}", replies.len(), replies.concat())
            }
            (_, Some(mut commands)) => {
                commands.push(words);
                queue = Some(commands);
                "+QUEUED\r\n".to_owned()
            }
            (_, None) => state.lock().unwrap().answer(&words),
        };
        if reply.contains("-0\r\n") && state.lock().unwrap().is_cut() {
            return;
        }
        if stream.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// An array of bulk strings.
async fn read_command(stream: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let count = read_length(stream, '*').await?;
    let mut words = Vec::new();
    for _ in 0..count {
        let length = read_length(stream, '$').await?;
        let mut word = vec![0; length + 2];
        stream.read_exact(&mut word).await.ok()?;
        words.push(String::from_utf8_lossy(&word[..length]).into_owned());
    }
    Some(words)
}

async fn read_length(stream: &mut BufReader<TcpStream>, sign: char) -> Option<usize> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    line.trim_end().strip_prefix(sign)?.parse().ok()
}

impl State {
    fn answer(&mut self, words: &[String]) -> String {
        let words = words.iter().map(String::as_str);
        // The stream is always there.
        let words: Vec<_> = words.filter(|word| *word != "NOMKSTREAM").collect();
        match words[..] {
            ["INFO", ..] => bulk("# Server\r\nredis_version:8.6.0\r\nrun_id:stand-in\r\n"),
            ["CLIENT", "ID"] => ":7\r\n".to_owned(),
            ["CLIENT", "KILL", ..] => ":0\r\n".to_owned(),
            // All that was added is consumed and deleted at once, so nothing can be looked up.
            ["XREVRANGE", ..] | ["XINFO", ..] => "*0\r\n".to_owned(),
            ["MEMORY", ..] => "$-1\r\n".to_owned(),
            ["XADD", _, "IDMP", ..] if self.refuses_idmp => "-ERR syntax error\r\n".to_owned(),
            ["XADD", _, "IDMP", producer, id, "*", "hash", hash, "data", _] => {
                let key = (producer.to_owned(), id.to_owned());
                let known = self.remembered.get(&key).copied();
                let entry = known.unwrap_or_else(|| self.add(hash));
                self.remembered.insert(key, entry);
                bulk(&format!("{entry}-0"))
            }
            ["XADD", _, "*", "hash", hash, "data", _] => bulk(&format!("{}-0", self.add(hash))),
            _ => "+OK\r\n".to_owned(),
        }
    }

    fn add(&mut self, hash: &str) -> usize {
        self.added.push(hash.to_owned());
        self.added.len()
    }

    fn is_cut(&mut self) -> bool {
        let cut = self.cut > 0;
        self.cut = self.cut.saturating_sub(1);
        cut
    }
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}
