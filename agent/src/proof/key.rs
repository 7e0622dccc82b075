//! The operator's key: `MB_PRIVATE_KEY`, or a keystore file with `MB_KEYSTORE_PATH` and
//! `MB_KEYSTORE_PWD`.

use super::keystore::{self, KeystoreError};
use alloy_primitives::{Address, hex};
pub use alloy_signer_local::PrivateKeySigner;
use bsp_common::secret::Secret;
use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

/// A keystore file is some hundred bytes. What is longer is something else.
const MAX_KEYSTORE_BYTES: u64 = 64 * 1024;

/// Where the key comes from, as the environment gives it. Never printed.
#[derive(Debug, Clone, Default)]
pub struct KeySettings {
    /// `MB_PRIVATE_KEY`: 64 hexadecimal digits, with or without `0x`.
    pub private_key: Option<Secret<String>>,
    /// `MB_KEYSTORE_PATH`: a keystore file (Web3 secret storage, version 3 or 1), or a folder that
    /// holds one.
    pub keystore: Option<PathBuf>,
    /// `MB_KEYSTORE_PWD`: its password.
    pub password: Option<Secret<String>>,
}

/// Why there is no usable key. No message holds a part of a key or a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// Nothing is set.
    #[error("no key: set MB_PRIVATE_KEY, or MB_KEYSTORE_PATH and MB_KEYSTORE_PWD")]
    Missing,
    /// `MB_PRIVATE_KEY` has other characters.
    #[error(
        "MB_PRIVATE_KEY is not hexadecimal: it has a character other than 0-9, a-f at position {position}"
    )]
    NotHex {
        /// Counted from 1, after `0x`.
        position: usize,
    },
    /// `MB_PRIVATE_KEY` is too short or too long.
    #[error("MB_PRIVATE_KEY has {digits} hexadecimal digits, a key has 64")]
    WrongLength {
        /// What it has, without `0x`.
        digits: usize,
    },
    /// Zero, or not below the curve's order.
    #[error("{from} holds a number that is not a secp256k1 key")]
    OutOfRange {
        /// Which setting.
        from: &'static str,
    },
    /// A keystore without its password.
    #[error("MB_KEYSTORE_PATH is set without MB_KEYSTORE_PWD: set its password")]
    NoPassword,
    /// The keystore can't be read.
    #[error("the keystore {} can't be read: {source}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A folder without one, or with several.
    #[error("the folder {} holds {count} keystore files, name the one in MB_KEYSTORE_PATH", path.display())]
    NotOneFile {
        /// Which.
        path: PathBuf,
        /// How many are in it.
        count: usize,
    },
    /// Not a keystore, or not one that is understood.
    #[error("{} is not a keystore file as geth writes it: {reason}", path.display())]
    NotAKeystore {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Opening it would take too much memory or time.
    #[error("the keystore {} asks for too much: {reason}; check its `kdfparams`", path.display())]
    TooCostly {
        /// Which.
        path: PathBuf,
        /// What it asks for, and how much is allowed.
        reason: String,
    },
    /// The password does not open it.
    #[error("MB_KEYSTORE_PWD does not open the keystore {}", path.display())]
    WrongPassword {
        /// Which.
        path: PathBuf,
    },
    /// Both are set and differ.
    #[error(
        "MB_PRIVATE_KEY is the key of {private_key} and MB_KEYSTORE_PATH that of {keystore}: unset one of them"
    )]
    Contradiction {
        /// The address of one.
        private_key: Address,
        /// The address of the other.
        keystore: Address,
    },
}

/// The key that the settings name. Empty settings count as unset.
pub fn load(settings: &KeySettings) -> Result<PrivateKeySigner, KeyError> {
    let private_key = settings
        .private_key
        .as_ref()
        .map(|key| key.expose().trim())
        .filter(|text| !text.is_empty());
    let keystore = settings.keystore.as_deref().filter(|path| !path.as_os_str().is_empty());
    match (private_key, keystore) {
        (None, None) => Err(KeyError::Missing),
        (Some(text), None) => from_hex(text),
        (None, Some(path)) => from_keystore(path, settings.password.as_ref()),
        (Some(text), Some(path)) => {
            let plain = from_hex(text)?;
            let stored = from_keystore(path, settings.password.as_ref())?;
            if plain.address() != stored.address() {
                return Err(KeyError::Contradiction {
                    private_key: plain.address(),
                    keystore: stored.address(),
                });
            }
            Ok(plain)
        }
    }
}

