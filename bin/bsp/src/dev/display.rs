//! What `bsp dev` shows: a line a block, a progress bar on a terminal, a summary at the end.

use super::{
    folder::DevFolder,
    producer::Made,
    progress::{Proved, Totals},
    services::ServiceArgs,
};
use crate::{
    output,
    stream::plain,
    words::{columns, head, tail, wrapped},
};
use bsp_common::text::counted;
use bsp_devchain::Coverage;
use indicatif::{HumanBytes, ProgressBar, ProgressState, ProgressStyle};
use std::{
    fmt::Write,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// The columns of a terminal that are a row's without its CID and its proof.
const FIXED_COLUMNS: usize = 56;
/// The characters of a segment's CID.
const CID_LEN: usize = 59;
/// The fewest columns of a CID: enough of its end to tell it from others.
const MIN_CID: usize = 10;
/// The columns of a proof at the least: its beginning, by which its segment's file is found.
const MIN_PROOF: usize = 14;
/// What is shown of a proof that an earlier run has made.
const EARLIER: &str = "already proved";

/// The bar goes to standard error, and only if that is a terminal; the lines go to standard output.
#[derive(Debug)]
pub(crate) struct Display {
    bar: ProgressBar,
    begun: Instant,
}

impl Display {
    pub(crate) fn start(blocks: Option<u64>) -> eyre::Result<Self> {
        let (bar, template) = match blocks {
            Some(blocks) => (
                ProgressBar::new(blocks),
                "{bar:20} {pos} of {len} blocks, {rate}, {eta} left{msg}",
            ),
            None => (ProgressBar::no_length(), "{spinner} {pos} blocks, {rate}{msg}"),
        };
        let rate = |state: &ProgressState, text: &mut dyn Write| {
            let _ = write!(text, "{:.1} a second", state.per_sec());
        };
        bar.set_style(ProgressStyle::with_template(template)?.with_key("rate", rate));
        if blocks.is_none() {
            bar.set_message(", Ctrl-C ends");
        }
        output::print(row(HEADING, columns()).as_bytes())?;
        Ok(Self { bar, begun: Instant::now() })
    }

    /// Prints the line of a block that the agent is done with.
    pub(crate) fn block(&self, made: &Made, proved: &Proved) -> eyre::Result<()> {
        let [accounts, slots, codes, block_hashes] = made.rows;
        let columns = columns();
        let proof = match (proved.earlier, columns) {
            (false, _) => proved.proof.to_string(),
            (true, Some(_)) => EARLIER.to_owned(),
            (true, None) => format!("{} ({EARLIER})", proved.proof),
        };
        let line = row(
            [
                &made.number.to_string(),
                &made.transactions.to_string(),
                &made.gas_used.to_string(),
                &format!("{accounts}/{slots}/{codes}/{block_hashes}"),
                &made.avro_bytes.to_string(),
                &format!("{:.1}", millis(made.time)),
                &made.cid,
                &proof,
            ],
            columns,
        );
        let printed = self.bar.suspend(|| output::print(line.as_bytes()));
        self.bar.inc(1);
        printed
    }

    /// Says what the end of the run waits for.
    pub(crate) fn waits(&self, blocks: usize, grace: Duration) {
        let (what, seconds) = (counted(blocks as u64, "block"), grace.as_secs());
        self.bar.set_message(format!(", waiting for {what}"));
        self.bar.suspend(|| {
            output::complain(&format!(
                "waiting up to {seconds} s for {what} in flight; another Ctrl-C ends at once"
            ));
        });
    }

    /// Prints what an operator would be called for.
    pub(crate) fn alarm(&self, message: &str) {
        self.bar.suspend(|| output::complain(&format!("alarm: {}", plain(message))));
    }

    /// Prints the summary.
    pub(crate) fn finish(
        &self,
        totals: &Totals,
        coverage: &Coverage,
        places: &Places<'_>,
    ) -> eyre::Result<()> {
        self.bar.finish_and_clear();
        let mut text = "\n".to_owned();
        for line in summary(totals, coverage, self.begun.elapsed(), places) {
            text += &wrapped("", &line, columns());
        }
        // In one line, to be copied.
        text += &places.fetching(totals).unwrap_or_default();
        output::print(text.as_bytes())
    }
}

/// Where everything is.
#[derive(Debug)]
pub(crate) struct Places<'a> {
    pub(crate) folder: &'a DevFolder,
    pub(crate) services: &'a ServiceArgs,
    /// Where pinned segments can be fetched from now on.
    pub(crate) served: Option<SocketAddr>,
}

impl Places<'_> {
    /// How to fetch the latest segment, while they are served.
    fn fetching(&self, totals: &Totals) -> Option<String> {
        let (address, cid) = (self.served?, totals.last_cid.as_ref()?);
        Some(format!(
            "the segments are served until Ctrl-C, the last one by\n  curl -o segment http://{address}/ipfs/{cid}\n"
        ))
    }

    /// Where the files of these blocks are, and their proofs.
    fn lines(&self, totals: &Totals) -> Vec<String> {
        let mut lines = vec![format!("segments are in {}", self.folder.segments().display())];
        let agent = self.folder.agent();
        let are_proved = totals.proved + totals.proved_earlier > 0;
        match self.services.contract_address() {
            Some(contract) if are_proved => {
                lines.push(format!("proofs are on the proof chain, at the contract {contract}"));
            }
            None if are_proved => {
                lines.push(format!("proofs are in {}", agent.join("ledger.jsonl").display()));
            }
            _ => {}
        }
        if self.services.has_local_pins() {
            lines.push(format!("pinned content is in {}", agent.join("pins").display()));
        }
        lines
    }
}

