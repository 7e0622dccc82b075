//! A target on a thread and a runtime of its own. One that blocks its thread, against the rules,
//! holds up neither the other targets nor the watchdog nor the stop, and a panic of it is an error
//! like any other.

use crate::{
    producer::pool::panic_message,
    target::{Entry, StreamPosition, Target, TargetError},
};
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
pub(crate) enum TargetFailure {
    /// It says so.
    Target(TargetError),
    /// It panicked, with this message.
    Panicked(String),
    /// Its thread has ended.
    Gone,
}

/// Where a target is after what it was asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Positions {
    /// See [`Target::position`].
    pub(crate) delivered: Option<StreamPosition>,
    /// See [`Target::acknowledged`].
    pub(crate) acknowledged: Option<StreamPosition>,
}

type Answer = Result<Positions, TargetFailure>;

#[derive(Debug)]
struct Request {
    task: Task,
    /// If nobody waits for the answer any longer, the work on it ends.
    answer: oneshot::Sender<Answer>,
}

#[derive(Debug)]
enum Task {
    Resume { position: StreamPosition, acknowledged: Option<StreamPosition> },
    Deliver(Arc<[Entry]>),
}

/// A target, as its lane sees it. Its thread ends after this is dropped.
#[derive(Debug)]
pub(crate) struct TargetThread {
    requests: UnboundedSender<Request>,
}

impl TargetThread {
    /// Starts the thread. Once `abandon` is cancelled, what is under way at the target is given up;
    /// the target's blocking tasks get `grace` to end.
    pub(crate) fn start(
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
                    () = abandon.cancelled() => {}
                    () = serve(target, receiver, &abandon) => {}
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
    pub(crate) async fn deliver(&self, batch: &[Entry]) -> Answer {
        self.ask(Task::Deliver(batch.into())).await
    }

    /// Tells the target where it is, see [`Target::resume`] and [`Target::resume_acknowledged`].
    pub(crate) async fn resume(
        &self,
        position: StreamPosition,
        acknowledged: Option<StreamPosition>,
    ) -> Answer {
        self.ask(Task::Resume { position, acknowledged }).await
    }

    async fn ask(&self, task: Task) -> Answer {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request { task, answer }).map_err(|_| TargetFailure::Gone)?;
        answered.await.unwrap_or(Err(TargetFailure::Gone))
    }
}

async fn serve(
    mut target: Box<dyn Target>,
    mut requests: UnboundedReceiver<Request>,
    abandon: &CancellationToken,
) {
    while let Some(Request { task, mut answer }) = requests.recv().await {
        // Nothing is begun after this: the next process may already deliver the same.
        if abandon.is_cancelled() {
            break;
        }
        let done = tokio::select! {
            // What nobody waits for any longer must not be begun either.
            biased;
            () = answer.closed() => continue,
            done = AssertUnwindSafe(work(&mut *target, task)).catch_unwind() => done,
        };
        let done = match done {
            Ok(done) => done.map_err(TargetFailure::Target),
            Err(panic) => Err(TargetFailure::Panicked(panic_message(&*panic))),
        };
        // The caller may be gone.
        let _ = answer.send(done);
    }
}

