//! Who may ask.
//!
//! A web page can have a browser send requests to this machine, and can have a name of its own
//! point at this machine. Browsers say so: by `Origin`, by `Sec-Fetch-Site`, and by the name in
//! `Host`.

use super::{
    Request,
    api::PinnerApi,
    options::{Access, HttpOptions},
    problem::Problem,
};
use axum::{
    extract::State,
    http::{HeaderMap, Method, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};
use std::net::IpAddr;

/// Lets a request to the private listener through, or refuses it.
pub(super) async fn guard(State(api): State<PinnerApi>, request: Request, next: Next) -> Response {
    match check(api.options(), &request) {
        Ok(()) => next.run(request).await,
        Err(problem) => refusal(request.uri().path(), &problem),
    }
}

fn check(options: &HttpOptions, request: &Request) -> Result<(), Problem> {
    let (headers, path) = (request.headers(), request.uri().path());
    let host = host_of(request).ok_or_else(|| Problem::bad_request("the request names no host"))?;
    if let Access::Token(token) = &options.access {
        // Whoever knows the token is no stranger, by whatever name it comes.
        if path != "/health" && !bears(headers, token.expose()) {
            return Err(Problem::new(
                StatusCode::UNAUTHORIZED,
                "the request needs the server's token in 'Authorization: Bearer <token>'",
            ));
        }
    } else if !is_own_host(&host, &options.hosts) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "this server is not known by that host name: ask by IP address or as localhost",
        ));
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let opens_file = reads && path.starts_with("/ipfs/");
    if !opens_file && is_from_web_page(headers, &host) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "web pages may not use this server"));
    }
    Ok(())
}

/// The host that a request is for, with its port.
fn host_of(request: &Request) -> Option<Authority> {
    let named = request.headers().get(header::HOST).map(|host| host.to_str().ok());
    match named {
        Some(host) => host?.parse().ok(),
        None => request.uri().authority().cloned(),
    }
}

fn is_own_host(host: &Authority, own: &[String]) -> bool {
    let name = host.host().trim_matches(['[', ']']);
    name.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || own.iter().any(|own| own.eq_ignore_ascii_case(name))
}

/// Whether a browser sends this for a page that is not this server's own.
fn is_from_web_page(headers: &HeaderMap, host: &Authority) -> bool {
    let site = headers.get("sec-fetch-site").map(header::HeaderValue::as_bytes);
    let foreign_site = site.is_some_and(|site| !matches!(site, b"same-origin" | b"none"));
    let foreign_origin = headers.get(header::ORIGIN).is_some_and(|origin| {
        let authority = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        authority.is_none_or(|(_, authority)| !authority.eq_ignore_ascii_case(host.as_str()))
    });
    foreign_site || foreign_origin
}

/// Whether the request bears the token. Hashes are compared: how long that takes says nothing of
/// the token.
fn bears(headers: &HeaderMap, token: &str) -> bool {
    let sent = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let sent = sent.and_then(|value| value.split_once(' '));
    // No token at all would be one that everybody knows.
    sent.is_some_and(|(scheme, sent)| {
        !token.is_empty()
            && scheme.eq_ignore_ascii_case("bearer")
            && Sha256::digest(sent) == Sha256::digest(token)
    })
}

/// A problem in the form of the face that the path belongs to.
pub(super) fn refusal(path: &str, problem: &Problem) -> Response {
    let mut answer = match path {
        "/upload" | "/cid" | "/get" => super::ipfs_pinner::failure(problem),
        path if path == "/pins" || path.starts_with("/pins/") => super::pins::failure(problem),
        path if path.starts_with("/api/v0/") => super::rpc::failure(problem),
        path if path.starts_with("/ipfs/") => super::gateway::failure(problem),
        _ => (problem.status, format!("{}\n", problem.reason)).into_response(),
    };
    if problem.status == StatusCode::UNAUTHORIZED {
        let bearer = header::HeaderValue::from_static("Bearer");
        answer.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
    }
    if problem.status == StatusCode::SERVICE_UNAVAILABLE {
        answer.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("10"));
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use bsp_common::secret::Secret;

    fn status(options: &HttpOptions, path: &str, headers: &[(&str, &str)]) -> u16 {
        let mut request = axum::http::Request::builder().method(Method::POST).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        check(options, &request).map_or_else(|problem| problem.status.as_u16(), |()| 200)
    }

    #[test]
    fn only_own_names_are_answered() {
        let options = HttpOptions { hosts: vec!["pinner.lan".to_owned()], ..Default::default() };
        for host in ["127.0.0.1:3001", "[::1]:3001", "localhost", "LocalHost:3001", "Pinner.LAN:80"]
        {
            assert_eq!(status(&options, "/upload", &[("host", host)]), 200, "{host}");
        }
        for host in ["attacker.example", "localhost.attacker.example:3001", "pinner.lan.example"] {
            assert_eq!(status(&options, "/upload", &[("host", host)]), 403, "{host}");
            assert_eq!(status(&options, "/health", &[("host", host)]), 403, "{host}");
        }
        assert_eq!(status(&options, "/upload", &[]), 400);
        assert_eq!(status(&options, "/upload", &[("host", "a b")]), 400);
    }

    #[test]
    fn web_pages_are_refused() {
        let options = HttpOptions::default();
        let with =
            |name, value| status(&options, "/upload", &[("host", "127.0.0.1:3001"), (name, value)]);
        assert_eq!(with("origin", "https://attacker.example"), 403);
        assert_eq!(with("origin", "null"), 403);
        assert_eq!(with("origin", "http://127.0.0.1:8080"), 403);
        assert_eq!(with("origin", "http://127.0.0.1:3001"), 200);
        assert_eq!(with("sec-fetch-site", "cross-site"), 403);
        assert_eq!(with("sec-fetch-site", "same-site"), 403);
        assert_eq!(with("sec-fetch-site", "none"), 200);
    }

    #[test]
    fn a_token_is_asked_for() {
        let access = Access::Token(Secret::new("secret".to_owned()));
        let options = HttpOptions { access, ..Default::default() };
        let with =
            |value| status(&options, "/upload", &[("host", "any.name"), ("authorization", value)]);
        assert_eq!(with("Bearer secret"), 200);
        assert_eq!(with("bearer secret"), 200);
        for wrong in
            ["Bearer", "Bearer ", "Bearer secret ", "Bearer Secret", "Basic secret", "secret"]
        {
            assert_eq!(with(wrong), 401, "{wrong}");
        }
        assert_eq!(status(&options, "/upload", &[("host", "any.name")]), 401);
        let access = Access::Token(Secret::new(String::new()));
        let empty = HttpOptions { access, ..Default::default() };
        for sent in ["Bearer ", "Bearer"] {
            let headers = [("host", "any.name"), ("authorization", sent)];
            assert_eq!(status(&empty, "/upload", &headers), 401);
        }
        assert_eq!(status(&options, "/health", &[("host", "any.name")]), 200);
    }
}
