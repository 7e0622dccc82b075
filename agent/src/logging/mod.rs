//! Logs: to standard output, and to `log.log` in the log folder.
//!
//! Neither ever holds the agent up. Lines go through bounded queues to threads that write them;
//! where a disk is full or a terminal does not read, lines are lost.

mod archive;
mod rolling;

use crate::{args::LogFormat, config::LogConfig};
use rolling::RollingFile;
use std::{
    env,
    ffi::OsString,
    io::{self, IsTerminal, Write},
    panic,
};
use tracing::{Metadata, Subscriber, level_filters::LevelFilter};
use tracing_appender::non_blocking::{NonBlocking, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt, registry::LookupSpan,
    util::SubscriberInitExt,
};

/// The file in the log folder that is written to.
pub const FILE: &str = "log.log";

/// Why there are no logs.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The log file can't be opened.
    #[error(
        "--log-folder: can't write log.log in {folder}: {source}; give a folder that can be written"
    )]
    File {
        /// The folder.
        folder: String,
        /// Why.
        source: io::Error,
    },
    /// Another part of the process has set up logs.
    #[error("logs are set up already")]
    Installed,
}

/// Writes out what is queued when it is dropped, for at most a second.
#[derive(Debug)]
pub struct LogGuard {
    _stdout: WorkerGuard,
    _file: WorkerGuard,
}

/// Starts logging, for the rest of the process.
///
/// The variable `RUST_LOG` chooses what is logged, in the syntax of `tracing-subscriber`; without
/// it all from `info` on.
///
/// # Errors
///
/// If the log file can't be opened, or logs are set up already.
pub fn init(config: &LogConfig) -> Result<LogGuard, LogError> {
    let file = RollingFile::open(&config.folder)
        .map_err(|source| LogError::File { folder: config.folder.display().to_string(), source })?;
    let (file, file_guard) = tracing_appender::non_blocking(file);
    let (stdout, stdout_guard) = tracing_appender::non_blocking(LossyStdout);
    let chosen =
        EnvFilter::builder().with_default_directive(LevelFilter::INFO.into()).from_env_lossy();
    tracing_subscriber::registry()
        .with(chosen)
        .with(filter_fn(shows_no_url))
        .with(lines(
            config.format,
            stdout,
            shows_colours(io::stdout().is_terminal(), env::var_os("NO_COLOR")),
        ))
        .with(lines(config.format, file, false))
        .try_init()
        .map_err(|_| LogError::Installed)?;
    log_panics();
    Ok(LogGuard { _stdout: stdout_guard, _file: file_guard })
}

/// What alloy's transports tell below `info` has the RPC's URL in it, where tokens are.
fn shows_no_url(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= LevelFilter::INFO || !metadata.target().starts_with("alloy_transport")
}

/// Colours are for terminals, unless the operator wants none: see <https://no-color.org>.
fn shows_colours(is_terminal: bool, no_color: Option<OsString>) -> bool {
    is_terminal && no_color.is_none_or(|value| value.is_empty())
}

fn lines<S>(
    format: LogFormat,
    out: NonBlocking,
    with_colours: bool,
) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let layer = fmt::layer().with_writer(out);
    match format {
        LogFormat::Text => layer.with_ansi(with_colours).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    }
}

/// A panic of a task is a bug that standard error alone might not keep.
fn log_panics() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        tracing::error!("{panic}");
        print(panic);
    }));
}

/// Standard output, but one that is closed or full takes everything.
#[derive(Debug)]
struct LossyStdout;

impl Write for LossyStdout {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = io::stdout().write_all(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stdout().flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        sync::{Arc, Mutex},
    };

    /// What is logged with a format while `work` runs.
    fn logged(format: LogFormat, work: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Shared(Arc<Mutex<Vec<u8>>>);
        impl Write for Shared {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let out = Shared::default();
        let (writer, guard) = tracing_appender::non_blocking(out.clone());
        let subscriber = tracing_subscriber::registry()
            .with(LevelFilter::TRACE)
            .with(filter_fn(shows_no_url))
            .with(lines(format, writer, false));
        tracing::subscriber::with_default(subscriber, work);
        drop(guard);
        let bytes = out.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn colours_are_for_terminals_and_no_color_switches_them_off() {
        assert!(shows_colours(true, None));
        assert!(shows_colours(true, Some(OsString::new())), "empty is unset");
        assert!(!shows_colours(true, Some(OsString::from("1"))));
        assert!(!shows_colours(false, None));
    }

    #[test]
    fn text_lines_keep_the_message_as_it_is() {
        let text = logged(LogFormat::Text, || tracing::info!("---> Processing 1-2-replica <---"));
        assert!(text.ends_with("---> Processing 1-2-replica <---\n"), "{text}");
    }

    #[test]
    fn json_lines_are_one_object_each() {
        let text = logged(LogFormat::Json, || tracing::warn!(number = 7, "two\nlines"));
        assert_eq!(text.lines().count(), 1);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["message"], "two\nlines");
        assert_eq!((&line["number"], &line["level"]), (&7.into(), &"WARN".into()));
    }

    #[test]
    fn transports_do_not_tell_their_urls() {
        let text = logged(LogFormat::Text, || {
            let span =
                tracing::debug_span!(target: "alloy_transport_http", "t", url = "http://h/t0ken");
            span.in_scope(|| tracing::info!("inside"));
            tracing::debug!(target: "alloy_transport_http::x", "http://h/t0ken");
        });
        assert!(text.contains("inside") && !text.contains("t0ken"), "{text}");
    }

    #[test]
    fn a_folder_that_is_not_there_is_told() {
        let folder = tempfile::tempdir().unwrap().path().join("gone");
        let config = LogConfig { folder, format: LogFormat::Text };
        let error = init(&config).unwrap_err().to_string();
        assert!(error.contains("--log-folder: can't write log.log"), "{error}");
        assert!(fs::metadata(&config.folder).is_err());
    }
}
