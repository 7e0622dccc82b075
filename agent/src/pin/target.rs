//! Where to pin, as the operator writes it.
//!
//! ```text
//! embedded
//! ipfs-pinner+http[s]://[user:password@]host[:port][/path][?token-file=FILE | ?token-env=VARIABLE]
//! kubo+http[s]://host[:port][/path][?token-file=FILE | ?token-env=VARIABLE]
//! psa+https://host[/path]?token-file=FILE[&origin=MULTIADDR]…
//! s3://bucket[/prefix]
//! ```

use bsp_common::Secret;
use std::{fs, io::Read, path::Path};
use url::Url;

/// The most bytes of a file that holds a token.
const MAX_TOKEN: u64 = 16 << 10;

/// Where to pin.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PinTarget {
    /// The store in the agent's data folder.
    Embedded,
    /// A server with ipfs-pinner's HTTP API.
    IpfsPinner {
        /// Below it `upload` is.
        url: Secret<Url>,
        /// A bearer's token.
        token: Option<Secret<String>>,
    },
    /// A service with Kubo's RPC.
    Kubo {
        /// Below it `api/v0` begins.
        url: Secret<Url>,
        /// A bearer's token.
        token: Option<Secret<String>>,
    },
    /// A service with the IPFS Pinning Service API.
    PinningService {
        /// Below it `pins` is.
        url: Secret<Url>,
        /// A bearer's token.
        token: Option<Secret<String>>,
        /// Multiaddrs at which the service finds the content.
        origins: Vec<String>,
    },
    /// A bucket with an S3 API.
    S3 {
        /// Its name.
        bucket: String,
        /// The folder in it; empty for none.
        prefix: String,
    },
}

/// A text that is no [`PinTarget`]. It holds no secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidTarget(String);

/// What a URL's query says to us and not to the service.
#[derive(Debug, Default)]
struct Extras {
    token: Option<Secret<String>>,
    origins: Vec<String>,
}

