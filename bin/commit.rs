//! The build script of the programs: tells them what they were built from, for `--version`.
//!
//! The file `build.txt` in `OUT_DIR` has a line for each: the commit, 40 hex digits (`unknown`
//! without git, as in a source archive); the profile, `release` or `debug`; and the package's
//! features with commas between them, or `none`. The commit is the compiler's variable `BSP_COMMIT`
//! too. A variable of that name in the environment of the build goes first, for builds that leave
//! `.git` out.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const UNKNOWN: &str = "unknown";

fn main() {
    // Cargo runs this again when one of the files that are named here has changed, and never else.
    println!("cargo:rerun-if-env-changed=BSP_COMMIT");
    println!("cargo:rerun-if-changed=../commit.rs");
    let given = env::var("BSP_COMMIT").ok().filter(|commit| !commit.is_empty());
    let commit = given.or_else(commit).unwrap_or_else(|| UNKNOWN.to_owned());
    println!("cargo:rustc-env=BSP_COMMIT={commit}");
    let profile = env::var("PROFILE").unwrap_or_default();
    let text = format!("commit: {commit}\nprofile: {profile}\nfeatures: {}", features());
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(folder.join("build.txt"), text).expect("the folder is for this script to write to");
}

/// The commit that is checked out.
fn commit() -> Option<String> {
    let root = fs::canonicalize("../..").ok()?;
    // A source archive may have been unpacked below a repository of somebody else.
    let top = fs::canonicalize(git(&root, &["rev-parse", "--show-toplevel"])?).ok()?;
    if top != root {
        return None;
    }
    // What changes with a commit or a checkout. A file that is not there would have cargo run this
    // each time.
    let branch = git(&root, &["symbolic-ref", "--quiet", "HEAD"]);
    let files = ["HEAD", "logs/HEAD", "packed-refs"].map(str::to_owned).into_iter().chain(branch);
    for file in files.filter_map(|name| git_file(&root, &name)) {
        println!("cargo:rerun-if-changed={}", file.display());
    }
    git(&root, &["rev-parse", "HEAD"])
}

/// A file of the repository's own, which a work tree of several may have elsewhere.
fn git_file(root: &Path, name: &str) -> Option<PathBuf> {
    let path = root.join(git(root, &["rev-parse", "--git-path", name])?);
    path.exists().then_some(path)
}

/// What git answers in one line. `None`: there is no git, no repository, or no such thing in it.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output().ok()?;
    let answer = String::from_utf8(output.stdout).ok()?;
    (output.status.success() && !answer.trim().is_empty()).then(|| answer.trim().to_owned())
}

fn features() -> String {
    let names = env::vars().filter_map(|(name, _)| {
        let feature = name.strip_prefix("CARGO_FEATURE_")?.to_ascii_lowercase().replace('_', "-");
        (feature != "default").then_some(feature)
    });
    let mut names: Vec<_> = names.collect();
    names.sort();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
