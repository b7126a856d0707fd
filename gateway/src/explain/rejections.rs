//! The refusals of the last minutes, with what explaining them needs: never a secret, bounded in number, octets and age.
//!
//! Each gateway keeps those that it answered itself, in memory: who asks another gateway is told that it has none of that id.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use oauth1::explain::RawRequest;

use crate::refusal::Cause;

/// A signed request that was refused.
#[derive(Debug)]
pub struct Rejection {
    /// `X-Request-Id` of the answer.
    pub request_id: String,
    /// Unix seconds.
    pub at: u64,
    /// Why.
    pub cause: Cause,
    /// Whether the route only observes, so that it was forwarded all the same.
    pub observed: bool,
    /// Who sent it.
    pub client: IpAddr,
    /// `oauth_consumer_key`, as sent.
    pub consumer_key: String,
    /// What clients sign: scheme, authority and prefix.
    pub base_url: String,
    /// Without any value that may be a secret in clear.
    pub request: RawRequest,
    /// Whether it came with a form that isn't in `request`: too long, or not read whole.
    pub lacks_form: bool,
    /// What an explanation found, once one was asked for: its first sentence.
    pub found: OnceLock<String>,
}

/// The ring.
#[derive(Debug, Default)]
pub struct Rejections {
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    /// The oldest first, each with the octets it takes.
    entries: VecDeque<(usize, Arc<Rejection>)>,
    octets: usize,
}

impl Rejections {
    /// Keeps one; the oldest go where there are too many.
    pub fn keep(&self, rejection: Rejection) -> Arc<Rejection> {
        let octets = rejection.octets();
        let now = rejection.at;
        let kept = Arc::new(rejection);
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.entries.push_back((octets, Arc::clone(&kept)));
        ring.octets += octets;
        ring.trim(now);
        kept
    }

    /// All that are kept, the latest first.
    pub fn recent(&self, now: u64) -> Vec<Arc<Rejection>> {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        ring.trim(now);
        ring.entries.iter().rev().map(|(_, one)| Arc::clone(one)).collect()
    }

    /// The latest of that request id: a client behind a trusted proxy may choose it.
    pub fn find(&self, request_id: &str, now: u64) -> Option<Arc<Rejection>> {
        self.recent(now).into_iter().find(|one| one.request_id == request_id)
    }
}

impl Ring {
    fn trim(&mut self, now: u64) {
        while let Some((octets, oldest)) = self.entries.front() {
            let is_old = now.saturating_sub(oldest.at) > MAX_AGE_SECS;
            if !is_old && self.entries.len() <= MAX_COUNT && self.octets <= MAX_OCTETS {
                return;
            }
            self.octets = self.octets.saturating_sub(*octets);
            self.entries.pop_front();
        }
    }
}

impl Rejection {
    fn octets(&self) -> usize {
        let headers = self
            .request
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len());
        let texts = [
            &self.request_id,
            &self.consumer_key,
            &self.base_url,
            &self.request.target,
        ];
        let texts = texts.into_iter().map(String::len);
        size_of::<Self>() + self.request.body.len() + headers.sum::<usize>() + texts.sum::<usize>()
    }
}

/// Entries.
pub const MAX_COUNT: usize = 1_000;
/// Octets of all entries.
pub const MAX_OCTETS: usize = 8 * 1024 * 1024;
/// Seconds.
pub const MAX_AGE_SECS: u64 = 15 * 60;

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection(request_id: &str, at: u64, body: usize) -> Rejection {
        Rejection {
            request_id: request_id.to_owned(),
            at,
            cause: Cause::SignatureInvalid,
            observed: false,
            client: IpAddr::from([127, 0, 0, 1]),
            consumer_key: "k".to_owned(),
            base_url: "https://shop.example".to_owned(),
            request: RawRequest {
                method: "POST".to_owned(),
                target: "/".to_owned(),
                headers: Vec::new(),
                body: vec![b'x'; body],
            },
            lacks_form: false,
            found: OnceLock::new(),
        }
    }

    #[test]
    fn the_oldest_go_when_there_are_too_many() {
        let ring = Rejections::default();

        for number in 0..=MAX_COUNT {
            ring.keep(rejection(&number.to_string(), 100, 0));
        }

        assert_eq!(ring.recent(100).len(), MAX_COUNT);
        assert!(ring.find("0", 100).is_none());
        assert!(ring.find("1", 100).is_some());
    }

    #[test]
    fn the_oldest_go_when_they_take_too_much_room_wherever_they_take_it() {
        let large = || "x".repeat(64 * 1024);
        let with = |change: &dyn Fn(&mut Rejection)| {
            let mut one = rejection("", 100, 0);
            change(&mut one);
            one
        };
        let places: [&dyn Fn() -> Rejection; 5] = [
            &|| rejection("", 100, 64 * 1024),
            &|| with(&|one| one.request.target = large()),
            &|| with(&|one| one.request.headers = vec![("authorization".to_owned(), large().into_bytes())]),
            &|| with(&|one| one.consumer_key = large()),
            &|| with(&|one| one.base_url = large()),
        ];

        for place in places {
            let ring = Rejections::default();
            for number in 0..200 {
                ring.keep(Rejection {
                    request_id: number.to_string(),
                    ..place()
                });
            }

            let kept = ring.recent(100);
            assert!((100..130).contains(&kept.len()), "{}", kept.len());
            assert_eq!(kept.first().map(|one| one.request_id.as_str()), Some("199"));
        }
    }

    #[test]
    fn what_is_old_is_gone() {
        let ring = Rejections::default();

        ring.keep(rejection("a", 100, 0));

        assert!(ring.find("a", 100 + MAX_AGE_SECS).is_some());
        assert!(ring.find("a", 101 + MAX_AGE_SECS).is_none());
    }
}
