//! Readers that go away, as in `bsp … | head`.

use crate::{
    fixture::{Scratch, data_folder, plain_segment},
    program::command,
};
use std::{io, process::Stdio};

/// Whatever is printed where nobody reads, the exit code is that of the work.
#[test]
fn a_reader_that_has_gone_away_ends_no_command() {
    let scratch = Scratch::new();
    let segment = plain_segment().to_str().unwrap().to_owned();
    let (agent, new) = (data_folder().join("agent"), scratch.path("new"));
    let (agent, new) = (agent.to_str().unwrap(), new.to_str().unwrap());
    let commands: [(&[&str], i32); 12] = [
        (&["--help"], 0),
        (&["--version"], 0),
        (&["prove"], 2),
        (&["verify", &segment], 0),
        (&["verify", "/nonexistent", &segment], 2),
        (&["inspect", &segment], 0),
        (&["inspect", "/nonexistent"], 2),
        (&["encode", &segment], 0),
        (&["cid", &segment], 0),
        (&["journal", "--data-dir", agent], 0),
        (&["journal", "--data-dir", "/nonexistent"], 2),
        (&["dev", "--blocks", "1", "--data-dir", new], 0),
    ];
    for (words, code) in commands {
        let gone = || io::pipe().unwrap().1;
        let status =
            command(words).stdin(Stdio::null()).stdout(gone()).stderr(gone()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{words:?}");
    }
}
