//! Where lines go: stdout or stderr, which may be closed, and then only the scrape can be told.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// Writes whole lines, or counts them as lost.
pub(super) fn write_or_count(sink: &mut impl Write, lines: &[u8], lost: &AtomicU64) {
    if sink.write_all(lines).and_then(|()| sink.flush()).is_err() {
        count_lost(lost, lines);
    }
}

/// Counts whole lines as lost.
pub(super) fn count_lost(lost: &AtomicU64, lines: &[u8]) {
    let count = lines.split(|octet| *octet == b'\n').count().saturating_sub(1);
    lost.fetch_add(u64::try_from(count).unwrap_or(u64::MAX), Ordering::Relaxed);
}
