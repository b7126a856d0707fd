//! What is said of store calls that fail: once a second for each cause, however many requests meet it.

use std::error::Error;

use token_store::StoreError;

use super::seldom::Seldom;
use crate::clock::Clock;

/// Logs a store call that failed, with all that led to it.
pub fn store_failed(error: &StoreError) {
    static SAID: Seldom = Seldom::new();
    let error = with_causes(error);
    if let Some(unsaid) = SAID.say(&error, Clock::system().instant()) {
        tracing::warn!(error, unsaid, "store call failed");
    }
}

/// What is said of a floor that lies far ahead of the clock.
pub fn unsure_until(second: u64) -> String {
    let second = i64::try_from(second).unwrap_or(i64::MAX);
    let time = jiff::Timestamp::from_second(second).unwrap_or(jiff::Timestamp::MAX);
    format!(
        "every request that is signed up to {} UTC is refused as replay_unsure: a clock was ahead then, or this machine's is behind",
        time.strftime("%F %T")
    )
}

/// An error with its causes, where its own words don't tell them.
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let words = cause.to_string();
        if !told.contains(&words) {
            told.push_str(": ");
            told.push_str(&words);
        }
        source = cause.source();
    }
    told
}
