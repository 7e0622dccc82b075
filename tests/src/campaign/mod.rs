//! Agents under continuous work and continuous trouble, from a seed: what is fed, what goes wrong
//! when, and the table of it.

pub mod feeder;
pub mod kill;
pub mod plan;
pub mod table;
pub mod trouble;
