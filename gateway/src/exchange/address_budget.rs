//! What one address may try: so many sign-ins at once, and so many that fail. A name's lock-out stops nobody who tries one
//! password on every name (reliability.md 2).
//!
//! Each gateway counts by itself. As with `[[limits]]`, a budget is one time an address: it comes back steadily.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::config::Lockout;
use crate::limit::network;
use crate::refusal::Refusal;

/// Of every address.
#[derive(Debug, Default)]
pub(super) struct AddressBudgets {
    spent: Mutex<Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    by_address: HashMap<IpAddr, Budget>,
    /// When whole ones were last dropped: looking for them is work that a flood must not multiply.
    cleaned: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Budget {
    /// When all of it is back, in nanoseconds of the caller's clock.
    whole_at: u64,
    under_way: usize,
}

/// A try under way: it is paid for until it turns out not to have failed.
#[derive(Debug)]
pub(super) struct Try {
    budgets: Arc<AddressBudgets>,
    address: IpAddr,
    cost: u64,
}

impl AddressBudgets {
    /// Begins a try at `now` (monotonic). Past the budget: `rate_limited`, and when it may be done again.
    pub(super) fn begin(budgets: &Arc<Self>, address: IpAddr, lockout: Lockout, now: Duration) -> Result<Try, Refusal> {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let (now, window) = (nanos(now), nanos(lockout.duration));
        let cost = window / u64::from(lockout.max_failures_per_address);
        let mut spent = budgets.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let address = spent.room_for(network(address), now);
        let budget = spent.by_address.entry(address).or_default();
        if budget.under_way >= AT_ONCE {
            return Err(Refusal::rate_limited(1));
        }
        let after = budget.whole_at.max(now).saturating_add(cost);
        let lacking = after.saturating_sub(now).saturating_sub(window);
        if lacking > 0 {
            return Err(Refusal::rate_limited(lacking.div_ceil(NANOS)));
        }
        budget.whole_at = after;
        budget.under_way += 1;
        Ok(Try {
            budgets: Arc::clone(budgets),
            address,
            cost,
        })
    }
}

impl Try {
    /// It failed: what it cost stays spent.
    pub(super) fn failed(&mut self) {
        self.cost = 0;
    }
}

impl Drop for Try {
    fn drop(&mut self) {
        let mut spent = self.budgets.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(budget) = spent.by_address.get_mut(&self.address) {
            budget.whole_at = budget.whole_at.saturating_sub(self.cost);
            budget.under_way = budget.under_way.saturating_sub(1);
        }
    }
}

impl Spent {
    /// Who has spent nothing needs no memory; where there is none left, new ones share one budget.
    fn room_for(&mut self, address: IpAddr, now: u64) -> IpAddr {
        if self.by_address.len() < MOST_ADDRESSES || self.by_address.contains_key(&address) {
            return address;
        }
        if now.saturating_sub(self.cleaned) >= NANOS {
            self.cleaned = now;
            self.by_address
                .retain(|_, budget| budget.whole_at > now || budget.under_way > 0);
        }
        if self.by_address.len() < MOST_ADDRESSES {
            address
        } else {
            OTHERS
        }
    }
}

/// Sign-ins of one address under way at a time.
const AT_ONCE: usize = 64;
const MOST_ADDRESSES: usize = 65_536;
/// No client has it.
const OTHERS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const NANOS: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Cause;

    const LOCKOUT: Lockout = Lockout {
        max_failures: 6,
        duration: Duration::from_secs(30),
        max_failures_per_address: 3,
    };

    fn begin(budgets: &Arc<AddressBudgets>, address: &str, secs: u64) -> Result<Try, Cause> {
        let now = Duration::from_secs(1_000 + secs);
        let begun = AddressBudgets::begin(budgets, address.parse().unwrap(), LOCKOUT, now);
        begun.map_err(|refusal| refusal.cause())
    }

    fn fail(budgets: &Arc<AddressBudgets>, address: &str, secs: u64) -> bool {
        begin(budgets, address, secs).map(|mut begun| begun.failed()).is_ok()
    }

    #[test]
    fn an_address_fails_so_often_and_then_at_the_steady_rate_and_its_ipv6_network_with_it() {
        let budgets = Arc::default();

        let failed = [0, 0, 0, 0, 9, 10, 10].map(|secs| fail(&budgets, "2001:db8::1", secs));

        assert_eq!(failed, [true, true, true, false, false, true, false]);
        assert_eq!(begin(&budgets, "2001:db8::2", 10).err(), Some(Cause::RateLimited));
        assert!(fail(&budgets, "2001:db8:0:1::1", 10));
    }

    #[test]
    fn what_succeeds_costs_nothing() {
        let budgets = Arc::default();

        let begun = [(); 20].map(|()| begin(&budgets, "192.0.2.1", 0).is_ok());

        assert_eq!(begun, [true; 20]);
    }

    #[test]
    fn guesses_at_once_are_paid_for_before_the_first_of_them_has_failed() {
        let budgets = Arc::default();

        let under_way = [(); 4].map(|()| begin(&budgets, "192.0.2.1", 0));

        assert_eq!(under_way.iter().filter(|one| one.is_ok()).count(), 3);
    }

    #[test]
    fn an_address_has_so_many_under_way_and_no_more() {
        let budgets = Arc::default();
        let generous = Lockout {
            max_failures_per_address: 1_000,
            ..LOCKOUT
        };
        let try_once = |octet: u8| AddressBudgets::begin(&budgets, [192, 0, 2, octet].into(), generous, Duration::ZERO);
        let mut under_way: Vec<Try> = (0..AT_ONCE).map(|_| try_once(1).unwrap()).collect();

        assert!(try_once(1).is_err());
        assert!(try_once(2).is_ok());
        under_way.pop();
        assert!(try_once(1).is_ok());
    }

    #[test]
    fn what_a_flood_of_addresses_takes_is_bounded() {
        let budgets: Arc<AddressBudgets> = Arc::default();

        for number in 1..100_000_u32 {
            let address = IpAddr::V4(number.into());
            if let Ok(mut begun) = AddressBudgets::begin(&budgets, address, LOCKOUT, Duration::from_secs(1)) {
                begun.failed();
            }
        }

        assert!(budgets.spent.lock().unwrap().by_address.len() <= MOST_ADDRESSES + 1);
    }
}
