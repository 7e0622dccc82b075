//! What `bsp dev` shows: a line a block, a progress bar on a terminal, a summary at the end.

use super::pipeline::{Made, Totals};
use crate::output;
use bsp_devchain::Coverage;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use std::{
    fmt::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// The bar goes to standard error, and only if that is a terminal; the lines go to standard output.
#[derive(Debug)]
pub(crate) struct Display {
    bar: ProgressBar,
    folder: PathBuf,
    begun: Instant,
}

impl Display {
    pub(crate) fn start(blocks: Option<u64>, folder: &Path) -> eyre::Result<Self> {
        let (bar, template) = match blocks {
            Some(blocks) => {
                (ProgressBar::new(blocks), "{bar:30} {pos} of {len} blocks, {per_sec}, {eta} left")
            }
            None => (ProgressBar::no_length(), "{spinner} {pos} blocks, {per_sec}, Ctrl-C ends"),
        };
        bar.set_style(ProgressStyle::with_template(template)?);
        output::print(
            format!(
                "{:>6}  {:<66}  {:>3}  {:>10}  {:<15}  {:>9}  {:>7}  CID\n",
                "block", "specimen hash", "txs", "gas", "reads a/s/c/b", "bytes", "ms"
            )
            .as_bytes(),
        )?;
        Ok(Self { bar, folder: folder.to_owned(), begun: Instant::now() })
    }

    /// Prints a block's line.
    pub(crate) fn block(&self, made: &Made) -> eyre::Result<()> {
        let [accounts, slots, codes, block_hashes] = made.rows;
        let line = format!(
            "{:>6}  {}  {:>3}  {:>10}  {:<15}  {:>9}  {:>7.1}  {}\n",
            made.number,
            made.specimen_hash,
            made.transactions,
            made.gas_used,
            format!("{accounts}/{slots}/{codes}/{block_hashes}"),
            made.avro_bytes,
            millis(made.time),
            made.cid,
        );
        let printed = self.bar.suspend(|| output::print(line.as_bytes()));
        self.bar.inc(1);
        printed
    }

    /// Prints the summary.
    pub(crate) fn finish(&self, totals: &Totals, coverage: &Coverage) -> eyre::Result<()> {
        self.bar.finish_and_clear();
        let mut text = String::new();
        writeln!(text, "\n{}", sums(totals, self.begun.elapsed()))?;
        if totals.blocks > 0 {
            writeln!(text, "every segment was re-executed from its own bytes, all checks ok")?;
        }
        if totals.with_authorizations > 0 {
            writeln!(
                text,
                "{} blocks needed their EIP-7702 authorization lists for that, which the network's format leaves out; they are in {}",
                totals.with_authorizations,
                self.folder.join("authorizations").display()
            )?;
        }
        let ran = coverage.iter().filter(|(_, runs)| *runs > 0).count();
        writeln!(text, "{ran} of {} scenarios ran", coverage.iter().count())?;
        writeln!(text, "segments are in {}", self.folder.join("segments").display())?;
        output::print(text.as_bytes())
    }
}

fn sums(totals: &Totals, elapsed: Duration) -> String {
    let average = match u32::try_from(totals.blocks) {
        Ok(blocks @ 1..) => format!(", {:.1} ms a block", millis(totals.time / blocks)),
        _ => String::new(),
    };
    format!(
        "{} blocks, {} transactions, {} of segments in {:.1} s{average}",
        totals.blocks,
        totals.transactions,
        HumanBytes(totals.avro_bytes),
        elapsed.as_secs_f64(),
    )
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
