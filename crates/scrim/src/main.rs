//! The command `scrim`. Everything is in the library; this only wires.

use std::process::ExitCode;

/// Many threads allocate and free batches; mimalloc returns fewer pages to the system between them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    scrim::run()
}
