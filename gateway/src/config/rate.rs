//! `[[limits]]`: how often and how many at once, by address, integration or route.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use super::nearest::nearest;
use super::reader::Section;
use super::routes::Route;

/// A `[[limits]]` entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// What is counted, each by itself.
    pub per: Per,
    /// Requests in a window; `None`: any number.
    pub requests: Option<u32>,
    /// The window.
    pub window: Duration,
    /// Requests that may come at once.
    pub burst: u32,
    /// Requests under way at a time; `None`: any number.
    pub concurrency: Option<u32>,
    /// Addresses, names of integrations or paths of routes that it concerns; empty: all.
    pub only: BTreeSet<String>,
}

/// What a limit counts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// The client's address, before anything is verified; IPv6 by /64.
    Address,
    /// The integration that signed.
    Integration,
    /// The route, whoever calls.
    Route,
}

pub(super) fn limits(root: &Section<'_, '_>, routes: &[Route]) -> Vec<RateLimit> {
    let known = root.knows_all().then_some(routes);
    let read = |section: Section<'_, '_>| {
        let words = [
            ("address", Per::Address),
            ("integration", Per::Integration),
            ("route", Per::Route),
        ];
        let per = section.word("per", Per::Address, &words);
        let requests = section.small("requests", 0, 0..=1_000_000);
        let window = section.duration("window", "1s", ("1ms", "1d"));
        let burst = section.small("burst", 0, 0..=1_000_000);
        let concurrency = section.small("concurrency", 0, 0..=1_000_000);
        if requests == 0 && concurrency == 0 {
            section.fault(
                "requests",
                "is missing: a limit has requests (and window), concurrency, or both",
            );
        }
        let limit = RateLimit {
            per,
            requests: (requests > 0).then_some(requests),
            window,
            burst: if burst == 0 { requests } else { burst },
            concurrency: (concurrency > 0).then_some(concurrency),
            only: section
                .all_parsed("only", |text| subject(per, text, known))
                .into_iter()
                .collect(),
        };
        section.finish();
        limit
    };
    root.list_of_tables("limits").into_iter().map(read).collect()
}

/// What a limit concerns, as it will be met. An integration may be made later: any name will do.
fn subject(per: Per, text: &str, routes: Option<&[Route]>) -> Result<String, String> {
    match per {
        Per::Integration => Ok(text.to_owned()),
        Per::Address => {
            let ip: IpAddr = text.parse().map_err(|_| format!("{text:?} is not an address"))?;
            Ok(ip.to_canonical().to_string())
        }
        Per::Route => {
            let Some(routes) = routes else {
                return Ok(text.to_owned());
            };
            if routes.iter().any(|route| route.path == text) {
                return Ok(text.to_owned());
            }
            let near = nearest(text, routes.iter().map(|route| route.path.as_str()));
            let near = near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default();
            Err(format!("{text:?} is no route's path{near}"))
        }
    }
}
