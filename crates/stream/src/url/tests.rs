use super::*;
use proptest::prelude::*;

fn parse(text: &str) -> Result<RedisUrl, UrlError> {
    RedisUrl::parse(text, None)
}

fn shown(text: &str) -> String {
    parse(text).map_or_else(|error| panic!("{text}: {error}"), |url| url.to_string())
}

#[test]
fn the_documented_url_keeps_its_meaning() {
    let url = parse("redis://username:@localhost:6379/0?topic=replication#replicate").unwrap();
    assert_eq!(url.nodes, [Node { host: "localhost".to_owned(), port: 6379 }]);
    assert_eq!((url.db, url.topic.as_str(), url.group.as_str()), (0, "replication", "replicate"));
    assert_eq!((url.user(), url.password(), url.tls), (None, None, false));
    assert_eq!(url.topology, Topology::Single);
    assert_eq!(url.dead_topic(), "replication.dead");
    assert_eq!(url.stream(), "redis://localhost:6379/0?topic=replication");
    assert_eq!(parse("redis://h?topic=t#a%23b").unwrap().stream(), "redis://h:6379/0?topic=t");
}

#[test]
fn what_is_absent_has_a_default() {
    assert_eq!(shown("redis://?topic=t"), "redis://localhost:6379/0?topic=t#bsp-agent");
    assert_eq!(shown("REDISS://h/?topic=t#"), "rediss://h:6379/0?topic=t#bsp-agent");
    assert_eq!(shown("redis://h:/7?topic=a%20b+c#g%23"), "redis://h:6379/7?topic=a b c#g#");
    assert_eq!(shown("redis://[::1]?topic=t"), "redis://[::1]:6379/0?topic=t#bsp-agent");
    assert_eq!(shown("redis://[::1]:1/2?topic=t"), "redis://[::1]:1/2?topic=t#bsp-agent");
}

#[test]
fn sentinels_and_clusters_have_several_hosts() {
    let url = parse("redis+sentinel://a,b:1/main/3?topic=t#g").unwrap();
    assert_eq!(url.topology, Topology::Sentinel { master: "main".to_owned() });
    assert_eq!(url.to_string(), "redis+sentinel://a:26379,b:1/main/3?topic=t#g");
    let text = "rediss+cluster://a,b:1?topic=t#g";
    assert_eq!(shown(text), "rediss+cluster://a:6379,b:1?topic=t#g");
    assert_eq!(parse("redis+sentinel://a?topic=t"), Err(UrlError::Master));
    assert_eq!(parse("redis+sentinel://a/m/x?topic=t"), Err(UrlError::Master));
    assert_eq!(parse("redis+sentinel:///m?topic=t"), Err(UrlError::Host(1)));
    assert_eq!(parse("redis+cluster://a/1?topic=t"), Err(UrlError::ClusterDatabase));
    assert_eq!(parse("redis://a,b?topic=t"), Err(UrlError::SeveralHosts));
}

#[test]
fn an_unusable_url_says_what_to_write() {
    for (text, error) in [
        ("localhost:6379", UrlError::Scheme),
        ("http://localhost?topic=t", UrlError::Scheme),
        ("redis://localhost", UrlError::NoTopic),
        ("redis://localhost?topic=", UrlError::NoTopic),
        ("redis://localhost?topic=a&x=1", UrlError::Parameter("x".to_owned())),
        ("redis://localhost?topic=a&topic=b", UrlError::SeveralTopics),
        ("redis://localhost/zero?topic=t", UrlError::Database),
        ("redis://localhost/-1?topic=t", UrlError::Database),
        ("redis://localhost/0/1?topic=t", UrlError::Database),
        ("redis://h:port?topic=t", UrlError::Host(1)),
        ("redis://h:0?topic=t", UrlError::Host(1)),
        ("redis://h:65536?topic=t", UrlError::Host(1)),
        ("redis://[::1?topic=t", UrlError::Host(1)),
        ("redis://:p?w@h?topic=t", UrlError::Credentials),
        ("redis://:p#w@h?topic=t", UrlError::Credentials),
        ("redis://:p/w@h?topic=t", UrlError::Credentials),
        ("redis://:%zz@h?topic=t", UrlError::Escape("password")),
        ("redis://:%f@h?topic=t", UrlError::Escape("password")),
        ("redis://h?topic=t#%ff", UrlError::Escape("fragment")),
    ] {
        assert_eq!(parse(text), Err(error), "{text}");
    }
}

#[test]
fn user_and_password_come_from_where_they_are_meant_to() {
    let credentials = |text, environment| {
        let url = RedisUrl::parse(text, environment).unwrap();
        (url.user().map(str::to_owned), url.password().map(str::to_owned))
    };
    let some = |text: &str| Some(text.to_owned());
    let (placeholder, acl) = ("redis://name:@h?topic=t", "redis://name@h?topic=t");
    assert_eq!(credentials(placeholder, None), (None, None));
    assert_eq!(credentials(placeholder, Some("")), (None, None));
    assert_eq!(credentials(placeholder, Some("pw")), (None, some("pw")));
    assert_eq!(credentials(acl, None), (None, None));
    assert_eq!(credentials(acl, Some("pw")), (some("name"), some("pw")));
    assert_eq!(credentials("redis://n:a%40b@h?topic=t", None), (some("n"), some("a@b")));
    assert_eq!(credentials("redis://n:a@b@h?topic=t", None), (some("n"), some("a@b")));
    assert_eq!(credentials("redis://:pw@h?topic=t", Some("pw")), (None, some("pw")));
    let two = RedisUrl::parse("redis://:one@h?topic=t", Some("two"));
    assert_eq!(two, Err(UrlError::TwoPasswords));
}

proptest! {
    #[test]
    fn no_text_panics_and_no_password_is_shown(
        text in "(redis|rediss|redis\\+sentinel)?(://)?[ -~é]{0,40}",
        password in "[A-Z]{12,20}",
    ) {
        let _ = parse(&text);
        let with_password = format!("redis://user:{password}@{text}");
        let shown = match RedisUrl::parse(&with_password, None) {
            Ok(url) => format!("{url} {url:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        prop_assert!(!shown.contains(&password));
    }

    #[test]
    fn what_is_shown_means_the_same(
        host in "[a-z][a-z0-9.-]{0,20}", port in 1u16.., db in 0u32..16,
        topic in "[a-zA-Z0-9:._-]{1,20}", group in "[a-zA-Z0-9:._-]{1,20}",
    ) {
        let url = parse(&format!("redis://{host}:{port}/{db}?topic={topic}#{group}")).unwrap();
        prop_assert_eq!(parse(&url.to_string()).unwrap(), url);
    }

    #[test]
    fn any_password_survives_escaping(password in "\\PC{1,20}") {
        let escaped: String = password.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let url = parse(&format!("redis://:{escaped}@h?topic=t")).unwrap();
        prop_assert_eq!(url.password(), Some(password.as_str()));
    }
}
