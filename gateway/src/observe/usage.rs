//! Who uses which resource: how often since the start, and when last; and who asked for one that was not granted.
//!
//! A worker tallies in a small table of its own, without a lock or a look at the clock; what it gathered goes into the one
//! map that all share a few times a second. So `last_seen` is exact to that, and a request pays some nanoseconds. What was
//! not granted goes into the map at once.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use crate::clock::Clock;
use crate::config::Requirement;
use crate::live::Live;

/// What is known of all workers' requests.
pub struct Usage {
    since: u64,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    by_integration: HashMap<u64, HashMap<String, Seen>>,
    /// Of integration and resource.
    pairs: usize,
}

/// What was seen of an integration's use of a resource.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Requests that were allowed.
    pub count: u64,
    /// When the last of them came, UNIX seconds; 0: none did.
    pub last: u64,
    /// Requests that were refused, for it was not granted.
    pub refused: u64,
    /// When the last of those came.
    pub last_refused: u64,
}

impl Seen {
    fn last_of_all(&self) -> u64 {
        self.last.max(self.last_refused)
    }
}

impl Usage {
    /// Nothing known, from now on.
    pub fn new(now: u64) -> Self {
        Self {
            since: now,
            known: Mutex::default(),
        }
    }

    /// When counting began.
    pub fn since(&self) -> u64 {
        self.since
    }

    /// All of it, by integration and resource.
    pub fn all(&self) -> BTreeMap<(u64, String), Seen> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let of = |(id, resources): (&u64, &HashMap<String, Seen>)| {
            let id = *id;
            let one = move |(resource, seen): (&String, &Seen)| ((id, resource.clone()), *seen);
            resources.iter().map(one).collect::<Vec<_>>()
        };
        known.by_integration.iter().flat_map(of).collect()
    }

    /// An integration is gone: so is what it used.
    pub fn forget(&self, integration: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = known.by_integration.remove(&integration);
        known.pairs -= gone.map_or(0, |of| of.len());
    }

    fn add(&self, counted: &[(u64, u32, u32)], live: &Live, now: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for (integration, route, count) in counted {
            let route = usize::try_from(*route).ok().and_then(|at| live.routes.get(at));
            let mut saw = |resource: &str| {
                let seen = known.seen(*integration, resource);
                seen.count += u64::from(*count);
                seen.last = now;
            };
            match route.map(|route| &route.config.requirement) {
                Some(Requirement::Resources(ids)) => ids.iter().for_each(|id| saw(id)),
                Some(Requirement::Anonymous) => saw("anonymous"),
                Some(Requirement::Own) => saw("self"),
                Some(Requirement::Nothing) | None => {}
            }
        }
        known.keep_bound();
    }

    fn add_refused(&self, integration: u64, lacking: &[String], now: u64) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for resource in lacking {
            let seen = known.seen(integration, resource);
            seen.refused += 1;
            seen.last_refused = now;
        }
        known.keep_bound();
    }
}

impl Known {
    fn seen(&mut self, integration: u64, resource: &str) -> &mut Seen {
        let of = self.by_integration.entry(integration).or_default();
        if !of.contains_key(resource) {
            self.pairs += 1;
        }
        of.entry(resource.to_owned()).or_default()
    }

    /// What was seen longest ago goes, so much that it is not soon to be done again.
    fn keep_bound(&mut self) {
        if self.pairs <= MOST_PAIRS {
            return;
        }
        let times = self.by_integration.values().flat_map(HashMap::values);
        let mut times: Vec<u64> = times.map(Seen::last_of_all).collect();
        let surplus = self.pairs.saturating_sub(MOST_PAIRS - MOST_PAIRS / 10);
        let (_, newest_gone, _) = times.select_nth_unstable(surplus);
        let newest_gone = *newest_gone;
        let mut left = surplus;
        for of in self.by_integration.values_mut() {
            of.retain(|_, seen| {
                let goes = seen.last_of_all() <= newest_gone && left > 0;
                left -= usize::from(goes);
                !goes
            });
        }
        self.by_integration.retain(|_, of| !of.is_empty());
        self.pairs -= surplus - left;
    }
}

/// One worker's table, for one configuration: routes go by their number there.
pub struct Tally {
    slots: Box<[Slot]>,
    /// Slots that hold something.
    taken: RefCell<Vec<usize>>,
    usage: Arc<Usage>,
    live: Arc<Live>,
    clock: Clock,
}

#[derive(Default)]
struct Slot {
    /// Its number; 0: free, no integration has it.
    integration: Cell<u64>,
    route: Cell<u32>,
    count: Cell<u32>,
}

