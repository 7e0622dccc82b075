//! What a lane tells: status, metrics, log, and how far it is.

pub(crate) mod failure;
pub(crate) mod metrics;
pub(crate) mod progress;
pub(crate) mod status;

use self::metrics::{ChainMetrics, TargetMetrics};
use super::{
    SkippedRange, TargetState,
    cursors::history::{DeliveryHistory, Disposition, Skip},
    finished::Finished,
    lane::window::Batch,
    timing::Timing,
};
use crate::health::TargetHealth;
use alloy_eips::BlockNumHash;
use failure::{Failure, Severity};
use progress::Progress;
use status::StatusBoard;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A lane that is behind by no more than this follows the tip.
const NEAR: u64 = 8;
/// While it follows, a line in the log is due after this many pauses between lines of progress.
const FOLLOWING_LINES: u32 = 6;

/// A lane's voice.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) index: usize,
    pub(super) name: String,
    pub(super) health: TargetHealth,
    pub(super) board: Arc<StatusBoard>,
    pub(super) finished: Arc<Finished>,
    pub(super) timing: Timing,
    metrics: TargetMetrics,
    chain_metrics: ChainMetrics,
    progress: Progress,
    told: Instant,
    told_blocks: u64,
    failures: u64,
    tip: Option<BlockNumHash>,
    next: u64,
    catching_up: bool,
    told_undefined: bool,
}

impl Report {
    pub(super) fn new(
        index: usize,
        name: String,
        health: TargetHealth,
        board: Arc<StatusBoard>,
        finished: Arc<Finished>,
        timing: Timing,
    ) -> Self {
        let now = Instant::now();
        Self {
            index,
            health,
            board,
            finished,
            timing,
            metrics: TargetMetrics::of(&name),
            chain_metrics: ChainMetrics::default(),
            progress: Progress::starting(now),
            told: now,
            told_blocks: 0,
            failures: 0,
            tip: None,
            next: 0,
            catching_up: false,
            told_undefined: false,
            name,
        }
    }

    pub(super) fn tip(&mut self, tip: Option<BlockNumHash>) {
        if let Some(tip) = tip
            && self.tip != Some(tip)
        {
            self.tip = Some(tip);
            self.board.set_tip(Some(tip));
        }
    }

    /// The cursor has moved. `confirmed` is the highest block that is canonical and confirmed.
    pub(super) fn cursor(&mut self, history: &DeliveryHistory, confirmed: Option<BlockNumHash>) {
        self.next = history.next();
        let cursor = history.cursor();
        self.board.set_cursor(self.index, self.next, cursor);
        self.metrics.cursor_height.set(self.next.saturating_sub(1) as f64);
        self.confirmed(confirmed);
    }

    fn confirmed(&self, confirmed: Option<BlockNumHash>) {
        let finished = self.finished.set(self.index, confirmed);
        self.board.set_finished(finished);
        if let Some(finished) = finished {
            self.chain_metrics.finished_height.set(finished.number as f64);
        }
    }

    /// The target is to begin at the tip, and the node is not there yet. `looks` counts how often
    /// that was found.
    pub(super) fn waits_for_sync(&self, head: Option<BlockNumHash>, looks: u32) {
        // It will begin above, so it needs nothing of what there is.
        self.confirmed(head);
        let (name, head) = (&self.name, head.map(|head| head.number));
        let reason = "waits for the node's sync, then begins at its tip. To begin somewhere else, name a block with \
                      --exex.bsp.start-block";
        self.show(TargetState::Starting, Some(reason.to_owned()));
        // Not each time, nor once and never again.
        if looks.is_power_of_two() {
            tracing::info!(target: "exex::bsp", target = name, ?head, "The target {reason}");
        }
    }

    /// The ranges of blocks that were left out so far.
    pub(super) fn skipped_ranges(&self, ranges: Vec<SkippedRange>) {
        self.board.change(self.index, |target| target.skipped_ranges = ranges);
    }

