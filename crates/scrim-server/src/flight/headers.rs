//! Headers that say how a result is handed over; what it holds is the same without them.

use scrim_model::{Code, Refusal};
use tonic::codegen::http::HeaderMap;

use crate::wire::Compression;

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
        let kind = |text: &str| compression(&headers("x-scrim-compression", text)).ok();
        assert_eq!(kind("zstd"), Some(Some(Compression::Zstd)));
        assert_eq!(kind("lz4"), Some(Some(Compression::Lz4)));
        assert_eq!(kind("none"), Some(None));
        assert_eq!(kind("gzip"), None);
        assert!(compression(&HeaderMap::new()).unwrap().is_none());
    }
}
