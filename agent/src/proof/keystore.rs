//! Keystore files as geth opens them: version 3 of the Web3 secret storage, and version 1, which
//! geth wrote in 2015.
//!
//! As geth does, it takes any case of the fields' names, numbers with a fraction of zero, keys that
//! lost their leading zeros, and scrypt with any `n` for an `r`, which RFC 7914 limits by mistake
//! (errata 5971). Unlike geth, it bounds what a file may ask for: a wrong number must not take all
//! memory or stop the start for hours.

use aes::{
    Aes128,
    cipher::{BlockModeDecrypt, KeyIvInit, StreamCipher, block_padding::Pkcs7},
};
use alloy_primitives::{hex, keccak256};
use bsp_common::Secret;
use pbkdf2::{pbkdf2_hmac, sha2::Sha256};
use serde_json::{Map, Value};

/// The most memory that scrypt may take. The usual parameters take 256 MiB.
const MOST_MEMORY: u128 = 1 << 30;
/// The most that `n`·`r`·`p` of scrypt may be: 32 times the usual, up to a minute.
const MOST_WORK: u128 = 1 << 26;
/// The most iterations of PBKDF2: 190 times the usual, up to a minute.
const MOST_ITERATIONS: u64 = 50_000_000;

/// Why a keystore does not open. No message holds a part of a key or a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeystoreError {
    /// Not a keystore, or one of a kind that geth does not open either.
    #[error("{0}")]
    Form(String),
    /// It asks for more than is allowed.
    #[error("{0}")]
    TooCostly(String),
    /// Another password, or an altered file.
    #[error("wrong password")]
    WrongPassword,
}

fn form(what: impl Into<String>) -> KeystoreError {
    KeystoreError::Form(what.into())
}

/// The key in a keystore file, in 32 bytes.
///
/// # Errors
///
/// [`KeystoreError`].
pub(super) fn decrypt(file: &[u8], password: &str) -> Result<Secret<[u8; 32]>, KeystoreError> {
    let json = parse(file)?;
    let version = version(&json)?;
    let crypto = object(&json, "crypto", "`crypto`")?;
    let iv = object(crypto, "cipherparams", "`cipherparams`").and_then(|it| bytes(it, "iv"))?;
    let iv = <[u8; 16]>::try_from(iv).map_err(|_| form("its `iv` does not have 16 bytes"))?;
    let mut text = bytes(crypto, "ciphertext")?;
    let mac = bytes(crypto, "mac")?;
    let (cipher, expected) = (text_of(crypto, "cipher")?, version.cipher());
    if cipher != expected {
        return Err(form(format!("its cipher is {cipher:?} instead of {expected}")));
    }

    let derived = derive(crypto, password)?;
    let (cipher_key, mac_key) = derived.split_at(16);
    if keccak256([mac_key, &text].concat()).as_slice() != mac {
        return Err(KeystoreError::WrongPassword);
    }
    let not_16 = |_| form("its key for the cipher does not have 16 bytes");
    match version {
        Version::Three => ctr::Ctr128BE::<Aes128>::new_from_slices(cipher_key, &iv)
            .map_err(not_16)?
            .apply_keystream(&mut text),
        Version::One => {
            let cipher_key = keccak256(cipher_key);
            let (cipher_key, _) = cipher_key.split_at(16);
            text = cbc::Decryptor::<Aes128>::new_from_slices(cipher_key, &iv)
                .map_err(not_16)?
                .decrypt_padded_vec::<Pkcs7>(&text)
                .map_err(|_| form("its `ciphertext` does not end as AES-CBC does"))?;
        }
    }
    padded(&text).map(Secret::new)
}

/// The number that a key is, with the leading zeros that some programs left out.
fn padded(key: &[u8]) -> Result<[u8; 32], KeystoreError> {
    let zeros = key.iter().take_while(|byte| **byte == 0).count();
    let digits = key.get(zeros..).unwrap_or_default();
    let mut padded = [0; 32];
    let start = padded.len().checked_sub(digits.len());
    match start.and_then(|start| padded.get_mut(start..)) {
        Some(room) => room.copy_from_slice(digits),
        None => return Err(form(format!("its key has {} bytes instead of 32", digits.len()))),
    }
    Ok(padded)
}

fn parse(file: &[u8]) -> Result<Map<String, Value>, KeystoreError> {
    if file.starts_with(b"\xff\xfe") || file.starts_with(b"\xfe\xff") {
        return Err(form("it is text in UTF-16: save it as UTF-8"));
    }
    // The mark that some editors put in front of UTF-8.
    let text = file.strip_prefix(b"\xef\xbb\xbf").unwrap_or(file);
    match serde_json::from_slice(text) {
        Ok(Value::Object(json)) => Ok(json),
        Ok(_) => Err(form("it is not a JSON object")),
        Err(_) => Err(form("it is not JSON")),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    One,
    Three,
}

impl Version {
    const fn cipher(self) -> &'static str {
        match self {
            Self::One => "aes-128-cbc",
            Self::Three => "aes-128-ctr",
        }
    }
}

