//! Adding to a stream.

use super::entries::StreamEntry;
use redis::{Cmd, Pipeline, RedisResult, aio::ConnectionLike};

/// What holds for all entries of an addition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addition<'a> {
    pub(super) topic: &'a str,
    /// Who adds, for a server that remembers producers.
    pub(super) producer_id: Option<&'a str>,
    /// Whether the stream is there already, so that none is made.
    pub(super) must_exist: bool,
}

/// Adds entries, all or none of them, and returns their ids; `None` if the stream must exist and
/// does not.
pub(super) async fn add(
    connection: &mut (impl ConnectionLike + Send),
    addition: Addition<'_>,
    entries: &[StreamEntry],
) -> RedisResult<Option<Vec<String>>> {
    match entries {
        // Its error is the server's own, where a pipeline's is about a pipeline.
        [entry] => {
            let id: Option<String> = command(addition, entry).query_async(connection).await?;
            Ok(id.map(|id| vec![id]))
        }
        several => {
            let ids: Vec<Option<String>> =
                transaction(addition, several).query_async(connection).await?;
            Ok(ids.into_iter().collect())
        }
    }
}

fn transaction(addition: Addition<'_>, entries: &[StreamEntry]) -> Pipeline {
    let mut transaction = redis::pipe();
    transaction.atomic();
    for entry in entries {
        transaction.add_command(command(addition, entry));
    }
    transaction
}

fn command(addition: Addition<'_>, entry: &StreamEntry) -> Cmd {
    let Addition { topic, producer_id, must_exist } = addition;
    let StreamEntry { hash, data, supplement } = entry;
    let mut add = redis::cmd("XADD");
    add.arg(topic);
    if must_exist {
        add.arg("NOMKSTREAM");
    }
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

    const PLAIN: Addition<'_> = Addition { topic: "t", producer_id: None, must_exist: false };

    fn words(packed: Vec<u8>) -> String {
        let packed = String::from_utf8(packed).unwrap();
        let words = packed.lines().filter(|line| !line.starts_with(['$', '*']) || *line == "*");
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_server_that_remembers_is_told_producer_and_hash() {
        let entry = StreamEntry { hash: "0x0".to_owned(), data: b"aa".into(), supplement: None };
        let sent = |producer_id, must_exist| {
            let addition = Addition { topic: "t", producer_id, must_exist };
            words(command(addition, &entry).get_packed_command())
        };
        assert_eq!(sent(None, false), "XADD t * hash 0x0 data aa");
        assert_eq!(sent(Some("me"), false), "XADD t IDMP me 0x0 * hash 0x0 data aa");
        assert_eq!(sent(None, true), "XADD t NOMKSTREAM * hash 0x0 data aa");
        assert_eq!(sent(Some("me"), true), "XADD t NOMKSTREAM IDMP me 0x0 * hash 0x0 data aa");
    }

    #[test]
    fn a_supplement_is_the_third_field() {
        let supplement = Some(Bytes::from_static(b"bb"));
        let entry = StreamEntry { hash: "0x0".to_owned(), data: b"aa".into(), supplement };
        assert_eq!(
            words(command(PLAIN, &entry).get_packed_command()),
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
            words(transaction(PLAIN, &entries).get_packed_pipeline()),
            "MULTI XADD t * hash 0x0 data a XADD t * hash 0x1 data a EXEC"
        );
    }
}
