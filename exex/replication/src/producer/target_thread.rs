//! A target on a thread and a runtime of its own. One that blocks its thread, against the rules,
//! holds up neither the other targets nor the watchdog nor the stop, and a panic of it is an error
//! like any other.

use super::pool::panic_message;
use crate::{Entry, Mark, Target, TargetError};
use futures::FutureExt;
use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::{
    runtime,
    sync::{
        mpsc::{self, UnboundedReceiver, UnboundedSender},
        oneshot,
    },
};
use tokio_util::sync::CancellationToken;

/// Why a target did not do what it was asked for.
#[derive(Debug)]
pub(super) enum Failure {
    /// It says so.
    Target(TargetError),
    /// It panicked, with this message.
    Panicked(String),
    /// Its thread has ended.
    Gone,
}

/// A target's position after what it was asked for.
type Answer = Result<Option<Mark>, Failure>;

#[derive(Debug)]
struct Request {
    task: Task,
    /// If nobody waits for the answer any longer, the work on it ends.
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
enum Task {
    Resume(Mark),
    Deliver(Arc<[Entry]>),
}

/// A target, as its lane sees it. Its thread ends after this is dropped.
#[derive(Debug)]
pub(super) struct TargetThread {
    requests: UnboundedSender<Request>,
}

impl TargetThread {
    /// Starts the thread. Once `abandon` is cancelled, what is under way at the target is given up; the
    /// target's blocking tasks get `grace` to end.
    pub(super) fn start(
        target: Box<dyn Target>,
        abandon: CancellationToken,
        grace: Duration,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (requests, receiver) = mpsc::unbounded_channel();
        let work = move || {
            // The target is dropped in there as well.
            runtime.block_on(async {
                tokio::select! {
                    // Nothing is begun after this: the next process may already deliver the same.
                    biased;
                    () = abandon.cancelled() => {}
                    () = serve(target, receiver) => {}
                }
            });
            runtime.shutdown_timeout(grace);
        };
        let thread = thread::Builder::new().name("bsp-target".to_owned()).spawn(move || {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
                let message = panic_message(&*panic);
                tracing::error!(target: "exex::bsp", "A target's end panicked: {message}");
            }
        })?;
        Ok((Self { requests }, thread))
    }

    /// Has the target deliver a batch, see [`Target::deliver`].
    pub(super) async fn deliver(&self, batch: &[Entry]) -> Answer {
        self.ask(Task::Deliver(batch.into())).await
    }

    /// Tells the target where it is, see [`Target::resume`].
    pub(super) async fn resume(&self, mark: Mark) -> Answer {
        self.ask(Task::Resume(mark)).await
    }

    async fn ask(&self, task: Task) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request { task, answer }).map_err(|_| Failure::Gone)?;
        answered.await.unwrap_or(Err(Failure::Gone))
    }
}

async fn serve(mut target: Box<dyn Target>, mut requests: UnboundedReceiver<Request>) {
    while let Some(Request { task, mut answer }) = requests.recv().await {
        let done = tokio::select! {
            // What nobody waits for any longer must not be begun either.
            biased;
            () = answer.closed() => continue,
            done = AssertUnwindSafe(work(&mut *target, task)).catch_unwind() => done,
        };
        let done = match done {
            Ok(done) => done.map_err(Failure::Target),
            Err(panic) => Err(Failure::Panicked(panic_message(&*panic))),
        };
        // Whoever asked may be gone.
        let _ = answer.send(done);
    }
}

async fn work(target: &mut dyn Target, task: Task) -> Result<Option<Mark>, TargetError> {
    match task {
        Task::Resume(mark) => target.resume(mark),
        Task::Deliver(batch) => target.deliver(&batch).await?,
    }
    Ok(target.mark())
}
