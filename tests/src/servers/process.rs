//! Child processes that end with the value that holds them.

use eyre::Context;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use std::{
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};
use tokio::process::{Child, Command};

/// A child process. Dropping it kills it, and what it has started: some programs are scripts around
/// the real one.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    group: Option<Pid>,
    log: PathBuf,
}

impl Process {
    /// Starts a program; what it prints is appended to `log`.
    ///
    /// # Errors
    ///
    /// Where the program can't be started or the log not be written.
    pub fn spawn(name: &str, command: std::process::Command, log: &Path) -> eyre::Result<Self> {
        let output = OpenOptions::new().create(true).append(true).open(log)?;
        let child = Command::from(command)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .kill_on_drop(true)
            .spawn()
            .wrap_err_with(|| format!("{name} can't be started"))?;
        let group = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        Ok(Self { name: name.to_owned(), child, group, log: log.to_owned() })
    }

    /// Its process id, until it has ended.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Sends a signal. Nothing happens if it has ended.
    ///
    /// # Errors
    ///
    /// Where the signal can't be sent.
    pub fn signal(&self, signal: Signal) -> eyre::Result<()> {
        let id = self.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        if let Some(id) = id {
            kill_process(id, signal)?;
        }
        Ok(())
    }

    /// Kills it as `kill -9` does, and waits for its end.
    ///
    /// # Errors
    ///
    /// Where the operating system refuses.
    pub async fn kill(&mut self) -> eyre::Result<()> {
        self.kill_group();
        self.child.wait().await?;
        Ok(())
    }

    fn kill_group(&self) {
        if let Some(group) = self.group {
            // Fails where all have ended, which is what is wanted.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end; `None` if it runs on for longer than that.
    ///
    /// # Errors
    ///
    /// Where the operating system refuses.
    pub async fn wait_within(&mut self, time: Duration) -> eyre::Result<Option<ExitStatus>> {
        match tokio::time::timeout(time, self.child.wait()).await {
            Ok(status) => Ok(Some(status?)),
            Err(_) => Ok(None),
        }
    }

    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// Where it does not end in time, with the end of what it printed.
    pub async fn end_within(&mut self, time: Duration) -> eyre::Result<ExitStatus> {
        match self.wait_within(time).await? {
            Some(status) => Ok(status),
            None => eyre::bail!(
                "{} has not ended within {} s:\n{}",
                self.name,
                time.as_secs(),
                self.last_lines(40)
            ),
        }
    }

    /// All that it printed, and what earlier processes with this log did.
    pub fn output(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The end of what it printed.
    pub fn last_lines(&self, count: usize) -> String {
        let output = self.output();
        let lines: Vec<_> = output.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

/// Runs a program's work until it ends or Ctrl-C comes. Either way its processes end with it: they
/// have a group of their own, which Ctrl-C does not reach.
///
/// # Errors
///
/// Those of the work, and the interruption.
pub async fn unless_interrupted<T>(work: impl Future<Output = eyre::Result<T>>) -> eyre::Result<T> {
    tokio::select! {
        result = work => result,
        _ = tokio::signal::ctrl_c() => Err(eyre::eyre!("interrupted")),
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_group();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::wait_for;

    #[tokio::test]
    async fn what_a_script_started_ends_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "sleep 1000 & echo $!; wait"]);
        let process = Process::spawn("a script", command, &folder.path().join("log")).unwrap();
        let deadline = Duration::from_secs(20);
        let child = wait_for("the script has started", deadline, async || {
            Pid::from_raw(process.output().trim().parse().ok()?)
        });
        let child = child.await.unwrap();
        drop(process);
        let ended = wait_for("the script's child has ended", deadline, async || {
            // A process that nobody waits for stays as a zombie, which has no program any more.
            let program = format!("/proc/{}/exe", child.as_raw_nonzero());
            fs::read_link(program).is_err().then_some(())
        });
        ended.await.unwrap();
    }
}
