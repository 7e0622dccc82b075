//! Tables of a program's flags in its documentation: made of what clap knows, and compared with
//! what the document has.
//!
//! The node's workspace uses this file too, by its path.

use clap::{Arg, ArgAction, Command};
use std::{env, fs, path::Path};

/// The name of the markers around a table of flags.
const FLAGS: &str = "flags";

/// With this variable set to 1, documents are written instead of compared.
const UPDATE: &str = "UPDATE_DOCS";

/// Asserts that a document has the table between its two markers. With `UPDATE_DOCS=1` it is
/// written there.
///
/// # Panics
///
/// Where the table is another one, there are no markers, or the document can't be read or written.
#[track_caller]
pub fn check(document: &Path, table: &str) {
    check_marked(document, FLAGS, table);
}

/// As [`check`], for what is between the markers `<!-- NAME:begin -->` and `<!-- NAME:end -->`.
///
/// # Panics
///
/// As [`check`].
#[track_caller]
pub fn check_marked(document: &Path, name: &str, table: &str) {
    let is_update = env::var(UPDATE).is_ok_and(|value| value == "1");
    compare_or_write(document, name, table, is_update);
}

#[track_caller]
fn compare_or_write(document: &Path, name: &str, table: &str, is_update: bool) {
    let (begin, end) = (format!("<!-- {name}:begin -->\n"), format!("<!-- {name}:end -->\n"));
    let shown = document.display();
    let text = fs::read_to_string(document).unwrap_or_else(|error| panic!("{shown}: {error}"));
    let parts = text.split_once(&begin).and_then(|(before, rest)| {
        let (there, after) = rest.split_once(&end)?;
        Some((before, there, after))
    });
    let Some((before, there, after)) = parts else {
        panic!("{shown} has no lines {} and {}", begin.trim(), end.trim());
    };
    if is_update {
        let written = fs::write(document, format!("{before}{begin}{table}{end}{after}"));
        written.unwrap_or_else(|error| panic!("{shown}: {error}"));
        return;
    }
    assert_eq!(
        there, table,
        "{shown} does not have the {name} as they are: {UPDATE}=1 writes them"
    );
}

/// The table of all flags of a command that are not hidden, in the order in which the help has
/// them.
///
/// Nothing comes from the environment but the names of variables: their values may be secret.
pub fn table(mut command: Command) -> String {
    command.build();
    let head = "| flag | environment | default | meaning |\n|---|---|---|---|\n".to_owned();
    let of_its_own = |arg: &&Arg| !arg.is_hide_set() && !is_claps(arg);
    let flags = command.get_arguments().filter(of_its_own);
    flags.filter_map(row).fold(head, |table, row| table + &row)
}

/// Every command has these.
fn is_claps(arg: &Arg) -> bool {
    matches!(
        arg.get_action(),
        ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
    )
}

/// `None`: what is not a flag, but stands alone.
fn row(arg: &Arg) -> Option<String> {
    let flag = arg.get_long()?;
    let variable = arg.get_env().map(|name| code(&name.to_string_lossy())).unwrap_or_default();
    let cells = [code(&format!("--{flag}")), variable, default_of(arg), meaning(arg)];
    let cells = cells.map(|cell| cell.replace('|', "\\|"));
    // An empty cell is one blank wide.
    let cells = cells.map(|cell| if cell.is_empty() { cell } else { format!(" {cell}") });
    Some(format!("|{} |\n", cells.join(" |")))
}

/// The flag's default, or what its help says in place of one: `[default: …]` at the end.
fn default_of(arg: &Arg) -> String {
    let values: Vec<_> = arg.get_default_values().iter().map(|it| it.to_string_lossy()).collect();
    match values.join(",").as_str() {
        "" => {}
        "false" => return "off".to_owned(),
        values => return code(values),
    }
    match told_default(&help(arg)) {
        Some(told) if told.contains(' ') => told.to_owned(),
        Some(told) => code(told),
        None => String::new(),
    }
}

fn told_default(help: &str) -> Option<&str> {
    let (_, rest) = help.rsplit_once("[default: ")?;
    Some(rest.split_once(']')?.0)
}

/// The first sentence of the help, and what there is to choose from.
fn meaning(arg: &Arg) -> String {
    let help = help(arg);
    let help = help.split(" [default: ").next().unwrap_or_default();
    let sentence = help.split(". ").next().unwrap_or_default().trim_end_matches('.');
    let values = arg.get_possible_values();
    let names: Vec<_> = values
        .iter()
        .filter(|value| !value.is_hide_set())
        .map(|value| code(value.get_name()))
        .collect();
    match names.split_last() {
        Some((last, others)) if !others.is_empty() && !arg.is_hide_possible_values_set() => {
            format!("{sentence}: {} or {last}", others.join(", "))
        }
        _ => sentence.to_owned(),
    }
}

/// All of the help in one line, as the long form has it.
fn help(arg: &Arg) -> String {
    let help = arg.get_long_help().or_else(|| arg.get_help());
    let text = help.map(ToString::to_string).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "<!-- flags:begin -->\n";
    const END: &str = "<!-- flags:end -->\n";
    use clap::builder::PossibleValuesParser;

    fn command() -> Command {
        Command::new("program")
            .arg(Arg::new("file").help("Not a flag."))
            .arg(Arg::new("gone").long("gone").hide(true))
            .arg(
                Arg::new("url")
                    .long("url")
                    .env("TEST_URL")
                    .help("Where to: a|b. And more.\n\n[default: next door]"),
            )
            .arg(Arg::new("on").long("on").action(ArgAction::SetTrue).help("Turn it on"))
            .arg(
                Arg::new("how")
                    .long("how")
                    .value_parser(PossibleValuesParser::new(["fast", "slow"]))
                    .default_value("slow")
                    .help("How"),
            )
    }

    const TABLE: &str = "\
        | flag | environment | default | meaning |\n\
        |---|---|---|---|\n\
        | `--url` | `TEST_URL` | next door | Where to: a\\|b |\n\
        | `--on` | | off | Turn it on |\n\
        | `--how` | | `slow` | How: `fast` or `slow` |\n";

    #[test]
    fn a_table_has_every_flag_that_is_shown() {
        assert_eq!(table(command()), TABLE);
    }

    #[test]
    fn a_document_with_the_table_passes_and_another_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let document = folder.path().join("DOC.md");
        fs::write(&document, format!("before\n{BEGIN}{TABLE}{END}after\n")).unwrap();
        compare_or_write(&document, FLAGS, TABLE, false);
        for wrong in [format!("{BEGIN}| old |\n{END}"), TABLE.to_owned()] {
            fs::write(&document, wrong).unwrap();
            let checked =
                std::panic::catch_unwind(|| compare_or_write(&document, FLAGS, TABLE, false));
            assert!(checked.is_err());
        }
    }

    #[test]
    fn an_update_writes_the_table_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let document = folder.path().join("DOC.md");
        fs::write(&document, format!("before\n{BEGIN}| old |\n{END}after\n")).unwrap();
        compare_or_write(&document, FLAGS, TABLE, true);
        let written = fs::read_to_string(&document).unwrap();
        assert_eq!(written, format!("before\n{BEGIN}{TABLE}{END}after\n"));
    }
}
