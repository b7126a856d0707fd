//! How many connections there are, in all and of each address, over all workers. Touched when one opens and closes only.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The counts and their bounds.
#[derive(Debug)]
pub struct Counts {
    most: usize,
    most_per_address: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A connection that was let in; leaving is counted when it is dropped.
#[derive(Debug)]
pub struct Counted {
    counts: Arc<Counts>,
    address: Option<IpAddr>,
}

impl Counts {
    /// With these bounds.
    pub fn new(most: usize, most_per_address: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            most_per_address,
            open: Mutex::default(),
        })
    }

    /// Lets a connection in, unless a bound is reached. `None` as address: no cap by address (a trusted proxy).
    pub fn admit(counts: &Arc<Self>, address: Option<IpAddr>) -> Option<Counted> {
        let mut open = counts.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= counts.most {
            return None;
        }
        if let Some(address) = address {
            let of_address = open.by_address.entry(address).or_default();
            if *of_address >= counts.most_per_address {
                return None;
            }
            *of_address += 1;
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
        let counts = Counts::new(10, 1);
        let address = Some(IpAddr::from([192, 0, 2, 1]));
        let first = Counts::admit(&counts, address);

        let refused = Counts::admit(&counts, address);
        drop(first);
        let admitted = Counts::admit(&counts, address);

        assert!(refused.is_none());
        assert!(admitted.is_some());
        assert_eq!(counts.open(), 1);
    }

    #[test]
    fn a_trusted_proxy_is_bound_by_the_whole_count_only() {
        let counts = Counts::new(2, 1);

        let admitted = [(); 3].map(|()| Counts::admit(&counts, None));

        assert_eq!(admitted.iter().filter(|one| one.is_some()).count(), 2);
    }
}