fn version(json: &Map<String, Value>) -> Result<Version, KeystoreError> {
    let value = field(json, "version").ok_or_else(|| form("it has no `version`"))?;
    match integer(value).or_else(|| value.as_str()?.parse().ok()) {
        Some(1) => Ok(Version::One),
        Some(3) => Ok(Version::Three),
        _ => Err(form(format!("its version is {value} instead of 3 or 1"))),
    }
}

/// The first 32 bytes that the key derivation makes. More bytes than those have no use here.
fn derive(crypto: &Map<String, Value>, password: &str) -> Result<[u8; 32], KeystoreError> {
    let params = object(crypto, "kdfparams", "`kdfparams`")?;
    if number(params, "dklen")? < 32 {
        return Err(form("its `dklen` is less than 32"));
    }
    let salt = bytes(params, "salt")?;
    let mut derived = [0; 32];
    match text_of(crypto, "kdf")? {
        "scrypt" => {
            let params = scrypt_params(params)?;
            scrypt::scrypt(password.as_bytes(), &salt, &params, &mut derived)
                .map_err(|error| form(format!("scrypt: {error}")))?;
        }
        "pbkdf2" => {
            let prf = text_of(params, "prf")?;
            if prf != "hmac-sha256" {
                return Err(form(format!("its `prf` is {prf:?} instead of hmac-sha256")));
            }
            let iterations = iterations(params)?;
            pbkdf2_hmac::<Sha256>(password.as_bytes(), &salt, iterations, &mut derived);
        }
        other => return Err(form(format!("its `kdf` is {other:?} instead of scrypt or pbkdf2"))),
    }
    Ok(derived)
}

fn scrypt_params(params: &Map<String, Value>) -> Result<scrypt::Params, KeystoreError> {
    let (n, r, p) = (number(params, "n")?, number(params, "r")?, number(params, "p")?);
    if n < 2 || !n.is_power_of_two() {
        return Err(form(format!("its `n` is {n} instead of a power of two")));
    }
    if r == 0 || p == 0 {
        return Err(form("its `r` or `p` is 0"));
    }
    let [wide_n, wide_r, wide_p] = [n, r, p].map(u128::from);
    let memory = wide_n.saturating_add(wide_p).saturating_mul(wide_r).saturating_mul(128);
    let work = wide_n.saturating_mul(wide_r).saturating_mul(wide_p);
    if memory > MOST_MEMORY {
        let (needed, most) = (memory >> 20, MOST_MEMORY >> 20);
        return Err(KeystoreError::TooCostly(format!(
            "scrypt with n={n}, r={r}, p={p} takes {needed} MiB of memory, at most {most} MiB are allowed"
        )));
    }
    if work > MOST_WORK {
        return Err(KeystoreError::TooCostly(format!(
            "scrypt with n={n}, r={r}, p={p} takes {} times as long as usual, at most {} times are allowed",
            work >> 21,
            MOST_WORK >> 21
        )));
    }
    let small = |number: u64| u32::try_from(number).ok();
    let params = u8::try_from(n.trailing_zeros()).ok().zip(small(r)).zip(small(p));
    params
        .and_then(|((log_n, r), p)| scrypt::Params::new(log_n, r, p).ok())
        .ok_or_else(|| form(format!("scrypt does not take n={n}, r={r}, p={p}")))
}

fn iterations(params: &Map<String, Value>) -> Result<u32, KeystoreError> {
    let count = number(params, "c")?;
    if count > MOST_ITERATIONS {
        return Err(KeystoreError::TooCostly(format!(
            "pbkdf2 with c={count} takes too long, at most {MOST_ITERATIONS} iterations are allowed"
        )));
    }
    u32::try_from(count).ok().filter(|count| *count > 0).ok_or_else(|| form("its `c` is 0"))
}

/// A field by its name in any case, the exact one first.
fn field<'a>(json: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    let in_any_case = || json.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
    json.get(name).or_else(|| in_any_case().map(|(_, value)| value))
}

fn object<'a>(
    json: &'a Map<String, Value>,
    name: &str,
    shown: &str,
) -> Result<&'a Map<String, Value>, KeystoreError> {
    let value = field(json, name).and_then(Value::as_object);
    value.ok_or_else(|| form(format!("it has no {shown}")))
}

fn text_of<'a>(json: &'a Map<String, Value>, name: &str) -> Result<&'a str, KeystoreError> {
    let value = field(json, name).and_then(Value::as_str);
    value.ok_or_else(|| form(format!("it has no `{name}`")))
}

