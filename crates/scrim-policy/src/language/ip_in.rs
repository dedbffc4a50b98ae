//! `ip_in(address, network, …)`: is an address inside one of some networks.

use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion_common::{Result, ScalarValue, exec_datafusion_err};
use datafusion_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};
use ipnet::IpNet;

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

/// Reads a network; a bare address is the network of itself.
pub(super) fn network(text: &str) -> Option<IpNet> {
    text.parse()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
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
