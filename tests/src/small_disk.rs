//! A disk of few megabytes, which only root can make.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

/// A small file system in memory, unmounted when it is dropped.
#[derive(Debug)]
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts one over a folder, or says that this test is skipped.
    pub fn mount(folder: &Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(folder);
        if mount.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(folder.to_owned()));
        }
        eprintln!("SKIPPED: this user can't mount a small disk");
        None
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    /// Leaves no room.
    ///
    /// # Panics
    ///
    /// Where the disk does not do what it is told.
    pub fn fill(&self) {
        let mut file = fs::File::create(self.filler()).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    /// Makes room again.
    ///
    /// # Panics
    ///
    /// Where the disk does not do what it is told.
    pub fn empty(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    /// Allows writing, or not.
    ///
    /// # Panics
    ///
    /// Where the disk does not do what it is told.
    pub fn set_read_only(&self, read_only: bool) {
        let mode = if read_only { "remount,ro" } else { "remount,rw" };
        let output = Command::new("mount").args(["-o", mode]).arg(&self.0).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: the agent may still have a file open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}
