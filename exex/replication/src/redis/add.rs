//! Adding to a stream.

use super::entries::StreamEntry;
use redis::{Cmd, Pipeline, RedisResult, aio::ConnectionLike};

/// Adds entries, all or none of them, and returns the id of the last. A server that remembers producers is told which one
/// adds.
pub(super) async fn add(
    connection: &mut (impl ConnectionLike + Send),
    topic: &str,
    producer_id: Option<&str>,
    entries: &[StreamEntry],
) -> RedisResult<String> {
    match entries {
        // Its error is the server's own, where a pipeline's is about a pipeline.
        [entry] => command(topic, producer_id, entry).query_async(connection).await,
        several => {
            let ids: Vec<String> =
                transaction(topic, producer_id, several).query_async(connection).await?;
            Ok(ids.last().cloned().unwrap_or_default())
        }
    }
}

fn transaction(topic: &str, producer_id: Option<&str>, entries: &[StreamEntry]) -> Pipeline {
    let mut transaction = redis::pipe();
    transaction.atomic();
    for entry in entries {
        transaction.add_command(command(topic, producer_id, entry));
    }
    transaction
}

fn command(topic: &str, producer_id: Option<&str>, entry: &StreamEntry) -> Cmd {
    let StreamEntry { hash, data, supplement } = entry;
    let mut add = redis::cmd("XADD");
    add.arg(topic);
    if let Some(producer_id) = producer_id {
        add.arg("IDMP").arg(producer_id).arg(hash);
    }
    add.arg("*").arg("hash").arg(hash).arg("data").arg(&data[..]);
    if let Some(supplement) = supplement {
        add.arg("supplement").arg(&supplement[..]);
    }
    add
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn words(packed: Vec<u8>) -> String {
        let packed = String::from_utf8(packed).unwrap();
        let words = packed.lines().filter(|line| !line.starts_with(['$', '*']) || *line == "*");
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_server_that_remembers_is_told_producer_and_hash() {
        let entry = StreamEntry { hash: "0x0".to_owned(), data: b"aa".into(), supplement: None };
        let sent = |producer_id| words(command("t", producer_id, &entry).get_packed_command());
        assert_eq!(sent(None), "XADD t * hash 0x0 data aa");
        assert_eq!(sent(Some("me")), "XADD t IDMP me 0x0 * hash 0x0 data aa");
    }

    #[test]
    fn a_supplement_is_the_third_field() {
        let supplement = Some(Bytes::from_static(b"bb"));
        let entry = StreamEntry { hash: "0x0".to_owned(), data: b"aa".into(), supplement };
        assert_eq!(
            words(command("t", None, &entry).get_packed_command()),
            "XADD t * hash 0x0 data aa supplement bb"
        );
        assert_eq!(entry.bytes(), 4);
    }

    #[test]
    fn several_entries_are_a_transaction() {
        let entries = ["0x0", "0x1"];
        let entries = entries.map(|hash| StreamEntry {
            hash: hash.to_owned(),
            data: b"a".into(),
            supplement: None,
        });
        assert_eq!(
            words(transaction("t", None, &entries).get_packed_pipeline()),
            "MULTI XADD t * hash 0x0 data a XADD t * hash 0x1 data a EXEC"
        );
    }
}
