//! `bsp dead`: what the agent could not handle.

mod folder;

use crate::{output, stream};
use bsp_agent::{
    alarm::now_ms,
    source::redis::dead_letters::{DeadLetters, Letter},
};
use bsp_common::text::counted;
use bsp_stream::RedisUrl;
use clap::{Args, Subcommand};
use eyre::{ContextCompat, bail};
use folder::DeadFolder;
use std::{fmt::Write, path::PathBuf, process::ExitCode};

/// List, show, retry or drop what the agent could not handle.
///
/// An entry that can't be decoded, or that contradicts itself, goes to the dead letters with its
/// reason: into the stream TOPIC.dead, or into the folder `dead` under --data-dir where the agent
/// reads files, or where Redis was full or could not write. With --redis-url and --data-dir the
/// letters of both are listed, and the ids of both are taken.
#[derive(Debug, Args)]
pub(crate) struct DeadArgs {
    #[command(subcommand)]
    command: DeadCommand,
}

#[derive(Debug, Subcommand)]
enum DeadCommand {
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
    /// Put back into the stream, as new entries. A letter of a file:// source can't be put back.
    Retry(Chosen),
    /// Delete permanently.
    Drop(Chosen),
}

#[derive(Debug, Args)]
struct Place {
    #[command(flatten)]
    stream: stream::StreamArgs,

    /// The agent's data folder, for the letters that are there.
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

/// Where dead letters are: in a stream, in a folder, or in both.
struct Letters {
    folder: Option<DeadFolder>,
    url: Option<RedisUrl>,
    /// Connected when it is needed: what is in the folder can be had without.
    stream: Option<DeadLetters>,
}

impl Letters {
    fn open(place: &Place) -> eyre::Result<Self> {
        let folder = place.data_dir.as_deref().map(DeadFolder::open).transpose()?;
        let url = match (&place.stream.redis_url, &folder) {
            (None, Some(_)) => None,
            _ => Some(place.stream.url()?),
        };
        Ok(Self { folder, url, stream: None })
    }

    async fn stream(&mut self) -> eyre::Result<&mut DeadLetters> {
        if self.stream.is_none() {
            let url = self.url.as_ref().wrap_err("name the stream with --redis-url")?;
            self.stream = Some(DeadLetters::open(url, &bsp_stream::TlsFiles::from_env()).await?);
        }
        self.stream.as_mut().wrap_err("there is no connection")
    }

    /// The folder, if the letter is to be looked for there.
    fn folder_of(&self, id: &str) -> eyre::Result<Option<&DeadFolder>> {
        let Some(folder) = &self.folder else { return Ok(None) };
        Ok((self.url.is_none() || folder.has(id)?).then_some(folder))
    }

    fn in_folder(&self) -> eyre::Result<Vec<Letter>> {
        self.folder.as_ref().map_or_else(|| Ok(Vec::new()), DeadFolder::list)
    }

    async fn in_stream(&mut self) -> eyre::Result<Vec<Letter>> {
        match self.url {
            Some(_) => Ok(self.stream().await?.list().await?),
            None => Ok(Vec::new()),
        }
    }

    async fn show(&mut self, id: &str) -> eyre::Result<Letter> {
        if let Some(folder) = self.folder_of(id)? {
            return folder.show(id);
        }
        Ok(self.stream().await?.show(id).await?)
    }

    async fn retry(&mut self, id: &str) -> eyre::Result<()> {
        let Some(folder) = self.folder_of(id)? else {
            return Ok(self.stream().await?.retry(id).await?);
        };
        let letter = folder.show(id)?;
        let Some(topic) = folder.topic(id)? else {
            bail!(
                "files can't take an entry back: write the payload to a file with `bsp dead show ID --output FILE`, then \
                 drop the letter"
            )
        };
        let url = self.url.as_ref().wrap_err("name its stream with --redis-url")?;
        if url.topic != topic {
            bail!("dead letter {id} is of the stream {topic}: name that one with --redis-url");
        }
        self.stream().await?.add(&letter).await?;
        self.discard(id).await
    }

    async fn discard(&mut self, id: &str) -> eyre::Result<()> {
        if let Some(folder) = self.folder_of(id)? {
            return folder.discard(id);
        }
        Ok(self.stream().await?.discard(id).await?)
    }

    async fn chosen(&mut self, chosen: &Chosen) -> eyre::Result<Vec<String>> {
        if !chosen.all {
            return Ok(chosen.ids.clone());
        }
        let mut letters = self.in_folder()?;
        letters.extend(self.in_stream().await?);
        Ok(letters.into_iter().map(|letter| letter.id).collect())
    }
}

pub(crate) fn run(args: &DeadArgs) -> eyre::Result<ExitCode> {
    stream::run(async {
        match &args.command {
            DeadCommand::List { place, json } => list(place, *json).await,
            DeadCommand::Show { place, id, output, json } => {
                show(place, id, output.as_ref(), *json).await
            }
            DeadCommand::Retry(chosen) => retry(chosen).await,
            DeadCommand::Drop(chosen) => drop_letters(chosen).await,
        }
    })??;
    Ok(ExitCode::SUCCESS)
}

async fn list(place: &Place, json: bool) -> eyre::Result<()> {
    let mut all = Letters::open(place)?;
    let mut letters = all.in_folder()?;
    // What is in the folder is shown even if Redis does not answer.
    let in_stream = all.in_stream().await;
    let failure = match in_stream {
        Ok(more) => {
            letters.extend(more);
            None
        }
        Err(error) if letters.is_empty() => return Err(error),
        Err(error) => Some(error),
    };
    let mut text = String::new();
    if json {
        for letter in &letters {
            writeln!(text, "{}", serde_json::to_string(letter)?)?;
        }
        output::print(text.as_bytes())?;
        return failure.map_or(Ok(()), Err);
    }
    for letter in &letters {
        let (id, reason) = (stream::plain(&letter.id), stream::plain(&letter.reason));
        let age = stream::span(now_ms().saturating_sub(letter.time_ms));
        let bytes = letter.bytes.map_or_else(|| "no payload".to_owned(), bytes_of);
        writeln!(text, "{id}  {age} ago  {bytes}  {reason}")?;
    }
    let place = if failure.is_some() { " in the data folder" } else { "" };
    writeln!(text, "{}{place}", counted(letters.len() as u64, "dead letter"))?;
    output::print(text.as_bytes())?;
    failure.map_or(Ok(()), Err)
}

fn bytes_of(count: usize) -> String {
    counted(count as u64, "byte")
}

async fn show(place: &Place, id: &str, output: Option<&PathBuf>, json: bool) -> eyre::Result<()> {
    let letter = Letters::open(place)?.show(id).await?;
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
    let bytes = letter.bytes.map_or_else(|| "none".to_owned(), bytes_of);
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
    let mut letters = Letters::open(&chosen.place)?;
    for id in letters.chosen(chosen).await? {
        letters.retry(&id).await?;
        output::print(format!("{id} is in the stream again\n").as_bytes())?;
    }
    Ok(())
}

async fn drop_letters(chosen: &Chosen) -> eyre::Result<()> {
    let mut letters = Letters::open(&chosen.place)?;
    for id in letters.chosen(chosen).await? {
        letters.discard(&id).await?;
        output::print(format!("{id} is deleted\n").as_bytes())?;
    }
    Ok(())
}
