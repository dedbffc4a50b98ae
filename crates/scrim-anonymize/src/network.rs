//! `ip_truncate`: the network of an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address with its host bits zeroed; an IPv4 address written as IPv6 is one of IPv4.
pub(crate) fn truncate(value: &str, v4: u32, v6: u32) -> Option<IpAddr> {
    let address: IpAddr = value.trim().parse().ok()?;
    Some(match address.to_canonical() {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(v4)).unwrap_or(0);
            IpAddr::V4(Ipv4Addr::from_bits(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX
                .checked_shl(128_u32.saturating_sub(v6))
                .unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    })
}
