//! Running the program in a folder of its own, with an environment of its own.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};

/// A key as operators have one; nothing may print it.
pub(crate) const KEY: &str = "59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";

/// A password as operators have one; nothing may print it.
pub(crate) const PASSWORD: &str = "hunter2";

/// A contract's address.
pub(crate) const CONTRACT: &str = "0x4f2E285227D43D9eB52799D0A28299540452446E";

/// The program with arguments, to be run in a folder, with an empty environment.
pub(crate) struct Agent {
    pub(crate) command: Command,
}

impl Agent {
    pub(crate) fn new(folder: &Path, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bsp-agent"));
        command.args(args).current_dir(folder).env_clear().stdin(Stdio::null());
        // Others run at the same time.
        command.env("BSP_AGENT_PINNER_ADDR", "off");
        Self { command }
    }

    /// As an operator's service has it.
    pub(crate) fn with_operators_environment(mut self) -> Self {
        self.command
            .env("MB_RPC_URL", format!("http://127.0.0.1:1/{PASSWORD}"))
            .env("MB_PRIVATE_KEY", KEY)
            .env("REDIS_PWD", PASSWORD);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs to the end, which must come on its own.
    pub(crate) fn run(mut self) -> Run {
        self.command.output().unwrap().into()
    }
}

/// What a run printed, and its exit code.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("ended by a signal"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Run {
    /// Asserts that the start was refused with one line that says this, and no secret.
    #[track_caller]
    pub(crate) fn expect_refusal(&self, reason: &str) {
        assert_eq!(self.code, 1, "{self:?}");
        assert!(self.stderr.starts_with("bsp-agent: "), "{self:?}");
        assert!(self.stderr.contains(reason), "expected {reason:?}: {self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        assert_eq!(self.stdout, "");
        self.expect_no_secret();
    }

    #[track_caller]
    pub(crate) fn expect_no_secret(&self) {
        for secret in [KEY, PASSWORD] {
            assert!(!format!("{self:?}").contains(secret), "{self:?}");
        }
    }
}

/// All that was logged to a folder.
pub(crate) fn logged(folder: &Path) -> String {
    fs::read_to_string(folder.join("logs/log.log")).unwrap()
}
