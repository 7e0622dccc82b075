//! What `bsp dev` shows: a line a block, a progress bar on a terminal, a summary at the end.

use super::{
    folder::DevFolder,
    producer::Made,
    progress::{Proved, Totals},
    services::ServiceArgs,
};
use crate::{output, stream::plain};
use bsp_devchain::Coverage;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use std::{
    fmt::Write,
    time::{Duration, Instant},
};

/// Characters of a CID or a proof's hash in a line.
const SHORT_LEN: usize = 16;

/// The bar goes to standard error, and only if that is a terminal; the lines go to standard output.
#[derive(Debug)]
pub(crate) struct Display {
    bar: ProgressBar,
    begun: Instant,
}

impl Display {
    pub(crate) fn start(blocks: Option<u64>) -> eyre::Result<Self> {
        let (bar, template) = match blocks {
            Some(blocks) => {
                (ProgressBar::new(blocks), "{bar:30} {pos} of {len} blocks, {per_sec}, {eta} left")
            }
            None => (ProgressBar::no_length(), "{spinner} {pos} blocks, {per_sec}, Ctrl-C ends"),
        };
        bar.set_style(ProgressStyle::with_template(template)?);
        output::print(
            format!(
                "{:>6}  {:<66}  {:>3}  {:>10}  {:<15}  {:>9}  {:>7}  {:<17}  proof\n",
                "block", "specimen hash", "txs", "gas", "reads a/s/c/b", "bytes", "ms", "CID"
            )
            .as_bytes(),
        )?;
        Ok(Self { bar, begun: Instant::now() })
    }

    /// Prints the line of a block that the agent is done with.
    pub(crate) fn block(&self, made: &Made, proved: &Proved) -> eyre::Result<()> {
        let [accounts, slots, codes, block_hashes] = made.rows;
        let line = format!(
            "{:>6}  {}  {:>3}  {:>10}  {:<15}  {:>9}  {:>7.1}  {}  {}{}\n",
            made.number,
            made.specimen_hash,
            made.transactions,
            made.gas_used,
            format!("{accounts}/{slots}/{codes}/{block_hashes}"),
            made.avro_bytes,
            millis(made.time),
            short(&made.cid),
            short(&proved.proof.to_string()),
            if proved.earlier { " (already proved)" } else { "" },
        );
        let printed = self.bar.suspend(|| output::print(line.as_bytes()));
        self.bar.inc(1);
        printed
    }

    /// Prints what an operator would be called for.
    pub(crate) fn alarm(&self, message: &str) {
        self.bar.suspend(|| eprintln!("bsp: alarm: {}", plain(message)));
    }

    /// Prints the summary.
    pub(crate) fn finish(
        &self,
        totals: &Totals,
        coverage: &Coverage,
        places: &Places<'_>,
    ) -> eyre::Result<()> {
        self.bar.finish_and_clear();
        let mut text = format!("\n{}\n{}\n", ways(totals, self.begun.elapsed()), sums(totals));
        if totals.with_authorizations > 0 {
            writeln!(
                text,
                "{} blocks have EIP-7702 authorization lists, which the network's format leaves out: they came beside the replicas, and are in {}",
                totals.with_authorizations,
                places.folder.authorizations().display()
            )?;
        }
        let unfinished = totals.made - totals.proved - totals.proved_earlier;
        if unfinished > 0 {
            writeln!(text, "{unfinished} blocks are not finished: another run goes on with them")?;
        }
        let ran = coverage.iter().filter(|(_, runs)| *runs > 0).count();
        writeln!(text, "{ran} of {} scenarios ran", coverage.iter().count())?;
        places.write(&mut text)?;
        output::print(text.as_bytes())
    }
}

/// Where everything is.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    pub(crate) folder: &'a DevFolder,
    pub(crate) services: &'a ServiceArgs,
}

impl Places<'_> {
    fn write(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "segments are in {}", self.folder.segments().display())?;
        let agent = self.folder.agent();
        if self.services.has_ledger() {
            writeln!(text, "proofs are in {}", agent.join("ledger.jsonl").display())?;
        }
        if self.services.has_local_pins() {
            writeln!(text, "pinned content is in {}", agent.join("pins").display())?;
        }
        Ok(())
    }
}

/// How far the blocks came.
fn ways(totals: &Totals, elapsed: Duration) -> String {
    let earlier = match totals.proved_earlier {
        0 => String::new(),
        count => format!(" ({count} already proved)"),
    };
    format!(
        "{} blocks made, {} delivered, {} proved{earlier}, {} re-executed from the stored AVRO, in {:.1} s",
        totals.made,
        totals.delivered,
        totals.proved,
        totals.executed,
        elapsed.as_secs_f64(),
    )
}

fn sums(totals: &Totals) -> String {
    let average = match u32::try_from(totals.made) {
        Ok(blocks @ 1..) => format!(", {:.1} ms to make a block", millis(totals.time / blocks)),
        _ => String::new(),
    };
    format!(
        "{} transactions, {} of segments{average}",
        totals.transactions,
        HumanBytes(totals.avro_bytes)
    )
}

/// The beginning of a text that is longer than a line has room for.
fn short(text: &str) -> String {
    let begin: String = text.chars().take(SHORT_LEN).collect();
    begin + "…"
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
