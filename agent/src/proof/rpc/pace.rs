//! How fast requests follow each other: as fast as they come, until the RPC says that there are too
//! many.

use bsp_common::backoff::pause_after;
use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::time::{Instant, sleep_until};

/// Between two requests after the first refusal. Each further one doubles it.
const FIRST_INTERVAL: Duration = Duration::from_millis(50);
const LONGEST_INTERVAL: Duration = Duration::from_secs(1);

/// The interval is halved when nothing was refused for so long.
const RELIEF: Duration = Duration::from_secs(60);

/// The longest pause that an RPC can order by `Retry-After`.
const LONGEST_PAUSE: Duration = Duration::from_secs(600);

/// Failures in a row that [`pause_after`] is told beyond those there were: a rate limit holds for a
/// second at least.
const FIRST_PAUSE_AFTER: u32 = 2;

/// Lets requests through one by one. After a refusal none for a while, and then at most one in an
/// interval.
#[derive(Debug)]
pub(super) struct Pace {
    /// First come, first served.
    queue: tokio::sync::Mutex<()>,
    state: Mutex<PaceState>,
}

#[derive(Debug)]
struct PaceState {
    /// When the next request may begin.
    next: Instant,
    interval: Duration,
    /// Refusals without a served request in between.
    strikes: u32,
    /// How many refusals counted. Those of requests that were under way at the same time count
    /// once.
    epoch: u64,
    /// When the interval was last changed.
    changed: Instant,
}

/// A request's turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct RequestTurn {
    epoch: u64,
}

impl Default for Pace {
    fn default() -> Self {
        let now = Instant::now();
        let state =
            PaceState { next: now, interval: Duration::ZERO, strikes: 0, epoch: 0, changed: now };
        Self { queue: tokio::sync::Mutex::new(()), state: Mutex::new(state) }
    }
}

impl Pace {
    /// Waits for a request's turn.
    pub(super) async fn turn(&self) -> RequestTurn {
        let _first = self.queue.lock().await;
        loop {
            let next = self.state().next;
            if next <= Instant::now() {
                break;
            }
            // A refusal of what is under way may put it off further.
            sleep_until(next).await;
        }
        let mut state = self.state();
        state.next = Instant::now() + state.interval;
        RequestTurn { epoch: state.epoch }
    }

    /// The RPC refused a request because there are too many. Returns the pause before the next one:
    /// at least what the RPC asks for, up to ten minutes.
    pub(super) fn refused(&self, turn: RequestTurn, asked_for: Option<Duration>) -> Duration {
        let now = Instant::now();
        let mut state = self.state();
        let asked_for = asked_for.unwrap_or_default().min(LONGEST_PAUSE);
        if turn.epoch == state.epoch {
            state.epoch += 1;
            state.strikes = state.strikes.saturating_add(1);
            state.interval = (state.interval * 2).clamp(FIRST_INTERVAL, LONGEST_INTERVAL);
            state.changed = now;
            let pause = pause_after(state.strikes.saturating_add(FIRST_PAUSE_AFTER));
            state.next = state.next.max(now + pause);
        }
        state.next = state.next.max(now + asked_for);
        state.next - now
    }

    /// The RPC answered a request. `true` if it is asked without a limit again from now on.
    pub(super) fn served(&self, turn: RequestTurn) -> bool {
        let mut state = self.state();
        if turn.epoch != state.epoch {
            return false;
        }
        state.strikes = 0;
        if state.interval.is_zero() || state.changed.elapsed() < RELIEF {
            return false;
        }
        state.changed = Instant::now();
        state.interval /= 2;
        if state.interval < FIRST_INTERVAL {
            state.interval = Duration::ZERO;
        }
        state.interval.is_zero()
    }

    /// When the next request may begin, from now.
    pub(super) fn wait(&self) -> Duration {
        self.state().next.saturating_duration_since(Instant::now())
    }

    fn state(&self) -> MutexGuard<'_, PaceState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn without_a_refusal_nobody_waits() {
        let (pace, begun) = (Pace::default(), Instant::now());
        for _ in 0..1000 {
            let turn = pace.turn().await;
            pace.served(turn);
        }
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_under_way_counts_once() {
        let pace = Pace::default();
        let mut turns = Vec::new();
        for _ in 0..64 {
            turns.push(pace.turn().await);
        }
        for turn in turns {
            pace.refused(turn, None);
        }
        let state = pace.state();
        assert_eq!((state.strikes, state.interval), (1, FIRST_INTERVAL));
        drop(state);
        assert!(pace.wait() <= Duration::from_secs(1) && pace.wait() >= Duration::from_millis(500));
    }

    /// However many want to ask, an RPC that refuses all gets fewer and fewer requests.
    #[tokio::test(start_paused = true)]
    async fn refusals_in_a_row_make_the_pauses_longer() {
        let (pace, begun) = (Pace::default(), Instant::now());
        let mut requests = 0;
        while begun.elapsed() < Duration::from_secs(3600) {
            let turn = pace.turn().await;
            requests += 1;
            pace.refused(turn, None);
        }
        assert!((100..300).contains(&requests), "{requests}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_rpc_asks_for_is_obeyed_up_to_a_bound() {
        let pace = Pace::default();
        let (first, second) = (pace.turn().await, pace.turn().await);
        pace.refused(first, Some(Duration::from_secs(100)));
        assert_eq!(pace.wait(), Duration::from_secs(100));
        // The same refusal, of a request that was under way with it.
        pace.refused(second, Some(Duration::from_secs(120)));
        assert_eq!(pace.wait(), Duration::from_secs(120));
        let begun = Instant::now();
        let turn = pace.turn().await;
        assert_eq!(begun.elapsed(), Duration::from_secs(120));
        pace.refused(turn, Some(Duration::from_secs(1_000_000)));
        assert_eq!(pace.wait(), LONGEST_PAUSE);
    }

    /// An RPC that takes five requests a second is asked at most about that, and at full speed when
    /// it takes all again.
    #[tokio::test(start_paused = true)]
    async fn the_pace_settles_below_the_limit_and_recovers() {
        const LIMIT: usize = 5;
        let (pace, begun) = (Pace::default(), Instant::now());
        let mut sent: Vec<Instant> = Vec::new();
        let mut refused = 0;
        while begun.elapsed() < Duration::from_secs(600) {
            let turn = pace.turn().await;
            let now = Instant::now();
            sent.retain(|at| now - *at < Duration::from_secs(1));
            if sent.len() >= LIMIT {
                refused += 1;
                pace.refused(turn, None);
            } else {
                sent.push(now);
                pace.served(turn);
            }
            tokio::time::advance(Duration::from_millis(1)).await;
        }
        assert!((1..=30).contains(&refused), "{refused} refusals in ten minutes");

        let mut is_free = false;
        while begun.elapsed() < Duration::from_secs(3600) {
            let turn = pace.turn().await;
            is_free |= pace.served(turn);
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert!(is_free);
        assert_eq!(pace.state().interval, Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn who_stops_waiting_does_not_keep_others_waiting() {
        let pace = Pace::default();
        let turn = pace.turn().await;
        pace.refused(turn, Some(Duration::from_secs(60)));
        let gone = tokio::time::timeout(Duration::from_secs(1), pace.turn()).await;
        assert!(gone.is_err());
        let begun = Instant::now();
        pace.turn().await;
        assert_eq!(begun.elapsed(), Duration::from_secs(59));
    }
}
