//! The arguments of a command.

use super::super::{content_id, problem::Problem};
use bsp_codec::dag::Cid;

/// The most CIDs of one command.
const MAX_CIDS: usize = 1024;

/// What stands in the query.
#[derive(Debug)]
pub(super) struct Args {
    pairs: Vec<(String, String)>,
}

impl Args {
    pub(super) fn of(query: Option<&str>) -> Self {
        let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self { pairs: pairs.into_owned().collect() }
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, Problem> {
        match self.text(name) {
            None => Ok(default),
            Some("true" | "1" | "") => Ok(true),
            Some("false" | "0") => Ok(false),
            Some(_) => Err(Problem::bad_request(format!("{name} is neither true nor false"))),
        }
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let wrong = || Problem::bad_request(format!("{name} is no number of bytes"));
        self.text(name).map(|text| text.parse().map_err(|_| wrong())).transpose()
    }

    /// The CIDs of all `arg`, with or without `/ipfs/` before them.
    pub(super) fn cids(&self) -> Result<Vec<Cid>, Problem> {
        let args = self.pairs.iter().filter(|(key, _)| key == "arg").map(|(_, value)| value);
        let cids = args.take(MAX_CIDS + 1).map(|arg| {
            content_id::parse(arg.strip_prefix("/ipfs/").unwrap_or(arg).trim_end_matches('/'))
        });
        let cids: Vec<Cid> = cids.collect::<Result<_, _>>()?;
        if cids.len() > MAX_CIDS {
            return Err(Problem::bad_request(format!("more than {MAX_CIDS} arguments")));
        }
        Ok(cids)
    }

    /// The CIDs, of which there must be one.
    pub(super) fn some_cids(&self) -> Result<Vec<Cid>, Problem> {
        let cids = self.cids()?;
        if cids.is_empty() {
            return Err(Problem::bad_request("argument \"arg\" (a CID) is required"));
        }
        Ok(cids)
    }

    /// The one CID.
    pub(super) fn cid(&self) -> Result<Cid, Problem> {
        match self.some_cids()?.as_slice() {
            [cid] => Ok(*cid),
            _ => Err(Problem::bad_request("one argument \"arg\" is expected")),
        }
    }
}
