use super::*;
use std::sync::LazyLock;

const CONFIRMATIONS: u64 = 3;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn at(ms: u64) -> Instant {
    *START + Duration::from_millis(ms)
}

const POLICY: Policy =
    Policy { resubmit_after: Duration::from_secs(30), rebroadcast_after: Duration::from_secs(3) };

const BLOCK: (u64, B256) = (100, B256::repeat_byte(0xbb));

fn signed(byte: u8, purpose: Purpose) -> Signed {
    Signed {
        hash: B256::repeat_byte(byte),
        raw: Bytes::new(),
        fees: Fees { max_fee: 8, tip: 1, legacy: false },
        purpose,
    }
}

fn nonce_in_flight() -> PendingNonce {
    PendingNonce::new(7, 100_000, signed(1, Purpose::Proof), at(0))
}

fn pending(ms: u64) -> ChainView {
    let (now, head) = (at(ms), 100);
    ChainView {
        now,
        head,
        settled: settled(head),
        nonce: 7,
        mined: None,
        in_pool: true,
        contested: false,
    }
}

fn settled(head: u64) -> Option<u64> {
    head.checked_sub(CONFIRMATIONS - 1)
}

fn mined(effect: Effect, head: u64) -> ChainView {
    let mined = Mined { hash: B256::repeat_byte(1), block: BLOCK, effect };
    ChainView {
        head,
        settled: settled(head),
        nonce: 8,
        mined: Some(mined),
        in_pool: true,
        ..pending(1_000)
    }
}

/// Plays looks one after another, and returns what was decided at each.
fn play(nonce_in_flight: &mut PendingNonce, views: &[ChainView]) -> Vec<Action> {
    let each = views.iter().map(|view| {
        nonce_in_flight.observe(view);
        nonce_in_flight.decide(view, &POLICY)
    });
    each.collect()
}

fn proved() -> Action {
    let proof = Proof { id: B256::repeat_byte(1), mined_in: Some(BLOCK) };
    Action::Land(SubmissionOutcome::Proved(proof))
}

#[test]
fn a_proof_counts_from_its_confirmations_on() {
    let views = [
        pending(0),
        mined(Effect::Recorded, 100),
        mined(Effect::Recorded, 101),
        mined(Effect::Recorded, 102),
    ];
    assert_eq!(
        play(&mut nonce_in_flight(), &views),
        [Action::Wait, Action::Wait, Action::Wait, proved()]
    );
}

#[test]
fn a_receipt_beyond_the_head_is_not_counted() {
    assert_eq!(play(&mut nonce_in_flight(), &[mined(Effect::Recorded, 99)]), [Action::Wait]);
    let none_yet = ChainView { settled: None, ..mined(Effect::Recorded, 100) };
    assert_eq!(play(&mut nonce_in_flight(), &[none_yet]), [Action::Wait]);
}

#[test]
fn never_mined_is_resubmitted_when_due() {
    let views = [pending(29_999), pending(30_000)];
    assert_eq!(play(&mut nonce_in_flight(), &views), [Action::Wait, Action::Resubmit]);
}

#[test]
fn the_first_of_two_transactions_may_still_be_the_one_that_is_mined() {
    let mut nonce_in_flight = nonce_in_flight();
    nonce_in_flight.replace(signed(2, Purpose::Proof));
    assert_eq!(play(&mut nonce_in_flight, &[mined(Effect::Recorded, 102)]), [proved()]);
    assert_eq!(nonce_in_flight.purpose_of(B256::repeat_byte(1)), Some(Purpose::Proof));
    assert_eq!(nonce_in_flight.purpose_of(B256::repeat_byte(9)), None);
}

