//! What the commands share that look at the agent's stream.

use bsp_stream::RedisUrl;
use clap::Args;
use eyre::{Context, ContextCompat};
use std::{future::Future, time::Duration};

/// Which stream.
#[derive(Debug, Args)]
pub(crate) struct StreamArgs {
    /// The agent's Redis URL, as in redis://host:6379/0?topic=STREAM#GROUP.
    ///
    /// The password may be in REDIS_PWD instead. For rediss://, REDIS_TLS_CA_FILE names a file of
    /// certificate authorities to trust instead of the built-in ones, and REDIS_TLS_CERT_FILE and
    /// REDIS_TLS_KEY_FILE a certificate to show and its key.
    #[arg(long, env = "RedisURL", hide_env_values = true, value_name = "URL")]
    pub(crate) redis_url: Option<String>,
}

impl StreamArgs {
    /// The URL, with the password from the environment.
    pub(crate) fn url(&self) -> eyre::Result<RedisUrl> {
        let text = self.redis_url.as_deref().wrap_err("name the stream with --redis-url")?;
        Ok(RedisUrl::parse_with_environment(text)?)
    }
}

/// Runs a future to its end.
pub(crate) fn run<F: Future>(future: F) -> eyre::Result<F::Output> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .wrap_err("cannot start the runtime")?;
    Ok(runtime.block_on(future))
}

/// A text from elsewhere for the terminal: without control characters, which could move the cursor.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A span of milliseconds in its two largest units, as in `2 h 5 min`.
pub(crate) fn span(ms: u64) -> String {
    let seconds = Duration::from_millis(ms).as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_told_in_its_two_largest_units() {
        for (ms, text) in [
            (0, "0 s"),
            (59_999, "59 s"),
            (61_000, "1 min 1 s"),
            (7_500_000, "2 h 5 min"),
            (90_000_000, "1 d 1 h"),
        ] {
            assert_eq!(span(ms), text);
        }
    }

    #[test]
    fn nothing_from_elsewhere_moves_the_cursor() {
        assert_eq!(plain("a\u{1b}[2Jb\n"), "a\u{fffd}[2Jb\u{fffd}");
    }
}
