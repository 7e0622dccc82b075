//! Dead letters in a folder, two files for each: the payload and what is wrong with it, and a third
//! if it has a supplement. Those of sources that are folders, and those of a stream whose server
//! can't take them.

use super::DeadLetter;
use crate::alarm::now_ms;
use bsp_common::files::sync_folder;
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

/// A folder of dead letters: for the entry `a:1` the files `a_1.bin` and `a_1.json`, and
/// `a_1.supplement` if there is one; for an entry of a stream with the stream's name and an
/// underscore before that.
#[derive(Debug, Clone)]
pub(super) struct DeadLetterFolder(PathBuf);

/// Where an entry of a stream came from, in the `.json` file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamOrigin {
    /// The stream.
    pub topic: String,
    /// The group whose agent gave up on it.
    pub group: String,
}

/// The content of the `.json` file.
#[derive(Serialize)]
struct Description<'a> {
    #[serde(flatten)]
    letter: &'a DeadLetter,
    #[serde(flatten)]
    origin: Option<&'a StreamOrigin>,
    /// In milliseconds since 1970.
    buried_ms: u64,
    /// The file with the payload, if there is any.
    payload_file: Option<String>,
}

impl DeadLetterFolder {
    /// Of that path. It is made when the first letter comes.
    pub(super) const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Keeps a letter. On return it is on disk. Keeping it again replaces it.
    pub(super) fn keep(&self, letter: &DeadLetter) -> io::Result<()> {
        self.keep_from(letter, None, letter.payload.as_deref())
    }

    /// Keeps a letter of a stream. On return it is on disk. Keeping it again replaces it.
    pub(super) fn keep_of_stream(
        &self,
        letter: &DeadLetter,
        origin: &StreamOrigin,
    ) -> io::Result<()> {
        self.keep_from(letter, Some(origin), letter.payload.as_deref())
    }

    /// Keeps a letter whose payload is the rest of a file.
    pub(super) fn keep_rest(&self, letter: &DeadLetter, path: &Path, from: u64) -> io::Result<()> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(from))?;
        self.keep_from(letter, None, Some(file))
    }

    /// The payload is there before the description that names it.
    fn keep_from(
        &self,
        letter: &DeadLetter,
        origin: Option<&StreamOrigin>,
        payload: Option<impl Read>,
    ) -> io::Result<()> {
        if !self.0.is_dir() {
            fs::create_dir_all(&self.0)?;
            self.0.parent().map_or(Ok(()), sync_folder)?;
        }
        let topic = origin.map_or_else(String::new, |origin| format!("{}_", origin.topic));
        let stem: String =
            topic.chars().chain(letter.entry.0.chars()).map(file_character).collect();
        let payload_file = payload.is_some().then(|| format!("{stem}.bin"));
        if let Some((mut payload, name)) = payload.zip(payload_file.as_ref()) {
            write_file(&self.0.join(name), &mut payload)?;
        }
        if let Some(supplement) = &letter.supplement {
            write_file(&self.0.join(format!("{stem}.supplement")), &mut &supplement[..])?;
        }
        let description = Description { letter, origin, buried_ms: now_ms(), payload_file };
        let json = serde_json::to_vec_pretty(&description)?;
        write_file(&self.0.join(format!("{stem}.json")), &mut &json[..])
    }

    /// How many there are.
    pub(super) fn count(&self) -> io::Result<u64> {
        let entries = match fs::read_dir(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            entries => entries?,
        };
        let mut count = 0;
        for entry in entries {
            count += u64::from(Path::new(&entry?.file_name()).extension() == Some("json".as_ref()));
        }
        Ok(count)
    }
}

fn file_character(character: char) -> char {
    if character.is_ascii_alphanumeric() || matches!(character, '.' | '-') {
        character
    } else {
        '_'
    }
}

