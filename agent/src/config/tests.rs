use super::*;
use crate::{
    args::ProofTarget,
    pin::{Enough, PinTarget},
};
use std::{collections::HashMap, fs};

const KEY: &str = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
const CONTRACT: &str = "0x4f2E285227D43D9eB52799D0A28299540452446E";
const REDIS: &str = "redis://username:@localhost:6379/0?topic=replication";

/// Arguments and environment that are fine, to be spoilt.
struct Start {
    folder: tempfile::TempDir,
    args: AgentArgs,
    env: HashMap<&'static str, String>,
}

impl Start {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut args = AgentArgs::default();
        args.source.redis_url = Some(Secret::new(REDIS.to_owned()));
        args.segments.data_dir = folder.path().join("data");
        args.observe.log_folder = folder.path().join("logs").display().to_string();
        args.proofs.proof_chain_address = Some(CONTRACT.to_owned());
        let env = HashMap::from([
            ("MB_RPC_URL", "https://rpc.example/v3/t0ken".to_owned()),
            ("MB_PRIVATE_KEY", KEY.to_owned()),
            ("REDIS_PWD", "pa55word".to_owned()),
        ]);
        Self { folder, args, env }
    }

    fn config(&self) -> Result<AgentConfig, ConfigError> {
        AgentConfig::from_args(&self.args, &|name| self.env.get(name).cloned())
    }

    /// Asserts that the start is refused with one line that contains this, and with no secret.
    #[track_caller]
    fn expect_refusal(&self, reason: &str) {
        let error = self.config().unwrap_err();
        let line = error.to_string();
        assert!(line.contains(reason), "{line}");
        assert_eq!(line.lines().count(), 1, "{line}");
        for secret in [&KEY[2..], "t0ken", "pa55word"] {
            assert!(!format!("{line} {error:?}").contains(secret), "{line}");
        }
    }
}

#[test]
fn every_form_of_a_redis_url_is_taken() {
    for url in [
        "rediss://user:secret@h/1?topic=t#g",
        "redis+sentinel://a:1,b:2/master/0?topic=t",
        "rediss+sentinel://a/master?topic=t",
        "redis+cluster://a,b:7000?topic=t",
    ] {
        let mut start = Start::new();
        start.args.source.redis_url = Some(Secret::new(url.to_owned()));
        let source = start.config().unwrap().source;
        assert!(matches!(source, SourceConfig::Redis { .. }), "{url}");
        assert!(bsp_stream::RedisUrl::parse(url, None).is_ok(), "{url}");
    }
}

