//! Reading a replica in whichever form a file has it.

use crate::format::Format;
use bsp_codec::{
    Profile, Replica, Segment, avro, foreign::ForeignFormat, json, limits::MAX_INPUT_BYTES, rlp,
    snappy,
};
use eyre::Context;
use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

/// The largest file that is read: whatever the decoders take.
const MAX_FILE_BYTES: u64 = MAX_INPUT_BYTES as u64;

/// A file's content.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) path: PathBuf,
    pub(crate) format: Format,
    pub(crate) bytes: Vec<u8>,
    pub(crate) segment: Segment,
}

impl Input {
    /// Reads and decodes a file, `-` for standard input.
    pub(crate) fn read(path: &Path, format: Option<Format>) -> eyre::Result<Self> {
        let bytes = read_bounded(path)?;
        let name = path.display();
        if bytes.is_empty() {
            eyre::bail!("{name} is empty");
        }
        let (given, format) = (format, format.unwrap_or_else(|| Format::detect(&bytes)));
        match decode(&bytes, format) {
            Ok(segment) => Ok(Self { path: path.to_owned(), format, bytes, segment }),
            Err(error) => {
                Err(error.wrap_err(format!("{name} {}", not_read(&bytes, given, format))))
            }
        }
    }

    /// The profile that the file was written in.
    pub(crate) fn profile(&self) -> Profile {
        avro::profile_of_label(self.segment.codec_version)
            .unwrap_or_else(|| self.segment.replica.profile())
    }

    /// The AVRO segment: the file itself, or what the agent would make of it.
    pub(crate) fn avro(&self) -> eyre::Result<Vec<u8>> {
        if self.format == Format::Avro {
            return Ok(self.bytes.clone());
        }
        Ok(avro::encode_segment(&self.segment, self.profile())?)
    }
}

/// What is wrong with a file that could not be read in a format, which was given or else guessed.
fn not_read(bytes: &[u8], given: Option<Format>, format: Format) -> String {
    let foreign = ForeignFormat::of(bytes);
    match (given, format, foreign) {
        (Some(_), _, Some(foreign)) => {
            format!("is not a replica in {format}; it looks like {foreign}")
        }
        (Some(_), _, None) => format!("is not a replica in {format}"),
        (None, Format::Snappy, Some(foreign)) => {
            let advice = foreign.advice().map(|advice| format!(": {advice}")).unwrap_or_default();
            format!("is not a replica in a form that bsp reads; it looks like {foreign}{advice}")
        }
        (None, Format::Snappy, None) => {
            "is not a replica: it does not begin like AVRO, RLP or JSON, and is not one in snappy"
                .to_owned()
        }
        (None, ..) => {
            format!("is not a replica in {format}, which its first bytes look like (see --format)")
        }
    }
}

fn decode(bytes: &[u8], format: Format) -> eyre::Result<Segment> {
    let from_rlp = |bytes: &[u8]| -> eyre::Result<Replica> { Ok(rlp::decode_replica(bytes)?) };
    Ok(match format {
        Format::Avro => avro::decode_segment(bytes)?,
        Format::Json => json::read_segment_json(bytes)?,
        Format::Rlp => Segment::of(from_rlp(bytes)?),
        Format::Snappy => Segment::of(from_rlp(&snappy::decompress(bytes, MAX_INPUT_BYTES)?)?),
    })
}

/// Reads a file that need not be trusted: no more than [`MAX_FILE_BYTES`].
pub(crate) fn read_bounded(path: &Path) -> eyre::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = |source: &mut dyn Read, bytes: &mut Vec<u8>| {
        source.take(MAX_FILE_BYTES + 1).read_to_end(bytes)
    };
    let result = if path == Path::new("-") {
        read(&mut std::io::stdin().lock(), &mut bytes)
    } else {
        fs::File::open(path).and_then(|mut file| read(&mut file, &mut bytes))
    };
    result.wrap_err_with(|| format!("cannot read {}", path.display()))?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        eyre::bail!(
            "{} has more than {} MiB, no segment is that large",
            path.display(),
            MAX_FILE_BYTES >> 20
        );
    }
    Ok(bytes)
}
