//! The points at which a test makes the process die or hold still, see [`bsp_failpoint`].
//!
//! They do something only with the feature `failpoints`.

/// All points, in the order in which a block passes them.
pub const ALL: &[&str] = &[
    "after_start_block",
    "after_produce",
    "before_deliver",
    "before_append",
    "before_append_sync",
    "after_append_sync",
    "after_pipeline",
    "after_deliver",
    "before_cursor",
    "after_cursor",
    "after_step_back",
];

/// Does here what the environment says, with the feature.
#[inline(always)]
pub(crate) fn hit(name: &'static str) {
    bsp_failpoint::hit(ALL, name);
}
