//! `bsp status`: the stream and the agent on one screen.

use crate::{
    output,
    stream::{self, plain, span},
};
use bsp_agent::{
    alarm::now_ms,
    source::redis::{Overview, overview},
};
use clap::Args;
use eyre::{Context, bail};
use serde_json::Value;
use std::{
    fmt::{self, Write},
    process::ExitCode,
    time::Duration,
};

const AGENT_DEADLINE: Duration = Duration::from_secs(5);
const MAX_STATUS_BYTES: usize = 1 << 20;

/// Show the stream and the agent: what waits, what is in flight, what went wrong.
///
/// Exits with 0, or with 2 if the stream can't be checked. An agent that does not answer is told
/// and is no failure.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    stream: stream::StreamArgs,

    /// The agent's HTTP server (--metrics.addr and --metrics.port).
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:6061")]
    agent_url: String,

    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &StatusArgs) -> eyre::Result<ExitCode> {
    let url = args.stream.url()?;
    let ca_file = bsp_stream::ca_file_from_env();
    let (seen, agent) = stream::run(async {
        tokio::join!(overview(&url, ca_file.as_deref()), ask_agent(&args.agent_url))
    })?;
    let text = if args.json {
        json(seen.as_ref().ok(), &agent)?
    } else {
        let mut text = String::new();
        if let Ok(seen) = &seen {
            write_stream(&mut text, seen)?;
        }
        write_agent(&mut text, &args.agent_url, &agent)?;
        text
    };
    output::print(text.as_bytes())?;
    seen?;
    Ok(ExitCode::SUCCESS)
}

/// The agent's `GET /status`.
async fn ask_agent(url: &str) -> eyre::Result<Value> {
    let client = reqwest::Client::builder().timeout(AGENT_DEADLINE).no_proxy().build()?;
    let url = format!("{}/status", url.trim_end_matches('/'));
    // The URL is told anyway, and might hold a password.
    let mut reply = client.get(url).send().await.map_err(reqwest::Error::without_url)?;
    if !reply.status().is_success() {
        bail!("it answers {}", reply.status());
    }
    let mut body = Vec::new();
    while let Some(chunk) = reply.chunk().await.map_err(reqwest::Error::without_url)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_STATUS_BYTES {
            bail!("its answer is too long");
        }
    }
    serde_json::from_slice(&body).wrap_err("its answer is no JSON")
}

fn json(seen: Option<&Overview>, agent: &eyre::Result<Value>) -> eyre::Result<String> {
    let object = serde_json::json!({
        "stream": seen,
        "agent": agent.as_ref().ok(),
        "agent_error": agent.as_ref().err().map(|error| format!("{error:#}")),
    });
    Ok(format!("{object}\n"))
}

fn write_stream(text: &mut String, seen: &Overview) -> fmt::Result {
    writeln!(text, "stream {}", plain(&seen.source))?;
    writeln!(text, "  entries       {}", seen.length)?;
    let oldest = seen
        .oldest_age_ms
        .map_or_else(|| "none waits".to_owned(), |age| format!("{} old", span(age)));
    writeln!(text, "  oldest        {oldest}")?;
    writeln!(text, "  dead letters  {}", seen.dead)?;
    writeln!(
        text,
        "  lost          {} before delivery, {} after",
        seen.lost_undelivered,
        seen.lost.len()
    )?;
    for lost in &seen.lost {
        let age = span(now_ms().saturating_sub(lost.found_ms));
        writeln!(text, "    {} (noticed {age} ago)", plain(&lost.entry))?;
    }
    if let Some(unread) = &seen.unread {
        let count = unread.count.map_or_else(String::new, |count| format!("{count} "));
        let before = plain(&unread.before);
        writeln!(
            text,
            "  WARNING       {count}entries before {before} that no group will read: the group was"
        )?;
        writeln!(
            text,
            "                made after them, or they were acknowledged long ago. XGROUP SETID TOPIC"
        )?;
        writeln!(
            text,
            "                GROUP 0 has all read again, XTRIM TOPIC MINID {before} removes them"
        )?;
    }
    if !seen.groups.iter().any(|group| group.ours) {
        writeln!(text, "  the URL's group does not exist yet: start the agent once")?;
    }
    for group in &seen.groups {
        let ours = if group.ours { "" } else { " (another's)" };
        let lag = group.lag.map_or_else(|| "unknown".to_owned(), |lag| lag.to_string());
        writeln!(text, "  group {}{ours}", plain(&group.name))?;
        writeln!(text, "    to deliver  {lag}")?;
        writeln!(text, "    pending     {}", group.pending)?;
        for consumer in &group.consumers {
            let (name, idle) = (plain(&consumer.name), span(consumer.idle_ms));
            writeln!(text, "    consumer {name}: {} pending, idle for {idle}", consumer.pending)?;
        }
    }
    Ok(())
}

fn write_agent(text: &mut String, url: &str, agent: &eyre::Result<Value>) -> fmt::Result {
    let url = plain(&without_credentials(url));
    let status = match agent {
        Ok(status) => status,
        Err(error) => {
            return writeln!(
                text,
                "agent not reachable at {url}: {}",
                plain(&format!("{error:#}"))
            );
        }
    };
    writeln!(text, "agent {url}")?;
    for (title, name) in [
        ("blocks", "stages"),
        ("alarms", "alarms"),
        ("blocks that wait for you", "held"),
        ("messages left in the stream", "left"),
        ("blocks proved since the start, by how much of them was executed", "proofs_executed"),
        ("last proof", "last_proof"),
    ] {
        match status.get(name) {
            None | Some(Value::Null) => writeln!(text, "  {title}: none")?,
            Some(Value::Object(fields)) if fields.is_empty() => writeln!(text, "  {title}: none")?,
            Some(Value::Object(fields)) => {
                writeln!(text, "  {title}")?;
                for (name, value) in fields {
                    writeln!(text, "    {}  {}", plain(name), plain(&one_line(value)))?;
                }
            }
            Some(value) => writeln!(text, "  {title}: {}", plain(&one_line(value)))?,
        }
    }
    Ok(())
}

/// A text as it is, an alarm by its message, everything else as JSON.
fn one_line(value: &Value) -> String {
    match value.get("message").unwrap_or(value) {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn without_credentials(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let host = rest.split_once('@').map_or(rest, |(_, host)| host);
            format!("{scheme}://{host}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(agent: &eyre::Result<Value>) -> String {
        let mut text = String::new();
        write_agent(&mut text, "http://user:secret@h:1", agent).unwrap();
        text
    }

    #[test]
    fn an_agent_is_shown_whatever_it_answers() {
        let status = json!({
            "stages": {"stored": 2}, "alarms": {"balance": {"message": "low", "since_ms": 1}},
            "last_proof": {"number": 7}, "held": 2, "left": {"held": 4, "taking": true}, "proofs_executed": {"whole": 5, "part": 3, "none": 0},
        });
        let text = shown(&Ok(status));
        assert!(text.starts_with("agent http://h:1\n"), "{text}");
        for line in [
            "    stored  2\n",
            "    balance  low\n",
            "    number  7\n",
            "    part  3\n",
            "  blocks that wait for you: 2\n",
            "    held  4\n",
        ] {
            assert!(text.contains(line), "{text}");
        }
        for status in [json!(null), json!([1]), json!({"alarms": 3, "stages": {"\u{1b}": [1]}})] {
            assert!(!shown(&Ok(status)).contains('\u{1b}'));
        }
        assert!(
            shown(&Err(eyre::eyre!("gone"))).starts_with("agent not reachable at http://h:1: gone")
        );
    }
}
