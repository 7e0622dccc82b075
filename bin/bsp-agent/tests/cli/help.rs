//! The help text, which is the agent's manual.

use crate::program::{Agent, PASSWORD, Run};

/// Every flag with its environment variable, if it has one.
const FLAGS: [(&str, &str); 42] = [
    ("--redis-url", "RedisURL"),
    ("--source", "BSP_AGENT_SOURCE"),
    ("--remove-finished-chunks", "BSP_AGENT_REMOVE_FINISHED_CHUNKS"),
    ("--consumer-name", "BSP_AGENT_CONSUMER_NAME"),
    ("--claim-idle", "BSP_AGENT_CLAIM_IDLE"),
    ("--consumer-timeout", "ConsumerPendingTimeout"),
    ("--max-message-bytes", "BSP_AGENT_MAX_MESSAGE_BYTES"),
    ("--max-decoded-bytes", "BSP_AGENT_MAX_DECODED_BYTES"),
    ("--max-inflight-bytes", "BSP_AGENT_MAX_INFLIGHT_BYTES"),
    ("--max-open-blocks", "BSP_AGENT_MAX_OPEN_BLOCKS"),
    ("--data-dir", "BSP_AGENT_DATA_DIR"),
    ("--binary-file-path", "BinaryFilePath"),
    ("--avro-codec-path", "CodecPath"),
    ("--block-divisor", "BlockDivisor"),
    ("--keep-days", "BSP_AGENT_KEEP_DAYS"),
    ("--unselected-budget-bytes", "BSP_AGENT_UNSELECTED_BUDGET_BYTES"),
    ("--verify", "BSP_AGENT_VERIFY"),
    ("--genesis", "BSP_AGENT_GENESIS"),
    ("--pin", "BSP_AGENT_PIN"),
    ("--pinned-enough", "BSP_AGENT_PINNED_ENOUGH"),
    ("--pin-budget", "BSP_AGENT_PIN_BUDGET"),
    ("--pinner-addr", "BSP_AGENT_PINNER_ADDR"),
    ("--pinner-public-addr", "BSP_AGENT_PINNER_PUBLIC_ADDR"),
    ("--pinner-token-file", "BSP_AGENT_PINNER_TOKEN_FILE"),
    ("--ipfs-pinner-server", "IpfsPinnerServer"),
    ("--proof", "BSP_AGENT_PROOF"),
    ("--proof-chain-address", "ProofChain"),
    ("--proof-max-in-flight", "BSP_AGENT_PROOF_MAX_IN_FLIGHT"),
    ("--proof-confirmations", "BSP_AGENT_PROOF_CONFIRMATIONS"),
    ("--proof-max-fee-gwei", "BSP_AGENT_PROOF_MAX_FEE_GWEI"),
    ("--proof-resubmit-secs", "BSP_AGENT_PROOF_RESUBMIT_SECS"),
    ("--proof-deadline-secs", "BSP_AGENT_PROOF_DEADLINE_SECS"),
    ("--balance-alarm", "BSP_AGENT_BALANCE_ALARM"),
    ("--log-folder", "LogFolder"),
    ("--log-format", "BSP_AGENT_LOG_FORMAT"),
    ("--metrics", "BSP_AGENT_METRICS"),
    ("--metrics.addr", "MetricsHttpServerAddr"),
    ("--metrics.port", "MetricsHttpServerPort"),
    ("--check", ""),
    ("--shutdown-timeout", "BSP_AGENT_SHUTDOWN_TIMEOUT"),
    ("-h, --help", ""),
    ("-V, --version", ""),
];

fn help(agent: impl FnOnce(Agent) -> Agent) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let run = agent(Agent::new(folder.path(), &["--help"])).run();
    assert_eq!(run.code, 0, "{run:?}");
    run
}

/// The first word of each line that explains a flag.
fn heads(text: &str) -> Vec<&str> {
    let flags = text.lines().map(str::trim_start);
    flags
        .filter(|line| line.starts_with("--") || line.starts_with("-h,") || line.starts_with("-V,"))
        .collect()
}

#[test]
fn every_flag_is_explained() {
    let run = help(|agent| agent);
    let heads = heads(&run.stdout);
    for (flag, variable) in FLAGS {
        let is_there = heads.iter().any(|head| {
            head.strip_prefix(flag)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '[']))
        });
        assert!(is_there, "{flag}:\n{}", run.stdout);
        assert!(run.stdout.contains(&format!("[env: {variable}")), "{variable}:\n{}", run.stdout);
    }
    // A flag more than listed here would be one that nothing tests.
    assert_eq!(heads.len(), FLAGS.len(), "{heads:#?}");
}

#[test]
fn it_begins_with_what_the_agent_does() {
    let run = help(|agent| agent);
    assert!(run.stdout.starts_with("Takes block replicas from a stream"), "{}", run.stdout);
    for variable in
        ["MB_RPC_URL", "MB_PRIVATE_KEY", "MB_KEYSTORE_PATH", "MB_KEYSTORE_PWD", "REDIS_PWD"]
    {
        assert!(run.stdout.contains(variable), "{variable}:\n{}", run.stdout);
    }
}

#[test]
fn it_does_not_show_values_that_may_be_secret() {
    let url = format!("redis://:{PASSWORD}@h/0?topic=t");
    let run = help(|agent| {
        agent
            .with_operators_environment()
            .env("RedisURL", &url)
            .env("IpfsPinnerServer", &url)
            .env("BSP_AGENT_PIN", &url)
    });
    run.expect_no_secret();
    assert!(run.stdout.contains("[env: RedisURL]"), "{}", run.stdout);
}

#[test]
fn the_short_version_is_the_workspaces() {
    let folder = tempfile::tempdir().unwrap();
    let run = Agent::new(folder.path(), &["-V"]).run();
    assert_eq!(run.stdout, concat!("bsp-agent ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn the_long_version_says_what_the_program_was_built_from() {
    let folder = tempfile::tempdir().unwrap();
    let run = Agent::new(folder.path(), &["--version"]).run();
    assert_eq!(run.code, 0, "{run:?}");
    let lines: Vec<_> = run.stdout.lines().collect();
    let [version, commit, profile, features] = lines[..] else { panic!("{lines:?}") };
    assert_eq!(version, concat!("bsp-agent ", env!("CARGO_PKG_VERSION")));
    assert_eq!(profile, if cfg!(debug_assertions) { "profile: debug" } else { "profile: release" });
    let built: Vec<_> =
        [("failpoints", cfg!(feature = "failpoints")), ("s3", cfg!(feature = "s3"))]
            .into_iter()
            .filter_map(|(name, is_in)| is_in.then_some(name))
            .collect();
    let built = if built.is_empty() { "none".to_owned() } else { built.join(", ") };
    assert_eq!(features, format!("features: {built}"));
    let commit = commit.strip_prefix("commit: ").unwrap();
    let is_hash = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_hash || commit == "unknown", "{commit}");
    assert_eq!(commit, env!("BSP_COMMIT"));
}
