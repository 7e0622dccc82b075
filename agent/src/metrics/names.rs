//! Every metric that a document, a dashboard or an alert rule names exists, and every one that
//! exists is documented.

use super::describe;
use crate::alarm::AlarmKind;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Collects the names that are described.
#[derive(Default)]
struct Described(Mutex<BTreeSet<String>>);

impl Described {
    fn note(&self, name: &KeyName) {
        let mut names = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(name.as_str().to_owned());
    }
}

impl Recorder for Described {
    fn describe_counter(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.note(&name);
    }
    fn describe_gauge(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.note(&name);
    }
    fn describe_histogram(&self, name: KeyName, _: Option<Unit>, _: SharedString) {
        self.note(&name);
    }
    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }
    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }
    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

fn described() -> BTreeSet<String> {
    let described = Described::default();
    metrics::with_local_recorder(&described, describe::all);
    described.0.into_inner().unwrap()
}

/// The words of a text that begin as the agent's metrics do. A document's `system_cpu_*` is none.
fn names_in(text: &str) -> BTreeSet<String> {
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    text.split(|character| !is_part(character))
        .filter(|word| word.starts_with("agent_") || word.starts_with("system_"))
        .filter(|word| !word.ends_with('_'))
        .map(str::to_owned)
        .collect()
}

/// Without what Prometheus adds to a histogram's or a summary's name.
fn base(name: &str, known: &BTreeSet<String>) -> String {
    let suffixes = ["_bucket", "_sum", "_count"];
    let stripped = suffixes.into_iter().find_map(|suffix| name.strip_suffix(suffix));
    let stripped = stripped.filter(|stripped| known.contains(*stripped));
    stripped.unwrap_or(name).to_owned()
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(repository(path)).unwrap()
}

const GUIDE: &str = "docs/AGENT.md";
const SHIPPED: [&str; 2] = ["etc/grafana/bsp-agent.json", "etc/prometheus/bsp-agent.rules.yml"];

#[test]
fn what_is_shipped_names_metrics_that_there_are() {
    let known = described();
    for path in SHIPPED {
        let names = names_in(&read(path));
        assert!(names.len() >= 10, "{path} names {names:?}");
        for name in names {
            assert!(known.contains(&base(&name, &known)), "{path} names {name}");
        }
    }
}

#[test]
fn the_guide_has_every_metric_and_no_other() {
    let known = described();
    let guide = read(GUIDE);
    let section = guide.split("\n## Metrics\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let named: BTreeSet<_> = names_in(section).iter().map(|name| base(name, &known)).collect();
    let groups = ["system_cpu", "system_disk"];
    let by_group = |name: &str| groups.into_iter().any(|group| name.starts_with(group));
    for name in &known {
        assert!(named.contains(name) || by_group(name), "{GUIDE} lacks {name}");
    }
    for name in &named {
        assert!(known.contains(name), "{GUIDE} names {name}");
    }
}

/// A metric without a description would be missing above.
#[test]
fn every_metric_of_the_code_is_described() {
    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let (known, mut files) = (described(), Vec::new());
    sources(&repository("agent/src"), &mut files);
    let skipped = ["describe.rs", "names.rs"].map(Some);
    files.retain(|path| !skipped.contains(&path.file_name().and_then(|name| name.to_str())));
    let mut used = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for macro_call in ["counter!(", "gauge!(", "histogram!(", " gauge("] {
            for rest in text.split(macro_call).skip(1) {
                let Some(literal) = rest.trim_start().strip_prefix('"') else { continue };
                used.insert(literal.split('"').next().unwrap().to_owned());
            }
        }
    }
    used.retain(|name| name.starts_with("agent_") || name.starts_with("system_"));
    assert!(used.len() > 40, "{used:?}");
    for name in used {
        assert!(known.contains(&name), "{name} is not described");
    }
}

#[test]
fn every_alarm_is_explained() {
    let guide = read(GUIDE);
    let section = guide.split("\n## Alarms\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let rules = read("etc/prometheus/bsp-agent.rules.yml");
    for kind in AlarmKind::ALL {
        let name = kind.as_str();
        let rows = section.lines().filter(|line| line.starts_with(&format!("| `{name}` |")));
        assert_eq!(rows.count(), 1, "{name} has no row in {GUIDE}, or several");
        let heading = section.lines().any(|line| line.starts_with(&format!("**`{name}`**")));
        assert!(heading, "{GUIDE} does not say what to do about {name}");
    }
    // What a rule selects by name has to be one of them.
    for part in rules.split("kind").skip(1) {
        let Some(names) = part.split('"').nth(1).filter(|_| part.starts_with(['=', '!'])) else {
            continue;
        };
        for name in names.split('|') {
            assert!(AlarmKind::ALL.iter().any(|kind| kind.as_str() == name), "{name}");
        }
    }
}