    /// What metrics and status say of a state has to be the same.
    fn show(&self, state: TargetState, trouble: Option<String>) {
        let gauge = |is: bool| if is { 1.0 } else { 0.0 };
        self.metrics.stuck.set(gauge(state == TargetState::Stuck));
        self.metrics.starting.set(gauge(state == TargetState::Starting));
        self.board.change(self.index, |target| {
            target.state = state;
            target.trouble = trouble;
        });
    }

    /// All is well.
    pub(super) fn state(&mut self, state: TargetState) {
        self.show(state, None);
        self.board.change(self.index, |target| {
            if state != TargetState::CatchingUp {
                (target.blocks_per_second, target.seconds_left) = (None, None);
            }
        });
    }

    /// Following or catching up, by how far the tip is.
    pub(super) fn moving(&mut self) {
        let catching_up = self.lag() > NEAR;
        if catching_up && !std::mem::replace(&mut self.catching_up, catching_up) {
            // Or the speed would be that of the chain.
            self.progress.begin_anew(Instant::now());
        }
        self.catching_up = catching_up;
        self.state(if catching_up { TargetState::CatchingUp } else { TargetState::Following });
    }

    /// Something has failed, for the `failures`th time in a row, and will be tried again.
    pub(super) fn failed(&mut self, trouble: &Failure, failures: u32) {
        self.failures = self.failures.saturating_add(1);
        self.count_retries();
        let (name, state) = (&self.name, trouble.state_after(failures));
        let message = &trouble.message;
        self.show(state, Some(message.clone()));
        let alarm_begins = state == TargetState::Stuck
            && (failures == 1 || trouble.state_after(failures - 1) != TargetState::Stuck);
        // Not each time, nor once and never again.
        if !failures.is_power_of_two() && !alarm_begins {
            tracing::debug!(target: "exex::bsp", target = name, failures, "{message}");
        } else if state == TargetState::Stuck {
            tracing::error!(target: "exex::bsp", target = name, failures, "{message}");
        } else if failures > 2 || trouble.severity != Severity::Passing {
            tracing::warn!(target: "exex::bsp", target = name, failures, "{message}; trying again");
        } else {
            tracing::debug!(target: "exex::bsp", target = name, failures, "{message}");
        }
    }

    /// What had failed did not fail again.
    pub(super) fn recovered(&self) {
        tracing::info!(target: "exex::bsp", target = self.name, "Delivery resumed");
    }

    /// A target takes its time.
    pub(super) fn waiting_for_target(&self, waited: Duration) {
        self.count_retries();
        let trouble = self.health.trouble().unwrap_or_else(|| {
            format!("the target has not confirmed a delivery for {} s", waited.as_secs())
        });
        self.show(TargetState::WaitingForTarget, Some(trouble));
    }

    /// A reorg.
    pub(super) fn stepped_back(
        &self,
        from: Option<BlockNumHash>,
        to: Option<BlockNumHash>,
        depth: u64,
    ) {
        self.metrics.reorgs_total.increment(1);
        self.metrics.reorg_depth_blocks.record(depth as f64);
        let (name, from) = (&self.name, from.map(|block| block.number));
        match to {
            Some(to) => tracing::info!(
                target: "exex::bsp", target = name, ?from, block = to.number, hash = %to.hash, depth,
                "The chain was reorganised; the new branch follows"
            ),
            None => tracing::error!(
                target: "exex::bsp", target = name, ?from, next = self.next, depth,
                "None of the remembered blocks is canonical any longer; delivery starts over from the lowest. If \
                 the node's data folder was replaced, check that it is for the same chain"
            ),
        }
    }

    /// The target has lost what it had confirmed.
    pub(super) fn lost(&self, entries: usize, next: u64) {
        self.metrics.lost_entries_total.increment(entries as u64);
        tracing::error!(
            target: "exex::bsp", target = self.name, entries, next,
            "The target has lost entries that it had confirmed, and gets them again. If its server was restarted, check \
             that it keeps its data on disk"
        );
    }

