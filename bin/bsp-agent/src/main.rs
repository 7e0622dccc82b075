//! The agent, with the flags and environment of bsp-agent.

fn main() {}
