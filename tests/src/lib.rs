//! What whole-system tests need: real servers on free ports of the loopback, faults between them and the agent, and
//! an auditor.
