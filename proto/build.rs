//! Compiles `proto/**/*.proto` in pure Rust (protox), so that no protoc is needed on the machine.

use std::path::PathBuf;

use prost::Message;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let mut compiler = protox::Compiler::new([&root])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files([
        "ha/agent/v1/types.proto",
        "ha/agent/v1/node_service.proto",
        "ha/agent/v1/instance_service.proto",
        "ha/agent/v1/vip_service.proto",
        "ha/agent/v1/check_service.proto",
        "ha/agent/v1/pool_service.proto",
        "ha/agent/v1/config_service.proto",
        "ha/agent/v1/event_service.proto",
        "ha/agent/v1/peer_service.proto",
        "ha/agent/v1/debug_service.proto",
    ])?;
    let descriptors = compiler.file_descriptor_set();
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().build_transport(true).compile_fds(descriptors)?;
    Ok(())
}
