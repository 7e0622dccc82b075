//! The agent's `GET /status`, for people. Whatever it answers, of whichever version it is, what can
//! be read of it is shown.

use crate::{
    agent_http::without_credentials,
    stream::{plain, span},
    words::wrapped,
};
use bsp_agent::alarm::now_ms;
use bsp_common::text::counted;
use serde_json::{Map, Value};

/// Whether an alarm is raised.
pub(super) fn has_alarm(status: &Value) -> bool {
    !alarms(status).is_empty()
}

fn alarms(status: &Value) -> Vec<(&String, &Value)> {
    status.get("alarms").and_then(Value::as_object).into_iter().flatten().collect()
}

/// The agent's part of the screen, with its backlog where the stream was not asked.
pub(super) fn show(
    url: &str,
    status: &Value,
    with_backlog: bool,
    columns: Option<usize>,
) -> String {
    let mut text = wrapped("agent ", &plain(&without_credentials(url)), columns);
    let mut line = |label: &str, value: &str| {
        text += &wrapped(&format!("  {label:<12}  "), &plain(value), columns);
    };
    if let Some(version) = text_of(status, "version") {
        let up = number_of(status, "uptime_seconds").map_or_else(String::new, |seconds| {
            format!(", up for {}", span(seconds.saturating_mul(1000)))
        });
        line("version", &format!("{version}{up}"));
    }
    for (label, name) in [("consumer", "consumer"), ("prover", "prover"), ("pinner", "pinner")] {
        if let Some(value) = text_of(status, name) {
            line(label, value);
        }
    }
    if let Some(backlog) = status.get("backlog").filter(|_| with_backlog) {
        line("backlog", &waiting(backlog));
    }
    line("in flight", &in_flight(status));
    line("held", &held(status));
    if let Some(left) = status.get("left").and_then(Value::as_object) {
        line("left behind", &left_behind(left));
    }
    if let Some(executed) = status.get("proofs_executed").and_then(Value::as_object) {
        line("executed", &executed_words(executed));
    }
    line("last proof", &last_proof(status));
    if let Some(id) = status.pointer("/last_proof/proof/id").and_then(Value::as_str) {
        text += &wrapped("    ", &plain(id), columns);
    }
    text + &alarm_lines(status, columns)
}

fn text_of<'a>(status: &'a Value, name: &str) -> Option<&'a str> {
    status.get(name).and_then(Value::as_str)
}

fn number_of(status: &Value, name: &str) -> Option<u64> {
    status.get(name).and_then(Value::as_u64)
}

/// As in `3 entries, 2 to deliver, 1 pending, the oldest 5 s old; 1 dead letter`.
fn waiting(backlog: &Value) -> String {
    let number = |name| number_of(backlog, name);
    let mut parts = Vec::new();
    parts.extend(number("length").map(|count| counted(count, "entry")));
    parts.extend(number("undelivered").map(|count| format!("{count} to deliver")));
    parts.extend(number("pending").map(|count| format!("{count} pending")));
    parts.extend(number("oldest_age_ms").map(|age| format!("the oldest {} old", span(age))));
    parts.extend(number("dead").map(|count| counted(count, "dead letter")));
    if parts.is_empty() { "not known yet".to_owned() } else { parts.join(", ") }
}

/// As in `2 stored, 1 proof sent`.
fn in_flight(status: &Value) -> String {
    let stages = status.get("stages").and_then(Value::as_object);
    let count = |(stage, count): (&String, &Value)| format!("{count} {}", stage.replace('_', " "));
    let counts: Vec<_> = stages.into_iter().flatten().map(count).collect();
    if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") }
}

fn held(status: &Value) -> String {
    match number_of(status, "held") {
        None | Some(0) => "nothing".to_owned(),
        Some(1) => "1 block waits for you, see the alarms".to_owned(),
        Some(count) => format!("{count} blocks wait for you, see the alarms"),
    }
}

