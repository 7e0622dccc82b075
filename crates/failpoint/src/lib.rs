#![doc = include_str!("../README.md")]
//!
//! With the feature, a failpoint does what the environment says:
//!
//! | `BSP_FAILPOINT` | what happens |
//! | --- | --- |
//! | `after_store` | the process dies when it first gets there |
//! | `after_store:3` | it dies the third time |
//! | `panic:after_store` | the thread that first gets there panics; `panic:after_store:3`: the third one |
//! | `stall:after_store:20` | the thread that first gets there holds still for 20 seconds |
//! | `stall:after_store` | it does so permanently |
//!
//! A program keeps a list of its points, so that a campaign can work through them:
//!
//! ```
//! const ALL: &[&str] = &["before_sync", "after_sync"];
//!
//! bsp_failpoint::hit(ALL, "before_sync");
//! ```

#[cfg(feature = "enabled")]
mod chosen;

/// Does here what the environment says. The name has to be in the program's list.
#[cfg(feature = "enabled")]
pub fn hit(all: &[&str], name: &str) {
    use std::sync::OnceLock;
    static CHOSEN: OnceLock<Option<chosen::Chosen>> = OnceLock::new();

    debug_assert!(all.contains(&name), "the failpoint {name} is not listed");
    if let Some(chosen) = CHOSEN.get_or_init(chosen::Chosen::from_env) {
        chosen.hit(name);
    }
}

/// Nothing, without the feature.
#[cfg(not(feature = "enabled"))]
#[inline(always)]
pub const fn hit(_all: &[&str], _name: &str) {}
