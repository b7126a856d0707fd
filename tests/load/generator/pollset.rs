//! Readiness: epoll over the connections, and a timer that can be set to a nanosecond.

use std::os::fd::{AsFd, OwnedFd};
use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use super::Failure;

/// Epoll, level-triggered, over things known by their number.
pub(super) struct Pollset {
    epoll: OwnedFd,
    timer: OwnedFd,
    events: Vec<Event>,
}

impl Pollset {
    pub(super) fn new() -> Result<Self, Failure> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(
            TimerfdClockId::Monotonic,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )?;
        epoll::add(&epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN)?;
        Ok(Self {
            epoll,
            timer,
            events: Vec::with_capacity(MOST_EVENTS),
        })
    }

    /// Watches a socket for something to read.
    pub(super) fn add(&self, socket: impl AsFd, number: usize) -> Result<(), Failure> {
        let data = EventData::new_u64(u64::try_from(number)?);
        Ok(epoll::add(&self.epoll, socket, data, EventFlags::IN)?)
    }

    /// Wakes [`Pollset::wait`] at `nanos` of [`monotonic_nanos`], once.
    pub(super) fn wake_at(&self, nanos: u64) -> Result<(), Failure> {
        // 0 would mean never.
        let left = nanos.saturating_sub(monotonic_nanos()).max(1);
        let timer = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec {
                tv_sec: i64::try_from(left / NANOS)?,
                tv_nsec: i64::try_from(left % NANOS)?,
            },
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &timer)?;
        Ok(())
    }

    /// Numbers of what is ready; empty when a timer or a tenth of a second has passed.
    pub(super) fn wait(&mut self, ready: &mut Vec<usize>) -> Result<(), Failure> {
        let timeout = Timespec {
            tv_sec: 0,
            tv_nsec: 100_000_000,
        };
        self.events.clear();
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut self.events),
            Some(&timeout),
        ) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        ready.clear();
        for event in &self.events {
            let data = event.data;
            match data.u64() {
                TIMER => {
                    let mut expirations = [0; 8];
                    match rustix::io::read(&self.timer, &mut expirations) {
                        Ok(_) | Err(Errno::AGAIN) => {}
                        Err(error) => return Err(error.into()),
                    }
                }
                number => ready.push(usize::try_from(number)?),
            }
        }
        Ok(())
    }
}

/// The clock that all of a run is timed by, from its first reading.
#[expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
pub(super) fn monotonic_nanos() -> u64 {
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(FIRST.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// Unix seconds, for `oauth_timestamp`.
pub(super) fn unix_seconds() -> u64 {
    unix().as_secs()
}

/// Differs from run to run: where random numbers and nonces start.
pub(super) fn seed() -> u64 {
    let wall = u64::try_from(unix().as_nanos() & u128::from(u64::MAX)).unwrap_or_default();
    wall ^ u64::from(std::process::id()).rotate_left(48)
}

#[expect(clippy::disallowed_methods, reason = "requests are signed with the time")]
fn unix() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Nanoseconds of a second.
pub(super) const NANOS: u64 = 1_000_000_000;
const TIMER: u64 = u64::MAX;
const MOST_EVENTS: usize = 256;
