//! The standard libraries as scripts have them: what calls a script back is Lua (`standard.lua`),
//! and what opens files is guarded in the service (`files.lua`).

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use mlua::{Function, IntoLuaMulti, Lua, LuaString, MultiValue, Result, Table, Value};
use rustix::fs::{AtFlags, FileType, renameat, statat, unlinkat};
use rustix::io::Errno;

use super::SCRIPT_MAX;
use super::files::{Access, Refusal, Seen};

/// Puts them in order. `files` is what the prelude reads files with, in the service.
pub(super) fn open(lua: &Lua, files: Option<Table>) -> Result<()> {
    lua.load(include_str!("standard.lua"))
        .set_name("=standard.lua")
        .call::<()>(())?;
    let Some(readers) = files else {
        return Ok(());
    };
    let host = lua.create_table()?;
    host.raw_set("open", lua.create_function(open_file)?)?;
    host.raw_set("read", lua.create_function(read)?)?;
    host.raw_set("search", lua.create_function(search)?)?;
    host.raw_set("remove", lua.create_function(remove)?)?;
    host.raw_set("rename", lua.create_function(rename)?)?;
    lua.load(include_str!("files.lua"))
        .set_name("=files.lua")
        .call((host, readers))
}

/// What a script asks of a file with a mode of `io.open`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wish {
    access: Access,
    /// The file is made when it is not there.
    creates: bool,
}

impl Wish {
    /// The modes of the manual; those of the C library beyond them are none.
    fn of(mode: &[u8]) -> Option<Self> {
        let (first, rest) = mode.split_first()?;
        if !matches!(rest, b"" | b"b" | b"+" | b"+b" | b"b+") {
            return None;
        }
        let creates = match first {
            b'r' => false,
            b'w' | b'a' => true,
            _ => return None,
        };
        let access = if creates || rest.contains(&b'+') {
            Access::Write
        } else {
            Access::Read
        };
        Some(Self { access, creates })
    }
}

/// `io.open` by the engine's own, which comes first, for the engine alone makes its files. It is
/// given a path to the file that was looked at.
fn open_file(
    lua: &Lua,
    (open, path, mode): (Function, LuaString, Option<LuaString>),
) -> Result<MultiValue> {
    let bytes = path.as_bytes();
    let path = Path::new(OsStr::from_bytes(&bytes));
    let wish = match &mode {
        Some(mode) => Wish::of(&mode.as_bytes()),
        None => Wish::of(b"r"),
    };
    let Some(wish) = wish else {
        return refused(lua, path, Errno::INVAL.into());
    };
    let seen = match Seen::find(path, wish.access) {
        Err(Refusal::System(error)) if wish.creates && error.kind() == io::ErrorKind::NotFound => {
            Seen::create(path)
        }
        found => found,
    };
    let seen = match seen.and_then(|seen| seen.plain(path)) {
        Ok(seen) => seen,
        Err(refusal) => return refused(lua, path, refusal),
    };
    let results: MultiValue = open.call((seen.path().into_os_string(), mode))?;
    match (results.front(), results.get(2)) {
        (Some(Value::Nil), Some(Value::Integer(number))) => {
            let number = i32::try_from(*number).unwrap_or(0);
            let error = io::Error::from_raw_os_error(number);
            refused(lua, path, Refusal::System(error))
        }
        _ => Ok(results),
    }
}

/// The text of a file, or nil and a message.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the engine calls it with its own"
)]
fn read(lua: &Lua, path: LuaString) -> Result<MultiValue> {
    let bytes = path.as_bytes();
    let path = Path::new(OsStr::from_bytes(&bytes));
    match text(path) {
        Ok(text) => lua.create_string(text)?.into_lua_multi(lua),
        Err(refusal) => refused(lua, path, refusal),
    }
}

fn text(path: &Path) -> std::result::Result<Vec<u8>, Refusal> {
    let seen = Seen::find(path, Access::Read)?.plain(path)?;
    let mut text = Vec::new();
    File::open(seen.path())
        .and_then(|file| file.take(SCRIPT_MAX + 1).read_to_end(&mut text))
        .map_err(Refusal::System)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > SCRIPT_MAX {
        return Err(Errno::FBIG.into());
    }
    Ok(text)
}