    /// Bytes that wait for the target.
    pub(super) fn waiting_bytes(&self, bytes: usize) {
        self.metrics.waiting_bytes.set(bytes as f64);
    }

    /// A delivery has ended.
    pub(super) fn delivered(&self, batch: &Batch, took: Duration) {
        self.count_retries();
        self.metrics.deliver_seconds.record(took);
        self.metrics.delivered_bytes_total.increment(batch.bytes as u64);
        if self.lag() <= NEAR
            && let Some(seen) = batch.seen
        {
            self.metrics.latency_seconds.record(seen.elapsed());
        }
    }

    /// The cursor has moved over a batch.
    pub(super) fn handled(&mut self, batch: &Batch) {
        let delivered = batch.entries.len() as u64;
        let (mut had, mut skipped, mut blocks) = (0, 0, 0_u64);
        for handled in &batch.handled {
            let (block, disposition) = (handled.block, handled.disposition);
            tracing::debug!(
                target: "exex::bsp", target = self.name, block = block.number, hash = %block.hash, ?disposition,
                "The target's cursor passed a block"
            );
            match handled.disposition {
                Disposition::Delivered { .. } => {}
                Disposition::HadAlready => had += 1,
                Disposition::Skipped { from, why } => {
                    let range = handled.block.number.saturating_sub(from).saturating_add(1);
                    if why == Skip::BeforeDefinition
                        && !std::mem::replace(&mut self.told_undefined, true)
                    {
                        tracing::info!(
                            target: "exex::bsp", target = self.name, from, to = block.number,
                            "Skipping blocks for which no specimen is defined"
                        );
                    }
                    metrics::skipped(&self.name, why, range);
                    skipped += range;
                }
            }
            blocks += 1;
        }
        self.metrics.delivered_total.increment(delivered);
        self.metrics.already_delivered_total.increment(had);
        self.moving();
        let now = Instant::now();
        self.progress.note(now, blocks, batch.gas);
        let (lag, speed) = (self.lag(), self.progress.speed(now).blocks);
        let seconds_left = self.progress.seconds_for(now, lag);
        self.board.change(self.index, |target| {
            target.delivered += delivered;
            target.already_delivered += had;
            target.skipped += skipped;
            if target.state == TargetState::CatchingUp {
                target.blocks_per_second = Some(speed);
                target.seconds_left = seconds_left;
            }
        });
        self.tell_progress(now);
    }

    /// A line in the log every so often.
    fn tell_progress(&mut self, now: Instant) {
        let lag = self.lag();
        let lines = if lag > NEAR { 1 } else { FOLLOWING_LINES };
        if now.duration_since(self.told) < self.timing.progress * lines {
            return;
        }
        let blocks = self.progress.blocks().saturating_sub(self.told_blocks);
        (self.told, self.told_blocks) = (now, self.progress.blocks());
        let (name, number) = (&self.name, self.next.saturating_sub(1));
        if lag <= NEAR {
            tracing::info!(target: "exex::bsp", target = name, block = number, blocks, "The target follows the tip");
            return;
        }
        let speed = self.progress.speed(now);
        let left = self.progress.seconds_for(now, lag).unwrap_or_default();
        tracing::info!(
            target: "exex::bsp", target = name, block = number, blocks, lag,
            blocks_per_second = format_args!("{:.1}", speed.blocks),
            mgas_per_second = format_args!("{:.1}", speed.gas / 1e6),
            left = ?Duration::from_secs(left), "The target is catching up"
        );
    }

    /// How far the tip is.
    fn lag(&self) -> u64 {
        self.tip.map_or(0, |tip| tip.number.saturating_add(1).saturating_sub(self.next))
    }

    fn count_retries(&self) {
        self.metrics.retries_total.absolute(self.failures.saturating_add(self.health.retries()));
    }
}
