//! What several of the tests need.

pub(crate) mod devblocks;
pub(crate) mod plain;
pub(crate) mod scene;
pub(crate) mod shared_data;
pub(crate) mod world;
