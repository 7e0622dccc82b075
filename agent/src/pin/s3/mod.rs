//! A bucket with an S3 API, which holds `<cid>.car` for each content.
//!
//! Settings come from the variables that other programs read: `AWS_ENDPOINT_URL`, `AWS_REGION`,
//! `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and the like, or from the file of credentials that
//! the AWS tools share.

mod credentials;

use super::{
    Content, PinError, Pinner,
    car_body::CarBody,
    http::{UnusablePinner, chain_of},
    measured,
    reply::quote,
};
use async_trait::async_trait;
use bsp_common::secret::hide_urls;
use futures::StreamExt;
use object_store::{
    Attribute, Attributes, ClientConfigKey, GetOptions, ObjectStore, ObjectStoreExt, PutOptions,
    PutPayload, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey, Checksum},
    path::Path,
};
use sha2::{Digest, Sha256};

/// The metadata in which the archive's SHA-256 is noted, in hex.
const DIGEST: &str = "sha256";

/// A bucket, or a folder in it.
#[derive(Debug, Clone)]
pub struct S3Bucket {
    store: AmazonS3,
    prefix: Path,
    shown: String,
}

/// An archive as it is to be in the bucket.
struct Archive {
    path: Path,
    car: CarBody,
    digest: String,
}

impl S3Bucket {
    /// A bucket as the environment describes it.
    ///
    /// # Errors
    ///
    /// If what the environment says is incomplete or contradicts itself.
    pub fn from_env(bucket: &str, prefix: &str) -> Result<Self, UnusablePinner> {
        let builder = credentials::added(AmazonS3Builder::from_env())?;
        Self::with(builder, bucket, prefix)
    }

    fn with(builder: AmazonS3Builder, bucket: &str, prefix: &str) -> Result<Self, UnusablePinner> {
        let endpoint = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint]
            .iter()
            .find_map(|key| builder.get_config_value(key));
        // An endpoint that was named without TLS is meant so.
        let is_plain = endpoint.is_some_and(|endpoint| endpoint.starts_with("http://"));
        let builder = if is_plain { builder.with_allow_http(true) } else { builder };
        let store = builder
            .with_bucket_name(bucket)
            // The service compares it with what arrives.
            .with_checksum_algorithm(Checksum::SHA256)
            .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::ConnectTimeout), "10 seconds")
            .with_config(AmazonS3ConfigKey::Client(ClientConfigKey::Timeout), "60 seconds")
            // Attempts are repeated by whoever asks for them.
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() })
            .build()
            .map_err(|error| UnusablePinner::Bucket(chain_of(&error)))?;
        let prefix = Path::parse(prefix)
            .map_err(|error| UnusablePinner::Bucket(format!("its prefix: {error}")))?;
        Ok(Self { store, prefix, shown: format!("bucket {bucket}") })
    }

    async fn upload(&self, content: &Content) -> Result<(), PinError> {
        let archive = self.archive(content).await?;
        if self.is_there(&archive).await? {
            return Ok(());
        }
        let digest = Attribute::Metadata(DIGEST.into());
        let attributes = Attributes::from_iter([
            (Attribute::ContentType, "application/vnd.ipld.car".to_owned()),
            (digest, archive.digest.clone()),
        ]);
        let payload: PutPayload = archive.car.pieces().iter().cloned().collect();
        let options = PutOptions { attributes, ..PutOptions::default() };
        let put = self.store.put_opts(&archive.path, payload, options).await;
        put.map_err(|error| self.failed(&error))?;
        match self.is_there(&archive).await? {
            true => Ok(()),
            false => Err(self.temporary(format!(
                "took {} and does not hold it: look at the bucket's rules and versions",
                archive.path
            ))),
        }
    }

    /// The archive of a content, whose CID is computed once more.
    async fn archive(&self, content: &Content) -> Result<Archive, PinError> {
        let car = CarBody::of(content).await;
        if car.root() != content.cid {
            let (computed, returned) = (Box::new(content.cid), car.root().to_string());
            return Err(PinError::OtherCid { pinner: self.name(), computed, returned });
        }
        let mut hash = Sha256::new();
        car.pieces().iter().for_each(|piece| hash.update(piece));
        let digest = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Archive { path: self.prefix.clone().join(format!("{}.car", content.cid)), car, digest })
    }

    /// Whether an object is there that has the archive's length, and was put there as this archive.
    async fn is_there(&self, archive: &Archive) -> Result<bool, PinError> {
        let head = GetOptions { head: true, ..GetOptions::default() };
        let found = match self.store.get_opts(&archive.path, head).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(self.failed(&error)),
        };
        let digest = found.attributes.get(&Attribute::Metadata(DIGEST.into()));
        Ok(found.meta.size == archive.car.len()
            && digest.is_some_and(|digest| **digest == archive.digest))
    }

    async fn gives_back(&self, archive: &Archive) -> Result<bool, PinError> {
        let found = match self.store.get_opts(&archive.path, GetOptions::default()).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(self.failed(&error)),
        };
        if found.meta.size != archive.car.len() {
            return Ok(false);
        }
        let (mut hash, mut left) = (Sha256::new(), archive.car.len());
        let mut pieces = found.into_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| self.failed(&error))?;
            let Some(rest) = left.checked_sub(piece.len() as u64) else { return Ok(false) };
            left = rest;
            hash.update(&piece);
        }
        let digest: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(digest == archive.digest)
    }

    fn failed(&self, error: &object_store::Error) -> PinError {
        self.temporary(quote(&hide_urls(&chain_of(error))))
    }

    fn temporary(&self, reason: String) -> PinError {
        PinError::Temporary { pinner: self.name(), reason }
    }
}

#[async_trait]
impl Pinner for S3Bucket {
    fn name(&self) -> String {
        self.shown.clone()
    }

    async fn pin(&self, content: &Content) -> Result<(), PinError> {
        measured(self.upload(content)).await
    }

    /// Fetches the archive.
    async fn holds(&self, content: &Content) -> Result<bool, PinError> {
        let archive = self.archive(content).await?;
        self.gives_back(&archive).await
    }

    /// Asks for an object that need not be there: that takes name, region and key.
    async fn check(&self) -> Result<String, PinError> {
        match self.store.head(&self.prefix.clone().join("check")).await {
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {
                Ok(format!("{} answers", self.name()))
            }
            Err(error) => Err(self.failed(&error)),
        }
    }
}

#[cfg(test)]
mod tests;
