//! The agent, with the flags and environment of bsp-agent.

mod cli;
mod origins;
mod signals;

use bsp_agent::{args::AgentArgs, config::AgentConfig, logging};
use bsp_common::text::with_causes;
use eyre::Context;
use origins::Origins;
use std::{
    env,
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

/// What it was built from: 40 hex digits, or `unknown`.
const COMMIT: &str = env!("BSP_COMMIT");

/// Time for threads that are writing when everything else has ended.
const THREADS_DEADLINE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let (result, origins) = match cli::parse(env::args_os()) {
        Ok((args, origins)) => (start(&args), origins),
        Err(cli::Answer::Shown) => return ExitCode::SUCCESS,
        Err(cli::Answer::Refused(line)) => (Err(eyre::eyre!(line)), Origins::default()),
    };
    result.unwrap_or_else(|error| {
        let line = origins.name_variables(&with_causes(error.as_ref()));
        // Nobody is left to be told that standard error is closed.
        let _ = writeln!(io::stderr(), "bsp-agent: {line}");
        ExitCode::FAILURE
    })
}

fn start(args: &AgentArgs) -> eyre::Result<ExitCode> {
    let config = AgentConfig::from_args(args, &|name| env::var(name).ok())?;
    let runtime =
        Builder::new_multi_thread().enable_all().build().wrap_err("can't start threads")?;
    if config.check {
        let is_ready = runtime.block_on(check(&config))?;
        return Ok(if is_ready { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let _log = logging::init(&config.log)?;
    let result = run(&runtime, config);
    runtime.shutdown_timeout(THREADS_DEADLINE);
    if let Err(error) = &result {
        tracing::error!("The agent ends: {}", with_causes(error.as_ref()));
    }
    result.map(|()| ExitCode::SUCCESS)
}

fn run(runtime: &Runtime, config: AgentConfig) -> eyre::Result<()> {
    runtime.block_on(async {
        let shutdown = CancellationToken::new();
        signals::stop_on_signal(shutdown.clone()).wrap_err("can't listen for signals")?;
        tracing::info!(version = env!("CARGO_PKG_VERSION"), commit = COMMIT, "The agent starts");
        for notice in &config.notices {
            tracing::warn!("{notice}");
        }
        Ok(bsp_agent::run(config, COMMIT, shutdown).await?)
    })
}

/// Looks at everything that a start needs.
async fn check(config: &AgentConfig) -> eyre::Result<bool> {
    let checks = bsp_agent::start_checks(config).await?;
    Ok(bsp_agent::check::run(checks, &mut WhileRead(io::stdout())).await?)
}

/// Writes as long as somebody reads. A reader that goes away (`--check | head`) has seen enough;
/// the checks go on, for the exit code.
struct WhileRead<W>(W);

impl<W: Write> Write for WhileRead<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}
