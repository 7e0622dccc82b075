//! `bsp journal`: what an agent has done with each block.

mod forget;

use crate::{
    agent_http,
    output::{self, EXIT_FAILED},
    stream::{self, plain},
};
use bsp_agent::{
    alarm::Alarms,
    journal::{BlockQuery, Journal, JournalError},
};
use bsp_common::text::counted;
use clap::{Args, Subcommand};
use eyre::{WrapErr, bail};
use serde_json::Value;
use std::{
    io::{self, BufWriter, ErrorKind, StdoutLock, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Print what an agent has done with each block.
///
/// It comes from the journal in the agent's data folder, which a running agent has to itself. So
/// beside a running agent name the blocks with --block: the agent answers through its HTTP server
/// (--metrics).
///
/// Exits with 1 if a block that --block names is not recorded.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct JournalArgs {
    #[command(subcommand)]
    command: Option<JournalCommand>,
    #[command(flatten)]
    folder: FolderArgs,
    /// Only this block, or these: heights, or block hashes with 0x.
    #[arg(long, value_name = "BLOCK|HASH", num_args = 1..)]
    block: Vec<BlockQuery>,
    /// Ask the agent at this URL, instead of its data folder. Without it, a running agent is asked
    /// at http://127.0.0.1:6061.
    #[arg(long, value_name = "URL", requires = "block")]
    agent_url: Option<String>,
    /// Only blocks that are not finished.
    #[arg(long)]
    unfinished: bool,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum JournalCommand {
    Forget(forget::ForgetArgs),
}

/// Whose journal.
#[derive(Debug, Args)]
struct FolderArgs {
    /// The agent's data folder.
    #[arg(long, value_name = "DIR", default_value = "./bsp-agent-data")]
    data_dir: PathBuf,
}

pub(crate) fn run(args: &JournalArgs) -> eyre::Result<ExitCode> {
    match &args.command {
        Some(JournalCommand::Forget(forget)) => forget::run(forget),
        None => print(args),
    }
}

/// Opens a journal that is there; `None` if an agent has it open.
pub(crate) fn open(data_dir: &Path) -> eyre::Result<Option<Journal>> {
    let path = data_dir.join("journal.redb");
    eyre::ensure!(path.is_file(), "{} is not there: name an agent's --data-dir", path.display());
    match Journal::open(&path, Alarms::default()) {
        Ok(journal) => Ok(Some(journal)),
        Err(JournalError::InUse { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn in_use(data_dir: &Path) -> String {
    format!("{} is in use by a running agent", data_dir.join("journal.redb").display())
}

fn print(args: &JournalArgs) -> eyre::Result<ExitCode> {
    let mut printer = Printer::new(args);
    let printed = match &args.agent_url {
        Some(url) => printer.all(&ask(url, &args.block)?),
        None => look(args, &mut printer)?,
    };
    match printed.and_then(|()| printer.out.flush()) {
        // A reader that has gone away (`bsp journal | head`) has seen enough.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            return Err(error).wrap_err("cannot write to standard output");
        }
        _ => {}
    }
    let unknown = printer.unknown();
    if unknown.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    output::complain(&format!("not in the journal: block {}", unknown.join(", ")));
    Ok(ExitCode::from(EXIT_FAILED))
}

/// Prints the records in the data folder, or, while an agent runs there, those that it is asked
/// for.
fn look(args: &JournalArgs, printer: &mut Printer<'_>) -> eyre::Result<io::Result<()>> {
    let data_dir = &args.folder.data_dir;
    let Some(journal) = open(data_dir)? else {
        if args.block.is_empty() {
            bail!(
                "{}: name the blocks with --block to ask the agent about them, or stop the agent first to see all",
                in_use(data_dir)
            );
        }
        let asked = ask(agent_http::DEFAULT_URL, &args.block).wrap_err_with(|| {
            format!(
                "{}, and can't be asked: start it with --metrics and name its HTTP server with --agent-url, or stop the \
                 agent first",
                in_use(data_dir)
            )
        })?;
        return Ok(printer.all(&asked));
    };
    let mut records = Vec::new();
    if args.block.is_empty() {
        journal.for_each(|record| {
            if !args.unfinished || !record.stage.is_final() {
                records.push(record);
            }
        })?;
        records.sort_by_key(|record| {
            (record.block.network_id, record.block.number, record.block.hash)
        });
    }
    for wanted in &args.block {
        records.extend(journal.find(*wanted)?);
    }
    Ok(records.iter().try_for_each(|record| printer.one(&serde_json::to_value(record)?)))
}

/// What a running agent has recorded of blocks.
fn ask(url: &str, blocks: &[BlockQuery]) -> eyre::Result<Vec<Value>> {
    stream::run(async {
        let mut records = Vec::new();
        for block in blocks {
            match agent_http::get(url, &format!("blocks/{block}")).await? {
                Value::Array(found) => records.extend(found),
                _ => bail!("the agent does not answer with a list of records: is it an older one?"),
            }
        }
        Ok(records)
    })?
}

/// Writes records as they come, and notes which of the wanted blocks there were.
struct Printer<'a> {
    args: &'a JournalArgs,
    known: Vec<bool>,
    out: BufWriter<StdoutLock<'static>>,
}

impl<'a> Printer<'a> {
    fn new(args: &'a JournalArgs) -> Self {
        let known = vec![false; args.block.len()];
        Self { args, known, out: BufWriter::new(io::stdout().lock()) }
    }

    fn all(&mut self, records: &[Value]) -> io::Result<()> {
        records.iter().try_for_each(|record| self.one(record))
    }

    fn one(&mut self, record: &Value) -> io::Result<()> {
        for (known, wanted) in self.known.iter_mut().zip(&self.args.block) {
            *known |= is_of(*wanted, record);
        }
        match (self.args.unfinished && is_final(record), self.args.json) {
            (true, _) => Ok(()),
            (false, true) => writeln!(self.out, "{record}"),
            (false, false) => writeln!(self.out, "{}", plain(&line(record))),
        }
    }

    fn unknown(&self) -> Vec<String> {
        let blocks = self.args.block.iter().zip(&self.known);
        blocks.filter(|(_, known)| !**known).map(|(block, _)| block.to_string()).collect()
    }
}

fn is_of(wanted: BlockQuery, record: &Value) -> bool {
    match wanted {
        BlockQuery::Height(number) => record.pointer("/block/number") == Some(&number.into()),
        BlockQuery::Hash(hash) => record.pointer("/block/hash") == Some(&hash.to_string().into()),
    }
}

fn is_final(record: &Value) -> bool {
    match record.pointer("/stage/stage").and_then(Value::as_str) {
        Some("acknowledged") => true,
        Some("skipped" | "refused") => {
            record.pointer("/stage/acknowledged") == Some(&Value::Bool(true))
        }
        _ => false,
    }
}

/// A record on one line: its stage, block and kind, and what matters at that stage.
fn line(record: &Value) -> String {
    let text = |path| record.pointer(path).and_then(Value::as_str).unwrap_or("?");
    let number = |path| record.pointer(path).map_or_else(|| "?".to_owned(), Value::to_string);
    let detail = match text("/stage/stage") {
        "acknowledged" | "proof_confirmed" => format!("proof {}", text("/stage/proof/id")),
        "proof_sent" => {
            let attempts = record.pointer("/stage/attempts").and_then(Value::as_array);
            counted(attempts.map_or(0, Vec::len) as u64, "attempt")
        }
        "skipped" | "refused" => text("/stage/reason").to_owned(),
        _ => String::new(),
    };
    let (chain, height) = (number("/block/network_id"), number("/block/number"));
    let (stage, hash, kind) = (text("/stage/stage"), text("/block/hash"), text("/kind"));
    format!("{stage:<15} {chain}-{height} {hash} {kind} {detail}").trim_end().to_owned()
}
