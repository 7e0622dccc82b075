//! Official Ethereum tests, of which the real exporter of bsp-geth v2.2.0 made replicas: the same
//! digests.

use crate::{
    cases::{File, Trouble, is_of_eip_7610},
    support::shared_data,
};
use alloy_primitives::B256;
use bsp_codec::{Profile, digest, rlp};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A line of the digests.
#[derive(Debug, Deserialize)]
struct Line {
    file: String,
    test: String,
    network: String,
    blocks: Vec<LineBlock>,
}

#[derive(Debug, Deserialize)]
struct LineBlock {
    hash: B256,
    replica_sha256: B256,
}

/// revm does not follow EIP-7610, so the outcome of these is not their header's.
const REFUSED: usize = 10;

/// What a program prints; `None` where there is no such program.
fn printed(program: &str, arguments: &[&str], file: &Path) -> Option<Vec<u8>> {
    let mut command = Command::new(program);
    let output = command.args(arguments).arg(file).stderr(Stdio::inherit()).output();
    let Ok(output) = output else {
        eprintln!("SKIPPED: there is no program {program}");
        return None;
    };
    assert!(output.status.success(), "{program} fails on {}", file.display());
    Some(output.stdout)
}

/// A folder that goes with the test.
struct Unpacked(PathBuf);

impl Drop for Unpacked {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn unpack(archive: &Path) -> Option<Unpacked> {
    printed("xz", &["--test"], archive)?;
    let name = format!("bsp-official-tests-{}", std::process::id());
    let folder = Unpacked(std::env::temp_dir().join(name));
    fs::create_dir_all(&folder.0).expect("a folder");
    let target = folder.0.to_str().expect("a name in UTF-8");
    printed("tar", &["-C", target, "-xJf"], archive)?;
    Some(folder)
}

#[test]
fn official_tests_have_the_exporters_digests() {
    let Some(shared) = shared_data::folder("ethereum-tests") else { return };
    let Some(digests) = printed("gzip", &["-dc"], &shared.join("digests.jsonl.gz")) else { return };
    let Some(folder) = unpack(&shared.join("tests.tar.xz")) else { return };

    let mut lines: BTreeMap<String, Vec<Line>> = BTreeMap::new();
    for line in digests.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Line = serde_json::from_slice(line).expect("a line of digests");
        lines.entry(line.file.clone()).or_default().push(line);
    }
    let (mut equal, mut refused) = (0, 0);
    for (name, lines) in lines {
        let text = fs::read(folder.0.join(&name)).expect("a file of tests");
        let file: File = serde_json::from_slice(&text).expect("tests");
        for line in lines {
            let case = &file[&line.test];
            assert_eq!(case.network, line.network);
            match case.replicas() {
                Ok(replicas) => {
                    let got: Vec<_> = replicas
                        .iter()
                        .map(|replica| {
                            let rlp = rlp::encode_replica(replica, Profile::Network).expect("RLP");
                            (replica.hash, digest::sha256(&rlp))
                        })
                        .collect();
                    let expected: Vec<_> = line
                        .blocks
                        .iter()
                        .map(|block| (block.hash, block.replica_sha256))
                        .collect();
                    assert_eq!(got, expected, "{name} {}", line.test);
                    equal += 1;
                }
                Err(Trouble::Check(_)) if is_of_eip_7610(&line.test) => refused += 1,
                Err(Trouble::Check(error) | Trouble::Other(error)) => {
                    panic!("{name} {}: {error}", line.test)
                }
                Err(trouble) => panic!("{name} {}: {trouble:?}", line.test),
            }
        }
    }
    assert!(equal > 1000, "{equal}");
    assert_eq!(refused, REFUSED);
}
