//! The environment file of the guide: the same for systemd, for a shell, and for Docker, which
//! takes each line as it is.

use crate::program::Agent;
use std::{collections::BTreeMap, fs, process::Command};

/// The file between `<<'END'` and `END` in the guide.
fn documented() -> String {
    let guide = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/AGENT.md");
    let guide = fs::read_to_string(guide).unwrap();
    let (_, rest) = guide.split_once("/etc/bsp-agent/agent.env <<'END'\n").unwrap();
    let (file, _) = rest.split_once("    END\n").unwrap();
    file.lines().map(|line| line.strip_prefix("    ").unwrap().to_owned() + "\n").collect()
}

fn as_docker_reads_it(file: &str) -> BTreeMap<&str, &str> {
    file.lines().map(|line| line.split_once('=').unwrap()).collect()
}

#[test]
fn it_means_the_same_to_systemd_docker_and_a_shell() {
    let file = documented();
    let literal = as_docker_reads_it(&file);
    assert!(literal.len() > 5, "{file}");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("agent.env"), &file).unwrap();
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "set -a; . ./agent.env; exec /usr/bin/env"]);
    let output = shell.current_dir(folder.path()).env_clear().output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let shown = String::from_utf8(output.stdout).unwrap();
    let in_a_shell = as_docker_reads_it(&shown);
    for (name, value) in literal {
        assert_eq!(in_a_shell.get(name), Some(&value), "{name} in a shell");
        // systemd removes quotes and backslashes, and blanks at the ends.
        let plain = |character: char| !matches!(character, '\'' | '"' | '\\' | ' ' | '\t' | '$');
        assert!(value.chars().all(plain), "{name}={value}");
    }
}

#[test]
fn the_agent_takes_all_of_it() {
    let file = documented();
    let folder = tempfile::tempdir().unwrap();
    let mut agent = Agent::new(folder.path(), &["--check"]);
    for (name, value) in as_docker_reads_it(&file) {
        agent = match name {
            // Nothing is to be found there.
            "RedisURL" => agent.env(name, &value.replace("localhost:6379", "127.0.0.1:1")),
            "IpfsPinnerServer" | "MB_RPC_URL" => agent.env(name, "http://127.0.0.1:1/"),
            "ProofChain" => agent.env(name, crate::program::CONTRACT),
            "MB_PRIVATE_KEY" => agent.env(name, crate::program::KEY),
            _ => agent.env(name, value),
        };
    }
    let run = agent.env("BSP_AGENT_METRICS", "true").run();
    assert_eq!((run.code, run.stderr.as_str()), (1, ""), "{run:?}");
    for row in ["FAIL     redis", "FAIL     pinner", "FAIL     proof chain RPC", "127.0.0.1:6061"] {
        assert!(run.stdout.contains(row), "{row}: {run:?}");
    }
}
