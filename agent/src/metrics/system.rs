//! What the agent takes of its machine, read from `/proc` and the file systems when somebody asks.
//!
//! The names `system_…` are those of geth's process metrics, which bsp-agent v1.9.2 shows. What
//! describes Go's runtime has no counterpart and is left out.

use bsp_common::disk::free_bytes;
use std::{
    fs,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Units of processor time in a second. Linux shows user space this value on every machine that we
/// run on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Reads the system.
#[derive(Debug)]
pub(super) struct SystemMetrics {
    folders: Vec<(&'static str, PathBuf)>,
    last_times: Mutex<Option<CpuTimes>>,
}

/// Processor time since the machine, or the process, has started.
#[derive(Debug, Clone, Copy)]
struct CpuTimes {
    read_at: Instant,
    machine_busy: u64,
    machine_waiting: u64,
    process: u64,
}

impl SystemMetrics {
    pub(super) const fn new(folders: Vec<(&'static str, PathBuf)>) -> Self {
        Self { folders, last_times: Mutex::new(None) }
    }

    /// Sets all gauges again. What the system does not tell is left as it was.
    pub(super) fn update(&self) {
        let process = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let machine = fs::read_to_string("/proc/stat").unwrap_or_default();
        self.processor(&machine, &process);
        memory(&fs::read_to_string("/proc/self/status").unwrap_or_default());
        transfers(&fs::read_to_string("/proc/self/io").unwrap_or_default());
        self.disks();
    }

    /// Loads are over the time since the previous update.
    fn processor(&self, machine: &str, process: &str) {
        if let Some(threads) = process_field(process, 17) {
            metrics::gauge!("system_cpu_threads").set(float(threads));
        }
        let Some(now) = CpuTimes::parse(machine, process) else { return };
        let last = self.last_times.lock().unwrap_or_else(PoisonError::into_inner).replace(now);
        let Some(last) = last else { return };
        let ticks = now.read_at.duration_since(last.read_at).as_secs_f64() * TICKS_PER_SECOND;
        let loads = [
            ("system_cpu_sysload", now.machine_busy, last.machine_busy),
            ("system_cpu_syswait", now.machine_waiting, last.machine_waiting),
            ("system_cpu_procload", now.process, last.process),
        ];
        for (name, now, last) in loads {
            if ticks > 0.0 {
                metrics::gauge!(name).set(float(now.saturating_sub(last)) / ticks * 100.0);
            }
        }
    }

    fn disks(&self) {
        for (name, path) in &self.folders {
            if let Ok(free) = free_bytes(path) {
                metrics::gauge!("agent_disk_free_bytes", "folder" => *name).set(float(free));
            }
        }
    }
}

impl CpuTimes {
    /// Reads `/proc/stat` and `/proc/self/stat`.
    fn parse(machine: &str, process: &str) -> Option<Self> {
        let fields: Vec<u64> = machine
            .lines()
            .next()?
            .strip_prefix("cpu ")?
            .split_ascii_whitespace()
            .map_while(|field| field.parse().ok())
            .collect();
        let [user, nice, system, _idle, waiting, ..] = fields.as_slice() else { return None };
        Some(Self {
            read_at: Instant::now(),
            machine_busy: user.saturating_add(*nice).saturating_add(*system),
            machine_waiting: *waiting,
            process: process_field(process, 11)?.saturating_add(process_field(process, 12)?),
        })
    }
}

/// A field of `/proc/self/stat`, counted from the one after the program's name, which may hold
/// anything.
fn process_field(stat: &str, index: usize) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(index)?.parse().ok()
}

fn memory(status: &str) {
    for (name, key) in [("system_memory_held", "VmRSS:"), ("system_memory_used", "RssAnon:")] {
        if let Some(kibibytes) = value_of(status, key) {
            metrics::gauge!(name).set(float(kibibytes) * 1024.0);
        }
    }
}

fn transfers(io: &str) {
    let counts = [
        ("system_disk_readcount", "syscr:"),
        ("system_disk_readbytes", "rchar:"),
        ("system_disk_readdata", "rchar:"),
        ("system_disk_writecount", "syscw:"),
        ("system_disk_writebytes", "wchar:"),
        ("system_disk_writedata", "wchar:"),
    ];
    for (name, key) in counts {
        if let Some(count) = value_of(io, key) {
            metrics::gauge!(name).set(float(count));
        }
    }
}

/// The number after a key at the start of a line.
fn value_of(text: &str, key: &str) -> Option<u64> {
    text.lines()
        .find_map(|line| line.strip_prefix(key))?
        .split_ascii_whitespace()
        .next()?
        .parse()
        .ok()
}

/// Beyond 2^53 the last digits go, which no gauge needs.
const fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::tests::rendered;

    #[test]
    fn the_running_process_is_measured() {
        let text = rendered(|| {
            let system = SystemMetrics::new(vec![("data", PathBuf::from("/"))]);
            system.update();
            system.update();
        });
        for name in [
            "system_cpu_sysload ",
            "system_cpu_procload ",
            "system_cpu_threads ",
            "system_memory_held ",
            "system_disk_writebytes ",
            "agent_disk_free_bytes{folder=\"data\"} ",
        ] {
            assert!(text.contains(&format!("\n{name}")), "{name}:\n{text}");
        }
    }

    #[test]
    fn a_programs_name_may_hold_anything() {
        let stat = "7 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 20 30 13 14 15 16 9 18";
        assert_eq!(process_field(stat, 11), Some(20));
        assert_eq!(process_field(stat, 12), Some(30));
        assert_eq!(process_field(stat, 17), Some(9));
        assert_eq!(process_field(stat, 99), None);
    }

    #[test]
    fn other_texts_are_no_numbers() {
        assert!(CpuTimes::parse("", "").is_none());
        assert!(CpuTimes::parse("cpu 1 2 3", "7 (a) S").is_none());
        assert_eq!(value_of("VmRSS:\t  12 kB\n", "VmRSS:"), Some(12));
        assert_eq!(value_of("VmRSS:", "VmRSS:"), None);
    }
}
