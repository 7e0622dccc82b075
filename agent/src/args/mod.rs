//! The command line, as it is typed. [`config`](crate::config) says what it means.
//!
//! Names, environment variables and, where they make sense, defaults are those of bsp-agent v1.9.2.
//! The variable of a flag that is new, or had none, is `BSP_AGENT_` and the flag in capitals, with
//! underscores.
//! Keys and passwords are never arguments, which every user of the machine could read, see
//! [`AgentConfig::from_args`].
//!
//! [`AgentConfig::from_args`]: crate::config::AgentConfig::from_args

mod observe;
mod pin;
mod proof;
mod segment;
mod source;

pub use observe::{LogFormat, ObserveArgs, ProcessArgs};
pub use pin::{InvalidAddress, PinArgs, PinnerAddress};
pub use proof::{ProofArgs, ProofTarget};
pub use segment::{SegmentArgs, Verify};
pub use source::SourceArgs;

use clap::{Command, builder::Resettable};

/// All settings of the agent that have a flag.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args)]
pub struct AgentArgs {
    /// Where block replicas come from.
    #[command(flatten)]
    pub source: SourceArgs,
    /// What is made of them.
    #[command(flatten)]
    pub segments: SegmentArgs,
    /// Where that is pinned.
    #[command(flatten)]
    pub pins: PinArgs,
    /// Where proofs go.
    #[command(flatten)]
    pub proofs: ProofArgs,
    /// What the outside sees.
    #[command(flatten)]
    pub observe: ObserveArgs,
    /// Start and end.
    #[command(flatten)]
    pub process: ProcessArgs,
}

/// A command that takes environment variables that are set but empty for unset ones, as service
/// files and compose files leave them.
pub fn without_empty_variables(command: Command) -> Command {
    command.mut_args(|arg| {
        let is_empty = arg
            .get_env()
            .is_some_and(|name| std::env::var_os(name).is_some_and(|value| value.is_empty()));
        if is_empty { arg.env(Resettable::Reset) } else { arg }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args, FromArgMatches};

    fn parse(line: &[&str]) -> Result<AgentArgs, clap::Error> {
        let command = AgentArgs::augment_args(Command::new("bsp-agent"));
        let matches = without_empty_variables(command)
            .try_get_matches_from([&["bsp-agent"], line].concat())?;
        AgentArgs::from_arg_matches(&matches)
    }

    #[test]
    fn the_default_is_what_an_empty_line_gives() {
        assert_eq!(parse(&[]).unwrap(), AgentArgs::default());
    }

    #[test]
    fn the_command_is_consistent() {
        AgentArgs::augment_args(Command::new("bsp-agent")).debug_assert();
    }

    #[test]
    fn the_metrics_flag_may_have_a_value_as_in_go() {
        for (line, on) in
            [(&["--metrics"][..], true), (&["--metrics=true"], true), (&["--metrics=false"], false)]
        {
            assert_eq!(parse(line).unwrap().observe.metrics, on, "{line:?}");
        }
        let args = parse(&["--metrics", "--metrics.addr", "::1", "--metrics.port=7000"]).unwrap();
        assert_eq!(args.observe.metrics_addr.as_deref(), Some("::1"));
        assert_eq!(args.observe.metrics_port, Some(7000));
    }

    #[test]
    fn no_flag_takes_a_secret_that_has_a_variable() {
        let command = AgentArgs::augment_args(Command::new("bsp-agent"));
        let secrets = ["MB_RPC_URL", "MB_PRIVATE_KEY", "REDIS_PWD", "MB_KEYSTORE_PWD"];
        for arg in command.get_arguments() {
            let variable = arg.get_env().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
            assert!(!secrets.contains(&variable), "{variable}");
        }
    }

    /// What bsp-agent v1.9.2 calls them, and we do.
    const OLD_NAMES: [&str; 10] = [
        "RedisURL",
        "ConsumerPendingTimeout",
        "BinaryFilePath",
        "CodecPath",
        "BlockDivisor",
        "IpfsPinnerServer",
        "ProofChain",
        "LogFolder",
        "MetricsHttpServerAddr",
        "MetricsHttpServerPort",
    ];

    #[test]
    fn every_setting_has_a_variable_and_its_name_follows_from_the_flags() {
        let command = AgentArgs::augment_args(Command::new("bsp-agent"));
        let mut old_names = 0;
        for arg in command.get_arguments() {
            let flag = arg.get_long().unwrap();
            let variable = arg.get_env().and_then(std::ffi::OsStr::to_str);
            // A question, not a setting.
            if flag == "check" {
                assert_eq!(variable, None);
                continue;
            }
            let variable = variable.unwrap_or_else(|| panic!("--{flag} has no variable"));
            if OLD_NAMES.contains(&variable) {
                old_names += 1;
                continue;
            }
            let by_rule = flag.to_uppercase().replace(['-', '.'], "_");
            assert_eq!(variable, format!("BSP_AGENT_{by_rule}"), "--{flag}");
        }
        assert_eq!(old_names, OLD_NAMES.len());
    }

    #[test]
    fn arguments_are_not_shown_with_their_passwords() {
        let args = parse(&[
            "--redis-url=redis://:hunter2@h/0?topic=t",
            "--ipfs-pinner-server=http://u:hunter2@h",
            "--pin=kubo+http://u:hunter2@h",
            "--pin=embedded",
        ])
        .unwrap();
        assert_eq!(args.pins.pin.len(), 2);
        assert!(!format!("{args:?}").contains("hunter2"));
    }
}
