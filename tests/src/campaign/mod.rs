//! Faults from a seed, and the table of them.
