//! A store whose process is killed again and again, while it takes, removes and collects.
//!
//! The test starts itself as a child that works on a store, kills it at a random moment or at a
//! failpoint, and then looks at what is left: every pin that was answered is there and whole, every
//! pin whose end was answered is gone, and nothing else is kept. `STORE_KILLS` says how often.

use bsp_codec::dag::{Cid, Dag, cid_of};
use bsp_pinner::store::{NewPin, PinState, Store, StoreOptions};
use rand::{Rng, RngCore, SeedableRng, rngs::StdRng};
use std::{
    collections::{HashMap, HashSet},
    env, fs,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// Where the child works; its presence makes a process the child.
const FOLDER: &str = "STORE_CRASH_FOLDER";
const SEED: &str = "STORE_CRASH_SEED";

/// Files that the child stores, each in one of two threads.
const FILES: u32 = 24;
const THREADS: u32 = 2;

const FAILPOINTS: [&str; 8] = [
    "block_appended",
    "pin_appended",
    "pin_applied",
    "pin_synced",
    "unpin_applied",
    "checkpoint",
    "pack_copied",
    "pack_removed",
];

const PACK_LEN: u64 = 1 << 20;

/// Half of them share their first chunk.
fn file(n: u32) -> Vec<u8> {
    let bytes = |seed: u32, len: u32| {
        let mut bytes = vec![0; len as usize];
        StdRng::seed_from_u64(seed.into()).fill_bytes(&mut bytes);
        bytes
    };
    let shared = if n.is_multiple_of(2) { bytes(1000 + n % 3, 262_144) } else { Vec::new() };
    [shared, bytes(n, 1000 + n * 7919)].concat()
}

fn open(folder: &Path) -> Store {
    let mut options = StoreOptions::default();
    options.pack_len = Some(PACK_LEN as u32);
    Store::open(folder, options).unwrap()
}

/// What the child does: it says each thing that was answered, and an end before it begins.
#[test]
fn child() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let seed: u64 = env::var(SEED).unwrap().parse().unwrap();
    let store = open(Path::new(&folder));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let store = &store;
            scope.spawn(move || work(store, thread, seed));
        }
        loop {
            store.collect_garbage(Duration::ZERO).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
    });
}

fn work(store: &Store, thread: u32, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed * 10 + u64::from(thread));
    loop {
        let n = random.random_range(0..FILES / THREADS) * THREADS + thread;
        let root = cid_of(&file(n));
        match random.random_range(0..10) {
            0 => drop(store.import().update(&file(n))),
            1..6 => {
                println!("\npinning {n}");
                let mut import = store.import();
                import.update(&file(n)).unwrap();
                import.finish(NewPin::default()).unwrap();
                println!("\npinned {n}");
            }
            6 => {
                let there = store.confirm(&root).unwrap();
                println!("\n{} {n}", if there { "confirmed" } else { "nothing" });
            }
            _ => {
                println!("\nending {n}");
                store.unpin(&root).unwrap();
                println!("\nended {n}");
            }
        }
    }
}

/// What the parent knows of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Pinned,
    Gone,
    /// Something was begun and not answered.
    Open,
}

#[test]
fn what_was_answered_survives_kills() {
    let kills: u64 = env::var("STORE_KILLS").map_or(16, |kills| kills.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("store");
    let mut known: HashMap<u32, Known> = (0..FILES).map(|n| (n, Known::Gone)).collect();
    let mut confirmed = HashSet::new();
    let (mut answers, mut at_failpoints) = (0, 0);
    for kill in 0..kills {
        let mut random = StdRng::seed_from_u64(kill);
        let (lines, died_itself) = run_child(&folder, kill, &mut random);
        at_failpoints += u64::from(died_itself);
        answers += lines.len();
        for line in &lines {
            let Some((what, n)) = line.split_once(' ') else { continue };
            let Ok(n) = n.parse::<u32>() else { continue };
            match what {
                "pinning" => {
                    known.entry(n).and_modify(|known| {
                        if *known == Known::Gone {
                            *known = Known::Open;
                        }
                    });
                }
                "pinned" => drop(known.insert(n, Known::Pinned)),
                "ending" => {
                    confirmed.remove(&n);
                    known.insert(n, Known::Open);
                }
                "ended" => drop(known.insert(n, Known::Gone)),
                "confirmed" => drop(confirmed.insert(n)),
                _ => {}
            }
        }
        audit(&folder, &mut known, &confirmed, kill);
    }
    println!(
        "{kills} kills, {at_failpoints} of them at failpoints, {answers} answers: nothing was lost"
    );
    assert!(answers > 0, "no child did anything");
}

/// Runs a child until it dies, and returns what it said.
fn run_child(folder: &Path, kill: u64, random: &mut StdRng) -> (Vec<String>, bool) {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--exact", "child", "--nocapture", "--test-threads", "1"]);
    command.env(FOLDER, folder).env(SEED, kill.to_string());
    if kill.is_multiple_of(2) {
        let point = FAILPOINTS[(kill / 2) as usize % FAILPOINTS.len()];
        command.env("BSP_FAILPOINT", format!("{point}:{}", random.random_range(1..5)));
    }
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let reading =
        std::thread::spawn(move || output.lines().map_while(Result::ok).collect::<Vec<String>>());
    let died_itself = end(&mut child, random.random_range(50..1500));
    (reading.join().unwrap(), died_itself)
}

/// Kills a child after some milliseconds, unless it has died by then.
fn end(child: &mut Child, after: u64) -> bool {
    for _ in 0..after / 10 {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    false
}

fn audit(folder: &Path, known: &mut HashMap<u32, Known>, confirmed: &HashSet<u32>, kill: u64) {
    let store = open(folder);
    let mut needed: HashSet<Cid> = HashSet::new();
    for (n, known) in known.iter_mut() {
        let content = file(*n);
        let pin = store.pinned(&cid_of(&content)).unwrap();
        match known {
            Known::Pinned => assert!(pin.is_some(), "kill {kill}: file {n} was lost"),
            Known::Gone => assert!(pin.is_none(), "kill {kill}: file {n} is back"),
            Known::Open => {}
        }
        *known = if pin.is_some() { Known::Pinned } else { Known::Gone };
        let Some(pin) = pin else { continue };
        if confirmed.contains(n) {
            assert_eq!(pin.state, PinState::Confirmed, "kill {kill}: file {n}");
        }
        let mut bytes = Vec::new();
        store.file(&pin.root).unwrap().unwrap().read_to_end(&mut bytes).unwrap();
        assert!(bytes == content, "kill {kill}: file {n} is another");
        needed.extend(Dag::build(&content).blocks().map(|(cid, _)| cid));
    }
    store.collect_garbage(Duration::ZERO).unwrap();
    let usage = store.usage().unwrap();
    assert_eq!(usage.blocks, needed.len() as u64, "kill {kill}: blocks that no pin holds");
    let packs: u64 = fs::read_dir(folder.join("packs"))
        .unwrap()
        .map(|pack| pack.unwrap().metadata().unwrap().len())
        .sum();
    let most = 2 * usage.block_bytes + 4 * PACK_LEN;
    assert!(packs <= most, "kill {kill}: {packs} bytes of packs, {most} are plenty");
    assert!(store.check(false).unwrap().is_sound(), "kill {kill}");
}
