//! The help texts, which are the tool's manual.

use crate::program::bsp;

/// Every command with its arguments and flags.
const COMMANDS: [(&str, &[&str]); 10] = [
    (
        "verify",
        &[
            "<FILE>...",
            "--authorizations",
            "--supplement",
            "--genesis",
            "--json",
            "-q, --quiet",
            "--format",
        ],
    ),
    ("inspect", &["<FILE>", "--json", "--format"]),
    ("encode", &["<FILE>", "-o, --output", "--profile", "--format"]),
    ("cid", &["<FILE>", "--json"]),
    (
        "dev",
        &[
            "--blocks",
            "--seed",
            "--block-time",
            "--data-dir",
            "--fork",
            "--payloads",
            "--serve",
            "--verbose",
            "--redis-url",
            "--proof-chain-address",
            "--contract",
            "--rpc-url",
            "--ipfs-pinner-server",
        ],
    ),
    ("status", &["--redis-url", "--agent-url", "--json"]),
    ("pinner", &["ls", "pin", "unpin", "export", "import", "fsck", "serve"]),
    ("dead", &["list", "show", "retry", "drop"]),
    ("journal", &["forget", "--data-dir", "--block", "--agent-url", "--unfinished", "--json"]),
    ("proof-chain", &["deploy", "status", "network", "operators", "sessions", "finalize"]),
];

#[test]
fn the_overview_names_every_command() {
    let run = bsp(["--help"]).expect(0);
    for (command, _) in COMMANDS {
        let line = format!("\n  {command} ");
        assert!(run.text().contains(&line), "{command}:\n{}", run.text());
    }
}

#[test]
fn each_command_explains_its_flags() {
    for (command, flags) in COMMANDS {
        let run = bsp([command, "--help"]).expect(0);
        let text = run.text();
        assert!(text.contains(&format!("Usage: bsp {command} ")), "{text}");
        for flag in flags {
            assert!(text.contains(flag), "{command} {flag}:\n{text}");
        }
        // A flag more than listed here would be one that nothing tests.
        let heads = text
            .lines()
            .map(str::trim_start)
            .filter(|line| ["--", "-o", "-q"].iter().any(|head| line.starts_with(head)));
        let listed = flags.iter().filter(|flag| flag.starts_with('-')).count();
        assert_eq!(heads.count(), listed, "{command}:\n{text}");
    }
}

#[test]
fn the_exit_codes_are_told() {
    for command in ["verify", "status"] {
        let run = bsp([command, "--help"]).expect(0);
        assert!(run.text().contains("Exits with 0"), "{}", run.text());
    }
    let run = bsp(["--help"]).expect(0);
    assert!(run.text().contains("Exit codes: 0 if all is well, 1 if"), "{}", run.text());
}

#[test]
fn the_short_version_is_the_workspaces() {
    let run = bsp(["-V"]).expect(0);
    assert_eq!(run.text(), concat!("bsp ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn the_long_version_says_what_the_program_was_built_from() {
    let run = bsp(["--version"]).expect(0);
    let lines: Vec<_> = run.text().lines().collect();
    let [version, commit, profile, features] = lines[..] else { panic!("{lines:?}") };
    assert_eq!(version, concat!("bsp ", env!("CARGO_PKG_VERSION")));
    assert_eq!(profile, if cfg!(debug_assertions) { "profile: debug" } else { "profile: release" });
    assert_eq!(features, "features: none");
    let commit = commit.strip_prefix("commit: ").unwrap();
    let is_hash = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_hash || commit == "unknown", "{commit}");
    assert_eq!(commit, env!("BSP_COMMIT"));
}

#[test]
fn nothing_or_nonsense_is_a_usage_error() {
    for args in [&[][..], &["prove"], &["cid", "file", "--nonsense"]] {
        let run = bsp(args).expect(2);
        assert!(run.stderr.contains("Usage: bsp"), "{}", run.stderr);
    }
}
