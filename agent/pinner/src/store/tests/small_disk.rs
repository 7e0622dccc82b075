//! A disk that is full, and has room again.

use super::*;
use std::{fs, io::Write, path::PathBuf, process::Command};

/// A file system of a few megabytes in memory, unmounted when it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: PathBuf) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(&folder);
        if mount.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(folder));
        }
        eprintln!("SKIPPED: this user can't mount a small disk");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_refuses_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path().to_owned()) else { return };
    let open = || Store::open(&disk.0.join("store"), StoreOptions::default()).unwrap();
    let store = open();
    let kept = content(600_000, 1);
    let pin = import(&store, &kept);
    let filler = disk.0.join("filler");
    for round in 0..3 {
        let mut file = fs::File::create(&filler).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        drop(file);
        for n in 0..3 {
            let error = try_import(&store, &content(500_000, 100 + n)).unwrap_err();
            assert!(matches!(error, StoreError::Io(_)), "round {round}: {error}");
        }
        assert!(read(&store, &pin.root) == kept, "reading goes on");
        fs::remove_file(&filler).unwrap();
        let next = content(500_000, round + 10);
        try_import(&store, &next).expect("there is room again");
        assert!(read(&store, &cid_of(&next)) == next);
    }
    assert_eq!(store.usage().unwrap().pins, 4);
    drop(store);
    let store = open();
    assert!(read(&store, &pin.root) == kept);
    assert!(store.check(true).unwrap().is_sound());
}

fn try_import(store: &Store, content: &[u8]) -> Result<Pin, StoreError> {
    let mut import = store.import();
    import.update(content)?;
    import.finish(NewPin::default())
}
