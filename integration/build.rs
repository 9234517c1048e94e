//! Takes the Rust snippet out of README.md, for `examples/readme.rs`.

use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    let readme = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../README.md");
    println!("cargo::rerun-if-changed={}", readme.display());
    let text = fs::read_to_string(&readme)?;
    let (_, rest) = text.split_once("\n```rust\n").ok_or("README.md has no block of Rust")?;
    let (snippet, _) = rest.split_once("\n```").ok_or("README.md's block of Rust has no end")?;
    let target = PathBuf::from(env::var("OUT_DIR")?).join("readme.rs");
    fs::write(target, format!("{{\n{snippet}\n}}\n"))?;
    Ok(())
}
