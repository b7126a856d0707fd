//! How far another clock is from ours. Timestamps of requests are held against ours, nonces kept by the store's.

use std::time::Duration;

use super::{About, Finding};

/// `precision`: what the other clock leaves out.
pub(super) fn judge(about: &About, ours: Duration, theirs: Duration, precision: Duration) -> Finding {
    let apart = ours.abs_diff(theirs);
    let side = if theirs > ours { "ahead of" } else { "behind" };
    let cure = "have both machines follow the same time servers (NTP)";
    let found = format!("is {} s {side} this machine's clock", apart.as_secs());
    if apart >= FAR + precision {
        about.fail(found, cure)
    } else if apart >= NEAR + precision {
        about.warn(found, cure)
    } else {
        about.ok(format!(
            "is within {} s of this machine's clock",
            (NEAR + precision).as_secs()
        ))
    }
}

/// More than NTP leaves and a slow answer takes.
const NEAR: Duration = Duration::from_secs(4);
/// Far from the shortest windows for timestamps that are in use.
const FAR: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::super::State::{Fail, Ok, Warn};
    use super::*;

    #[test]
    fn a_clock_is_told_by_how_far_it_is_off_either_way() {
        let state = |theirs: u64| {
            let about = About::new("clock", "x");
            let one = Duration::from_secs(1);
            judge(&about, Duration::from_secs(1000), Duration::from_secs(theirs), one).state
        };

        let states = [1000, 1004, 996, 1005, 995, 1060, 940, 1061, 939].map(state);

        assert_eq!(states, [Ok, Ok, Ok, Warn, Warn, Warn, Warn, Fail, Fail]);
    }
}
