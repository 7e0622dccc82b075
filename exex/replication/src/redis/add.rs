//! Adding to a stream.

use super::entries::StreamEntry;
use redis::{Pipeline, RedisResult, aio::ConnectionLike};

/// Adds entries, all or none of them. A server that remembers producers is told which one adds.
pub(super) async fn add(
    connection: &mut (impl ConnectionLike + Send),
    topic: &str,
    producer_id: Option<&str>,
    entries: &[StreamEntry],
) -> RedisResult<()> {
    commands(topic, producer_id, entries).exec_async(connection).await
}

fn commands(topic: &str, producer_id: Option<&str>, entries: &[StreamEntry]) -> Pipeline {
    let mut pipeline = redis::pipe();
    if entries.len() > 1 {
        pipeline.atomic();
    }
    for StreamEntry { hash, data } in entries {
        let add = pipeline.cmd("XADD").arg(topic);
        if let Some(producer_id) = producer_id {
            add.arg("IDMP").arg(producer_id).arg(hash);
        }
        add.arg("*").arg("hash").arg(hash).arg("data").arg(&data[..]).ignore();
    }
    pipeline
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(producer_id: Option<&str>, count: usize) -> String {
        let entry = |i| StreamEntry { hash: format!("0x{i}"), data: vec![b'a'; 2] };
        let entries: Vec<_> = (0..count).map(entry).collect();
        let packed = commands("t", producer_id, &entries).get_packed_pipeline();
        let packed = String::from_utf8(packed).unwrap();
        let words = packed.lines().filter(|line| !line.starts_with(['$', '*']) || *line == "*");
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn one_entry_is_a_command_and_several_are_a_transaction() {
        assert_eq!(sent(None, 1), "XADD t * hash 0x0 data aa");
        assert_eq!(sent(None, 2), "MULTI XADD t * hash 0x0 data aa XADD t * hash 0x1 data aa EXEC");
    }

    #[test]
    fn a_server_that_remembers_is_told_producer_and_hash() {
        assert_eq!(sent(Some("me"), 1), "XADD t IDMP me 0x0 * hash 0x0 data aa");
    }
}
