//! A whole producer on a model of a chain, with targets in memory.

mod crashes;
mod export;
mod following;
mod history;
mod memory_target;
mod model;
mod outages;
mod pruning;
mod reorgs;
mod scene;
mod troubles;
