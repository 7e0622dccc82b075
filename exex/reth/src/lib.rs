//! The Execution Extension.
