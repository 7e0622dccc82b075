//! The tool as its users have it: the built program, its files, what it prints, and its exit codes.

mod cid;
mod dead;
mod dev;
mod dev_contract;
mod dev_services;
mod encode;
mod fixture;
mod help;
mod inspect;
mod journal;
mod mainnet;
mod pinner;
mod pipes;
mod program;
mod proof_chain;
mod prune;
mod redis;
mod status;
mod tampering;
mod verify;
