//! Headers that say how a result is handed over; what it holds is the same without them.

use scrim_model::{Code, Refusal};
use tonic::codegen::http::HeaderMap;

use crate::wire::Compression;

/// `x-max-endpoints: N`: into how many parts a result may be cut.
pub(crate) fn max_endpoints(headers: &HeaderMap) -> Result<Option<u16>, Refusal> {
    let Some(value) = headers.get("x-max-endpoints") else {
        return Ok(None);
    };
    let number = value
        .to_str()
        .ok()
        .and_then(|text| text.trim().parse().ok());
    number.filter(|n| *n > 0).map(Some).ok_or_else(|| {
        let text = "the header `x-max-endpoints` is a number from 1 to 65535";
        Refusal::new(Code::RequestInvalid, text)
    })
}

/// `x-scrim-compression: zstd` or `lz4`: how the bodies of batches are compressed. Never unasked:
/// several drivers cannot read it, and on a fast line it only costs time.
pub(crate) fn compression(headers: &HeaderMap) -> Result<Option<Compression>, Refusal> {
    let Some(value) = headers.get("x-scrim-compression") else {
        return Ok(None);
    };
    match value.to_str().map(str::trim) {
        Ok("zstd") => Ok(Some(Compression::Zstd)),
        Ok("lz4") => Ok(Some(Compression::Lz4)),
        Ok("" | "none") => Ok(None),
        Ok(_) | Err(_) => Err(Refusal::new(
            Code::RequestInvalid,
            "the header `x-scrim-compression` is one of zstd, lz4, none",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn how_a_result_is_handed_over_is_asked_for_in_headers() {
        let endpoints = |text: &str| max_endpoints(&headers("x-max-endpoints", text)).ok();
        assert_eq!(endpoints("4"), Some(Some(4)));
        for wrong in ["", "0", "-1", "65536", "four", "1.5"] {
            assert_eq!(endpoints(wrong), None, "{wrong}");
        }
        let kind = |text: &str| compression(&headers("x-scrim-compression", text)).ok();
        assert_eq!(kind("zstd"), Some(Some(Compression::Zstd)));
        assert_eq!(kind("lz4"), Some(Some(Compression::Lz4)));
        assert_eq!(kind("none"), Some(None));
        assert_eq!(kind("gzip"), None);
        let none = HeaderMap::new();
        assert!(max_endpoints(&none).unwrap().is_none() && compression(&none).unwrap().is_none());
    }
}
