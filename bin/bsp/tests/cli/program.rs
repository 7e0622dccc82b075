//! Running the program.

use serde_json::Value;
use std::{
    ffi::OsStr,
    io::Write,
    process::{Command, Output, Stdio},
    thread,
};

/// What a run printed, and its exit code.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

pub(crate) fn command<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bsp"));
    command.args(args);
    command
}

/// Runs the program with empty standard input.
pub(crate) fn bsp<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Run {
    command(args).stdin(Stdio::null()).output().unwrap().into()
}

/// Runs the program with these bytes on standard input.
pub(crate) fn bsp_with_input<S: AsRef<OsStr>>(
    args: impl IntoIterator<Item = S>,
    input: &[u8],
) -> Run {
    let pipes = |command: &mut Command| {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()
    };
    let mut child = pipes(&mut command(args)).unwrap();
    let mut stdin = child.stdin.take().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap().into()
    })
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("ended by a signal"),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Run {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// Asserts the exit code; a failure shows everything that was printed.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        let shown = String::from_utf8_lossy(&self.stdout[..self.stdout.len().min(4000)]);
        assert_eq!(self.code, code, "\nstdout:\n{shown}\nstderr:\n{}", self.stderr);
        self
    }

    /// Asserts that the program could not do its work and said why, without printing a result.
    #[track_caller]
    pub(crate) fn expect_refusal(self, reason: &str) {
        let run = self.expect(2);
        assert!(run.stderr.starts_with("bsp: "), "{}", run.stderr);
        assert!(run.stderr.contains(reason), "expected {reason:?} in {}", run.stderr);
        assert_eq!(run.text(), "");
    }

    /// As [`expect_refusal`](Self::expect_refusal), of a program that has said other things before.
    #[track_caller]
    pub(crate) fn expect_refusal_after_words(self, reason: &str) {
        let run = self.expect(2);
        let last = run.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("bsp: ") && last.contains(reason), "{}", run.stderr);
        assert_eq!(run.text(), "");
    }

    /// As [`expect_refusal`](Self::expect_refusal), of a program that has printed something before.
    #[track_caller]
    pub(crate) fn expect_refusal_after_words_and_text(self, reason: &str) {
        let run = self.expect(2);
        let last = run.stderr.lines().last().unwrap_or_default();
        assert!(last.starts_with("bsp: ") && last.contains(reason), "{}", run.stderr);
    }

    /// The JSON objects that were printed, one a line.
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
