//! Ranges that are delivered without a producer.

use super::{
    memory_target::{Inbox, Trick},
    model::{Fault, Model},
};
use crate::producer::export::{ExportError, ExportRange, ExportStopped, Exported, export_range};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

const RANGE: ExportRange = ExportRange { first: 3, last: 50, workers: 3 };

/// Exports to two targets, and cancels once this many blocks are delivered.
fn export(
    model: &Arc<Model>,
    inboxes: &[Inbox; 2],
    range: ExportRange,
    cancel_at: u64,
) -> Result<Exported, ExportStopped> {
    let stop = CancellationToken::new();
    let [a, b] = inboxes;
    let mut targets = [a.target("a"), b.target("b")];
    let told = |exported: Exported| {
        if exported.blocks >= cancel_at {
            stop.cancel();
        }
    };
    let chain = Arc::clone(model);
    let export = export_range(chain, &mut targets, range, &stop, told);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(export)
}

#[test]
fn a_range_is_delivered_in_order_to_every_target() {
    let (model, inboxes) = (Model::with_blocks(60), [(); 2].map(|()| Inbox::default()));
    let exported = export(&model, &inboxes, RANGE, u64::MAX).unwrap();
    assert_eq!((exported.blocks, exported.gas), (48, 48 * 21_000));
    for inbox in &inboxes {
        assert_eq!(inbox.numbers(), (3..=50).collect::<Vec<_>>());
        assert!(inbox.largest_batch() <= 16);
    }
}

#[test]
fn an_interrupted_export_says_where_to_go_on_and_another_completes_it() {
    let (model, inboxes) = (Model::with_blocks(60), [(); 2].map(|()| Inbox::default()));
    let stopped = export(&model, &inboxes, RANGE, 10).unwrap_err();
    assert!(matches!(stopped.reason, ExportError::Interrupted), "{stopped}");
    let delivered = stopped.exported.blocks;
    assert!(delivered >= 10, "{stopped}");
    assert_eq!(stopped.next, 3 + delivered);
    assert!(stopped.to_string().ends_with(&format!("go on with --from {}", stopped.next)));
    let rest = ExportRange { first: stopped.next, ..RANGE };
    assert_eq!(export(&model, &inboxes, rest, u64::MAX).unwrap().blocks, 48 - delivered);
    for inbox in &inboxes {
        assert_eq!(inbox.numbers(), (3..=50).collect::<Vec<_>>());
    }
}

#[test]
fn what_was_ready_before_a_failure_is_delivered() {
    let (model, inboxes) = (Model::with_blocks(60), [(); 2].map(|()| Inbox::default()));
    model.fail(20, Fault::Mismatch, 1);
    let stopped = export(&model, &inboxes, RANGE, u64::MAX).unwrap_err();
    assert!(matches!(stopped.reason, ExportError::Produce(_)), "{stopped}");
    assert_eq!((stopped.exported.blocks, stopped.next), (17, 20));
    assert_eq!(inboxes[1].numbers(), (3..20).collect::<Vec<_>>());
}

#[test]
fn a_target_that_refuses_and_a_chain_that_ends_are_told() {
    let (model, inboxes) = (Model::with_blocks(5), [(); 2].map(|()| Inbox::default()));
    inboxes[1].play(Trick::RefuseAfter(0));
    let stopped = export(&model, &inboxes, RANGE, u64::MAX).unwrap_err();
    assert!(matches!(stopped.reason, ExportError::Target(_)), "{stopped}");
    assert_eq!((stopped.exported.blocks, stopped.next), (0, 3), "not every target has it");
    let stopped = export(&model, &inboxes, RANGE, u64::MAX).unwrap_err();
    assert!(matches!(stopped.reason, ExportError::MissingBlock(6)), "{stopped}");
    assert_eq!(stopped.next, 6);
}
