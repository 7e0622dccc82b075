//! What is wrong with the settings, each in one line that says what to do.

use crate::pin::InvalidTarget;
use std::{io, path::PathBuf};

/// Settings that the agent does not start with. The messages hold no secrets.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Nothing says where replicas come from.
    #[error(
        "no source: give --redis-url redis://user:@host:6379/0?topic=STREAM#GROUP, or --source file:///folder"
    )]
    NoSource,
    /// More than one thing does.
    #[error("two sources: give --redis-url (or the variable RedisURL) or --source, not both")]
    TwoSources,
    /// A stream has no chunk files.
    #[error(
        "--remove-finished-chunks is about the chunk files of a folder: leave it out with --redis-url, the stream's \
         length is the producer's to bound"
    )]
    ChunksOfAStream,
    /// A source's URL is invalid, or has an unknown scheme.
    #[error("{flag}: {problem}; give {expected}")]
    SourceUrl {
        /// Which setting.
        flag: &'static str,
        /// What is wrong with it.
        problem: String,
        /// What it can be.
        expected: &'static str,
    },
    /// A number that is out of its range.
    #[error("{flag} is {value}: {advice}")]
    Range {
        /// Which setting.
        flag: &'static str,
        /// The value.
        value: String,
        /// What it can be, and why.
        advice: String,
    },
    /// Settings of `--proof chain` are missing.
    #[error(
        "--proof chain lacks {missing}: set that, or choose --proof ledger, which keeps proofs in a local file and sends \
         none"
    )]
    ChainIncomplete {
        /// All that is missing, with the names of the settings.
        missing: String,
    },
    /// The contract's address is invalid.
    #[error(
        "--proof-chain-address is not a contract's address: give 0x and 40 hex digits, not all zero"
    )]
    ContractAddress,
    /// `MB_RPC_URL` or `--ipfs-pinner-server` is no HTTP URL.
    #[error("{setting}: {problem}; give http:// or https:// with a host")]
    HttpUrl {
        /// Which setting.
        setting: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A place to pin that is none.
    #[error("--pin: {problem}")]
    Pin {
        /// What is wrong with it.
        problem: InvalidTarget,
    },
    /// The embedded store is to be served, and there is none.
    #[error(
        "--pinner-addr, --pinner-public-addr and --pin-budget are about the embedded store: add --pin embedded, or leave \
         them out"
    )]
    NotEmbedded,
    /// A token file that can't be used.
    #[error("--pinner-token-file: {problem}")]
    PinnerToken {
        /// What is wrong with it.
        problem: InvalidTarget,
    },
    /// A keystore without its password.
    #[error(
        "MB_KEYSTORE_PATH is set, but MB_KEYSTORE_PWD is not: set it to the keystore's password"
    )]
    KeystorePassword,
    /// A file that can't be read.
    #[error("{setting}: can't read {}: {source}", path.display())]
    File {
        /// Which setting names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A schema file that is not the schema built in.
    #[error("--avro-codec-path: {} is {problem}", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A folder that is not there and is not made, or that is a file.
    #[error("{flag}: {} {problem}", path.display())]
    Folder {
        /// Which setting names it.
        flag: &'static str,
        /// The folder.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A `$NAME` or `~` in a path whose variable is not set.
    #[error(
        "--log-folder names the variable {name}, which is not set: set it, or write the path out"
    )]
    UnsetVariable {
        /// The variable.
        name: String,
    },
}