/// Writes a file, whole or not at all: under another name first, which is synced and renamed, and
/// then the folder.
pub(super) fn write_file(path: &Path, content: &mut impl Read) -> io::Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let mut file = File::create(&partial)?;
    io::copy(content, &mut file)?;
    file.sync_all()?;
    fs::rename(&partial, path)?;
    path.parent().map_or(Ok(()), sync_folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::EntryId;
    use bytes::Bytes;
    use serde_json::Value;

    fn letter(entry: &str, payload: Option<&'static [u8]>) -> DeadLetter {
        DeadLetter {
            entry: EntryId(entry.to_owned()),
            hash: Some("0xab".to_owned()),
            reason: "not RLP".to_owned(),
            payload: payload.map(Bytes::from_static),
            supplement: None,
        }
    }

    fn description(folder: &Path, name: &str) -> Value {
        serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
    }

    #[test]
    fn a_letter_is_kept_with_its_reason_and_its_bytes() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("deep/dead");
        let letters = DeadLetterFolder::new(folder.clone());
        assert_eq!(letters.count().unwrap(), 0);
        letters.keep(&letter("sess-1-chunk-2.rlp:77", Some(b"bytes"))).unwrap();
        letters.keep(&letter("../evil/name", None)).unwrap();
        letters.keep(&letter("../evil/name", None)).unwrap();
        assert_eq!(letters.count().unwrap(), 2);
        assert_eq!(fs::read(folder.join("sess-1-chunk-2.rlp_77.bin")).unwrap(), b"bytes");
        let described = description(&folder, "sess-1-chunk-2.rlp_77.json");
        assert_eq!(described["entry"], "sess-1-chunk-2.rlp:77");
        assert_eq!((&described["hash"], &described["reason"]), (&"0xab".into(), &"not RLP".into()));
        assert_eq!(described["payload_file"], "sess-1-chunk-2.rlp_77.bin");
        assert!(!folder.join("sess-1-chunk-2.rlp_77.supplement").exists());
        assert_eq!(description(&folder, ".._evil_name.json")["payload_file"], Value::Null);
    }

    #[test]
    fn a_supplement_lies_beside_its_letter() {
        let scratch = tempfile::tempdir().unwrap();
        let supplement = Some(Bytes::from_static(b"what is left out"));
        let letter = DeadLetter { supplement, ..letter("x:6", Some(b"bytes")) };
        let letters = DeadLetterFolder::new(scratch.path().to_owned());
        letters.keep(&letter).unwrap();
        assert_eq!(fs::read(scratch.path().join("x_6.supplement")).unwrap(), b"what is left out");
        assert_eq!(letters.count().unwrap(), 1);
    }

    #[test]
    fn a_letter_of_a_stream_names_it() {
        let scratch = tempfile::tempdir().unwrap();
        let origin = StreamOrigin { topic: "a:b".to_owned(), group: "g".to_owned() };
        let letters = DeadLetterFolder::new(scratch.path().to_owned());
        letters.keep_of_stream(&letter("17-0", Some(b"bytes")), &origin).unwrap();
        let described = description(scratch.path(), "a_b_17-0.json");
        assert_eq!((&described["topic"], &described["group"]), (&"a:b".into(), &"g".into()));
        assert_eq!(described["payload_file"], "a_b_17-0.bin");
        assert_eq!(fs::read(scratch.path().join("a_b_17-0.bin")).unwrap(), b"bytes");
    }

    #[test]
    fn the_rest_of_a_file_is_kept() {
        let scratch = tempfile::tempdir().unwrap();
        let (chunk, dead) = (scratch.path().join("chunk"), scratch.path().join("dead"));
        fs::write(&chunk, b"good, bad").unwrap();
        DeadLetterFolder::new(dead.clone()).keep_rest(&letter("x:6", None), &chunk, 6).unwrap();
        assert_eq!(fs::read(dead.join("x_6.bin")).unwrap(), b"bad");
        assert_eq!(description(&dead, "x_6.json")["payload_file"], "x_6.bin");
    }
}
