//! How many connections there are, in all and of each address, over all workers. Touched when one opens and closes only.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::limit::network;

/// The counts, and how many there may be in all.
#[derive(Debug)]
pub struct Counts {
    most: AtomicUsize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    /// By network where the address is IPv6: whoever has one address of a /64 has them all.
    by_address: HashMap<IpAddr, usize>,
}

/// A connection that was let in; leaving is counted when it is dropped.
#[derive(Debug)]
pub struct Counted {
    counts: Arc<Counts>,
    address: Option<IpAddr>,
}

impl Counts {
    /// At most so many at once.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most: AtomicUsize::new(most),
            open: Mutex::default(),
        })
    }

    /// From now on.
    pub fn admit_at_most(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Lets a connection in, unless there are as many already in all, or `of_address` of its address. `None` as address: no
    /// cap by address (a trusted proxy).
    pub fn admit(counts: &Arc<Self>, of_address: usize, address: Option<IpAddr>) -> Option<Counted> {
        let mut open = counts.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= counts.most.load(Ordering::Relaxed) {
            return None;
        }
        let address = address.map(network);
        if let Some(address) = address {
            let open = open.by_address.entry(address).or_default();
            if *open >= of_address {
                return None;
            }
            *open += 1;
        }
        open.all += 1;
        Some(Counted {
            counts: Arc::clone(counts),
            address,
        })
    }

    /// Connections that are open now.
    pub fn open(&self) -> usize {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).all
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.counts.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all -= 1;
        if let Some(address) = self.address
            && let Some(of_address) = open.by_address.get_mut(&address)
        {
            *of_address -= 1;
            if *of_address == 0 {
                open.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_let_in_again_when_one_of_its_connections_has_gone() {
        let counts = Counts::new(10);
        let address = Some(IpAddr::from([192, 0, 2, 1]));
        let first = Counts::admit(&counts, 1, address);

        let refused = Counts::admit(&counts, 1, address);
        drop(first);
        let admitted = Counts::admit(&counts, 1, address);

        assert!(refused.is_none());
        assert!(admitted.is_some());
        assert_eq!(counts.open(), 1);
    }

    #[test]
    fn addresses_of_one_ipv6_network_count_as_one() {
        let counts = Counts::new(10);
        let admits = |address: &str| Counts::admit(&counts, 1, Some(address.parse().unwrap()));

        let admitted = [
            "2001:db8::1",
            "2001:db8::2",
            "2001:db8:0:1::1",
            "::ffff:192.0.2.1",
            "192.0.2.1",
        ]
        .map(admits);

        assert_eq!(admitted.map(|one| one.is_some()), [true, false, true, true, false]);
    }

    #[test]
    fn a_trusted_proxy_is_bound_by_the_whole_count_only() {
        let counts = Counts::new(2);

        let admitted = [(); 3].map(|()| Counts::admit(&counts, 1, None));

        assert_eq!(admitted.iter().filter(|one| one.is_some()).count(), 2);
    }
}
