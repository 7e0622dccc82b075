//! In which form content is asked for.

use super::{super::problem::Problem, car::Scope};
use axum::http::{HeaderMap, StatusCode, header};

/// The forms in which content is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// One block as it is.
    Raw,
    /// A DAG as an archive.
    Car,
    /// The bytes of a file.
    File,
}

/// What a request says of the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) format: Format,
    pub(super) scope: Scope,
    pub(super) file_name: Option<String>,
}

/// Reads the query and the headers; the query's `format` takes precedence.
pub(super) fn asked(query: &str, headers: &HeaderMap) -> Result<Asked, Problem> {
    let (mut named, mut file_name, mut scope) = (None, None, Scope::All);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        match &*name {
            "format" => named = Some(format_named(&value)?),
            "dag-scope" => scope = scope_named(&value)?,
            "entity-bytes" => {
                return Err(Problem::bad_request("entity-bytes is not served: leave it out"));
            }
            "car-version" if value != "1" => {
                return Err(Problem::bad_request("archives are of version 1"));
            }
            "car-order" if !matches!(&*value, "dfs" | "unk") => {
                return Err(Problem::bad_request("archives are in the order dfs"));
            }
            "filename" => file_name = Some(value.into_owned()),
            _ => {}
        }
    }
    let format = match named {
        Some(format) => format,
        None => accepted(headers)?,
    };
    Ok(Asked { format, scope, file_name })
}

fn format_named(name: &str) -> Result<Format, Problem> {
    match name {
        "raw" => Ok(Format::Raw),
        "car" => Ok(Format::Car),
        _ => Err(Problem::bad_request("the formats are raw, car, and none for the plain file")),
    }
}

fn scope_named(name: &str) -> Result<Scope, Problem> {
    [Scope::Block, Scope::Entity, Scope::All]
        .into_iter()
        .find(|scope| scope.name() == name)
        .ok_or_else(|| Problem::bad_request("the dag-scopes are block, entity and all"))
}

/// The form that the `Accept` headers like best; of equal ones the first.
fn accepted(headers: &HeaderMap) -> Result<Format, Problem> {
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    let mut any = false;
    let mut best: Option<(f32, Format)> = None;
    for accept in accepts.flat_map(|accept| accept.split(',')) {
        any = true;
        let mut parts = accept.split(';').map(str::trim);
        let Some(format) = format_of_kind(parts.next().unwrap_or_default()) else { continue };
        let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
        if format == Format::Car && !parameters.iter().copied().all(is_our_archive) {
            continue;
        }
        let weight = parameters.iter().find_map(|(name, value)| (*name == "q").then_some(value));
        let weight = weight.and_then(|weight| weight.parse().ok()).unwrap_or(1.0);
        if weight > 0.0 && best.is_none_or(|(best, _)| weight > best) {
            best = Some((weight, format));
        }
    }
    match best {
        Some((_, format)) => Ok(format),
        None if !any => Ok(Format::File),
        None => Err(Problem::new(
            StatusCode::NOT_ACCEPTABLE,
            "content is served as application/vnd.ipld.raw, as application/vnd.ipld.car with \
             version=1 and order=dfs, and as the plain file",
        )),
    }
}

/// Whether archives are like this. Without repeated blocks they are whatever is asked for: the
/// answer says so.
fn is_our_archive((name, value): (&str, &str)) -> bool {
    match name {
        "version" => value == "1",
        "order" => matches!(value, "dfs" | "unk" | ""),
        _ => true,
    }
}

/// `None` for forms that are not served.
fn format_of_kind(kind: &str) -> Option<Format> {
    match kind.to_ascii_lowercase().as_str() {
        "application/vnd.ipld.raw" => Some(Format::Raw),
        "application/vnd.ipld.car" => Some(Format::Car),
        "application/x-tar" | "application/json" | "application/cbor" => None,
        other if other.starts_with("application/vnd.ip") => None,
        _ => Some(Format::File),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(query: &str, accept: &str) -> Result<Format, u16> {
        let mut headers = HeaderMap::new();
        if !accept.is_empty() {
            headers.insert(header::ACCEPT, accept.parse().unwrap());
        }
        let asked = asked(query, &headers).map_err(|problem| problem.status.as_u16());
        asked.map(|asked| asked.format)
    }

    #[test]
    fn the_query_comes_first_and_then_what_is_liked_best() {
        for (query, accept, expected) in [
            ("", "", Ok(Format::File)),
            ("", "*/*", Ok(Format::File)),
            ("", "text/html,application/xhtml+xml,*/*;q=0.8", Ok(Format::File)),
            ("", "application/vnd.ipld.raw", Ok(Format::Raw)),
            ("", "APPLICATION/vnd.ipld.raw", Ok(Format::Raw)),
            ("", "*/*;q=0.5, application/vnd.ipld.raw", Ok(Format::Raw)),
            ("", "application/vnd.ipld.raw;q=0, */*;q=0.1", Ok(Format::File)),
            ("", "application/vnd.ipld.car", Ok(Format::Car)),
            ("", "application/vnd.ipld.car; version=1; order=dfs; dups=y", Ok(Format::Car)),
            ("", "application/vnd.ipld.car;version=2", Err(406)),
            (
                "",
                "application/vnd.ipld.car;order=bfs, application/vnd.ipld.raw;q=0.1",
                Ok(Format::Raw),
            ),
            ("format=car&dag-scope=entity&car-version=1&car-order=dfs", "", Ok(Format::Car)),
            ("format=car&car-version=2", "", Err(400)),
            ("format=car&car-order=bfs", "", Err(400)),
            ("format=car&dag-scope=some", "", Err(400)),
            ("format=car&entity-bytes=0:1", "", Err(400)),
            ("", "application/vnd.ipld.dag-json", Err(406)),
            ("", "application/vnd.ipfs.ipns-record, */*;q=0.1", Ok(Format::File)),
            ("format=raw", "text/html", Ok(Format::Raw)),
            ("filename=a&format=raw", "", Ok(Format::Raw)),
            ("format=tar", "", Err(400)),
            ("format=", "", Err(400)),
        ] {
            assert_eq!(format(query, accept), expected, "{query} {accept}");
        }
    }
}