/// The lines at the end of a run.
fn summary(
    totals: &Totals,
    coverage: &Coverage,
    elapsed: Duration,
    places: &Places<'_>,
) -> Vec<String> {
    let mut lines = vec![ways(totals), sums(totals, elapsed)];
    if totals.with_authorizations > 0 {
        let (blocks, have) = match totals.with_authorizations {
            1 => ("1 block".to_owned(), "has"),
            count => (format!("{count} blocks"), "have"),
        };
        lines.push(format!(
            "{blocks} {have} EIP-7702 authorization lists, which the network's format leaves out: the lists came beside the \
             replicas, and are in {}",
            places.folder.authorizations().display()
        ));
    }
    match totals.made - totals.proved - totals.proved_earlier {
        0 => {}
        1 => lines.push("1 block is not finished: another run continues it".to_owned()),
        count => lines.push(format!("{count} blocks are not finished: another run continues them")),
    }
    let ran = coverage.iter().filter(|(_, runs)| *runs > 0).count();
    lines.push(format!("{ran} of {} scenarios ran", coverage.iter().count()));
    lines.extend(places.lines(totals));
    lines
}

/// How far the blocks came.
fn ways(totals: &Totals) -> String {
    let earlier = match totals.proved_earlier {
        0 => String::new(),
        count => format!(" ({count} already proved)"),
    };
    format!(
        "{} made, {} delivered, {} proved{earlier}, {} re-executed from the stored AVRO",
        counted(totals.made, "block"),
        totals.delivered,
        totals.proved,
        totals.executed,
    )
}

fn sums(totals: &Totals, elapsed: Duration) -> String {
    let average = match u32::try_from(totals.made) {
        Ok(blocks @ 1..) => format!(", {:.1} ms to make a block", millis(totals.time / blocks)),
        _ => String::new(),
    };
    format!(
        "{}, {} of segments{average}, {:.1} s in all",
        counted(totals.transactions, "transaction"),
        HumanBytes(totals.avro_bytes),
        elapsed.as_secs_f64(),
    )
}

const HEADING: [&str; 8] = ["block", "txs", "gas", "reads a/s/c/b", "bytes", "ms", "CID", "proof"];

/// A line with these fields. On a terminal CID and proof are cut to what is left of its columns;
/// elsewhere they are whole.
fn row(fields: [&str; 8], columns: Option<usize>) -> String {
    let [block, txs, gas, reads, bytes, ms, cid, proof] = fields;
    let (cid_columns, proof_columns) = match columns {
        Some(columns) => share(columns.saturating_sub(FIXED_COLUMNS)),
        None => (CID_LEN, usize::MAX),
    };
    let (cid, proof) = (tail(cid, cid_columns), head(proof, proof_columns));
    format!(
        "{block:>5}  {txs:>3}  {gas:>9}  {reads:<13}  {bytes:>6}  {ms:>6}  {cid:<cid_columns$}  {proof}\n"
    )
}

/// The columns of a CID and of a proof. What is left over goes to the CID first.
fn share(columns: usize) -> (usize, usize) {
    let cid = columns.saturating_sub(MIN_PROOF).clamp(MIN_CID, CID_LEN);
    (cid, columns.saturating_sub(cid).max(MIN_PROOF))
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const CID: &str = "bafkreidyn4b6jofxdkuhjqh4lbc3xbyx2tzqvhuiuh5hd6q3scjm7bh4hi";

    fn shown(proof: &str, columns: Option<usize>) -> String {
        row(["50", "12", "43424016", "14/11/7/0", "14749", "1202.4", CID, proof], columns)
    }

    #[test]
    fn a_row_fits_the_terminal_and_is_whole_elsewhere() {
        let proof = format!("0x{}", "ab".repeat(32));
        assert_eq!(CID.len(), CID_LEN);
        for columns in [80, 81, 120, 180, 400] {
            for line in [shown(&proof, Some(columns)), row(HEADING, Some(columns))] {
                assert!(line.trim_end().chars().count() <= columns, "{columns}: {line}");
            }
        }
        let narrow = shown(&proof, Some(80));
        assert!(narrow.contains("  …cjm7bh4hi  0xabababababa…\n"), "{narrow}");
        assert!(shown(EARLIER, Some(80)).ends_with("  already proved\n"));
        for columns in [None, Some(400)] {
            assert!(shown(&proof, columns).ends_with(&format!("  {CID}  {proof}\n")));
        }
    }

    #[test]
    fn a_terminal_that_is_too_narrow_still_gets_a_row() {
        assert!(shown("0x12", Some(0)).ends_with("  0x12\n"));
    }
}
