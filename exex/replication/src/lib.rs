//! Targets that block replicas are delivered to.
