//! Flags about what the outside sees, and about the process.

use clap::ArgAction;

/// Logs and the HTTP server.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Observation")]
pub struct ObserveArgs {
    /// Folder of log.log and its predecessors. `~`, `$NAME` and `${NAME}` in it are replaced.
    #[arg(long, env = "LogFolder", value_name = "FOLDER", default_value = "./logs/")]
    pub log_folder: String,

    /// Form of log lines. Which lines there are is chosen by the variable RUST_LOG.
    #[arg(long, env = "BSP_AGENT_LOG_FORMAT", value_enum, value_name = "FORM", default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// Serve /metrics, /health and /status over HTTP.
    #[arg(
        long,
        env = "BSP_AGENT_METRICS",
        value_name = "BOOL",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        default_value_t = false,
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub metrics: bool,

    /// Address that the HTTP server listens on; giving one switches it on. [default: 127.0.0.1]
    #[arg(long = "metrics.addr", env = "MetricsHttpServerAddr", value_name = "HOST")]
    pub metrics_addr: Option<String>,

    /// Port that the HTTP server listens on; giving one switches it on. [default: 6061]
    #[arg(long = "metrics.port", env = "MetricsHttpServerPort", value_name = "PORT")]
    pub metrics_port: Option<u16>,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One readable line for each event.
    Text,
    /// One JSON object for each event.
    Json,
}

impl Default for ObserveArgs {
    fn default() -> Self {
        Self {
            log_folder: "./logs/".to_owned(),
            log_format: LogFormat::Text,
            metrics: false,
            metrics_addr: None,
            metrics_port: None,
        }
    }
}

/// Start and end of the process.
#[derive(Debug, Clone, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Process")]
pub struct ProcessArgs {
    /// Check everything that a start needs, print a table, and end: with 0 if all is well, else
    /// with 1.
    #[arg(long)]
    pub check: bool,

    /// Seconds that blocks in flight get to reach a safe point after SIGTERM. A second SIGTERM ends
    /// at once; neither loses anything.
    #[arg(long, env = "BSP_AGENT_SHUTDOWN_TIMEOUT", value_name = "SECONDS", default_value_t = 30)]
    pub shutdown_timeout: u64,
}

impl Default for ProcessArgs {
    fn default() -> Self {
        Self { check: false, shutdown_timeout: 30 }
    }
}