fn from_hex(text: &str) -> Result<PrivateKeySigner, KeyError> {
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    if let Some(position) = digits.chars().position(|c| !c.is_ascii_hexdigit()) {
        return Err(KeyError::NotHex { position: position + 1 });
    }
    let mut key = [0; 32];
    hex::decode_to_slice(digits, &mut key)
        .map_err(|_| KeyError::WrongLength { digits: digits.len() })?;
    PrivateKeySigner::from_slice(&key).map_err(|_| KeyError::OutOfRange { from: "MB_PRIVATE_KEY" })
}

fn from_keystore(
    path: &Path,
    password: Option<&Secret<String>>,
) -> Result<PrivateKeySigner, KeyError> {
    let password = password.ok_or(KeyError::NoPassword)?.expose();
    let file = keystore_file(path)?;
    let key = keystore::decrypt(&read_bounded(&file)?, password).map_err(|error| match error {
        KeystoreError::Form(reason) => KeyError::NotAKeystore { path: file.clone(), reason },
        KeystoreError::TooCostly(reason) => KeyError::TooCostly { path: file.clone(), reason },
        KeystoreError::WrongPassword => KeyError::WrongPassword { path: file.clone() },
    })?;
    PrivateKeySigner::from_slice(key.expose())
        .map_err(|_| KeyError::OutOfRange { from: "the keystore of MB_KEYSTORE_PATH" })
}

