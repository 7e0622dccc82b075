//! Which requests are listed.

use super::{
    super::{MAX_NAME, content_id, problem::Problem},
    record::{PinRequest, Status, time_of},
};
use bsp_codec::dag::Cid;
use std::collections::BTreeMap;

/// Bounds that the specification sets.
const MAX_CIDS: usize = 10;
const MAX_LIMIT: usize = 1000;
const DEFAULT_LIMIT: usize = 10;

/// What the query asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Filter {
    cids: Vec<Cid>,
    name: Option<String>,
    by: Match,
    /// Empty for all.
    statuses: Vec<Status>,
    before: Option<u64>,
    after: Option<u64>,
    meta: BTreeMap<String, String>,
    pub(super) limit: usize,
}

/// How a name is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Match {
    Exact,
    IgnoringCase,
    Partial,
    PartialIgnoringCase,
}

impl Filter {
    pub(super) fn of(query: &str) -> Result<Self, Problem> {
        let mut filter = Self {
            cids: Vec::new(),
            name: None,
            by: Match::Exact,
            statuses: Vec::new(),
            before: None,
            after: None,
            meta: BTreeMap::new(),
            limit: DEFAULT_LIMIT,
        };
        let mut filtered = false;
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            filtered |= filter.set(&key, &value)?;
        }
        if !filtered {
            filter.statuses.push(Status::Pinned);
        }
        Ok(filter)
    }

    /// Takes one parameter; whether it is a filter.
    fn set(&mut self, key: &str, value: &str) -> Result<bool, Problem> {
        match key {
            "cid" => self.cids = cids(value, &self.cids)?,
            "name" if value.len() > MAX_NAME => {
                return Err(Problem::bad_request(format!(
                    "the name has more than {MAX_NAME} bytes"
                )));
            }
            "name" => self.name = Some(value.to_owned()),
            "match" => self.by = match_named(value)?,
            "status" => {
                for name in value.split(',') {
                    self.statuses.push(status_named(name)?);
                }
            }
            "before" => self.before = Some(time_of(value)?),
            "after" => self.after = Some(time_of(value)?),
            "meta" => {
                self.meta = serde_json::from_str(value).map_err(|_| {
                    Problem::bad_request("meta is expected to be a JSON object of texts")
                })?;
            }
            "limit" => {
                let limit = value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
                self.limit = limit.ok_or_else(|| {
                    Problem::bad_request(format!(
                        "the limit is expected to be from 1 to {MAX_LIMIT}"
                    ))
                })?;
                return Ok(false);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    pub(super) fn takes(&self, request: &PinRequest) -> bool {
        let wanted = &request.wanted;
        (self.statuses.is_empty() || self.statuses.contains(&request.status))
            && self.before.is_none_or(|before| request.created < before)
            && self.after.is_none_or(|after| request.created > after)
            && self.name.as_deref().is_none_or(|name| self.by.fits(&wanted.name, name))
            && self.meta.iter().all(|(key, value)| wanted.meta.get(key) == Some(value))
            && (self.cids.is_empty() || wanted.cid().is_ok_and(|cid| self.cids.contains(&cid)))
    }
}

impl Match {
    fn fits(self, name: &str, asked: &str) -> bool {
        match self {
            Self::Exact => name == asked,
            Self::Partial => name.contains(asked),
            Self::IgnoringCase => name.to_lowercase() == asked.to_lowercase(),
            Self::PartialIgnoringCase => name.to_lowercase().contains(&asked.to_lowercase()),
        }
    }
}

/// Clients repeat the parameter, or put commas between.
fn cids(value: &str, before: &[Cid]) -> Result<Vec<Cid>, Problem> {
    let more = value.split(',').map(content_id::parse);
    let all: Vec<Cid> = before.iter().copied().map(Ok).chain(more).collect::<Result<_, _>>()?;
    if all.len() > MAX_CIDS {
        return Err(Problem::bad_request(format!("more than {MAX_CIDS} CIDs")));
    }
    Ok(all)
}

fn match_named(name: &str) -> Result<Match, Problem> {
    match name {
        "exact" => Ok(Match::Exact),
        "iexact" => Ok(Match::IgnoringCase),
        "partial" => Ok(Match::Partial),
        "ipartial" => Ok(Match::PartialIgnoringCase),
        _ => Err(Problem::bad_request("match is exact, iexact, partial or ipartial")),
    }
}

fn status_named(name: &str) -> Result<Status, Problem> {
    let found = Status::ALL.into_iter().find(|status| status.name() == name);
    found.ok_or_else(|| Problem::bad_request("a status is queued, pinning, pinned or failed"))
}
