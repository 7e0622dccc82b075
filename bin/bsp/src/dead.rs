//! `bsp dead`: what the agent could not handle.

mod folder;

use crate::{output, stream};
use bsp_agent::{
    alarm::now_ms,
    source::redis::{
        ca_file_from_env,
        dead::{DeadLetters, Letter},
    },
};
use clap::{Args, Subcommand};
use eyre::bail;
use folder::DeadFolder;
use std::{fmt::Write, path::PathBuf, process::ExitCode};

/// List, show, retry or drop what the agent could not handle.
///
/// An entry that can't be decoded, or that contradicts itself, goes to the dead letters with its reason: into the stream
/// TOPIC.dead, or into the folder `dead` under --data-dir where the agent reads files.
#[derive(Debug, Args)]
pub(crate) struct DeadArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List all, the oldest first.
    List {
        #[command(flatten)]
        place: Place,
        /// Print a JSON object for each, one a line.
        #[arg(long)]
        json: bool,
    },
    /// Show one, and write its payload to a file.
    Show {
        #[command(flatten)]
        place: Place,
        /// Its id, from `bsp dead list`.
        id: String,
        /// Where to write the payload, for `bsp inspect` and `bsp verify`; `-` for standard output.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Print a JSON object.
        #[arg(long, conflicts_with = "output")]
        json: bool,
    },
    /// Put back into the stream, as new entries.
    Retry(Chosen),
    /// Delete for good.
    Drop(Chosen),
}

#[derive(Debug, Args)]
struct Place {
    #[command(flatten)]
    stream: stream::StreamArgs,

    /// The data folder of an agent that reads files, in place of a stream.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Chosen {
    #[command(flatten)]
    place: Place,

    /// Their ids, from `bsp dead list`.
    #[arg(required_unless_present = "all")]
    ids: Vec<String>,

    /// All there are.
    #[arg(long, conflicts_with = "ids")]
    all: bool,
}

/// Where dead letters are.
enum Letters {
    Stream(Box<DeadLetters>),
    Folder(DeadFolder),
}

impl Letters {
    async fn open(place: &Place) -> eyre::Result<Self> {
        if let Some(data_dir) = &place.data_dir {
            return Ok(Self::Folder(DeadFolder::open(data_dir)?));
        }
        let letters =
            DeadLetters::open(&place.stream.url()?, ca_file_from_env().as_deref()).await?;
        Ok(Self::Stream(Box::new(letters)))
    }

    async fn list(&mut self) -> eyre::Result<Vec<Letter>> {
        match self {
            Self::Stream(letters) => Ok(letters.list().await?),
            Self::Folder(folder) => folder.list(),
        }
    }

    async fn show(&mut self, id: &str) -> eyre::Result<Letter> {
        match self {
            Self::Stream(letters) => Ok(letters.show(id).await?),
            Self::Folder(folder) => folder.show(id),
        }
    }

    async fn retry(&mut self, id: &str) -> eyre::Result<()> {
        match self {
            Self::Stream(letters) => Ok(letters.retry(id).await?),
            Self::Folder(_) => bail!(
                "files can't take an entry back: write the payload to a file with `bsp dead show ID --output FILE`, then \
                 drop the letter"
            ),
        }
    }

    async fn discard(&mut self, id: &str) -> eyre::Result<()> {
        match self {
            Self::Stream(letters) => Ok(letters.discard(id).await?),
            Self::Folder(folder) => folder.discard(id),
        }
    }

    async fn chosen(&mut self, chosen: &Chosen) -> eyre::Result<Vec<String>> {
        if !chosen.all {
            return Ok(chosen.ids.clone());
        }
        Ok(self.list().await?.into_iter().map(|letter| letter.id).collect())
    }
}

pub(crate) fn run(args: &DeadArgs) -> eyre::Result<ExitCode> {
    stream::run(async {
        match &args.command {
            Command::List { place, json } => list(place, *json).await,
            Command::Show { place, id, output, json } => {
                show(place, id, output.as_ref(), *json).await
            }
            Command::Retry(chosen) => retry(chosen).await,
            Command::Drop(chosen) => drop_letters(chosen).await,
        }
    })??;
    Ok(ExitCode::SUCCESS)
}

async fn list(place: &Place, json: bool) -> eyre::Result<()> {
    let letters = Letters::open(place).await?.list().await?;
    let mut text = String::new();
    if json {
        for letter in &letters {
            writeln!(text, "{}", serde_json::to_string(letter)?)?;
        }
        return output::print(text.as_bytes());
    }
    for letter in &letters {
        let (id, reason) = (stream::plain(&letter.id), stream::plain(&letter.reason));
        let age = stream::span(now_ms().saturating_sub(letter.time_ms));
        let bytes = letter.bytes.map_or_else(|| "none".to_owned(), |bytes| bytes.to_string());
        writeln!(text, "{id}  {age} ago  {bytes} bytes  {reason}")?;
    }
    writeln!(text, "{} dead letters", letters.len())?;
    output::print(text.as_bytes())
}

async fn show(place: &Place, id: &str, output: Option<&PathBuf>, json: bool) -> eyre::Result<()> {
    let letter = Letters::open(place).await?.show(id).await?;
    if json {
        return output::print(format!("{}\n", serde_json::to_string(&letter)?).as_bytes());
    }
    if let Some(path) = output {
        let Some(payload) = &letter.payload else { bail!("dead letter {id} has no payload") };
        return match path.as_os_str() == "-" {
            true => output::print(payload),
            false => output::write_file(path, payload),
        };
    }
    let bytes = letter.bytes.map_or_else(|| "none".to_owned(), |bytes| format!("{bytes} bytes"));
    let text = format!(
        "id       {}\nentry    {}\nhash     {}\npayload  {bytes}\ngroup    {}\nburied   {} ago\nreason   {}\n",
        stream::plain(&letter.id),
        stream::plain(&letter.entry),
        letter.hash.as_deref().map_or_else(|| "none".to_owned(), stream::plain),
        stream::plain(&letter.group),
        stream::span(now_ms().saturating_sub(letter.time_ms)),
        stream::plain(&letter.reason),
    );
    output::print(text.as_bytes())
}

async fn retry(chosen: &Chosen) -> eyre::Result<()> {
    let mut letters = Letters::open(&chosen.place).await?;
    for id in letters.chosen(chosen).await? {
        letters.retry(&id).await?;
        output::print(format!("{id} is in the stream again\n").as_bytes())?;
    }
    Ok(())
}

async fn drop_letters(chosen: &Chosen) -> eyre::Result<()> {
    let mut letters = Letters::open(&chosen.place).await?;
    for id in letters.chosen(chosen).await? {
        letters.discard(&id).await?;
        output::print(format!("{id} is deleted\n").as_bytes())?;
    }
    Ok(())
}
