//! What the environment says of the stream's server.

use bsp_common::Secret;
use std::env;

/// The password of the environment: `REDIS_PWD`. `None` where that is empty or not UTF-8.
pub fn password_from_env() -> Option<Secret<String>> {
    env::var("REDIS_PWD").ok().filter(|password| !password.is_empty()).map(Secret::new)
}
