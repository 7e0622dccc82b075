//! x
pub mod asm;
pub mod dice;
pub mod keys;