impl PinTarget {
    /// Reads what the operator wrote, and the token that it names. `env` looks up a variable.
    ///
    /// # Errors
    ///
    /// [`InvalidTarget`] says what is wrong.
    pub fn parse(text: &str, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, InvalidTarget> {
        let text = text.trim();
        if text == "embedded" {
            return Ok(Self::Embedded);
        }
        if let Some(rest) = text.strip_prefix("s3://") {
            return bucket(rest);
        }
        let Some((kind, url)) = text.split_once('+') else { return Err(unknown(text)) };
        let Ok(mut url) = Url::parse(url) else {
            return invalid(format!("what follows {}+ is no URL", shown(kind)));
        };
        if !matches!(url.scheme(), "http" | "https") {
            return invalid(format!("give {}+http:// or {0}+https:// with a host", shown(kind)));
        }
        let extras = Extras::take_from(&mut url, env)?;
        if extras.token.is_some() && (!url.username().is_empty() || url.password().is_some()) {
            return invalid("it has a token and a user: give one of the two".to_owned());
        }
        let Extras { token, origins } = extras;
        match kind {
            "kubo" if origins.is_empty() => Ok(Self::Kubo { url: Secret::new(url), token }),
            "psa" => Ok(Self::PinningService { url: Secret::new(url), token, origins }),
            "ipfs-pinner" if origins.is_empty() => {
                Ok(Self::IpfsPinner { url: Secret::new(url), token })
            }
            "kubo" | "ipfs-pinner" => invalid("origin= is for psa+ alone".to_owned()),
            _ => Err(unknown(text)),
        }
    }
}

impl Extras {
    fn take_from(
        url: &mut Url,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, InvalidTarget> {
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let (mut extras, mut others) = (Self::default(), Vec::new());
        for (name, value) in pairs {
            let token = match &*name {
                "token-file" => token_of_file(Path::new(&value))?,
                "token-env" => match env(&value).filter(|token| !token.is_empty()) {
                    Some(token) => usable(&token)?,
                    None => return invalid(format!("the variable {value} is not set")),
                },
                "origin" if value.starts_with('/') => {
                    extras.origins.push(value);
                    continue;
                }
                "origin" => {
                    return invalid(
                        "give origin=/ip4/ADDRESS/tcp/PORT/p2p/PEER, or another multiaddr"
                            .to_owned(),
                    );
                }
                _ => {
                    others.push((name, value));
                    continue;
                }
            };
            if extras.token.replace(token).is_some() {
                return invalid("it names two tokens".to_owned());
            }
        }
        url.set_query(None);
        if !others.is_empty() {
            url.query_pairs_mut().extend_pairs(others);
        }
        Ok(extras)
    }
}

fn bucket(text: &str) -> Result<PinTarget, InvalidTarget> {
    let (bucket, prefix) = text.split_once('/').unwrap_or((text, ""));
    let is_name = |character: char| character.is_ascii_alphanumeric() || ".-_".contains(character);
    if bucket.is_empty() || !bucket.chars().all(is_name) {
        return invalid(
            "give s3://BUCKET or s3://BUCKET/PREFIX; keys and endpoint are in the AWS_ variables"
                .to_owned(),
        );
    }
    let prefix = prefix.trim_matches('/').to_owned();
    if prefix.contains(['?', '#', '@']) {
        return invalid("the prefix of a bucket has a character that it can't have".to_owned());
    }
    Ok(PinTarget::S3 { bucket: bucket.to_owned(), prefix })
}

/// The token in a file, without blanks around it.
///
/// # Errors
///
/// If the file can't be read, or has no token.
pub fn token_of_file(path: &Path) -> Result<Secret<String>, InvalidTarget> {
    let mut token = String::new();
    let read =
        fs::File::open(path).and_then(|file| file.take(MAX_TOKEN).read_to_string(&mut token));
    match read {
        Ok(_) => usable(&token),
        Err(error) => invalid(format!("the token file {}: {error}", path.display())),
    }
}

/// A token that a header can carry.
fn usable(token: &str) -> Result<Secret<String>, InvalidTarget> {
    let token = token.trim();
    if token.is_empty() || !token.chars().all(|character| character.is_ascii_graphic()) {
        return invalid("the token is empty, or has characters that a token can't have".to_owned());
    }
    Ok(Secret::new(token.to_owned()))
}

fn unknown(text: &str) -> InvalidTarget {
    let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
    let what = if scheme.is_empty() {
        String::new()
    } else {
        format!("{}:// is not known: ", shown(scheme))
    };
    InvalidTarget(format!(
        "{what}give embedded, ipfs-pinner+http://…, kubo+http://…, psa+https://… or s3://bucket/prefix"
    ))
}

/// A scheme as far as it is one: a part of the operator's text may be a secret.
fn shown(scheme: &str) -> &str {
    let is_part = |character: char| character.is_ascii_alphanumeric() || "+-.".contains(character);
    if scheme.len() <= 20 && scheme.chars().all(is_part) { scheme } else { "…" }
}

fn invalid<T>(problem: String) -> Result<T, InvalidTarget> {
    Err(InvalidTarget(problem))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: &str = "t0ken";

    fn env(name: &str) -> Option<String> {
        match name {
            "PIN_TOKEN" => Some(format!("{TOKEN}\n")),
            "EMPTY" => Some(String::new()),
            "BAD" => Some("two words".to_owned()),
            _ => None,
        }
    }

    fn parsed(text: &str) -> PinTarget {
        PinTarget::parse(text, &env).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn secret(url: &str) -> Secret<Url> {
        Secret::new(url.parse().unwrap())
    }

    #[test]
    fn every_kind_is_understood() {
        assert_eq!(parsed(" embedded\n"), PinTarget::Embedded);
        assert_eq!(
            parsed("ipfs-pinner+http://user:pw@127.0.0.1:3001/"),
            PinTarget::IpfsPinner { url: secret("http://user:pw@127.0.0.1:3001/"), token: None }
        );
        let token = Some(Secret::new(TOKEN.to_owned()));
        assert_eq!(
            parsed("kubo+https://rpc.example/below?x=1&token-env=PIN_TOKEN&y=2"),
            PinTarget::Kubo { url: secret("https://rpc.example/below?x=1&y=2"), token }
        );
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        fs::write(&file, format!("{TOKEN}\n")).unwrap();
        let origin = "/ip4/192.0.2.1/tcp/4001/p2p/12D3";
        let text = format!(
            "psa+https://api.example/psa?token-file={}&origin={origin}&origin=/dns4/n.example",
            file.display()
        );
        assert_eq!(
            parsed(&text),
            PinTarget::PinningService {
                url: secret("https://api.example/psa"),
                token: Some(Secret::new(TOKEN.to_owned())),
                origins: vec![origin.to_owned(), "/dns4/n.example".to_owned()],
            }
        );
    }

    #[test]
    fn a_bucket_may_have_a_folder() {
        let s3 = |bucket: &str, prefix: &str| PinTarget::S3 {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        };
        assert_eq!(parsed("s3://my.bucket-1"), s3("my.bucket-1", ""));
        assert_eq!(parsed("s3://b/one/two/"), s3("b", "one/two"));
        for wrong in ["s3://", "s3:///x", "s3://key:secret@b/x", "s3://b?x=1"] {
            assert!(PinTarget::parse(wrong, &env).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_without_secrets() {
        for (text, reason) in [
            ("", "give embedded"),
            ("http://u:t0ken@127.0.0.1:3001", "http:// is not known"),
            ("t0ken", "give embedded"),
            ("kubo+t0ken", "is no URL"),
            ("kubo+ftp://t0ken", "kubo+http://"),
            ("ipns+http://t0ken", "is not known"),
            ("kubo+http://h?token-env=NONE", "the variable NONE is not set"),
            ("kubo+http://h?token-env=EMPTY", "the variable EMPTY is not set"),
            ("kubo+http://h?token-env=BAD", "characters"),
            ("kubo+http://h?token-file=/no/such", "/no/such"),
            ("kubo+http://u:t0ken@h?token-env=PIN_TOKEN", "one of the two"),
            ("kubo+http://h?token-env=PIN_TOKEN&token-env=PIN_TOKEN", "two tokens"),
            ("kubo+http://h?origin=/ip4/1.2.3.4", "psa+ alone"),
            ("psa+http://h?origin=1.2.3.4", "multiaddr"),
            ("ipfs-pinner+http://h?origin=/ip4/1.2.3.4", "psa+ alone"),
        ] {
            let error = PinTarget::parse(text, &env).unwrap_err().to_string();
            assert!(error.contains(reason) && !error.contains("t0ken"), "{text}: {error}");
            assert_eq!(error.lines().count(), 1);
        }
        assert!(!format!("{:?}", parsed("kubo+http://u:t0ken@h")).contains("t0ken"));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "(kubo|psa|s3|ipfs-pinner)?[+:/?=&a-z%.é]*") {
            let _ = PinTarget::parse(&text, &env);
        }
    }
}
