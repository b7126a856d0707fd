//! What a service manager is told (systemd's notification protocol): ready, reloading, stopping. Without one, nothing.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::clock::Clock;
use crate::config::Environment;

/// The service manager's socket, if there is one.
#[derive(Debug)]
pub(super) struct Notify {
    socket: Option<(UnixDatagram, SocketAddr)>,
}

impl Notify {
    /// From `NOTIFY_SOCKET`: a path, or `@` and an abstract name.
    pub(super) fn of(environment: &Environment) -> Self {
        let address = environment
            .get("NOTIFY_SOCKET")
            .and_then(|name| match name.strip_prefix('@') {
                Some(name) => SocketAddr::from_abstract_name(name).ok(),
                None => SocketAddr::from_pathname(name).ok(),
            });
        Self {
            socket: UnixDatagram::unbound().ok().zip(address),
        }
    }

    /// Requests are served: at the start, and after a reload.
    pub(super) fn ready(&self) {
        self.send("READY=1");
    }

    /// The configuration is read again; [`Notify::ready`] follows.
    pub(super) fn reloading(&self, clock: Clock) {
        // The manager tells this notice from an older one by the system's monotonic clock.
        let micros = clock.system_monotonic().as_micros();
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}"));
    }

    /// A drain has begun.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1");
    }

    fn send(&self, message: &str) {
        let Some((socket, address)) = &self.socket else { return };
        if let Err(error) = socket.send_to_addr(message.as_bytes(), address) {
            tracing::warn!(%error, "the service manager could not be told");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_manager_hears_each_state() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notify = Notify::of(&Environment::of(&[("NOTIFY_SOCKET", path.to_str().unwrap())]));

        notify.ready();
        notify.reloading(Clock::system());
        notify.stopping();

        let mut heard = [0; 128];
        let mut next = || {
            let length = manager.recv(&mut heard).unwrap();
            String::from_utf8(heard[..length].to_vec()).unwrap()
        };
        assert_eq!(next(), "READY=1");
        assert!(next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
        assert_eq!(next(), "STOPPING=1");
    }

    #[test]
    fn without_a_service_manager_nothing_is_sent() {
        assert!(Notify::of(&Environment::default()).socket.is_none());
    }
}
