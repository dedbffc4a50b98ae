//! Writes TPC-H's tables: `cargo x tpch SF [FOLDER]`.
//!
//! The folder is `examples/tpch/data/sf<SF>` unless told otherwise.

use std::io;
use std::path::PathBuf;

use scrim_testkit::tpch;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let scale: f64 = arguments
        .next()
        .and_then(|text| text.parse().ok())
        .filter(|scale: &f64| scale.is_finite() && *scale > 0.0)
        .ok_or_else(|| io::Error::other("say a scale factor, for example 0.1"))?;
    let folder = arguments.next().map_or_else(
        || {
            PathBuf::from(env!("CARGO_MANIFEST_DIR"))
                .join("../../examples/tpch/data")
                .join(tpch::environment(scale))
        },
        PathBuf::from,
    );
    tpch::write(&folder, scale)
}
