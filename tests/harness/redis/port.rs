//! Ports that no other test takes, also while a server is down between a kill and its restart.

use std::hash::{BuildHasher as _, RandomState};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};

/// A TCP port, reserved among all who use this module by holding the UDP port of the same number.
#[derive(Debug)]
pub(super) struct Port {
    reserved: UdpSocket,
}

impl Port {
    /// A port that is free now. Below the range from which the system gives ports to outgoing connections: such a
    /// connection could sit on the port of a server that is about to come back.
    pub(super) fn reserve() -> Self {
        let mut candidate = RandomState::new().hash_one(0_u8);
        loop {
            let number = LOWEST + u16::try_from(candidate % u64::from(COUNT)).expect("less than COUNT");
            if let Ok(reserved) = UdpSocket::bind((Ipv4Addr::LOCALHOST, number))
                && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok()
            {
                return Self { reserved };
            }
            candidate = candidate.wrapping_add(1);
        }
    }

    pub(super) fn number(&self) -> u16 {
        let address = self.reserved.local_addr();
        address.expect("a bound socket has an address").port()
    }
}

const LOWEST: u16 = 12_000;
const COUNT: u16 = 20_000;