#[test]
fn the_operators_settings_are_understood() {
    let start = Start::new();
    let config = start.config().unwrap();
    let ProofConfig::Chain(chain) = &config.proof else { panic!("{:?}", config.proof) };
    assert_eq!(chain.contract, CONTRACT.parse::<alloy_primitives::Address>().unwrap());
    assert_eq!(chain.max_fee_per_gas, 1_000_000_000_000);
    let KeyConfig::Private(key) = &chain.key else { panic!("{:?}", chain.key) };
    assert_eq!(key.expose(), KEY);
    let SourceConfig::Redis { url, password } = &config.source else { panic!() };
    assert_eq!(url.expose(), REDIS);
    assert_eq!(password.as_ref().unwrap().expose(), "pa55word");
    assert_eq!(config.server, None);
    assert!(config.notices.is_empty());
    assert!(config.log.folder.is_dir() && config.segments.data_dir.is_dir());
    let shown = format!("{config:?}");
    for secret in [&KEY[2..], "t0ken", "pa55word"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_source_there_must_be_and_only_one() {
    let mut start = Start::new();
    start.args.source.source = Some("file:///".to_owned());
    start.expect_refusal("not both");
    start.args.source.redis_url = None;
    assert!(matches!(start.config().unwrap().source, SourceConfig::Folder { .. }));
    start.args.source.source = None;
    start.expect_refusal("--redis-url redis://");
}

#[test]
fn only_chunk_files_can_be_removed() {
    let mut start = Start::new();
    start.args.source.remove_finished_chunks = true;
    start.expect_refusal("--remove-finished-chunks is about");
    start.args.source.redis_url = None;
    start.args.source.source = Some("file:///".to_owned());
    let source = start.config().unwrap().source;
    assert!(matches!(source, SourceConfig::Folder { remove_finished: true, .. }));
}

#[test]
fn a_source_must_be_of_a_known_kind() {
    let mut start = Start::new();
    for (url, reason) in [
        ("localhost", "not a URL"),
        ("http://:pa55word@host", "the scheme http:// is not known"),
        ("file:///no/such/folder", "does not exist"),
        ("file://other-machine/folder", "this machine"),
    ] {
        start.args.source.redis_url = Some(Secret::new(url.to_owned()));
        start.expect_refusal(reason);
    }
    start.args.source.redis_url =
        Some(Secret::new(format!("file://{}", start.folder.path().display())));
    assert!(matches!(start.config().unwrap().source, SourceConfig::Folder { .. }));
    start.args.source.redis_url = None;
    start.args.source.source = Some(REDIS.to_owned());
    start.expect_refusal("it does not start with file://");
}

#[test]
fn without_a_chain_both_choices_are_named() {
    let complete = Start::new();
    for missing in ["MB_RPC_URL", "MB_PRIVATE_KEY", "--proof-chain-address"] {
        for empty in [false, true] {
            let mut start = Start {
                folder: tempfile::tempdir().unwrap(),
                args: complete.args.clone(),
                env: complete.env.clone(),
            };
            if missing == "--proof-chain-address" {
                start.args.proofs.proof_chain_address = None;
            } else if empty {
                start.env.insert(missing, String::new());
            } else {
                start.env.remove(missing);
            }
            start.expect_refusal(missing);
            start.expect_refusal("--proof ledger");
            start.args.proofs.proof = ProofTarget::Ledger;
            assert!(matches!(start.config().unwrap().proof, ProofConfig::Ledger));
        }
    }
}

#[test]
fn a_chain_needs_usable_settings() {
    let mut start = Start::new();
    for address in ["", "0x12", "0x0000000000000000000000000000000000000000", KEY] {
        start.args.proofs.proof_chain_address = Some(address.to_owned());
        start.expect_refusal("40 hex digits");
    }
    start.args.proofs.proof_chain_address = Some(CONTRACT.to_owned());
    for (url, reason) in
        [("rpc.example/t0ken", "not a URL"), ("ws://h/t0ken", "ws:// is not supported")]
    {
        start.env.insert("MB_RPC_URL", url.to_owned());
        start.expect_refusal(reason);
    }
}

#[test]
fn a_keystore_is_taken_where_there_is_no_private_key() {
    let mut start = Start::new();
    let keystore = start.folder.path().join("key.json");
    fs::write(&keystore, "{}").unwrap();
    start.env.insert("MB_KEYSTORE_PATH", keystore.display().to_string());
    assert!(start.config().unwrap().notices[0].contains("MB_PRIVATE_KEY is used"));
    start.env.remove("MB_PRIVATE_KEY");
    start.expect_refusal("MB_KEYSTORE_PWD is not");
    start.env.insert("MB_KEYSTORE_PWD", "pa55word".to_owned());
    let ProofConfig::Chain(chain) = start.config().unwrap().proof else { panic!() };
    assert!(matches!(chain.key, KeyConfig::Keystore { path, .. } if path == keystore));
    fs::remove_file(&keystore).unwrap();
    start.expect_refusal("MB_KEYSTORE_PATH: can't read");
}

#[test]
fn numbers_have_ranges() {
    type Spoil = fn(&mut AgentArgs);
    let cases: [(Spoil, &str); 8] = [
        (|args| args.segments.block_divisor = 0, "--block-divisor is 0: give 1"),
        (|args| args.source.claim_idle = 0, "--claim-idle"),
        (|args| args.source.max_open_blocks = 0, "--max-open-blocks is 0"),
        (|args| args.source.max_message_bytes.0 = 0, "--max-message-bytes is 0"),
        (
            |args| args.source.max_inflight_bytes.0 = 1,
            "--max-inflight-bytes is 1: give at least 67108864",
        ),
        (|args| args.proofs.proof_max_in_flight = 0, "--proof-max-in-flight is 0"),
        (|args| args.proofs.proof_max_fee_gwei = 0, "--proof-max-fee-gwei is 0"),
        (|args| args.proofs.proof_resubmit_secs = 0, "--proof-resubmit-secs is 0"),
    ];
    for (spoil, reason) in cases {
        let mut start = Start::new();
        spoil(&mut start.args);
        start.expect_refusal(reason);
        assert!(!start.args.segments.data_dir.exists(), "a refused start makes no folder");
    }
}

#[test]
fn files_and_folders_are_looked_at() {
    type Spoil = fn(&mut AgentArgs);
    let cases: [(Spoil, &str); 6] = [
        (
            |args| args.segments.binary_file_path = Some("/no/such".into()),
            "--binary-file-path: /no/such does not exist",
        ),
        (
            |args| args.segments.avro_codec_path = Some("/no/such".into()),
            "--avro-codec-path: can't read /no/such",
        ),
        (|args| args.segments.genesis = Some("/".into()), "--genesis: can't read /"),
        (|args| args.segments.data_dir = "/no/such".into(), "--data-dir: /no/such can't be made"),
        (
            |args| args.observe.log_folder = "/no/such".into(),
            "--log-folder: /no/such can't be made",
        ),
        (
            |args| args.pins.ipfs_pinner_server = Some(Secret::new("ipfs://h".into())),
            "--ipfs-pinner-server: ipfs:// is not",
        ),
    ];
    for (spoil, reason) in cases {
        let mut start = Start::new();
        spoil(&mut start.args);
        start.expect_refusal(reason);
    }
}

#[test]
fn pinners_are_put_together() {
    let mut start = Start::new();
    assert_eq!(start.config().unwrap().pins.targets, [PinTarget::Embedded]);
    let secret = |text: &str| Secret::new(text.to_owned());
    start.args.pins.ipfs_pinner_server = Some(secret("http://h:3001"));
    let url = Secret::new("http://h:3001".parse().unwrap());
    let server = PinTarget::IpfsPinner { url, token: None };
    assert_eq!(start.config().unwrap().pins.targets, std::slice::from_ref(&server));
    start.args.pins.pin =
        ["embedded", "", "ipfs-pinner+http://h:3001", "embedded"].map(secret).into();
    let pins = start.config().unwrap().pins;
    assert_eq!((pins.targets, pins.enough), (vec![server, PinTarget::Embedded], Enough::All));
    start.args.pins.pinned_enough = Enough::AtLeast(2);
    start.config().unwrap();
    start.args.pins.pinned_enough = Enough::AtLeast(3);
    start.expect_refusal("--pinned-enough is 3: give at most 2");
    start.args.pins.pin.push(secret("kubo+http://h?token-env=KUBO_TOKEN"));
    start.expect_refusal("--pin: the variable KUBO_TOKEN is not set");
    start.env.insert("KUBO_TOKEN", "t0ken".to_owned());
    let shown = format!("{:?}", start.config().unwrap());
    assert!(shown.contains("Kubo") && !shown.contains("t0ken"), "{shown}");
}

#[test]
fn the_server_is_on_when_anything_about_it_is_said() {
    let mut start = Start::new();
    start.args.observe.metrics = true;
    let local = ServerConfig { host: "127.0.0.1".to_owned(), port: 6061 };
    assert_eq!(start.config().unwrap().server, Some(local));
    start.args.observe = ObserveArgs {
        metrics: false,
        metrics_addr: Some("0.0.0.0".to_owned()),
        ..start.args.observe
    };
    let config = start.config().unwrap();
    assert_eq!(config.server.unwrap().port, 6061);
    assert!(config.notices[0].contains("open to the network"), "{:?}", config.notices);
}

#[test]
fn a_setting_without_effect_is_said_to_have_none() {
    let mut start = Start::new();
    start.args.source.consumer_timeout = Some(10_000_000);
    assert!(start.config().unwrap().notices[0].contains("--consumer-timeout has no effect"));
}
