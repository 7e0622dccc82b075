//! Where a test may have the process die.

/// Every point of the store.
pub(super) const ALL: &[&str] = &[
    "block_appended",
    "pin_appended",
    "pin_applied",
    "pin_synced",
    "unpin_applied",
    "checkpoint",
    "pack_copied",
    "pack_removed",
];

/// Does here what the environment says.
pub(super) fn hit(name: &str) {
    bsp_failpoint::hit(ALL, name);
}
