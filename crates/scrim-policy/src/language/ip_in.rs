//! `ip_in(address, network, …)`: is an address inside one of some networks.

use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue, exec_datafusion_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use ipnet::{IpNet, Ipv4Net};

/// The function; text that is no address gives NULL, so it neither admits nor, negated, admits.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct IpIn {
    signature: Signature,
}

impl IpIn {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

/// Reads a network in CIDR notation (RFC 4632, RFC 4291); a bare address is the network of itself, and
/// one of mapped IPv4 addresses is the IPv4 network.
pub fn network(text: &str) -> Option<IpNet> {
    let network = text
        .parse()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    let IpAddr::V4(mapped) = network.addr().to_canonical() else {
        return Some(network);
    };
    // `::ffff:10.0.0.0/104` holds the addresses of 10.0.0.0/8, which `address` reads as such. What is
    // shorter than the mark of such addresses is a network of both kinds, and refused.
    match network {
        IpNet::V4(_) => Some(network),
        IpNet::V6(_) => Ipv4Net::new(mapped, network.prefix_len().checked_sub(96)?)
            .ok()
            .map(IpNet::V4),
    }
}

fn address(text: &str) -> Option<IpAddr> {
    // An IPv4 address that arrived over an IPv6 socket is that IPv4 address.
    text.parse::<IpAddr>()
        .ok()
        .map(|address| address.to_canonical())
}

impl ScalarUDFImpl for IpIn {
    fn name(&self) -> &'static str {
        "ip_in"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        let text = |data_type: &DataType| {
            let value = match data_type {
                DataType::Dictionary(_, value) => value,
                other => other,
            };
            matches!(
                value,
                DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null
            )
        };
        if arguments.len() < 2 || !arguments.iter().all(text) {
            return Err(exec_datafusion_err!(
                "ip_in takes an address and one or more networks, all as text"
            ));
        }
        // Left as it is, since only `invoke` needs one type, and no cast of a column is free.
        Ok(arguments.to_vec())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let networks: Option<Vec<IpNet>> = arguments
            .args
            .iter()
            .skip(1)
            .map(|value| match value {
                ColumnarValue::Scalar(scalar) => scalar.try_as_str().flatten().and_then(network),
                ColumnarValue::Array(_) => None,
            })
            .collect();
        let (Some(networks), Some(addresses)) = (networks, arguments.args.first()) else {
            // A network that is not a literal is refused at load; without one, nothing is known.
            return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None)));
        };
        let inside = |text: &str| {
            let address = address(text)?;
            Some(networks.iter().any(|network| network.contains(&address)))
        };
        match addresses {
            ColumnarValue::Scalar(scalar) => Ok(ColumnarValue::Scalar(ScalarValue::Boolean(
                scalar.try_as_str().flatten().and_then(inside),
            ))),
            ColumnarValue::Array(array) => {
                let texts: ArrayRef = cast(array, &DataType::Utf8)?;
                let Some(texts) = texts.as_any().downcast_ref::<StringArray>() else {
                    return Err(exec_datafusion_err!("ip_in takes addresses as text"));
                };
                let result: BooleanArray = texts.iter().map(|text| inside(text?)).collect();
                Ok(ColumnarValue::Array(Arc::new(result)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{address, network};

    #[test]
    fn an_ipv4_address_is_found_however_it_and_its_network_are_written() {
        let inside = |text: &str, of: &str| network(of).unwrap().contains(&address(text).unwrap());
        for of in [
            "10.0.0.0/8",
            "10.9.9.9/8",
            "::ffff:10.0.0.0/104",
            "::ffff:0:0/96",
        ] {
            assert!(
                inside("10.1.2.3", of) && inside("::ffff:10.1.2.3", of),
                "{of}"
            );
            assert!(!inside("2001:db8::1", of), "{of}");
        }
        assert!(inside("10.1.2.3", "10.1.2.3") && !inside("10.1.2.3", "::ffff:10.1.2.4"));
        assert!(inside("2001:db8::1", "2001:db8::/32") && !inside("10.1.2.3", "2001:db8::/32"));
        for no in ["", "10.0.0.0/33", "10.0.0", "office", "::ffff:10.0.0.0/64"] {
            assert_eq!(network(no), None, "{no}");
        }
    }
}
