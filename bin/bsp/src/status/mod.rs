//! `bsp status`: the stream and the agent on one screen.

mod agent_screen;
mod stream_screen;

use crate::{
    agent_http,
    output::{self, EXIT_FAILED},
    stream,
    words::columns,
};
use bsp_agent::source::redis::{Overview, overview};
use bsp_common::text::with_causes;
use clap::Args;
use serde_json::Value;
use std::process::ExitCode;

/// Show the stream and the agent: what waits, what is in flight, what went wrong.
///
/// Without --redis-url it asks the agent alone, which knows its backlog. The agent answers if it
/// was started with --metrics, --metrics.addr or --metrics.port.
///
/// Exits with 0 if all is well, with 1 while the agent has raised an alarm, and with 2 if the
/// stream or the agent can't be asked. Beside --redis-url, an agent that does not answer is
/// reported and is no failure, unless --agent-url names it.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    stream: stream::StreamArgs,

    /// The agent's HTTP server (--metrics.addr and --metrics.port); without it,
    /// http://127.0.0.1:6061.
    #[arg(long, value_name = "URL")]
    agent_url: Option<String>,

    /// Print a JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &StatusArgs) -> eyre::Result<ExitCode> {
    let url = args.stream.redis_url.is_some().then(|| args.stream.url()).transpose()?;
    let agent_url = args.agent_url.as_deref().unwrap_or(agent_http::DEFAULT_URL);
    let tls = bsp_stream::TlsFiles::from_env();
    let look = async {
        match &url {
            Some(url) => Some(overview(url, &tls).await),
            None => None,
        }
    };
    let asking = agent_http::get(agent_url, "status");
    let (seen, agent) = stream::run(async { tokio::join!(look, asking) })?;
    let must_answer = args.agent_url.is_some() || url.is_none();
    let text = if args.json {
        json(seen.as_ref().and_then(|seen| seen.as_ref().ok()), &agent)
    } else {
        screen(seen.as_ref(), agent_url, &agent, must_answer)
    };
    output::print(text.as_bytes())?;
    seen.transpose()?;
    match agent {
        Err(error) if must_answer => Err(error),
        Ok(status) if agent_screen::has_alarm(&status) => Ok(ExitCode::from(EXIT_FAILED)),
        _ => Ok(ExitCode::SUCCESS),
    }
}

fn json(seen: Option<&Overview>, agent: &eyre::Result<Value>) -> String {
    let object = serde_json::json!({
        "stream": seen,
        "agent": agent.as_ref().ok(),
        "agent_error": agent.as_ref().err().map(|error| with_causes(error.as_ref())),
    });
    format!("{object}\n")
}

/// What there is to see. What could not be asked and has to be is an error, and told as one.
fn screen<E>(
    seen: Option<&Result<Overview, E>>,
    agent_url: &str,
    agent: &eyre::Result<Value>,
    must_answer: bool,
) -> String {
    let columns = columns();
    let mut text = String::new();
    if let Some(Ok(seen)) = seen {
        text += &stream_screen::show(seen, columns);
    }
    match agent {
        Ok(status) => text += &agent_screen::show(agent_url, status, seen.is_none(), columns),
        Err(error) if !must_answer => {
            text += &format!("{}\n", stream::plain(&with_causes(error.as_ref())));
        }
        Err(_) => {}
    }
    text
}
