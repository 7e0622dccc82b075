//! The pauses between attempts.

use rand::Rng;
use std::time::Duration;

/// Doubles a pause so many times, up to the longest, and shortens it by up to a half, so that those who failed together don't
/// come back together.
pub(crate) fn doubled(first: Duration, doublings: u32, longest: Duration) -> Duration {
    let full = first.saturating_mul(1 << doublings.min(16)).min(longest);
    full.mul_f64(rand::rng().random_range(0.5..=1.0))
}
