//! Embeds the eBPF objects, if they have been built.
//!
//! `cargo xtask ebpf` leaves them in `target/ebpf/objects`; `MOONWARD_EBPF_OBJECTS` names another
//! directory. Without them the agent builds all the same and its probes say that they are missing.
//!
//! Embeds the shipped Lua too: every `*.lua` of `lua-stdlib/plugins` and `lua-stdlib/modules`.

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
    fs::write(output.join("objects.rs"), code)?;
    let library = variable("CARGO_MANIFEST_DIR")?.join("../lua-stdlib");
    fs::write(output.join("library.rs"), embed_lua(&library)?)
}

/// The code for the tables of shipped Lua: name and text, by name.
fn embed_lua(library: &Path) -> io::Result<String> {
    let mut code = String::new();
    for (table, folder) in [("PLUGINS", "plugins"), ("MODULES", "modules")] {
        let folder = library.join(folder);
        // A folder without files is not in every copy of the sources.
        let watched = if folder.is_dir() { &folder } else { library };
        println!("cargo:rerun-if-changed={}", watched.display());
        let mut files = Vec::new();
        if folder.is_dir() {
            for entry in fs::read_dir(&folder)? {
                files.push(entry?.path());
            }
        }
        files.sort();
        writeln!(code, "pub(super) const {table}: &[(&str, &str)] = &[")
            .map_err(io::Error::other)?;
        for file in files
            .iter()
            .filter(|file| file.extension().is_some_and(|found| found == "lua"))
        {
            let name = file.file_stem().unwrap_or_default().to_string_lossy();
            let path = fs::canonicalize(file)?;
            writeln!(
                code,
                "    ({name:?}, include_str!({:?})),",
                path.to_string_lossy()
            )
            .map_err(io::Error::other)?;
        }
        writeln!(code, "];").map_err(io::Error::other)?;
    }
    Ok(code)
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