impl Tally {
    /// An empty one.
    pub fn new(usage: Arc<Usage>, live: Arc<Live>, clock: Clock) -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Slot::default()).collect(),
            taken: RefCell::default(),
            usage,
            live,
            clock,
        }
    }

    /// An integration was allowed to use a route.
    pub fn used(&self, integration: u64, route: u32) {
        let first = place(integration, route);
        for step in 0..PROBES {
            let at = (first + step) % SLOTS;
            let Some(slot) = self.slots.get(at) else { return };
            if slot.integration.get() == integration && slot.route.get() == route {
                slot.count.set(slot.count.get().saturating_add(1));
                return;
            }
            if slot.integration.get() == 0 {
                slot.integration.set(integration);
                slot.route.set(route);
                slot.count.set(1);
                self.taken.borrow_mut().push(at);
                return;
            }
        }
        // So many at once: the table is emptied before its time.
        self.hand_over();
        self.used(integration, route);
    }

    /// An integration asked for what it is not granted.
    pub fn refused(&self, integration: u64, lacking: &[String]) {
        self.usage.add_refused(integration, lacking, self.clock.now());
    }

    /// What was gathered goes to the map that all share.
    pub fn hand_over(&self) {
        let taken = std::mem::take(&mut *self.taken.borrow_mut());
        if taken.is_empty() {
            return;
        }
        let slots = taken.into_iter().filter_map(|at| self.slots.get(at));
        let counted: Vec<(u64, u32, u32)> = slots
            .map(|slot| (slot.integration.take(), slot.route.take(), slot.count.take()))
            .collect();
        self.usage.add(&counted, &self.live, self.clock.now());
    }
}

/// A reload replaces it; what it gathered counts.
impl Drop for Tally {
    fn drop(&mut self) {
        self.hand_over();
    }
}

/// Both numbers are ours, so that nobody can make them collide.
fn place(integration: u64, route: u32) -> usize {
    let mixed = (integration ^ (u64::from(route) << 40)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    usize::try_from(mixed >> (64 - SLOTS.trailing_zeros())).unwrap_or_default()
}

/// A power of two.
const SLOTS: usize = 4096;
const PROBES: usize = 16;
/// Of integration and resource: some megabytes.
const MOST_PAIRS: usize = 50_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Environment};

    fn live(routes: usize) -> Arc<Live> {
        let route = |number: usize| {
            format!(
                "[[resources]]\nid = \"A_A::r{number}\"\n[[routes]]\npath = \"/r{number}\"\nupstream = \"a\"\n\
                 resources = [\"A_A::r{number}\"]\n"
            )
        };
        let routes: String = (0..routes).map(route).collect::<Vec<_>>().concat();
        let text = format!("[upstreams.a]\ntargets = [\"http://127.0.0.1:1\"]\n{routes}");
        let (config, _) = Config::parse(&text, "test", &Environment::default()).unwrap();
        Arc::new(Live::new(&config, 1).unwrap())
    }

    fn tally(live: &Arc<Live>) -> (Arc<Usage>, Tally) {
        let usage = Arc::new(Usage::new(1));
        let tally = Tally::new(Arc::clone(&usage), Arc::clone(live), Clock::system());
        (usage, tally)
    }

    #[test]
    fn what_a_worker_gathered_is_known_once_it_was_handed_over() {
        let (usage, tally) = tally(&live(2));

        tally.used(3, 0);
        tally.used(3, 0);
        tally.used(3, 1);
        tally.used(4, 1);
        assert!(usage.all().is_empty());
        tally.hand_over();
        tally.used(3, 0);
        drop(tally);

        let all = usage.all();
        let counts: Vec<_> = all
            .iter()
            .map(|((id, one), seen)| (*id, one.as_str(), seen.count))
            .collect();
        assert_eq!(counts, [(3, "A_A::r0", 3), (3, "A_A::r1", 1), (4, "A_A::r1", 1)]);
        let now = Clock::system().now();
        assert!(all.values().all(|seen| now.abs_diff(seen.last) < 60));
    }

    #[test]
    fn more_than_the_table_holds_is_counted_all_the_same() {
        let (usage, tally) = tally(&live(1));
        let many = 3 * u64::try_from(SLOTS).unwrap();

        for integration in 1..=many {
            tally.used(integration, 0);
        }
        tally.hand_over();

        assert_eq!(usage.all().values().map(|seen| seen.count).sum::<u64>(), many);
    }

    #[test]
    fn memory_is_bounded_and_the_longest_unseen_goes_first() {
        let live = live(1);
        let usage = Usage::new(1);
        let most = u64::try_from(MOST_PAIRS).unwrap();

        for now in 1..=most + 10 {
            usage.add(&[(now, 0, 1)], &live, now);
        }

        let all = usage.all();
        assert!(
            all.len() <= MOST_PAIRS && all.len() > MOST_PAIRS * 8 / 10,
            "{}",
            all.len()
        );
        assert!(!all.contains_key(&(1, "A_A::r0".to_owned())));
        assert!(all.contains_key(&(most + 10, "A_A::r0".to_owned())));
    }

    #[test]
    fn what_was_not_granted_is_counted_apart_and_within_the_same_bound() {
        let (usage, tally) = tally(&live(1));
        let most = u64::try_from(MOST_PAIRS).unwrap();

        tally.used(3, 0);
        tally.hand_over();
        tally.refused(3, &["A_A::r0".to_owned(), "A_A::other".to_owned()]);

        let of = |resource: &str| usage.all()[&(3, resource.to_owned())];
        assert_eq!((of("A_A::r0").count, of("A_A::r0").refused), (1, 1));
        assert_eq!((of("A_A::other").count, of("A_A::other").last), (0, 0));
        for integration in 1..=most + 10 {
            usage.add_refused(integration, &["A_A::r0".to_owned()], integration);
        }
        assert!(usage.all().len() <= MOST_PAIRS);
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let (usage, tally) = tally(&live(1));
        tally.used(3, 0);
        tally.used(4, 0);
        tally.hand_over();

        usage.forget(3);

        assert_eq!(usage.all().len(), 1);
    }
}
