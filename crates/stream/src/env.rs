//! What the environment says of the stream's server.

use bsp_common::Secret;
use std::{env, path::PathBuf};

/// The password of the environment: `REDIS_PWD`. `None` where that is empty or not UTF-8.
pub fn password_from_env() -> Option<Secret<String>> {
    env::var("REDIS_PWD").ok().filter(|password| !password.is_empty()).map(Secret::new)
}

/// The file of certificate authorities that the environment names, in the variable that OpenSSL's
/// programs take too: `SSL_CERT_FILE`. `None` where that is empty.
pub fn ca_file_from_env() -> Option<PathBuf> {
    env::var_os("SSL_CERT_FILE").filter(|path| !path.is_empty()).map(PathBuf::from)
}