#[test]
fn a_dropped_transaction_is_sent_again_at_once_but_not_at_every_look() {
    let dropped = |ms| ChainView { in_pool: false, ..pending(ms) };
    let mut nonce_in_flight = nonce_in_flight();
    assert_eq!(
        play(&mut nonce_in_flight, &[dropped(2_999), dropped(3_000)]),
        [Action::Wait, Action::Rebroadcast]
    );
    nonce_in_flight.broadcast = Moment::at(at(3_000));
    assert_eq!(
        play(&mut nonce_in_flight, &[dropped(4_000), dropped(6_000)]),
        [Action::Wait, Action::Rebroadcast]
    );
}

#[test]
fn a_reorg_resets_confirmations() {
    let gone = ChainView { in_pool: false, ..pending(10_000) };
    let again = |head| {
        let mut view = mined(Effect::Recorded, head);
        view.mined.as_mut().unwrap().block = (102, B256::repeat_byte(0xcc));
        view
    };
    let views = [mined(Effect::Recorded, 101), gone, again(102), again(103)];
    assert_eq!(
        play(&mut nonce_in_flight(), &views),
        [Action::Wait, Action::Rebroadcast, Action::Wait, Action::Wait]
    );
}

#[test]
fn a_foreign_transaction_with_the_nonce_is_believed_when_deep_and_seen_often() {
    let foreign = |head| ChainView {
        nonce: 8,
        head,
        settled: settled(head),
        in_pool: false,
        ..pending(60_000)
    };
    let ask_again = Action::Land(SubmissionOutcome::AskAgain);
    let deep_but_new = [foreign(100), foreign(200), foreign(200)];
    assert_eq!(
        play(&mut nonce_in_flight(), &deep_but_new),
        [Action::Wait, Action::Wait, ask_again.clone()]
    );
    let often_but_flat = [foreign(100), foreign(100), foreign(100), foreign(101), foreign(102)];
    assert_eq!(play(&mut nonce_in_flight(), &often_but_flat).last(), Some(&ask_again));
    assert_eq!(play(&mut nonce_in_flight(), &often_but_flat[..4]).last(), Some(&Action::Wait));
}

/// `nonce too low` may only mean that our own receipt comes late.
#[test]
fn a_late_receipt_ends_the_suspicion() {
    let used = |head| ChainView {
        nonce: 8,
        head,
        settled: settled(head),
        in_pool: false,
        ..pending(60_000)
    };
    let views = [used(100), used(101), mined(Effect::Recorded, 102)];
    assert_eq!(play(&mut nonce_in_flight(), &views), [Action::Wait, Action::Wait, proved()]);
    // A reorg gives the nonce back: the suspicion starts from zero.
    let mut nonce_in_flight = nonce_in_flight();
    let views = [used(100), used(101), pending(1_000), used(103), used(109)];
    assert!(play(&mut nonce_in_flight, &views).iter().all(|action| *action == Action::Wait));
}

#[test]
fn reverted_cancelled_and_silent_transactions_land_as_such() {
    let hash = B256::repeat_byte(1);
    for (effect, landing) in [
        (Effect::Reverted, SubmissionOutcome::Reverted(hash)),
        (Effect::NoEvent, SubmissionOutcome::NoEvent(hash)),
        (Effect::Cancelled, SubmissionOutcome::AskAgain),
    ] {
        assert_eq!(play(&mut nonce_in_flight(), &[mined(effect, 101)]), [Action::Wait]);
        assert_eq!(play(&mut nonce_in_flight(), &[mined(effect, 102)]), [Action::Land(landing)]);
    }
}

#[test]
fn of_two_flights_with_one_nonce_the_later_only_watches() {
    let contested = ChainView { contested: true, in_pool: false, ..pending(600_000) };
    assert_eq!(play(&mut nonce_in_flight(), &[contested]), [Action::Wait]);
}

#[test]
fn at_the_ceiling_the_clock_starts_again() {
    let mut nonce_in_flight = nonce_in_flight();
    nonce_in_flight.at_ceiling = true;
    nonce_in_flight.resubmitted = Moment::at(at(30_000));
    assert_eq!(
        play(&mut nonce_in_flight, &[pending(31_000), pending(60_000)]),
        [Action::Wait, Action::Resubmit]
    );
}