fn bytes(json: &Map<String, Value>, name: &str) -> Result<Vec<u8>, KeystoreError> {
    let text = text_of(json, name)?;
    hex::decode(text).map_err(|_| form(format!("its `{name}` is not hexadecimal")))
}

fn number(json: &Map<String, Value>, name: &str) -> Result<u64, KeystoreError> {
    let value = field(json, name).ok_or_else(|| form(format!("it has no `{name}`")))?;
    integer(value).ok_or_else(|| form(format!("its `{name}` is {value} instead of a count")))
}

/// A whole number, which JavaScript and Python may have written as `3.0` or `1e3`.
fn integer(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        format!("{number:.0}").parse().ok().filter(|_| number.fract() == 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The parameters, ciphertexts and keys of the test vectors that go-ethereum publishes for
    /// version 3 and version 1.
    fn published() -> [(Value, &'static str, &'static str); 5] {
        let testpassword = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";
        [
            (
                json!({"version": 3, "crypto": {
                    "cipher": "aes-128-ctr",
                    "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
                    "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
                    "kdf": "scrypt",
                    "kdfparams": {"dklen": 32, "n": 262_144, "r": 1, "p": 8,
                        "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},
                    "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"}}),
                "testpassword",
                testpassword,
            ),
            (
                json!({"version": 3, "crypto": {
                    "cipher": "aes-128-ctr",
                    "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
                    "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
                    "kdf": "pbkdf2",
                    "kdfparams": {"c": 262_144, "dklen": 32, "prf": "hmac-sha256",
                        "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
                    "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"}}),
                "testpassword",
                testpassword,
            ),
            (
                json!({"version": 3, "crypto": {
                    "cipher": "aes-128-ctr",
                    "cipherparams": {"iv": "e0c41130a323adc1446fc82f724bca2f"},
                    "ciphertext": "9517cd5bdbe69076f9bf5057248c6c050141e970efa36ce53692d5d59a3984",
                    "kdf": "scrypt",
                    "kdfparams": {"dklen": 32, "n": 2, "r": 8, "p": 1,
                        "salt": "711f816911c92d649fb4c84b047915679933555030b3552c1212609b38208c63"},
                    "mac": "d5e116151c6aa71470e67a7d42c9620c75c4d23229847dcc127794f0732b0db5"}}),
                "foo",
                "00fa7b3db73dc7dfdf8c5fbdb796d741e4488628c41fc4febd9160a866ba0f35",
            ),
            (
                json!({"version": 3, "crypto": {
                    "cipher": "aes-128-ctr",
                    "cipherparams": {"iv": "3ca92af36ad7c2cd92454c59cea5ef00"},
                    "ciphertext": "108b7d34f3442fc26ab1ab90ca91476ba6bfa8c00975a49ef9051dc675aa",
                    "kdf": "scrypt",
                    "kdfparams": {"dklen": 32, "n": 2, "r": 8, "p": 1,
                        "salt": "d0769e608fb86cda848065642a9c6fa046845c928175662b8e356c77f914cd3b"},
                    "mac": "75d0e6759f7b3cefa319c3be41680ab6beea7d8328653474bd06706d4cc67420"}}),
                "foo",
                "000081c29e8142bb6a81bef5a92bda7a8328a5c85bb2f9542e76f9b0f94fc018",
            ),
            (
                json!({"version": "1", "Crypto": {
                    "cipher": "aes-128-cbc",
                    "cipherparams": {"iv": "35337770fc2117994ecdcad026bccff4"},
                    "ciphertext": "6143d3192db8b66eabd693d9c4e414dcfaee52abda451af79ccf474dafb35f1\
                                   bfc7ea013aa9d2ee35969a1a2e8d752d0",
                    "kdf": "scrypt",
                    "kdfparams": {"dklen": 32, "n": 262_144, "p": 1, "r": 8,
                        "salt": "9afcddebca541253a2f4053391c673ff9fe23097cd8555d149d929e4ccf1257f"},
                    "mac": "3f3d5af884b17a100b0b3232c0636c230a54dc2ac8d986227219b0dd89197644",
                    "version": "1"}}),
                "g",
                "d1b1178d3529626a1a93e073f65028370d14c7eb0936eb42abef05db6f37ad7d",
            ),
        ]
    }

    fn opened(file: &[u8], password: &str) -> Result<String, KeystoreError> {
        decrypt(file, password).map(|key| hex::encode(key.expose()))
    }

    /// A file whose derivation is quick: the key of `foo` with 31 bytes.
    fn small() -> (Value, &'static str, &'static str) {
        let [_, _, small, ..] = published();
        small
    }

    #[test]
    fn the_files_that_geth_publishes_open() {
        for (json, password, key) in published() {
            let file = json.to_string();
            assert_eq!(opened(file.as_bytes(), password).as_deref(), Ok(key), "{file}");
            let wrong = opened(file.as_bytes(), "another");
            assert_eq!(wrong, Err(KeystoreError::WrongPassword), "{file}");
        }
    }

    #[test]
    fn other_programs_spellings_open() {
        let (json, password, key) = small();
        let text = json.to_string();
        let spellings = [
            text.replace("crypto", "Crypto"),
            text.replace("\"cipher\"", "\"Cipher\"").replace("\"mac\"", "\"MAC\""),
            text.replace("\"version\":3", "\"version\":3.0"),
            text.replace("\"version\":3", "\"version\":\"3\""),
            text.replace("\"n\":2", "\"n\":2.0"),
            text.replace("\"dklen\":32", "\"dklen\":64"),
            text.replace("\"ciphertext\":\"", "\"ciphertext\":\"0x"),
            format!("\u{feff}{text}"),
        ];
        for spelling in spellings {
            assert_ne!(spelling, text);
            assert_eq!(opened(spelling.as_bytes(), password).as_deref(), Ok(key), "{spelling}");
        }
    }

    #[test]
    fn a_file_may_ask_for_so_much_and_no_more() {
        let asks = |kdf: &str, params: Value| {
            let (mut json, password, _) = small();
            let crypto = json["crypto"].as_object_mut().unwrap();
            crypto["kdf"] = json!(kdf);
            let given = crypto["kdfparams"].as_object_mut().unwrap();
            given.extend(params.as_object().unwrap().clone());
            opened(json.to_string().as_bytes(), password).unwrap_err()
        };
        for (kdf, params, told) in [
            ("scrypt", json!({"n": 16_777_216, "r": 8}), "n=16777216, r=8, p=1 takes 16384 MiB"),
            ("scrypt", json!({"n": 4096, "r": 1_048_576}), "takes 524416 MiB"),
            ("scrypt", json!({"n": 2, "p": 1_u64 << 40}), "MiB of memory"),
            ("scrypt", json!({"n": 1_u64 << 63, "r": u64::MAX, "p": u64::MAX}), "MiB of memory"),
            (
                "scrypt",
                json!({"n": 262_144, "p": 64}),
                "takes 64 times as long as usual, at most 32",
            ),
            ("pbkdf2", json!({"c": 50_000_001, "prf": "hmac-sha256"}), "c=50000001 takes too long"),
        ] {
            let error = asks(kdf, params);
            assert!(matches!(&error, KeystoreError::TooCostly(_)), "{error}");
            assert!(error.to_string().contains(told), "{error}");
        }
        // The most that is allowed is not too much: only the MAC does not fit.
        for params in [json!({"n": 2_097_152, "r": 1}), json!({"n": 2, "p": 65_536})] {
            assert_eq!(asks("scrypt", params), KeystoreError::WrongPassword);
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_named() {
        let (json, password, _) = small();
        for (pointer, value, told) in [
            ("/version", json!(2), "its version is 2 instead of 3 or 1"),
            ("/version", json!(3.5), "its version is 3.5"),
            ("/crypto", json!("x"), "it has no `crypto`"),
            ("/crypto/cipher", json!("aes-256-ctr"), "instead of aes-128-ctr"),
            ("/crypto/cipherparams/iv", json!("00"), "its `iv` does not have 16 bytes"),
            ("/crypto/ciphertext", json!("xy"), "its `ciphertext` is not hexadecimal"),
            ("/crypto/mac", json!(null), "it has no `mac`"),
            ("/crypto/kdf", json!("argon2"), "instead of scrypt or pbkdf2"),
            ("/crypto/kdfparams/dklen", json!(8), "its `dklen` is less than 32"),
            ("/crypto/kdfparams/n", json!(0), "instead of a power of two"),
            ("/crypto/kdfparams/n", json!(3), "instead of a power of two"),
            ("/crypto/kdfparams/n", json!(-2), "instead of a count"),
            ("/crypto/kdfparams/r", json!(0), "its `r` or `p` is 0"),
        ] {
            let mut json = json.clone();
            *json.pointer_mut(pointer).unwrap() = value;
            let error = opened(json.to_string().as_bytes(), password).unwrap_err();
            assert!(matches!(&error, KeystoreError::Form(_)), "{pointer}: {error}");
            assert!(error.to_string().contains(told), "{pointer}: {error}");
        }
        let utf_16 = opened(b"\xff\xfe{\0}\0", password).unwrap_err();
        assert!(utf_16.to_string().contains("save it as UTF-8"), "{utf_16}");
    }
}
