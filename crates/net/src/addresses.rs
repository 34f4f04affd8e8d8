//! Which addresses a fetch may reach.
//!
//! An address is judged when it is connected to, not when it is configured: a
//! name can mean another address a moment later.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// How an address may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// By anybody.
    Public,
    /// By whoever an operator lets reach private addresses.
    Private,
    /// This machine itself, which is a private address too.
    Loopback,
    /// By nobody: link-local addresses and the metadata services of clouds,
    /// multicast, and spellings of other addresses.
    Never,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

/// RFC 6890, and two addresses of clouds that look like others.
const NEVER_V4: [Ipv4Net; 11] = [
    v4(0, 0, 0, 0, 8),
    v4(100, 100, 100, 200, 32),
    v4(168, 63, 129, 16, 32),
    v4(169, 254, 0, 0, 16),
    v4(192, 0, 0, 0, 24),
    v4(192, 0, 2, 0, 24),
    v4(192, 88, 99, 0, 24),
    v4(198, 51, 100, 0, 24),
    v4(203, 0, 113, 0, 24),
    v4(224, 0, 0, 0, 4),
    v4(240, 0, 0, 0, 4),
];
const PRIVATE_V4: [Ipv4Net; 5] = [
    v4(10, 0, 0, 0, 8),
    v4(100, 64, 0, 0, 10),
    v4(172, 16, 0, 0, 12),
    v4(192, 168, 0, 0, 16),
    v4(198, 18, 0, 0, 15),
];
/// Unique local addresses that clouds serve metadata at.
const METADATA_V6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
];
const UNIQUE_LOCAL: Ipv6Net = v6(0xfc00, 0, 0, 7);
const GLOBAL: Ipv6Net = v6(0x2000, 0, 0, 3);
/// Inside [`GLOBAL`], yet no place of their own: Teredo and 6to4 carry an IPv4
/// address, the others are for documents and tests.
const NOT_GLOBAL: [Ipv6Net; 5] = [
    v6(0x2001, 0, 0, 32),
    v6(0x2001, 2, 0, 48),
    v6(0x2001, 0xdb8, 0, 32),
    v6(0x2002, 0, 0, 16),
    v6(0x3fff, 0, 0, 20),
];

/// How `address` may be reached. An IPv4 address in IPv6 clothes is what it is.
#[must_use]
pub fn reach(address: IpAddr) -> Reach {
    match address.to_canonical() {
        IpAddr::V4(address) => reach_v4(address),
        IpAddr::V6(address) => reach_v6(address),
    }
}

fn reach_v4(address: Ipv4Addr) -> Reach {
    let within = |nets: &[Ipv4Net]| nets.iter().any(|net| net.contains(&address));
    if address.is_loopback() {
        Reach::Loopback
    } else if within(&NEVER_V4) {
        Reach::Never
    } else if within(&PRIVATE_V4) {
        Reach::Private
    } else {
        Reach::Public
    }
}

fn reach_v6(address: Ipv6Addr) -> Reach {
    if address.is_loopback() {
        Reach::Loopback
    } else if METADATA_V6.contains(&address) {
        Reach::Never
    } else if UNIQUE_LOCAL.contains(&address) {
        Reach::Private
    } else if GLOBAL.contains(&address) && !NOT_GLOBAL.iter().any(|net| net.contains(&address)) {
        Reach::Public
    } else {
        Reach::Never
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(expected: Reach, addresses: &[&str]) {
        for text in addresses {
            assert_eq!(reach(text.parse().unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn only_what_anybody_can_reach_is_public() {
        all(
            Reach::Public,
            &[
                "1.1.1.1",
                "93.184.216.34",
                "172.32.0.1",
                "100.128.0.1",
                "2606:4700::1111",
            ],
        );
    }

    #[test]
    fn private_addresses_are_told_from_this_machine() {
        all(
            Reach::Private,
            &[
                "10.0.0.1",
                "172.16.0.1",
                "172.31.255.255",
                "192.168.1.1",
                "100.64.0.1",
                "198.18.0.1",
                "fc00::1",
                "fd12:3456::1",
            ],
        );
        all(
            Reach::Loopback,
            &["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"],
        );
    }

    #[test]
    fn metadata_and_disguises_are_never_reached() {
        all(
            Reach::Never,
            &[
                "0.0.0.0",
                "0.1.2.3",
                "169.254.169.254",
                "169.254.170.2",
                "100.100.100.200",
                "168.63.129.16",
                "192.0.0.192",
                "224.0.0.1",
                "255.255.255.255",
                "240.0.0.1",
                "::",
                "fe80::1",
                "fec0::1",
                "ff02::1",
                "fd00:ec2::254",
                "fd20:ce::254",
                "::ffff:169.254.169.254",
                "::169.254.169.254",
                "64:ff9b::a9fe:a9fe",
                "2002:a9fe:a9fe::1",
                "2001::1",
                "2001:db8::1",
                "100::1",
            ],
        );
        all(Reach::Private, &["::ffff:10.0.0.1"]);
    }
}
