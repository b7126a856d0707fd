//! `[sweeps]`: how often what has expired is removed.

use std::time::Duration;

use super::reader::Section;
use super::values;
use crate::integration::sweep::Sweep;

/// `[sweeps]`; `None`: never by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sweeps {
    /// Failed sign-ins whose lock is over.
    pub outdated_authentication_failures_cleanup: Option<Duration>,
    /// Bearer tokens that have expired.
    pub expired_tokens_cleanup: Option<Duration>,
}

impl Sweeps {
    /// How often one runs.
    pub fn every(&self, sweep: Sweep) -> Option<Duration> {
        match sweep {
            Sweep::AuthenticationFailures => self.outdated_authentication_failures_cleanup,
            Sweep::ExpiredTokens => self.expired_tokens_cleanup,
        }
    }
}

pub(super) fn sweeps(section: Section<'_, '_>) -> Sweeps {
    let every = |sweep: Sweep, default: &str| {
        let parse = |text: &str| match text {
            "never" => Ok(text.to_owned()),
            other => match values::duration(other)? {
                every if every < Duration::from_secs(1) => {
                    Err("is less than 1s; \"never\" runs it by hand only".to_owned())
                }
                _ => Ok(text.to_owned()),
            },
        };
        // "never" is no duration: that is what None says.
        values::duration(&section.parsed_or(sweep.as_str(), default.to_owned(), parse)).ok()
    };
    let sweeps = Sweeps {
        outdated_authentication_failures_cleanup: every(Sweep::AuthenticationFailures, "1m"),
        expired_tokens_cleanup: every(Sweep::ExpiredTokens, "1h"),
    };
    section.finish();
    sweeps
}
