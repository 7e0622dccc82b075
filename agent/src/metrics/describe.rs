//! What each metric means.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// Gives every metric its help text.
pub(super) fn all() {
    describe_gauge!("agent_alarm", "1 while an alarm of this kind is raised");
    describe_gauge!("agent_build_info", "1, with the version and the commit as labels");
    journal();
    blocks();
    stream();
    pinning();
    proofs();
    system();
    legacy();
}

fn blocks() {
    describe_counter!("agent_blocks_total", "Blocks and messages that were handled, by outcome");
    describe_counter!(
        "agent_blocks_held_total",
        "Times that a block was left to wait for the operator"
    );
    describe_gauge!("agent_blocks_held", "Blocks that wait for the operator now");
    describe_counter!(
        "agent_duplicates_total",
        "Messages with a block that is in flight or handled"
    );
    describe_counter!(
        "agent_unselected_removed_total",
        "Left-out blocks removed to keep the budget"
    );
}

fn journal() {
    describe_gauge!("agent_journal_records", "Blocks that the journal knows");
    describe_gauge!("agent_journal_bytes", Unit::Bytes, "Length of the journal's file");
    describe_histogram!(
        "agent_journal_commit_seconds",
        Unit::Seconds,
        "Time that writing changes to the journal took, its sync included"
    );
}

fn stream() {
    describe_gauge!(
        "agent_stream_oldest_age_seconds",
        Unit::Seconds,
        "Age of the oldest entry that is not acknowledged, 0 if there is none"
    );
    describe_counter!("agent_stream_lost_total", "Entries that went before they were handled");
    describe_counter!("agent_stream_dead_total", "Entries moved to the dead letters");
    describe_counter!("agent_stream_claimed_total", "Entries taken over from other consumers");
    describe_counter!("agent_stream_redelivered_total", "Entries that were delivered before");
    describe_counter!(
        "agent_stream_reconnects_total",
        "Connections to Redis that replaced a lost one"
    );
    describe_counter!(
        "agent_source_chunks_missing_total",
        "Chunk files that should be there and are not"
    );
    describe_counter!("agent_source_chunks_unreadable_total", "Chunk files that can't be read on");
}

fn proofs() {
    describe_gauge!(
        "agent_last_proof_timestamp_seconds",
        Unit::Seconds,
        "When the latest proof of this run was confirmed, since 1970"
    );
    describe_histogram!(
        "agent_proof_rpc_seconds",
        Unit::Seconds,
        "Time that the RPC took for an answer, by method"
    );
    describe_gauge!(
        "agent_proof_balance_lasts_seconds",
        Unit::Seconds,
        "How long the balance lasts if it goes on falling as over the last day"
    );
    describe_counter!(
        "agent_proof_sent_total",
        "Proofs that were signed and sent for the first time"
    );
    describe_counter!("agent_proof_resubmitted_total", "Transactions sent again unchanged");
    describe_counter!(
        "agent_proof_replaced_total",
        "Transactions replaced, by what they were replaced with"
    );
    describe_gauge!(
        "agent_proof_waiting",
        "Proofs that the contract or the RPC lets wait for long"
    );
    describe_counter!("agent_proof_confirmed_total", "Proofs on record");
    describe_counter!(
        "agent_proof_executed_total",
        "Blocks proved, by how much of them was executed before: whole, part or none"
    );
    describe_counter!(
        "agent_supplements_refused_total",
        "Supplements that do not fit their block, which was judged without"
    );
    describe_counter!("agent_proof_reverted_total", "Proofs that were mined and reverted");
    describe_counter!(
        "agent_proof_skipped_total",
        "Proofs that the contract never takes, by its words"
    );
    describe_counter!(
        "agent_proof_rpc_errors_total",
        "Answers of the RPC that were none, by part of the work"
    );
    describe_counter!(
        "agent_proof_rpc_rate_limited_total",
        "Requests that the RPC refused because there were too many"
    );
    describe_histogram!(
        "agent_proof_seconds",
        Unit::Seconds,
        "Time from a proof's first attempt to its record"
    );
    describe_gauge!("agent_blocks_in_flight", "Blocks in flight, by stage");
    describe_gauge!("agent_messages_left", "Entries left in the source, held or refused in doubt");
    describe_gauge!("agent_taking_messages", "0 while no more messages are taken, as none passes");
    describe_gauge!("agent_bytes_in_use", Unit::Bytes, "What messages in flight are taken to need");
    describe_gauge!("agent_stream_length", "Entries of the stream");
    describe_gauge!("agent_stream_undelivered", "Entries that no consumer has taken yet");
    describe_gauge!("agent_stream_pending", "Entries taken and not acknowledged");
    describe_gauge!("agent_dead_letters", "Dead letters that nobody has handled");
    describe_gauge!("agent_proof_in_flight", "Proofs under way");
    describe_gauge!("agent_proof_balance_wei", "Balance of the operator's account, in wei");
}

fn pinning() {
    describe_counter!(
        "agent_segments_pruned_total",
        "Segment files that were removed because of --keep-days"
    );
    describe_gauge!(
        "agent_segments_not_pinned",
        "Old segment files that stay because the pinner does not give their content back"
    );
    describe_histogram!("agent_pin_seconds", Unit::Seconds, "Time that pinning one segment took");
    describe_counter!("agent_pin_failures_total", "Attempts to pin that failed");
    describe_gauge!("agent_pins", "Segments in the embedded store");
    describe_gauge!(
        "agent_pins_bytes",
        Unit::Bytes,
        "Bytes of the blocks in the embedded store, not compressed"
    );
    describe_gauge!("agent_pins_disk_bytes", Unit::Bytes, "Bytes of the embedded store on disk");
    describe_gauge!(
        "agent_pins_behind",
        "Segments that a pinner has still to be given, whose proof others were enough for"
    );
    describe_counter!(
        "agent_pins_left_out_total",
        "Segments that a pinner is not given, because too many waited for it"
    );
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
        "Time between blocks that were handled, in nanoseconds"
    );
    describe_gauge!("agent_storage_ipfs_success", "Segments pinned since the start");
    describe_gauge!("agent_storage_ipfs_failure", "Attempts to pin that failed since the start");
}
