//! Files as scripts name them.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use mlua::LuaString;
use rustix::fs::OFlags;

use crate::lua::context::Context;
use crate::lua::files::{Access, Seen};

/// The place of a file. What is below `/proc` and `/sys` is where the host's kernel files are,
/// which tests record.
pub(super) fn place(context: &Context, path: &LuaString) -> PathBuf {
    let bytes = path.as_bytes();
    let path = Path::new(OsStr::from_bytes(&bytes));
    let root = &context.services.root;
    let is_kernel = || path.starts_with("/proc") || path.starts_with("/sys");
    match path.to_str() {
        Some(text) if !root.is_machine() && is_kernel() => root.path(text),
        _ => path.to_owned(),
    }
}

/// Opens a file to read it, unless it is one that a plugin may not read. A pipe that nobody writes to
/// is empty, not waited for.
pub(super) fn open(context: &Context, path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(flags);
    if context.services.is_service {
        let seen = Seen::find(path, Access::Read)?;
        return options.open(seen.path());
    }
    options.open(path)
}

/// Reads a file of at most `most` bytes; none when it is longer.
pub(super) fn read(context: &Context, path: &Path, most: usize) -> io::Result<Option<Vec<u8>>> {
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    // Files below /proc/sys give only what fits into the first read.
    let mut content = Vec::with_capacity(4096);
    open(context, path)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut content)?;
    Ok((content.len() <= most).then_some(content))
}

/// An error of the system in Go's words, which are C's without the capital and the number.
pub(super) fn go_error(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    let first = characters.next().into_iter().flat_map(char::to_lowercase);
    first.chain(characters).collect()
}
