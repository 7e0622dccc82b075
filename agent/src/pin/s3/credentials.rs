//! The file of credentials that the AWS tools share.

use crate::pin::http::UnusablePinner;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use std::{env, fs, io, path::PathBuf};

/// Whatever names a key, or where one comes from. Then no file is looked at.
const NAMED: [AmazonS3ConfigKey; 5] = [
    AmazonS3ConfigKey::AccessKeyId,
    AmazonS3ConfigKey::SecretAccessKey,
    AmazonS3ConfigKey::WebIdentityTokenFile,
    AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
    AmazonS3ConfigKey::ContainerCredentialsFullUri,
];

/// Adds the key of the profile `AWS_PROFILE`, or `default`, unless the environment names one.
pub(super) fn added(builder: AmazonS3Builder) -> Result<AmazonS3Builder, UnusablePinner> {
    if NAMED.iter().any(|key| builder.get_config_value(key).is_some()) {
        return Ok(builder);
    }
    let variable = |name| env::var_os(name).filter(|value| !value.is_empty());
    let named = variable("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from);
    let usual = || Some(PathBuf::from(variable("HOME")?).join(".aws/credentials"));
    let Some(path) = named.or_else(usual) else { return Ok(builder) };
    let unusable = |reason: String| UnusablePinner::Bucket(format!("{}: {reason}", path.display()));
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(builder),
        Err(error) => return Err(unusable(error.to_string())),
    };
    let profile = variable("AWS_PROFILE");
    let profile = profile.as_ref().map_or("default".into(), |name| name.to_string_lossy());
    let found = key_of(&text, &profile);
    let found = found.ok_or_else(|| unusable(format!("no key of the profile {profile}")))?;
    let builder = builder.with_access_key_id(found.id).with_secret_access_key(found.secret);
    Ok(match found.token {
        Some(token) => builder.with_token(token),
        None => builder,
    })
}

#[derive(PartialEq, Eq)]
struct Key<'a> {
    id: &'a str,
    secret: &'a str,
    token: Option<&'a str>,
}

/// The key of a profile in the file's text: `[profile]`, then `name = value` lines.
fn key_of<'a>(text: &'a str, profile: &str) -> Option<Key<'a>> {
    let (mut is_ours, mut id, mut secret, mut token) = (false, None, None, None);
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            is_ours = name.trim() == profile;
        }
        let Some((name, value)) = line.split_once('=').filter(|_| is_ours) else { continue };
        let value = Some(value.trim()).filter(|value| !value.is_empty());
        match name.trim() {
            "aws_access_key_id" => id = value,
            "aws_secret_access_key" => secret = value,
            "aws_session_token" => token = value,
            _ => {}
        }
    }
    Some(Key { id: id?, secret: secret?, token })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# made by hand\n[default]\naws_access_key_id = AKIA\n\
        aws_secret_access_key=s=cret\n\n[ other ]\naws_access_key_id = B\n\
        aws_secret_access_key = b\naws_session_token = t\n[half]\naws_access_key_id = C\n";

    #[test]
    fn a_profile_has_a_key_or_none() {
        let of = |profile| key_of(FILE, profile).map(|key| (key.id, key.secret, key.token));
        assert_eq!(of("default"), Some(("AKIA", "s=cret", None)));
        assert_eq!(of("other"), Some(("B", "b", Some("t"))));
        assert_eq!(of("half"), None);
        assert_eq!(of("none"), None);
    }
}
