//! The agent's program: found or built, started with its settings, stopped or killed.

use crate::servers::process::Process;
use eyre::{Context, OptionExt};
use serde_json::Value;
use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// A program of this workspace that tests run as its users do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shipped {
    /// `bsp-agent`.
    Agent,
    /// `bsp`, the operator's tool.
    Tool,
}

/// How a program is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Build {
    /// With points at which it dies on demand.
    pub failpoints: bool,
    /// Optimised.
    pub release: bool,
}

impl Shipped {
    const fn package(self) -> &'static str {
        match self {
            Self::Agent => "bsp-agent-bin",
            Self::Tool => "bsp",
        }
    }

    const fn file_name(self) -> &'static str {
        match self {
            Self::Agent => "bsp-agent",
            Self::Tool => "bsp",
        }
    }

    /// The environment variable that names another file.
    const fn variable(self) -> &'static str {
        match self {
            Self::Agent => "BSP_AGENT_BIN",
            Self::Tool => "BSP_BIN",
        }
    }

    /// The program that the environment names, else the one that was built with the tests, else a
    /// new one.
    ///
    /// # Errors
    ///
    /// Where it has to be built and can't be.
    pub fn find(self) -> eyre::Result<PathBuf> {
        if let Some(path) = self.named() {
            return Ok(path);
        }
        // Tests are in `deps`, programs beside that folder.
        let here = env::current_exe()?;
        let beside = here.ancestors().skip(1).take(2).map(|folder| folder.join(self.file_name()));
        match beside.into_iter().find(|path| path.is_file()) {
            Some(path) => Ok(path),
            None => self.build(Build::default()),
        }
    }

    /// The program that the environment names, else a fresh build.
    ///
    /// # Errors
    ///
    /// Where it can't be built.
    pub fn named_or_built(self, build: Build) -> eyre::Result<PathBuf> {
        self.named().map_or_else(|| self.build(build), Ok)
    }

    fn named(self) -> Option<PathBuf> {
        env::var_os(self.variable()).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    fn build(self, build: Build) -> eyre::Result<PathBuf> {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .args(["build", "--locked", "--package", self.package()])
            .args(["--bin", self.file_name(), "--message-format", "json-render-diagnostics"])
            .stderr(Stdio::inherit());
        if build.failpoints {
            cargo.args(["--features", "failpoints"]);
        }
        if build.release {
            cargo.arg("--release");
        }
        let output = cargo.output().wrap_err("cargo can't be started")?;
        eyre::ensure!(output.status.success(), "{} does not build", self.file_name());
        let text = String::from_utf8(output.stdout)?;
        let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut built =
            messages.filter_map(|message| message["executable"].as_str().map(PathBuf::from));
        built.next_back().ok_or_eyre("cargo names no program")
    }
}

/// A way to start the agent: program, arguments, environment, and the file that its output goes to.
#[derive(Debug, Clone)]
pub struct AgentCommand {
    program: PathBuf,
    folder: PathBuf,
    args: Vec<OsString>,
    variables: Vec<(String, OsString)>,
}

/// Variables of the test's own environment that the agent would read as settings.
const SETTINGS: [&str; 13] = [
    "RedisURL",
    "CodecPath",
    "BinaryFilePath",
    "BlockDivisor",
    "ProofChain",
    "ConsumerPendingTimeout",
    "LogFolder",
    "IpfsPinnerServer",
    "MetricsHttpServerAddr",
    "MetricsHttpServerPort",
    "MB_RPC_URL",
    "MB_PRIVATE_KEY",
    "REDIS_PWD",
];

impl AgentCommand {
    /// The agent in a folder of its own, which is made; without any settings.
    ///
    /// # Errors
    ///
    /// Where the folder can't be made.
    pub fn new(program: impl Into<PathBuf>, folder: impl Into<PathBuf>) -> eyre::Result<Self> {
        let folder = folder.into();
        fs::create_dir_all(&folder)?;
        Ok(Self { program: program.into(), folder, args: Vec::new(), variables: Vec::new() })
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.variables.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Its working folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file that all its processes print to.
    pub fn log(&self) -> PathBuf {
        self.folder.join("output.log")
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// Where the program can't be started.
    pub fn start(&self) -> eyre::Result<Process> {
        Process::spawn("the agent", self.command(), &self.log())
    }

    /// Runs it to its end, for `--check` and wrong settings.
    ///
    /// # Errors
    ///
    /// Where the program can't be started.
    pub fn run(&self) -> eyre::Result<Output> {
        Ok(self.command().stdin(Stdio::null()).output()?)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.folder).args(&self.args);
        for name in SETTINGS {
            command.env_remove(name);
        }
        // Several agents run at once, on one machine.
        command.env("BSP_AGENT_PINNER_ADDR", "off");
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}