/// The file itself, or the only one in a folder. Hidden files don't count.
fn keystore_file(path: &Path) -> Result<PathBuf, KeyError> {
    let unreadable = |source| KeyError::Unreadable { path: path.to_owned(), source };
    if !fs::metadata(path).map_err(unreadable)?.is_dir() {
        return Ok(path.to_owned());
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.path().is_file() {
            files.push(entry.path());
        }
    }
    match <[PathBuf; 1]>::try_from(files) {
        Ok([file]) => Ok(file),
        Err(files) => Err(KeyError::NotOneFile { path: path.to_owned(), count: files.len() }),
    }
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, KeyError> {
    let mut bytes = Vec::new();
    fs::File::open(path)
        .and_then(|file| file.take(MAX_KEYSTORE_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|source| KeyError::Unreadable { path: path.to_owned(), source })?;
    if bytes.len() as u64 > MAX_KEYSTORE_BYTES {
        let reason = format!("it has more than {MAX_KEYSTORE_BYTES} bytes");
        return Err(KeyError::NotAKeystore { path: path.to_owned(), reason });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    const ADDRESS: &str = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";

    fn plain(text: &str) -> Result<PrivateKeySigner, KeyError> {
        load(&KeySettings {
            private_key: Some(Secret::new(text.to_owned())),
            ..KeySettings::default()
        })
    }

    fn stored(path: &Path, password: Option<&str>) -> Result<PrivateKeySigner, KeyError> {
        load(&KeySettings {
            private_key: None,
            keystore: Some(path.to_owned()),
            password: password.map(|text| Secret::new(text.to_owned())),
        })
    }

    /// Made by Node's scrypt and AES: the key above under the password "correct horse".
    const KEYSTORE: &str = r#"{
    "address": "f39fd6e51aad88f6f4ce6ab8827279cfffb92266",
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {
            "iv": "09090909090909090909090909090909"
        },
        "ciphertext": "ae60cde9564371406440dcf225634a77da12e269a00c6f2c1a8884b106ce7c9c",
        "kdf": "scrypt",
        "kdfparams": {
            "dklen": 32,
            "n": 16,
            "p": 1,
            "r": 8,
            "salt": "0707070707070707070707070707070707070707070707070707070707070707"
        },
        "mac": "525fe5032901b9f4a8b6d736cb0e79c1b32ee5e5f455d11ed3e7179af4375615"
    },
    "id": "5f0e2a3c-0c1d-4e5f-8a9b-0c1d2e3f4a5b",
    "version": 3
}"#;

    fn write_keystore(folder: &Path, name: &str) -> PathBuf {
        let file = folder.join(name);
        fs::write(&file, KEYSTORE).unwrap();
        file
    }

    #[test]
    fn a_key_is_taken_with_and_without_its_prefix() {
        for text in [KEY.to_owned(), format!("0x{KEY}"), format!(" 0X{}\n", KEY.to_uppercase())] {
            assert_eq!(plain(&text).unwrap().address().to_string(), ADDRESS);
        }
    }

    #[test]
    fn errors_are_told_apart_and_hold_no_key() {
        let cases = [
            ("", "no key: set MB_PRIVATE_KEY"),
            (&KEY[1..], "63 hexadecimal digits"),
            (&format!("{KEY}00"), "66 hexadecimal digits"),
            (&format!("{}g", &KEY[..63]), "at position 64"),
            (&"0".repeat(64), "not a secp256k1 key"),
            (&"f".repeat(64), "not a secp256k1 key"),
        ];
        for (text, expected) in cases {
            let message = plain(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{message}");
            assert!(!message.contains(&KEY[1..9]), "{message}");
        }
        let settings = KeySettings {
            private_key: Some(Secret::new(KEY.to_owned())),
            keystore: None,
            password: Some(Secret::new("correct horse".to_owned())),
        };
        let shown = format!("{settings:?}");
        assert!(!shown.contains(KEY) && !shown.contains("horse"), "{shown}");
    }

    #[test]
    fn a_keystore_is_found_as_a_file_and_as_the_only_one_of_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let file = write_keystore(folder.path(), "operator");
        fs::write(folder.path().join(".hidden"), "").unwrap();
        for path in [file.as_path(), folder.path()] {
            assert_eq!(stored(path, Some("correct horse")).unwrap().address().to_string(), ADDRESS);
        }
        let wrong = stored(&file, Some("battery staple")).unwrap_err();
        assert!(matches!(wrong, KeyError::WrongPassword { .. }), "{wrong}");
        assert!(!wrong.to_string().contains("staple"));
        assert!(matches!(stored(&file, None).unwrap_err(), KeyError::NoPassword));
        let absent = stored(&folder.path().join("absent"), Some("x")).unwrap_err();
        assert!(matches!(absent, KeyError::Unreadable { .. }), "{absent}");

        fs::write(folder.path().join("second"), "").unwrap();
        let two = stored(folder.path(), Some("correct horse")).unwrap_err();
        assert!(matches!(two, KeyError::NotOneFile { count: 2, .. }), "{two}");
    }

    #[test]
    fn what_is_no_keystore_is_refused_without_a_panic() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bad");
        let mut wrong: Vec<String> = ["", "{}", "[]", "null", "\u{0}"].map(str::to_owned).to_vec();
        let json: serde_json::Value = serde_json::from_str(KEYSTORE).unwrap();
        for (pointer, value) in [
            ("/crypto/kdfparams/dklen", serde_json::json!(8)),
            ("/crypto/cipherparams/iv", serde_json::json!("00")),
            ("/crypto/ciphertext", serde_json::json!("")),
            ("/crypto/kdfparams/n", serde_json::json!(0)),
        ] {
            let mut json = json.clone();
            *json.pointer_mut(pointer).unwrap() = value;
            wrong.push(json.to_string());
        }
        wrong.push(KEYSTORE[..KEYSTORE.len() / 2].to_owned());
        for text in wrong {
            fs::write(&file, &text).unwrap();
            let error = stored(&file, Some("correct horse")).unwrap_err();
            assert!(
                matches!(error, KeyError::NotAKeystore { .. } | KeyError::WrongPassword { .. }),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn both_must_be_the_same_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = write_keystore(folder.path(), "operator");
        let both = |key: &str| {
            load(&KeySettings {
                private_key: Some(Secret::new(key.to_owned())),
                keystore: Some(file.clone()),
                password: Some(Secret::new("correct horse".to_owned())),
            })
        };
        assert_eq!(both(KEY).unwrap().address().to_string(), ADDRESS);
        let other = both(&"11".repeat(32)).unwrap_err();
        assert!(matches!(other, KeyError::Contradiction { .. }), "{other}");
    }
}
