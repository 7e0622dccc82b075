//! What each metric means.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Gives every metric its help text.
pub(super) fn all() {
    describe_gauge!("agent_alarm", "1 while an alarm of this kind is raised");
    pinning();
    system();
    legacy();
}

fn pinning() {
    describe_histogram!("agent_pin_seconds", Unit::Seconds, "Time that pinning one segment took");
    describe_counter!("agent_pin_failures_total", "Attempts to pin that failed");
}

fn system() {
    describe_gauge!(
        "agent_disk_free_bytes",
        Unit::Bytes,
        "Bytes that the agent may still write to the disk of a folder"
    );
    describe_gauge!(
        "system_cpu_sysload",
        "Processor time in use on this machine, percent of one core"
    );
    describe_gauge!(
        "system_cpu_syswait",
        "Processor time that waits for disks, percent of one core"
    );
    describe_gauge!("system_cpu_procload", "Processor time of the agent, percent of one core");
    describe_gauge!("system_cpu_threads", "Threads of the agent");
    describe_gauge!("system_memory_held", Unit::Bytes, "Memory of the agent that is resident");
    describe_gauge!(
        "system_memory_used",
        Unit::Bytes,
        "Resident memory of the agent that no file backs"
    );
    describe_gauge!("system_disk_readcount", "Read calls of the agent, files and sockets");
    describe_gauge!(
        "system_disk_readbytes",
        Unit::Bytes,
        "Bytes read by the agent, files and sockets"
    );
    describe_gauge!("system_disk_readdata", Unit::Bytes, "The same as system_disk_readbytes");
    describe_gauge!("system_disk_writecount", "Write calls of the agent, files and sockets");
    describe_gauge!(
        "system_disk_writebytes",
        Unit::Bytes,
        "Bytes written by the agent, files and sockets"
    );
    describe_gauge!("system_disk_writedata", Unit::Bytes, "The same as system_disk_writebytes");
}

/// Names of bsp-agent v1.9.2.
fn legacy() {
    describe_histogram!(
        "agent_blocks_success",
        Unit::Nanoseconds,
        "Time between blocks that were dealt with, in nanoseconds"
    );
    describe_gauge!("agent_storage_ipfs_success", "Segments pinned since the start");
    describe_gauge!("agent_storage_ipfs_failure", "Attempts to pin that failed since the start");
}
