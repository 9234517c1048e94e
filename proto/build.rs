//! Compiles the .proto files with protox, so that no protoc is needed.

use std::{env, fs, path::PathBuf};

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = "proto";
    let gateway =
        ["common", "schemas", "streams", "writers", "transactions", "reader", "reader_groups", "scan", "admin"]
            .map(|name| format!("sluice/gateway/v1/{name}.proto"));
    let storage = ["sluice/storage/v1/records.proto".to_string()];
    let files: Vec<String> = gateway.into_iter().chain(storage).collect();
    println!("cargo:rerun-if-changed={root}");

    let descriptors = protox::compile(&files, [root])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;

    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
