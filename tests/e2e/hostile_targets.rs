//! Paths and targets: what upstream sees, however often it decodes, stays under the prefix of the route that was judged.

use harness::{Connection, Response, Shop};
use tokio::sync::OnceCell;

use crate::hostile_corpus::{Case, refused_all};

/// One route opens everything below a prefix to anybody; beside it stands what nobody may reach.
const ROUTES: &str = r#"
[[routes]]
path = "/open/{*rest}"
methods = ["GET", "POST"]
upstream = "storefront"
resources = ["anonymous"]
[[routes]]
path = "/slashed/{*rest}"
methods = ["GET"]
upstream = "storefront"
resources = ["anonymous"]
encoded_slash = "allow"
[[routes]]
path = "/admin/{*rest}"
methods = ["GET"]
upstream = "storefront"
resources = ["Magento_Backend::admin"]
"#;

async fn shop() -> &'static Shop {
    static SHOP: OnceCell<Shop> = OnceCell::const_new();
    SHOP.get_or_init(async || Shop::new().append(ROUTES).start().await)
        .await
}

fn get(target: &str) -> Vec<u8> {
    // Latin-1 here, so that any octet can be written; UTF-8 is spelled out.
    let head: String = format!("GET {target} HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    head.chars()
        .map(|one| u8::try_from(u32::from(one)).unwrap_or(b'?'))
        .collect()
}

async fn call(octets: &[u8]) -> Response {
    let mut connection = Connection::open(shop().await.gateway.public()).await.unwrap();
    connection.write(octets).await.unwrap();
    connection.response("GET").await.unwrap()
}

#[tokio::test]
async fn a_path_that_leaves_its_prefix_in_any_reading_is_refused() {
    let case = |(number, path): (usize, &&str)| {
        let mark = format!("path-{number}");
        Case::malformed(&mark, get(&format!("{path}?{mark}"))).may_go_on()
    };
    let cases: Vec<Case> = LEAVING.iter().enumerate().map(case).collect();

    refused_in_full(&cases).await;
}

/// The same, without the usual honest request: these shops have routes of their own.
async fn refused_in_full(cases: &[Case]) {
    let shop = shop().await;
    refused_all(shop, cases).await;
}

#[tokio::test]
async fn an_escaped_slash_is_accepted_where_the_route_says_so_and_dots_around_it_are_not() {
    let served = call(&get("/slashed/MS%2FBOOT-1/x")).await;

    assert_eq!(served.status, 200, "{}", served.text());
    assert_eq!(shop().await.upstream.only("BOOT-1").target, "/slashed/MS%2FBOOT-1/x");
    let paths = [
        "/slashed/..%2fadmin",
        "/slashed/a%2f..%2f..%2fadmin",
        "/slashed/a%2f%2e%2e%2fb",
        "/slashed/..%2f",
        "/slashed/a%5cb",
        "/slashed/a%252f..%252fb",
    ];
    let case = |(number, path): (usize, &&str)| {
        let mark = format!("slashed-{number}");
        Case::malformed(&mark, get(&format!("{path}?{mark}"))).may_go_on()
    };
    refused_in_full(&paths.iter().enumerate().map(case).collect::<Vec<Case>>()).await;
}

#[tokio::test]
async fn what_passes_is_forwarded_as_it_was_sent() {
    let shop = shop().await;
    let targets = [
        "/open/plain",
        "/open/a%20b",
        "/open/%61%62",
        "/open/a+b&c=d",
        "/open/a;b=c/d",
        "/open/...",
        "/open/a..b",
        "/open/..a",
        "/open/.well-known",
        "/open/100%25",
        "/open/100%25ab",
        "/open/a:b@c!$'()*,",
        "/open/a%3Fb",
        "/open/a%23b",
        "/open/caf%C3%A9",
        "/open/x/",
        "/open/a?",
        "/open/a?b=%2e%2e%2f..//&c[0][d]=1|2&=&&e",
        "/open/a?/../admin",
        "/open/a?%00%0d%0a",
        "/open/a%2520b",
        "/open/[a]|{b}",
    ];

    for (number, target) in targets.into_iter().enumerate() {
        let target = if target.contains('?') {
            format!("{target}&as-{number}-sent")
        } else {
            format!("{target}?as-{number}-sent")
        };
        let response = call(&get(&target)).await;

        assert_eq!(response.status, 200, "{target}: {}", response.text());
        assert_eq!(shop.upstream.only(&format!("as-{number}-sent")).target, target);
    }
}

#[tokio::test]
async fn raw_octets_that_are_no_target_are_refused() {
    let targets = [
        "/open/a b",
        "/open/a\tb",
        "/open/a<b",
        "/open/a>b",
        "/open/a`b",
        "/open/a^b`",
        "/open/\u{80}",
        "/open/\u{c0}\u{ae}",
        "/open/\u{ff}",
        "/open/a\"b?\"",
        "/open/a#b",
        "/open/a?b#c",
        "#",
        "/open/%2e%2e#",
    ];
    let case = |(number, target): (usize, &&str)| Case::malformed(&format!("raw-{number}"), get(target));
    let cases: Vec<Case> = targets.iter().enumerate().map(case).collect();

    refused_in_full(&cases).await;
}

#[tokio::test]
async fn an_absolute_target_agrees_with_the_host_in_full_or_is_refused() {
    let shop = shop().await;
    let host = "shop.example";
    let admin = shop.gateway.admin();
    let absolute = |target: &str, host: &str| format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    for (target, host) in [
        ("http://shop.example/open/abs?abs-good-1", host),
        ("HTTP://shop.example/open/abs?abs-good-2", host),
        ("http://SHOP.example/open/abs?abs-good-3", host),
        ("http://shop.example:8080/open/abs?abs-good-4", "shop.example:8080"),
        ("http://shop.example:80/open/abs?abs-good-5", host),
        ("http://shop.example/open/abs?abs-good-6", "shop.example:80"),
        ("http://user@shop.example/open/abs?abs-good-7", host),
        ("http://user:pass@shop.example:80/open/abs?abs-good-8", host),
    ] {
        let response = call(absolute(target, host).as_bytes()).await;
        assert_eq!(response.status, 200, "{target}: {}", response.text());
    }
    for (number, seen) in shop.upstream.seen("abs-good").into_iter().enumerate() {
        assert_eq!(seen.target, format!("/open/abs?abs-good-{}", number + 1));
    }

    let bad = [
        ("http://other.example/open/abs", host),
        ("http://shop.example:81/open/abs", host),
        ("http://shop.example./open/abs", host),
        ("http://user@other.example/open/abs", host),
        ("http://user@/open/abs", host),
        ("http://shop.example/open/abs", "user@shop.example"),
        ("http://shop.example@other/open/abs", host),
        ("ftp://shop.example/open/abs", host),
        ("file:///etc/passwd", host),
        ("javascript://shop.example/%0a", host),
        ("gopher://shop.example/open/abs", host),
        ("ws://shop.example/open/abs", host),
        ("http:///open/abs", host),
        ("http:/open/abs", host),
        ("http:open/abs", host),
        ("//shop.example/open/abs", host),
        ("http://shop.example/../admin/abs", host),
        ("http://shop.example//open/abs", host),
        ("http://shop.example/open/%2e%2e/admin/abs", host),
        ("http://shop.example\\@other/open/abs", host),
        ("http://shop.example#/open/abs", host),
        ("open/abs", host),
        ("?abs", host),
        ("*", host),
        ("shop.example:80", host),
        ("shop.example", host),
        (&format!("http://{admin}/api/v1/integrations"), host),
        ("http://[::1]/open/abs", host),
    ];
    let case = |(number, (target, host)): (usize, &(&str, &str))| {
        let mark = format!("abs-bad-{number}");
        Case::malformed(&mark, absolute(target, host)).may_go_on()
    };
    refused_in_full(&bad.iter().enumerate().map(case).collect::<Vec<Case>>()).await;
    assert_eq!(shop.upstream.count("/admin"), 0);
}

#[tokio::test]
async fn the_admin_listeners_paths_are_unknown_here_by_whatever_host() {
    let shop = shop().await;
    let admin = shop.gateway.admin().to_string();
    for path in [
        "/api/v1/integrations",
        "/api/v1/tokens",
        "/metrics",
        "/health/live",
        "/health/ready",
        "/api/v1/openapi.json",
        "/",
    ] {
        for host in ["shop.example", admin.as_str(), "localhost", "admin"] {
            let response = call(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await;
            assert_eq!(response.status, 404, "{path} at {host}");
        }
    }
}

#[tokio::test]
async fn asterisk_and_authority_forms_are_refused_whatever_the_method() {
    let requests = [
        "OPTIONS * HTTP/1.1",
        "GET * HTTP/1.1",
        "OPTIONS shop.example:80 HTTP/1.1",
        "POST shop.example:80 HTTP/1.1",
    ];
    let case = |(number, line): (usize, &&str)| {
        Case::malformed(
            &format!("form-{number}"),
            format!("{line}\r\nHost: shop.example\r\n\r\n"),
        )
        .may_go_on()
    };
    let mut cases: Vec<Case> = requests.iter().enumerate().map(case).collect();
    for target in ["127.0.0.1:6379", "shop.example:443", "localhost:9090"] {
        let connect = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\nPING\r\n");
        cases.push(Case::malformed("connect", connect).with(&[405]).may_go_on());
    }

    refused_in_full(&cases).await;
}

/// Each leaves `/open` in some server's reading, or has no one reading.
const LEAVING: &[&str] = &[
    "/open/../admin/x",
    "/open/./../admin/x",
    "/open/a/../../admin/x",
    "/open/..",
    "/open/.",
    "/open/../",
    "/../admin/x",
    "/./admin/x",
    "/open/%2e%2e/admin/x",
    "/open/%2E%2E/admin/x",
    "/open/.%2e/admin/x",
    "/open/%2e./admin/x",
    "/open/%2e/x",
    "/open/a/%2e%2e/%2e%2e/admin/x",
    "/open/%252e%252e/admin/x",
    "/open/%25252e%25252e/admin/x",
    "/open/%252e%252e%252fadmin/x",
    "/open/%2525252e./x",
    "/open/..%2fadmin/x",
    "/open/%2e%2e%2fadmin%2fx",
    "/open/..%252fadmin/x",
    "/open/..%5cadmin%5cx",
    "/open/..\\admin\\x",
    "/open/%5c..%5cadmin",
    "/open/a%5cb",
    "/open/a\\b",
    "/open/%255c..%255cadmin",
    "/open/..;/admin/x",
    "/open/..;a=b/admin/x",
    "/open/%2e%2e;/admin/x",
    "/open/.;/x",
    "/open/..%3b/admin/x",
    "/open/..%3Ba/admin/x",
    "/open/%c0%ae%c0%ae/admin/x",
    "/open/%c0%2e%c0%2e/x",
    "/open/%e0%80%ae%e0%80%ae/x",
    "/open/%f0%80%80%ae/x",
    "/open/..%c0%afadmin/x",
    "/open/..%c1%9cadmin",
    "/open/%u002e%u002e/admin",
    "/open/%u2216",
    "/open/%25u002e%25u002e/admin",
    "/open/%25c0%25ae%25c0%25ae/admin",
    "/open/%ef%bc%8e%ef%bc%8e/admin",
    "/open/..%ef%bc%8fadmin",
    "/open/%e2%80%a4%e2%80%a4/admin",
    "/open/%e2%80%a5/admin",
    "/open/..%ef%bc%bcadmin",
    "/open/%ef%b9%92%ef%b9%92/admin",
    "/open/..%e2%88%95admin",
    "/open/..%20/admin",
    "/open/..%09/admin",
    "//open/x",
    "/open//x",
    "/open/x//",
    "//admin/x",
    "///",
    "//",
    "/open/%2f/x",
    "/open/a%2fb",
    "/open/a%2Fb",
    "/open/%2fadmin",
    "/open/x%00",
    "/open/x%00.json",
    "/open/%0d%0aX-User-Id:%201",
    "/open/x%0a",
    "/open/x%7f",
    "/open/x%1b",
    "/open/%c2%85",
    "/open/%250a",
    "/open/%2500",
    "/open/x%",
    "/open/x%2",
    "/open/x%zz",
    "/open/%80",
    "/open/%ff",
    "/open/%ed%a0%80",
    "/open/x%%32e",
];
