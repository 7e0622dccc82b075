//! HTTP clients for the servers that the operator names.
//!
//! Each goes where its URL says. The environment's proxy variables hold for other hosts than this
//! one, as in Go's net/http: a service beside the agent is never asked through a proxy, which would
//! see keys and could not reach it.

use crate::config::is_local;
use hyper_util::client::proxy::matcher::Matcher;
use reqwest::{Client, ClientBuilder, redirect::Policy};
use url::Url;

/// A builder of a client for one server. A redirection would take secrets of the URL, or content,
/// somewhere else, so none is followed.
pub(crate) fn builder_for(url: &Url) -> ClientBuilder {
    let builder = Client::builder().redirect(Policy::none());
    if url.host_str().is_some_and(is_local) { builder.no_proxy() } else { builder }
}

/// The proxy that the environment's variables put before a server, without user and password.
pub(crate) fn proxy_for(url: &Url) -> Option<String> {
    proxy_by(&Matcher::from_env(), url)
}

fn proxy_by(variables: &Matcher, url: &Url) -> Option<String> {
    if url.host_str().is_some_and(is_local) {
        return None;
    }
    let server = format!("{}://{}/", url.scheme(), url.host_str()?).parse().ok()?;
    let intercept = variables.intercept(&server)?;
    let proxy = intercept.uri();
    let port = proxy.port_u16().map_or_else(String::new, |port| format!(":{port}"));
    Some(format!("{}://{}{port}", proxy.scheme_str().unwrap_or("http"), proxy.host()?))
}

/// What an error of a connection adds if a proxy stands between: the server may not be to blame.
pub(crate) fn through(proxy: Option<&str>) -> String {
    proxy.map_or_else(String::new, |proxy| {
        format!(
            " (through the proxy {proxy} of HTTP_PROXY, HTTPS_PROXY or ALL_PROXY; NO_PROXY makes an exception)"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_stands_before_this_host() {
        let variables = Matcher::builder().all("http://user:passw0rd@proxy.example:3128").build();
        let proxy = |url: &str| proxy_by(&variables, &url.parse().unwrap());
        for local in [
            "http://127.0.0.1:8545",
            "https://127.1.2.3/key",
            "http://LOCALHOST:1",
            "http://localhost.:1",
            "http://[::1]:8545/",
            "http://[::ffff:127.0.0.1]:8545/",
        ] {
            assert_eq!(proxy(local), None, "{local}");
        }
        for other in ["http://10.0.0.1:8545", "https://rpc.example/v2/key", "http://[2001:db8::1]/"]
        {
            assert_eq!(proxy(other).as_deref(), Some("http://proxy.example:3128"), "{other}");
        }
        assert!(through(proxy("https://rpc.example").as_deref()).contains("proxy.example:3128"));
    }

    #[test]
    fn exceptions_and_schemes_are_the_variables() {
        let variables = Matcher::builder().http("proxy.example:1").no("rpc.example").build();
        let proxy = |url: &str| proxy_by(&variables, &url.parse().unwrap());
        assert_eq!(proxy("http://a.example").as_deref(), Some("http://proxy.example:1"));
        assert_eq!(proxy("https://a.example"), None);
        assert_eq!(proxy("http://rpc.example"), None);
        assert_eq!(through(None), "");
    }
}