/// `package.searchpath`: the first file of a list of templates that can be read, or nil and those
/// that cannot.
fn search(
    lua: &Lua,
    (name, templates, separator, replacement): (
        LuaString,
        LuaString,
        Option<LuaString>,
        Option<LuaString>,
    ),
) -> Result<MultiValue> {
    let separator = separator.map_or_else(|| b".".to_vec(), |text| text.as_bytes().to_vec());
    let replacement = replacement.map_or_else(|| b"/".to_vec(), |text| text.as_bytes().to_vec());
    let name = replaced(&name.as_bytes(), &separator, &replacement);
    let mut tried = Vec::new();
    for template in templates.as_bytes().split(|byte| *byte == b';') {
        if template.is_empty() {
            continue;
        }
        let path = replaced(template, b"?", &name);
        let place = Path::new(OsStr::from_bytes(&path));
        let found = Seen::find(place, Access::Read).and_then(|seen| seen.plain(place));
        if found.is_ok_and(|seen| File::open(seen.path()).is_ok()) {
            return lua.create_string(path)?.into_lua_multi(lua);
        }
        tried.extend_from_slice(b"\n\tno file '");
        tried.extend_from_slice(&path);
        tried.push(b'\'');
    }
    (Value::Nil, lua.create_string(tried)?).into_lua_multi(lua)
}

/// A text with every `what` in it replaced.
fn replaced(text: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    if what.is_empty() {
        return text.to_vec();
    }
    let (mut result, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((first, after)) = rest.split_first() {
        if let Some(after) = rest.strip_prefix(what) {
            result.extend_from_slice(by);
            rest = after;
        } else {
            result.push(*first);
            rest = after;
        }
    }
    result
}

/// `os.remove`: a file, a link or an empty directory.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the engine calls it with its own"
)]
fn remove(lua: &Lua, path: LuaString) -> Result<MultiValue> {
    let bytes = path.as_bytes();
    let path = Path::new(OsStr::from_bytes(&bytes));
    let removed = Seen::place(path).and_then(|(directory, name)| {
        let stat = statat(directory.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW)?;
        let flags = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => AtFlags::REMOVEDIR,
            _ => AtFlags::empty(),
        };
        Ok(unlinkat(directory.as_fd(), name, flags)?)
    });
    done(lua, path, removed)
}

/// `os.rename`.
fn rename(lua: &Lua, (from, to): (LuaString, LuaString)) -> Result<MultiValue> {
    let (from, to) = (from.as_bytes(), to.as_bytes());
    let from = Path::new(OsStr::from_bytes(&from));
    let to = Path::new(OsStr::from_bytes(&to));
    let renamed = Seen::place(from).and_then(|(old, name)| {
        let (new, new_name) = Seen::place(to)?;
        Ok(renameat(old.as_fd(), name, new.as_fd(), new_name)?)
    });
    done(lua, from, renamed)
}

fn done(lua: &Lua, path: &Path, outcome: std::result::Result<(), Refusal>) -> Result<MultiValue> {
    match outcome {
        Ok(()) => true.into_lua_multi(lua),
        Err(refusal) => refused(lua, path, refusal),
    }
}

/// What the functions of files give for a failure: nil, a message and the system's number.
fn refused(lua: &Lua, path: &Path, refusal: Refusal) -> Result<MultiValue> {
    let (message, number) = match refusal {
        Refusal::Guard(message) => (message, Errno::ACCESS.raw_os_error()),
        Refusal::System(error) => {
            let text = error.to_string();
            // C's words, which Rust's have a number behind.
            let text = text.split(" (os error").next().unwrap_or_default();
            let message = format!("{}: {text}", path.display());
            (message, error.raw_os_error().unwrap_or(0))
        }
    };
    (Value::Nil, message, number).into_lua_multi(lua)
}

#[cfg(test)]
#[path = "standard_tests.rs"]
mod tests;
