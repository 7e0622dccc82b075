//! The agent as operators start it: the built program, what it prints, and its exit codes. Nothing
//! here needs a server.

mod check;
mod environment;
mod help;
mod program;
mod settings;
mod signals;
