//! `bsp encode`.

use crate::{
    fixture::{Scratch, decode, plain_segment, segment_with_authorizations},
    program::{bsp, bsp_with_input},
};
use alloy_primitives::{Address, U256};
use bsp_codec::{Profile, ReplicaAuthorization, avro, json, rlp, snappy};
use std::{fs, path::Path};

/// A segment's bytes, and the payload of the stream entry that it comes from.
fn segment_and_rlp() -> (Vec<u8>, Vec<u8>) {
    let file = plain_segment();
    let rlp = rlp::encode_replica(&decode(&file).replica, Profile::Network).unwrap();
    (fs::read(file).unwrap(), rlp)
}

#[test]
fn every_form_becomes_the_same_segment() {
    let scratch = Scratch::new();
    let (segment, rlp) = segment_and_rlp();
    let mut text = Vec::new();
    json::write_segment_json(&decode(&plain_segment()), &mut text, false).unwrap();
    let forms = [
        ("snappy", snappy::compress(&rlp).unwrap()),
        ("rlp", rlp),
        ("json", text),
        ("avro", segment.clone()),
    ];
    for (form, bytes) in forms {
        let input = scratch.file(form, &bytes);
        let output = scratch.path(&format!("{form}.avro"));
        let input = input.to_str().unwrap();
        let run = bsp(["encode", input, "--output", output.to_str().unwrap()]).expect(0);
        assert_eq!((run.text(), run.stderr.as_str()), ("", ""));
        assert!(fs::read(output).unwrap() == segment, "{form} to a file");
        let run = bsp(["encode", input, "--format", form]).expect(0);
        assert!(run.stdout == segment, "{form} to standard output");
        let run = bsp_with_input(["encode", "-"], &bytes).expect(0);
        assert!(run.stdout == segment, "{form} from standard input");
    }
}

#[test]
fn an_output_file_is_replaced_whole() {
    let scratch = Scratch::new();
    let (segment, rlp) = segment_and_rlp();
    let input = scratch.file("rlp", &rlp);
    let output = scratch.file("out.avro", &vec![b'x'; 2 * segment.len()]);
    bsp([Path::new("encode"), &input, Path::new("-o"), &output]).expect(0);
    assert!(fs::read(output).unwrap() == segment);
    assert_eq!(scratch.names(), ["out.avro", "rlp"]);
}

#[test]
fn a_failure_leaves_the_output_as_it_was() {
    let scratch = Scratch::new();
    let broken = scratch.file("broken", b"\x02\x84\x010x");
    let output = scratch.file("out.avro", b"precious");
    bsp([Path::new("encode"), &broken, Path::new("-o"), &output]).expect_refusal("not a replica");
    assert_eq!(fs::read(output).unwrap(), b"precious");
    assert_eq!(scratch.names(), ["broken", "out.avro"]);
}

#[test]
fn a_missing_folder_is_named_and_not_made() {
    let scratch = Scratch::new();
    let input = scratch.file("rlp", &segment_and_rlp().1);
    let output = scratch.path("missing/out.avro");
    bsp([Path::new("encode"), &input, Path::new("-o"), &output])
        .expect_refusal(&format!("cannot write {}", output.display()));
    assert_eq!(scratch.names(), ["rlp"]);
}

/// Also root may not make a file in /proc; another user's rights would not stop it.
#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_takes_no_files_is_named() {
    let scratch = Scratch::new();
    let input = scratch.file("rlp", &segment_and_rlp().1);
    bsp([Path::new("encode"), &input, Path::new("-o"), Path::new("/proc/out.avro")])
        .expect_refusal("cannot write /proc/out.avro");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_an_error_and_stays_a_device() {
    use std::os::unix::fs::FileTypeExt;
    let scratch = Scratch::new();
    let input = scratch.file("rlp", &segment_and_rlp().1);
    let full = Path::new("/dev/full");
    bsp([Path::new("encode"), &input, Path::new("-o"), full])
        .expect_refusal("cannot write /dev/full: No space left");
    assert!(fs::metadata(full).unwrap().file_type().is_char_device());

    let mut command = crate::program::command([Path::new("encode"), &input]);
    command.stdout(fs::OpenOptions::new().write(true).open(full).unwrap());
    let run = command.output().unwrap();
    assert_eq!(run.status.code(), Some(2));
    let said = String::from_utf8(run.stderr).unwrap();
    assert!(said.contains("cannot write to standard output: No space left"), "{said}");
}

#[test]
fn the_complete_profile_keeps_authorization_lists_and_the_network_profile_does_not() {
    let scratch = Scratch::new();
    let (file, _) = segment_with_authorizations();
    let mut segment = decode(&file);
    let transactions = segment.replica.transactions.iter_mut();
    for tx in transactions.filter(|tx| tx.tx_type == 4) {
        tx.authorization_list = Some(vec![ReplicaAuthorization {
            address: Address::repeat_byte(1),
            r: U256::from(2),
            s: U256::from(3),
            ..Default::default()
        }]);
    }
    let mut text = Vec::new();
    json::write_segment_json(&segment, &mut text, false).unwrap();
    let input = scratch.file("complete.json", &text);

    let network = bsp([Path::new("encode"), &input]).expect(0).stdout;
    assert!(network == fs::read(&file).unwrap(), "the network's bytes, without the lists");
    let args = [Path::new("encode"), &input, Path::new("--profile"), Path::new("complete")];
    let complete = avro::decode_segment(&bsp(args).expect(0).stdout).unwrap();
    assert_eq!(complete.replica, segment.replica);
    assert_eq!(complete.codec_version, avro::COMPLETE_CODEC_VERSION);
}
