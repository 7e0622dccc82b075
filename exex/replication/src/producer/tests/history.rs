//! Random histories: whatever happens to the chain, the targets and the producer, nothing is
//! missing afterwards.

use super::{
    memory_target::Trick,
    model::{Fault, Model},
    scene::Scene,
};
use alloy_eips::BlockNumHash;
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Extend(u64),
    Reorg {
        depth: u64,
        length: u64,
    },
    /// To a branch that was left.
    Back(prop::sample::Index),
    Persist(u64),
    /// The node and the producer with it.
    Crash,
    Restart,
    Production(u64, Fault, usize),
    Tip(usize),
    Target(prop::sample::Index, Trick),
    LetGo,
    Settle,
    Pause,
}

fn step() -> impl Strategy<Value = Step> {
    let fault = prop_oneof![
        Just(Fault::NotReady),
        Just(Fault::Mismatch),
        Just(Fault::Panic),
        Just(Fault::Database)
    ];
    let trick = prop_oneof![
        (0..5_usize).prop_map(Trick::RefuseAfter),
        Just(Trick::TakeAndHang),
        Just(Trick::Hang),
        Just(Trick::Panic)
    ];
    prop_oneof![
        4 => (1..20_u64).prop_map(Step::Extend),
        3 => (1..30_u64, 0..30_u64).prop_map(|(depth, length)| Step::Reorg { depth, length }),
        2 => any::<prop::sample::Index>().prop_map(Step::Back),
        2 => (0..9_u64).prop_map(Step::Persist),
        1 => Just(Step::Crash),
        1 => Just(Step::Restart),
        2 => (0..10_u64, fault, 1..4_usize).prop_map(|(ahead, fault, times)| Step::Production(ahead, fault, times)),
        1 => (1..4_usize).prop_map(Step::Tip),
        2 => (any::<prop::sample::Index>(), trick).prop_map(|(index, trick)| Step::Target(index, trick)),
        2 => Just(Step::LetGo),
        2 => Just(Step::Settle),
        3 => Just(Step::Pause),
    ]
}

/// A scene, and the tips that were left.
struct History {
    scene: Scene,
    tips: Vec<BlockNumHash>,
}

impl History {
    fn play(&mut self, step: &Step) {
        let Self { scene, tips } = self;
        let model = &scene.model;
        match step {
            Step::Extend(count) => model.extend(*count),
            Step::Reorg { depth, length } => {
                tips.push(model.at(model.height()));
                model.reorg(*depth, *length);
            }
            Step::Back(index) => {
                tips.push(model.at(model.height()));
                model.make_canonical(*index.get(tips));
            }
            Step::Persist(below) => model.persist(*below),
            Step::Crash => {
                scene.stop();
                scene.model.crash();
                scene.start();
            }
            Step::Restart => scene.start(),
            Step::Production(ahead, fault, times) => {
                model.fail(model.height() + ahead, *fault, *times);
            }
            Step::Tip(times) => model.fail_tip(*times),
            Step::Target(index, trick) => index.get(&scene.inboxes).play(*trick),
            Step::LetGo => scene.inboxes.iter().for_each(super::memory_target::Inbox::let_go),
            Step::Settle => self.settle(),
            Step::Pause => std::thread::sleep(std::time::Duration::from_millis(2)),
        }
        self.check_finished();
    }

    /// Up to the height that is said to be finished every target has something, if only of a branch
    /// that it has not seen abandoned yet. That it is the same block once they have is checked by
    /// `settle`.
    fn check_finished(&self) {
        let finished = *self.scene.producer().finished().borrow();
        if let Some(finished) = finished {
            for inbox in &self.scene.inboxes {
                let has = finished.number == 0 || inbox.numbers().contains(&finished.number);
                assert!(has, "{finished:?}");
            }
        }
    }

    /// With everything mended, the tip is reached. The tip is a new block, so that no cursor is
    /// ahead of it.
    fn settle(&self) {
        self.scene.model.mend();
        for inbox in &self.scene.inboxes {
            inbox.behave();
            inbox.let_go();
        }
        self.scene.model.extend(1);
        self.scene.settle();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, max_shrink_iters: 50, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_missing_after_any_history(
        blocks in 0..60_u64,
        targets in 1..3_usize,
        budget in prop_oneof![Just(25_usize), Just(1 << 20)],
        steps in prop::collection::vec(step(), 1..25),
    ) {
        let mut scene = Scene::new(Model::with_blocks(blocks)).with_targets(targets);
        scene.config.memory_budget = budget;
        let mut history = History { scene: scene.started(), tips: Vec::new() };
        for step in &steps {
            history.play(step);
        }
        history.settle();
    }
}
