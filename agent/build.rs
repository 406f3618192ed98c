//! Embeds the eBPF objects, if they have been built.
//!
//! `cargo xtask ebpf` leaves them in `target/ebpf/objects`; `MOONWARD_EBPF_OBJECTS` names another
//! directory. Without them the agent builds all the same and its probes say that they are missing.

use std::path::{Path, PathBuf};
use std::{env, fmt::Write, fs, io};

const OBJECTS: [&str; 3] = ["block", "tcp", "process"];

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-env-changed=MOONWARD_EBPF_OBJECTS");
    println!("cargo:rerun-if-changed=build.rs");
    let variable = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .ok_or_else(|| io::Error::other(format!("cargo has not set {name}")))
    };
    let output = variable("OUT_DIR")?;
    let directory = match env::var_os("MOONWARD_EBPF_OBJECTS") {
        Some(directory) => PathBuf::from(directory),
        None => variable("CARGO_MANIFEST_DIR")?.join("../target/ebpf/objects"),
    };
    // An empty directory can be watched, a missing one would mean building anew each time. Where
    // it cannot be made, that is all that happens.
    if fs::create_dir_all(&directory).is_ok() || directory.exists() {
        println!("cargo:rerun-if-changed={}", directory.display());
    }
    let mut code = String::new();
    for object in OBJECTS {
        let bytes = embed(&directory.join(format!("{object}.o")), &output, object)?;
        writeln!(
            code,
            "/// The object of the {object} programs, if it was built.\n\
             pub(super) const {}: Option<&[u8]> = {bytes};",
            object.to_uppercase()
        )
        .map_err(io::Error::other)?;
    }
    fs::write(output.join("objects.rs"), code)
}

/// Copies the object beside the generated code, so that it cannot change under the compiler, and
/// returns the expression for its bytes.
fn embed(path: &Path, output: &Path, object: &str) -> io::Result<String> {
    if !path.is_file() {
        return Ok("None".to_owned());
    }
    let copy = format!("{object}.o");
    fs::copy(path, output.join(&copy))?;
    Ok(format!(
        "Some(aya::include_bytes_aligned!(concat!(env!(\"OUT_DIR\"), \"/{copy}\")))"
    ))
}
