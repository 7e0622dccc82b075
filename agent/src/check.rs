//! `--check`: everything that a start needs, checked without starting.

use crate::pin::Pinner;
use futures::{FutureExt, future::BoxFuture};
use std::{
    fs,
    future::Future,
    io::{self, Write},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// What a check says: one line about what is there, or about what is wrong and what to do.
pub type Finding = Result<String, String>;

/// Time for one check. They run at the same time.
const DEADLINE: Duration = Duration::from_secs(30);

/// Something that a start needs.
pub struct Check {
    name: &'static str,
    work: Option<BoxFuture<'static, Finding>>,
    skipped_because: String,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CheckVerdict {
    Ok,
    Fail,
    Skipped,
}

impl Check {
    /// A check that runs for at most half a minute.
    pub fn new(name: &'static str, work: impl Future<Output = Finding> + Send + 'static) -> Self {
        Self { name, work: Some(work.boxed()), skipped_because: String::new() }
    }

    /// A check that these settings make needless.
    pub fn skipped(name: &'static str, because: impl Into<String>) -> Self {
        Self { name, work: None, skipped_because: because.into() }
    }

    /// Whether a folder can be written: a file is made in it, synced, and removed.
    pub fn writable_folder(name: &'static str, folder: PathBuf) -> Self {
        Self::new(name, async move {
            let probed = tokio::task::spawn_blocking(move || probe(&folder)).await;
            probed.unwrap_or_else(|error| Err(format!("the check failed: {error}")))
        })
    }

    /// The same for a folder of the data folder, which has to be one if it is there.
    pub(crate) fn writable_data(folder: PathBuf) -> Self {
        Self::writable_folder("data", folder)
    }

    /// Whether a pinner answers.
    pub fn pinner(pinner: Arc<dyn Pinner>) -> Self {
        Self::new("pinner", async move { pinner.check().await.map_err(|error| error.to_string()) })
    }

    async fn run(self, deadline: Duration) -> (&'static str, CheckVerdict, String) {
        let Some(work) = self.work else {
            return (self.name, CheckVerdict::Skipped, self.skipped_because);
        };
        match tokio::time::timeout(deadline, work).await {
            Ok(Ok(detail)) => (self.name, CheckVerdict::Ok, detail),
            Ok(Err(detail)) => (self.name, CheckVerdict::Fail, detail),
            Err(_) => {
                let detail = format!("no answer within {} s", deadline.as_secs());
                (self.name, CheckVerdict::Fail, detail)
            }
        }
    }
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Numbers the files that [`probe`] writes: two checks of one folder must not remove each other's.
static PROBES: AtomicU64 = AtomicU64::new(0);

fn probe(folder: &std::path::Path) -> Finding {
    if !folder.is_dir() {
        return Err(format!("{} is no folder: move it away", folder.display()));
    }
    if let Err(error) = folder.read_dir() {
        return Err(format!("{} can't be read: {error}", folder.display()));
    }
    let number = PROBES.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!(".bsp-agent-check-{}-{number}", std::process::id()));
    let written = fs::File::create(&path).and_then(|mut file| {
        file.write_all(b"check")?;
        file.sync_all()
    });
    let removed = fs::remove_file(&path);
    match written.and(removed) {
        Ok(()) => Ok(format!("{} can be written", folder.display())),
        Err(error) => Err(format!("{} can't be written: {error}", folder.display())),
    }
}

/// Runs all checks and prints a table: verdict, name, detail. Whether a start would succeed is
/// returned.
///
/// # Errors
///
/// Those of `out`.
pub async fn run(checks: Vec<Check>, out: &mut impl Write) -> io::Result<bool> {
    run_within(DEADLINE, checks, out).await
}

async fn run_within(
    deadline: Duration,
    checks: Vec<Check>,
    out: &mut impl Write,
) -> io::Result<bool> {
    let width = checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
    let results =
        futures::future::join_all(checks.into_iter().map(|check| check.run(deadline))).await;
    for (name, verdict, detail) in &results {
        let verdict = match verdict {
            CheckVerdict::Ok => "ok",
            CheckVerdict::Fail => "FAIL",
            CheckVerdict::Skipped => "skipped",
        };
        let detail = detail.replace(char::is_control, " ");
        writeln!(out, "{verdict:7}  {name:width$}  {detail}")?;
    }
    out.flush()?;
    Ok(results.iter().all(|(_, verdict, _)| *verdict != CheckVerdict::Fail))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn table(checks: Vec<Check>) -> (bool, String) {
        let mut out = Vec::new();
        let is_ready = run(checks, &mut out).await.unwrap();
        (is_ready, String::from_utf8(out).unwrap())
    }

    #[tokio::test]
    async fn the_table_is_aligned_and_in_order() {
        let checks = vec![
            Check::new("redis", async { Ok("PONG".to_owned()) }),
            Check::skipped("rpc", "--proof ledger"),
            Check::new("operator", async { Err("not\nenabled".to_owned()) }),
        ];
        let (is_ready, text) = table(checks).await;
        assert!(!is_ready);
        assert_eq!(
            text,
            "ok       redis     PONG\nskipped  rpc       --proof ledger\nFAIL     operator  not enabled\n"
        );
    }

    #[tokio::test]
    async fn what_is_skipped_does_not_fail() {
        assert!(table(vec![Check::skipped("rpc", "")]).await.0);
    }

    #[tokio::test]
    async fn a_check_that_hangs_fails() {
        let mut out = Vec::new();
        let checks = vec![Check::new("redis", futures::future::pending())];
        assert!(!run_within(Duration::ZERO, checks, &mut out).await.unwrap());
        assert_eq!(out, b"FAIL     redis  no answer within 0 s\n");
    }

    #[tokio::test]
    async fn folders_are_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone");
        let checks = vec![
            Check::writable_folder("data", folder.path().to_owned()),
            Check::writable_folder("logs", gone),
        ];
        let (is_ready, text) = table(checks).await;
        assert!(!is_ready && text.starts_with("ok ") && text.contains("\nFAIL "), "{text}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn one_folder_may_serve_for_several_things() {
        let folder = tempfile::tempdir().unwrap();
        let check = |_| Check::writable_folder("data", folder.path().to_owned());
        let (is_ready, text) = table((0..50).map(check).collect()).await;
        assert!(is_ready, "{text}");
    }
}
