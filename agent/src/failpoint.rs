//! Points at which a test makes the process die as if by `kill -9`, or hold still, to see what a crash there leaves behind.
//!
//! They exist only with the feature `failpoints`. The environment chooses them: `BSP_FAILPOINT=after_store` dies at the
//! first time that point is reached, `BSP_FAILPOINT=after_store:3` at the third.

/// All points, in the order in which a block passes them.
pub const ALL: &[&str] = &[
    "after_receive",
    "after_prepare",
    "before_store_sync",
    "before_store_rename",
    "after_store",
    "after_store_journal",
    "after_pin",
    "after_pin_journal",
    "after_verify_journal",
    "before_attempt_journal",
    "after_attempt_journal",
    "after_broadcast",
    "after_receipt",
    "after_proof_journal",
    "after_final_rename",
    "before_acknowledge",
    "after_acknowledge",
    "after_acknowledge_journal",
    "after_bury",
    "before_skip_journal",
    "after_skip_journal",
];

/// Dies here if the environment says so.
#[cfg(feature = "failpoints")]
pub fn hit(name: &'static str) {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    };
    static CHOSEN: OnceLock<Option<(String, AtomicU64)>> = OnceLock::new();

    debug_assert!(ALL.contains(&name), "{name} is not listed");
    let chosen = CHOSEN.get_or_init(|| {
        let text = std::env::var("BSP_FAILPOINT").ok()?;
        let (name, count) = text.split_once(':').unwrap_or((&text, "1"));
        Some((name.to_owned(), AtomicU64::new(count.parse().unwrap_or(1))))
    });
    if let Some((chosen, left)) = chosen
        && chosen == name
        && left.fetch_sub(1, Ordering::SeqCst) == 1
    {
        let _ =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}

/// Nothing, without the feature.
#[cfg(not(feature = "failpoints"))]
#[inline(always)]
pub const fn hit(_name: &'static str) {}
