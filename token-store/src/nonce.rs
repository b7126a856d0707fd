//! Nonces: what makes a signed request count once (RFC 5849 section 3.3; product.md 10).

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

use crate::{ConsumerId, UnixSeconds};

/// The longest timestamp window either way, in seconds: nonces are always kept for it, so that a reload which lengthens
/// the window never opens a replay.
pub const LONGEST_WINDOW: u64 = 15 * 60;

/// How long a nonce is kept, in seconds by the store's clock: the longest window, past and future, and two minutes more.
pub const KEPT_FOR: u64 = 2 * LONGEST_WINDOW + 120;

/// Seconds that a floor lies ahead of the clock before it is worth a word: what a crash, a loss or an import leaves is less.
const FAR_AHEAD: u64 = 60;

/// A floor that no crash explains: a clock was ahead when it was written, or is behind now.
pub fn far_ahead(floor: UnixSeconds, now: UnixSeconds) -> Option<UnixSeconds> {
    (floor > now.saturating_add(FAR_AHEAD)).then_some(floor)
}

/// What is claimed: unique for consumer, token, timestamp and nonce.
#[derive(Clone, Copy, Debug)]
pub struct NonceClaim<'a> {
    /// Who signed.
    pub consumer: ConsumerId,
    /// The token that was used, or none.
    pub token: Option<&'a str>,
    /// `oauth_timestamp`, Unix seconds.
    pub timestamp: UnixSeconds,
    /// `oauth_nonce`, decoded octets.
    pub nonce: &'a [u8],
    /// The gateway's clock, Unix seconds.
    pub now: UnixSeconds,
}

impl NonceClaim<'_> {
    /// The 64 bits under which a nonce is kept: a keyed hash of consumer, token, timestamp and nonce, the same in every
    /// gateway that shares the key. Lengths go in too, so that no two claims spell the same octets.
    pub(crate) fn hash(&self, key: &[u8; 16]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(key);
        hasher.write(&self.consumer.0.to_le_bytes());
        hasher.write(&self.timestamp.to_le_bytes());
        let token = self.token.unwrap_or_default();
        hasher.write(&[u8::from(self.token.is_some())]);
        hasher.write(&u64::try_from(token.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.write(token.as_bytes());
        hasher.write(self.nonce);
        hasher.finish()
    }
}

/// What a claim found. Only [`Claim::Fresh`] lets a request pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nobody claimed it before, and now it is taken: exactly one of any number of claims gets this.
    Fresh,
    /// It was claimed before.
    Used,
    /// Nonce memory was lost and this request may have been served before: sign anew.
    Unsure,
}
