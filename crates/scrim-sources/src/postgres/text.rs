//! Texts of values that come as bytes, as PostgreSQL prints them.

use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};

use uuid::Uuid;

use super::binary::Broken;

/// Appends the text of a value.
pub(super) type Printer = fn(&[u8], &mut String) -> Result<(), Broken>;

/// The families of addresses.
const FAMILY_V4: u8 = 2;
const FAMILY_V6: u8 = 3;

const UNKNOWN_ADDRESS: Broken = Broken("an address is of no known family");

pub(super) fn uuid(bytes: &[u8], to: &mut String) -> Result<(), Broken> {
    let uuid = Uuid::from_slice(bytes).map_err(|_| Broken("a uuid has another length"))?;
    to.push_str(uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
    Ok(())
}

/// An address with the length of its network, where that is not the whole address; a `cidr` always
/// shows it.
pub(super) fn inet(bytes: &[u8], to: &mut String) -> Result<(), Broken> {
    let [family, bits, is_cidr, length, address @ ..] = bytes else {
        return Err(UNKNOWN_ADDRESS);
    };
    if usize::from(*length) != address.len() {
        return Err(UNKNOWN_ADDRESS);
    }
    let whole = match (
        *family,
        <[u8; 4]>::try_from(address),
        <[u8; 16]>::try_from(address),
    ) {
        (FAMILY_V4, Ok(address), _) => {
            write(to, format_args!("{}", Ipv4Addr::from(address)));
            32
        }
        (FAMILY_V6, _, Ok(address)) => {
            v6(Ipv6Addr::from(address), to);
            128
        }
        _ => return Err(UNKNOWN_ADDRESS),
    };
    if *is_cidr != 0 || *bits != whole {
        write(to, format_args!("/{bits}"));
    }
    Ok(())
}

/// PostgreSQL shows an IPv4 address within twelve bytes of zero, as was once usual.
fn v6(address: Ipv6Addr, to: &mut String) {
    match address.octets() {
        [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] if (a, b) != (0, 0) => {
            write(to, format_args!("::{}", Ipv4Addr::new(a, b, c, d)));
        }
        _ => write(to, format_args!("{address}")),
    }
}

pub(super) fn macaddr(bytes: &[u8], to: &mut String) -> Result<(), Broken> {
    if bytes.len() != 6 && bytes.len() != 8 {
        return Err(Broken("a hardware address has another length"));
    }
    for (index, byte) in bytes.iter().enumerate() {
        let colon = if index == 0 { "" } else { ":" };
        write(to, format_args!("{colon}{byte:02x}"));
    }
    Ok(())
}

/// The type `"char"`: one byte, of which zero is the empty text and what is not ASCII an octal
/// number.
pub(super) fn char_text(bytes: &[u8], to: &mut String) -> Result<(), Broken> {
    match bytes {
        [0] => {}
        [byte @ 1..=127] => to.push(char::from(*byte)),
        [byte] => write(to, format_args!("\\{byte:03o}")),
        _ => return Err(Broken("a \"char\" has another length")),
    }
    Ok(())
}

/// Appends to a text.
pub(super) fn write(to: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    to.write_fmt(text).unwrap_or_default();
}
