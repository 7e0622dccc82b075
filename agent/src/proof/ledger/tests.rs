use super::*;
use crate::proof::{AttemptLogError, tests::claim};
use alloy_primitives::B256;
use std::{fs, os::unix::fs::PermissionsExt};

struct NoLog;

#[async_trait]
impl AttemptLog for NoLog {
    async fn record(&self, _: &[Attempt]) -> Result<(), AttemptLogError> {
        unreachable!("a ledger makes no attempts")
    }
}

fn start(path: &Path) -> LedgerProver {
    LedgerProver::start(path, Alarms::default(), CancellationToken::new()).unwrap()
}

async fn prove(prover: &LedgerProver, claim: Claim) -> ProofOutcome {
    prover.prove(claim, Vec::new(), Arc::new(NoLog)).await.unwrap()
}

fn lines(path: &Path) -> Vec<LedgerEntry> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Ends a prover, and waits until its files are closed.
async fn end(prover: LedgerProver) {
    let path = index::path_of(&prover.path);
    drop(prover);
    while matches!(bsp_common::database::open(&path), Err(bsp_common::database::OpenError::InUse)) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn claims_are_recorded_once_also_across_starts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let prover = start(&path);
    let all = futures::future::join_all((0..50).map(|n| prove(&prover, claim(n)))).await;
    let again = futures::future::join_all((0..50).map(|n| prove(&prover, claim(n)))).await;
    assert_eq!(all, again);
    end(prover).await;

    let prover = start(&path);
    assert_eq!(prove(&prover, claim(7)).await, all[7]);
    let entries = lines(&path);
    assert_eq!(entries.len(), 50);
    for (n, outcome) in all.into_iter().enumerate() {
        let ProofOutcome::Proved(proof) = outcome else { panic!("{outcome:?}") };
        let entry = entries.iter().find(|entry| entry.id == proof.id).unwrap();
        assert!(entry.proves(&claim(n as u64)));
        assert_eq!(proof.mined_in, None);
    }
    assert!(prover.name().ends_with("ledger.jsonl"));
}

/// What is in the ledger is found whatever has become of the index.
#[tokio::test]
async fn an_index_that_is_lost_damaged_or_of_another_ledger_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let index = index::path_of(&path);
    let prover = start(&path);
    let first = prove(&prover, claim(1)).await;
    end(prover).await;
    let early = fs::read(&index).unwrap();
    let other = folder.path().join("other.jsonl");
    let prover = start(&other);
    for number in 3..9 {
        prove(&prover, claim(number)).await;
    }
    end(prover).await;
    let foreign = fs::read(index::path_of(&other)).unwrap();
    let prover = start(&path);
    let second = prove(&prover, claim(2)).await;
    end(prover).await;
    for bytes in [None, Some(early), Some(foreign), Some(vec![7; 9000]), Some(Vec::new())] {
        match bytes {
            Some(bytes) => fs::write(&index, bytes).unwrap(),
            None => fs::remove_file(&index).unwrap(),
        }
        let prover = start(&path);
        assert_eq!(prove(&prover, claim(1)).await, first);
        assert_eq!(prove(&prover, claim(2)).await, second);
        assert_eq!(lines(&path).len(), 2);
        end(prover).await;
    }
}

#[tokio::test]
async fn two_equal_claims_at_once_are_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let prover = start(&path);
    let (one, two) = tokio::join!(prove(&prover, claim(1)), prove(&prover, claim(1)));
    assert_eq!(one, two);
    assert_eq!(lines(&path).len(), 1);
}

#[tokio::test]
async fn another_claim_for_a_recorded_block_is_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let prover = start(&path);
    prove(&prover, claim(1)).await;
    let changes: [fn(&mut Claim); 3] = [
        |claim| claim.specimen_hash = B256::repeat_byte(9),
        |claim| claim.url.push('x'),
        |claim| claim.block.number += 1,
    ];
    for change in changes {
        let mut other = claim(1);
        change(&mut other);
        let outcome = prove(&prover, other).await;
        let ProofOutcome::Skipped { reason } = outcome else { panic!("{outcome:?}") };
        assert!(reason.starts_with("already recorded"), "{reason}");
    }
    assert_eq!(lines(&path).len(), 1);
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off_and_its_claim_recorded_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let prover = start(&path);
    prove(&prover, claim(1)).await;
    let whole = fs::read(&path).unwrap();
    prove(&prover, claim(2)).await;
    let both = fs::read(&path).unwrap();
    end(prover).await;
    for length in whole.len()..both.len() {
        fs::write(&path, &both[..length]).unwrap();
        let prover = start(&path);
        assert_eq!(fs::read(&path).unwrap(), whole, "cut at {length}");
        end(prover).await;
    }
    let prover = start(&path);
    prove(&prover, claim(2)).await;
    end(prover).await;
    assert_eq!(lines(&path).len(), 2);
    start(&path);
}

#[tokio::test]
async fn a_broken_line_in_the_middle_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let prover = start(&path);
    for n in 0..3 {
        prove(&prover, claim(n)).await;
    }
    end(prover).await;
    let good = fs::read_to_string(&path).unwrap();
    let without: Vec<_> = good.lines().collect();
    let broken = [
        good.replacen("cid-1", "cid-x", 1),
        format!("{}\n{}\n", without[0], without[2]),
        format!("{}\n\n{}\n", without[0], without[1]),
        format!("{}\n{}", without[0], "x".repeat(70_000)),
    ];
    for text in broken {
        fs::write(&path, &text).unwrap();
        let error =
            LedgerProver::start(&path, Alarms::default(), CancellationToken::new()).unwrap_err();
        assert!(matches!(error, LedgerError::Broken { line: 2, .. }), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "nothing is changed");
    }
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_told() {
    let error = LedgerProver::start(
        Path::new("/nowhere/ledger.jsonl"),
        Alarms::default(),
        CancellationToken::new(),
    )
    .unwrap_err();
    assert!(matches!(error, LedgerError::Io { .. }), "{error}");
}

/// What fails to be written is written when it can be, and stopping does not wait for that.
#[tokio::test]
async fn a_ledger_that_can_not_be_written_is_an_alarm() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.jsonl");
    let (alarms, stop) = (Alarms::default(), CancellationToken::new());
    let mut file = LedgerFile::open(&path).unwrap();
    file.make_read_only();
    let (requests, waiting) = mpsc::channel(1);
    let writer = LedgerWriter { file: Some(file), alarms: alarms.clone(), stop: stop.clone() };
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    let running = tokio::spawn(writer.run(waiting));
    let prover = LedgerProver { path: path.clone(), requests, stop };
    // The first write fails; its new handle works, unless permissions forbid that as well.
    let (outcome, ()) = tokio::join!(prove(&prover, claim(1)), async {
        while !alarms.raised().contains_key(&AlarmKind::LedgerFailing) {
            tokio::task::yield_now().await;
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    });
    assert!(matches!(outcome, ProofOutcome::Proved(_)), "{outcome:?}");
    assert_eq!(lines(&path).len(), 1);
    drop(prover);
    running.await.unwrap();
    assert!(alarms.raised().is_empty());
}
