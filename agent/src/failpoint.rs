//! The points at which a test makes the agent die or hold still, see [`bsp_failpoint`].
//!
//! They do something only with the feature `failpoints`.

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

/// Does here what the environment says, with the feature.
#[inline(always)]
pub fn hit(name: &'static str) {
    bsp_failpoint::hit(ALL, name);
}
