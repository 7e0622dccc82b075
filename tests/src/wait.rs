//! Waiting for a condition, with a deadline that only a broken run reaches.

use std::time::{Duration, Instant};

/// How often a condition is checked.
const PERIOD: Duration = Duration::from_millis(20);

/// Waits until a condition gives a value.
///
/// # Errors
///
/// At the deadline, with the name of what was waited for.
pub async fn wait_for<T>(
    what: &str,
    deadline: Duration,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> eyre::Result<T> {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return Ok(value);
        }
        if begun.elapsed() > deadline {
            eyre::bail!("{what}: not within {} s", deadline.as_secs());
        }
        tokio::time::sleep(PERIOD).await;
    }
}