async fn work(target: &mut dyn Target, task: Task) -> Result<Positions, TargetError> {
    match task {
        Task::Resume { position, acknowledged } => {
            target.resume(position);
            if let Some(acknowledged) = acknowledged {
                target.resume_acknowledged(acknowledged);
            }
        }
        Task::Deliver(batch) => target.deliver(&batch).await?,
    }
    Ok(Positions { delivered: target.position(), acknowledged: target.acknowledged() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use std::sync::{Mutex, mpsc as channel};

    /// Blocks its thread before it takes a batch, until it is told to go on.
    #[derive(Debug)]
    struct Gate {
        reached: channel::Sender<()>,
        go_on: channel::Receiver<()>,
        taken: Arc<Mutex<Vec<u64>>>,
    }

    #[async_trait]
    impl Target for Gate {
        fn name(&self) -> String {
            "gate".to_owned()
        }

        async fn deliver(&mut self, batch: &[Entry]) -> Result<(), TargetError> {
            self.reached.send(()).unwrap();
            self.go_on.recv().unwrap();
            self.taken.lock().unwrap().extend(batch.iter().map(|entry| entry.number));
            Ok(())
        }
    }

    struct Scene {
        target: TargetThread,
        thread: JoinHandle<()>,
        abandon: CancellationToken,
        reached: channel::Receiver<()>,
        go_on: channel::Sender<()>,
        taken: Arc<Mutex<Vec<u64>>>,
    }

    fn scene() -> Scene {
        let (reached, is_reached) = channel::channel();
        let (go_on, may_go_on) = channel::channel();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let gate = Gate { reached, go_on: may_go_on, taken: Arc::clone(&taken) };
        let abandon = CancellationToken::new();
        let (target, thread) =
            TargetThread::start(Box::new(gate), abandon.clone(), Duration::ZERO).unwrap();
        Scene { target, thread, abandon, reached: is_reached, go_on, taken }
    }

    fn entry(number: u64) -> Entry {
        Entry { hash: Default::default(), number, replica: Default::default(), supplement: None }
    }

    /// Many times, because it must not be left to chance.
    #[test]
    fn what_nobody_waits_for_any_longer_is_not_begun() {
        for _ in 0..32 {
            let Scene { target, thread, abandon: _abandon, reached, go_on, taken } = scene();
            let [first, second, third] = [entry(1), entry(2), entry(3)].map(|entry| [entry]);
            let mut under_way = Box::pin(target.deliver(&first));
            assert!((&mut under_way).now_or_never().is_none());
            reached.recv().unwrap();
            // The target is busy. Asked for and given up:
            assert!(target.deliver(&second).now_or_never().is_none());
            // One more than is needed: if the second is begun, this fails, and does not hang.
            (0..3).for_each(|_| go_on.send(()).unwrap());
            futures::executor::block_on(async {
                under_way.await.unwrap();
                target.deliver(&third).await.unwrap();
            });
            assert_eq!(*taken.lock().unwrap(), [1, 3]);
            drop(target);
            thread.join().unwrap();
        }
    }

    #[test]
    fn nothing_is_begun_after_the_end() {
        for _ in 0..32 {
            let Scene { target, thread, abandon, reached, go_on, taken } = scene();
            let (first, second) = ([entry(1)], [entry(2)]);
            let mut under_way = Box::pin(target.deliver(&first));
            assert!((&mut under_way).now_or_never().is_none());
            reached.recv().unwrap();
            let mut next = Box::pin(target.deliver(&second));
            assert!((&mut next).now_or_never().is_none());
            abandon.cancel();
            // The target may be gone after the first.
            for _ in 0..2 {
                let _ = go_on.send(());
            }
            thread.join().unwrap();
            assert_eq!(*taken.lock().unwrap(), [1]);
            let next = futures::executor::block_on(next);
            assert!(matches!(next, Err(TargetFailure::Gone)), "{next:?}");
        }
    }

    #[test]
    fn a_panic_is_an_answer_and_the_thread_goes_on() {
        let Scene { target, thread, abandon: _abandon, reached, go_on, taken } = scene();
        // Without anybody who hears it, the target panics.
        drop(reached);
        let panicked = futures::executor::block_on(target.deliver(&[entry(1)]));
        assert!(matches!(panicked, Err(TargetFailure::Panicked(_))), "{panicked:?}");
        let position = futures::executor::block_on(target.resume(StreamPosition(7), None)).unwrap();
        assert_eq!((position.delivered, taken.lock().unwrap().len()), (None, 0));
        drop((target, go_on));
        thread.join().unwrap();
    }
}
