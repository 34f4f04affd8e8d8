//! Compiles the protocol files in `proto/` without an external `protoc`.

use std::error::Error;

const FILES: [&str; 5] = [
    "proto/backend.proto",
    "proto/broker.proto",
    "proto/identity.proto",
    "proto/multiplexing.proto",
    "proto/version.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    for file in FILES {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::compile(FILES, ["proto"])?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
