//! The tokens of the engine API: JWT, HS256, one for each request.

use alloy_primitives::hex;
use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, Mac};
use serde_json::json;
use sha2::Sha256;
use std::{
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

/// What a node and its consensus client share.
#[derive(Clone)]
pub struct JwtSecret([u8; 32]);

impl JwtSecret {
    /// A secret that only tests use.
    pub const fn for_tests() -> Self {
        Self([0x42; 32])
    }

    /// The form that `--authrpc.jwtsecret` reads from a file.
    pub fn to_hex(&self) -> String {
        hex::encode(self.0)
    }

    /// A token that is good for the next minute.
    ///
    /// # Errors
    ///
    /// Where the clock is before 1970.
    pub fn token(&self) -> eyre::Result<String> {
        let issued = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        self.sign(r#"{"alg":"HS256","typ":"JWT"}"#, &json!({ "iat": issued }).to_string())
    }

    fn sign(&self, header: &str, claims: &str) -> eyre::Result<String> {
        let [header, claims] = [header, claims].map(|it| BASE64URL_NOPAD.encode(it.as_bytes()));
        let message = format!("{header}.{claims}");
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0)?;
        mac.update(message.as_bytes());
        let signature = BASE64URL_NOPAD.encode(&mac.finalize().into_bytes());
        Ok(format!("{message}.{signature}"))
    }
}

impl fmt::Debug for JwtSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JwtSecret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_hmac_sha256_of_header_and_claims() {
        // Made with Python's hmac and base64 modules.
        let token = JwtSecret::for_tests()
            .sign(r#"{"alg":"HS256","typ":"JWT"}"#, r#"{"iat":1700000000}"#)
            .unwrap();
        assert_eq!(token, EXPECTED);
    }

    const EXPECTED: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJpYXQiOjE3MDAwMDAwMDB9.DvABOLAgR9rZ2jS6KZyERyGLvYGPFPj_gSVIOJatu7I";
}
