//! SIGTERM and SIGINT: the first asks for an orderly end, the second ends at once.

use std::{io, process, time::Duration};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

/// What a shell reports of a process that a signal has ended is this and the signal's number.
const EXIT_BY_SIGNAL: i32 = 128;

/// A signal this soon after the first is the same one: `timeout`, for one, sends it to the process
/// and then to its group.
const SAME_SIGNAL: Duration = Duration::from_millis(500);

/// Cancels `shutdown` at the first signal. The second one ends the process, with 130 for SIGINT and
/// 143 for SIGTERM.
pub(crate) fn stop_on_signal(shutdown: CancellationToken) -> io::Result<()> {
    let mut signals = Signals {
        terminate: signal(SignalKind::terminate())?,
        interrupt: signal(SignalKind::interrupt())?,
    };
    tokio::spawn(async move {
        let name = signals.next().await.1;
        tracing::info!("The agent stops at a safe point ({name}); a second signal ends it at once");
        shutdown.cancel();
        let told = Instant::now();
        let (kind, name) = loop {
            let signal = signals.next().await;
            if told.elapsed() >= SAME_SIGNAL {
                break signal;
            }
        };
        tracing::warn!("The agent ends at once (second signal, {name}); the next start continues");
        process::exit(EXIT_BY_SIGNAL + kind.as_raw_value());
    });
    Ok(())
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    async fn next(&mut self) -> (SignalKind, &'static str) {
        tokio::select! {
            _ = self.terminate.recv() => (SignalKind::terminate(), "SIGTERM"),
            _ = self.interrupt.recv() => (SignalKind::interrupt(), "SIGINT"),
        }
    }
}
