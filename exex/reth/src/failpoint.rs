//! The points of the extension itself at which a test makes the process die or hold still, see
//! [`bsp_failpoint`]. Those of its producer are in [`bsp_replication::failpoint`].

const ALL: &[&str] = &["on_notification"];

/// Does here what the environment says, with the feature `failpoints`.
#[inline(always)]
pub(crate) fn hit(name: &'static str) {
    bsp_failpoint::hit(ALL, name);
}