fn left_behind(left: &Map<String, Value>) -> String {
    let count = |name| left.get(name).and_then(Value::as_u64).unwrap_or(0);
    let mut parts = Vec::new();
    for (name, why) in [("held", "of an unknown fork or network"), ("in_doubt", "refused in doubt")]
    {
        if count(name) > 0 {
            parts.push(format!("{} {why}", counted(count(name), "message")));
        }
    }
    if left.get("taking") == Some(&Value::Bool(false)) {
        parts.push("no more are taken, because none passes".to_owned());
    }
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

fn executed_words(executed: &Map<String, Value>) -> String {
    let count = |name| executed.get(name).and_then(Value::as_u64).unwrap_or(0);
    let (whole, part, none) = (count("whole"), count("part"), count("none"));
    format!("of the blocks proved since the start, {whole} whole, {part} in part, {none} not")
}

/// As in `block 15 of chain 1337, 3 s ago`.
fn last_proof(status: &Value) -> String {
    let Some(proof) = status.get("last_proof").filter(|proof| !proof.is_null()) else {
        return "none since the start".to_owned();
    };
    let number = |path| proof.pointer(path).and_then(Value::as_u64);
    let ago = number("/time_ms")
        .map_or_else(String::new, |time| format!(", {} ago", span(now_ms().saturating_sub(time))));
    match (number("/block/number"), number("/block/network_id")) {
        (Some(block), Some(chain)) => format!("block {block} of chain {chain}{ago}"),
        _ => format!("{proof}{ago}"),
    }
}

/// Each alarm with its age and its message.
fn alarm_lines(status: &Value, columns: Option<usize>) -> String {
    let alarms = alarms(status);
    if alarms.is_empty() {
        return "  alarms        none\n".to_owned();
    }
    let mut text = format!("  ALARMS        {}\n", alarms.len());
    for (kind, alarm) in alarms {
        let since = number_of(alarm, "since_ms").map_or_else(String::new, |since| {
            format!(", for {}", span(now_ms().saturating_sub(since)))
        });
        let message = match alarm.get("message").unwrap_or(alarm) {
            Value::String(message) => message.clone(),
            other => other.to_string(),
        };
        text += &wrapped("    ", &format!("{}{since}", plain(kind)), columns);
        text += &wrapped("      ", &plain(&message), columns);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(status: &Value, columns: Option<usize>) -> String {
        show("http://user:secret@h:1", status, true, columns)
    }

    #[test]
    fn everything_is_said_in_words_and_fits_80_columns() {
        let hash = format!("0x{}", "ab".repeat(32));
        let status = json!({
            "version": "0.1.0", "uptime_seconds": 7_500, "consumer": "host-43199cd8",
            "prover": "contract 0x5FbDB2315678afecb367f032d93F642f64180aa3 at http://127.0.0.1:8545",
            "pinner": "ipfs-pinner at http://127.0.0.1:3001",
            "backlog": {"length": 3, "undelivered": 2, "pending": 1, "oldest_age_ms": 61_000, "dead": 1},
            "stages": {"stored": 2, "proof_sent": 1}, "held": 2,
            "left": {"held": 4, "in_doubt": 0, "taking": false},
            "proofs_executed": {"whole": 5, "part": 3, "none": 0},
            "last_proof": {
                "block": {"network_id": 1337, "number": 15, "hash": hash},
                "proof": {"id": hash}, "time_ms": now_ms(),
            },
            "alarms": {"balance": {"message": format!("{} low", "the balance is ".repeat(9)), "since_ms": 1}},
        });
        let text = shown(&status, Some(80));
        for line in [
            "agent http://h:1\n",
            "  version       0.1.0, up for 2 h 5 min\n",
            "  prover        contract 0x5FbD",
            "  pinner        ipfs-pinner at http://127.0.0.1:3001\n",
            "  backlog       3 entries, 2 to deliver, 1 pending, the oldest 1 min 1 s old, 1\n",
            "  in flight     1 proof sent, 2 stored\n",
            "  held          2 blocks wait for you, see the alarms\n",
            "  left behind   4 messages of an unknown fork or network, no more are taken,",
            "5 whole, 3 in part, 0 not\n",
            "  last proof    block 15 of chain 1337, ",
            &format!("    {hash}\n"),
            "  ALARMS        1\n    balance, for ",
        ] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        for line in text.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
        assert!(!text.contains(['{', '"']), "{text}");
        assert!(has_alarm(&status) && !has_alarm(&json!({"alarms": {}})));
        // What is copied or searched elsewhere is not broken into lines.
        assert!(shown(&status, None).contains(&format!("{}low\n", "the balance is ".repeat(9))));
    }

    #[test]
    fn an_agent_is_shown_whatever_it_answers() {
        for status in [
            json!(null),
            json!([1]),
            json!({"alarms": 3, "stages": {"\u{1b}": [1]}, "left": {}, "backlog": null}),
            json!({"alarms": {"\u{1b}": "\u{1b}[2J"}, "last_proof": {"height": "\u{1b}"}}),
        ] {
            let text = shown(&status, Some(80));
            assert!(!text.contains('\u{1b}'), "{text}");
            assert!(text.starts_with("agent http://h:1\n"), "{text}");
        }
    }
}
