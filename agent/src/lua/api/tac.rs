//! `tac`: the lines of a file from the last to the first.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use mlua::Lua;

use super::{Failure, Found, Module, file, object};
use crate::lua::budget::Budget;
use crate::lua::context::Context;
use crate::lua::quota::Held;

/// The class of open files.
const FILE: &str = "tac.file";

/// How much is read at once, in bytes.
const BLOCK: usize = 16 * 1024;

/// The longest line, in bytes.
const LINE_MAX: usize = 1_048_576;

/// A file that is read backwards.
#[derive(Debug)]
struct Backward {
    file: File,
    /// Where what was not read yet ends.
    unread: u64,
    /// What was read and not given yet.
    buffer: Vec<u8>,
    /// Whether a line may end where the buffer does, though there is no line feed: at the end of
    /// the file, and behind a line feed that was taken off.
    has_line: bool,
    /// Whether part of the line that is read was passed over, because it is too long.
    is_long: bool,
    _held: Held,
}

/// Why there is no line.
enum NoLine {
    Long,
    /// The turn is over.
    Over(mlua::Error),
    Read(io::Error),
}

impl From<io::Error> for NoLine {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl Backward {
    fn open(context: &Context, path: &std::path::Path, held: Held) -> io::Result<Self> {
        let file = file::open(context, path)?;
        let data = file.metadata()?;
        if data.is_dir() {
            return Err(io::Error::from_raw_os_error(
                rustix::io::Errno::ISDIR.raw_os_error(),
            ));
        }
        let mut this = Self {
            file,
            unread: data.len(),
            buffer: Vec::new(),
            has_line: data.len() > 0,
            is_long: false,
            _held: held,
        };
        this.fill()?;
        if this.buffer.last() == Some(&b'\n') {
            this.buffer.pop();
        }
        Ok(this)
    }

    /// Puts the block before what was read in front of the buffer; false when there is none.
    fn fill(&mut self) -> io::Result<bool> {
        let length = BLOCK.min(usize::try_from(self.unread).unwrap_or(usize::MAX));
        if length == 0 {
            return Ok(false);
        }
        let start = self.unread - length as u64;
        let mut block = vec![0; length];
        self.file.read_exact_at(&mut block, start)?;
        block.extend_from_slice(&self.buffer);
        self.buffer = block;
        self.unread = start;
        Ok(true)
    }

    fn line(&mut self, lua: &Lua, budget: &Budget) -> Result<Option<Vec<u8>>, NoLine> {
        if !self.has_line {
            return Ok(None);
        }
        let mut searched = 0;
        loop {
            let ahead = self.buffer.len() - searched;
            let unsearched = self.buffer.get(..ahead).unwrap_or_default();
            if let Some(at) = unsearched.iter().rposition(|byte| *byte == b'\n') {
                let line = self.buffer.split_off(at);
                self.buffer.shrink_to(BLOCK * 2);
                let is_long = std::mem::take(&mut self.is_long);
                return whole(line.get(1..).unwrap_or_default(), is_long);
            }
            searched = self.buffer.len();
            if searched > LINE_MAX {
                // Its rest is passed over, so that the next call gives the line before it.
                self.is_long = true;
                self.buffer.clear();
                searched = 0;
            }
            budget.check(lua).map_err(NoLine::Over)?;
            if !self.fill()? {
                self.has_line = false;
                let is_long = std::mem::take(&mut self.is_long);
                return whole(&std::mem::take(&mut self.buffer), is_long);
            }
        }
    }
}

fn whole(line: &[u8], is_long: bool) -> Result<Option<Vec<u8>>, NoLine> {
    if is_long || line.len() > LINE_MAX {
        return Err(NoLine::Long);
    }
    Ok(Some(line.strip_suffix(b"\r").unwrap_or(line).to_vec()))
}

/// An open file, or one that was closed.
type Object = Option<Backward>;

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.function("open", |lua, context, arguments| {
        let path = arguments.bytes(1)?;
        let Some(held) = context.handles.take(lua, 1)? else {
            return Err(Failure::raise(format!(
                "open error: {}",
                super::too_many(context)
            )));
        };
        let opened =
            Backward::open(context, &file::place(context, &path), held).map_err(|error| {
                let (path, error) = (path.to_string_lossy(), file::go_error(&error));
                Failure::raise(format!("open error: open {path}: {error}"))
            })?;
        Ok(object::<Object>(lua, FILE, Some(opened))?)
    })?;
    let class = module.another()?;
    class.function("line", |lua, context, arguments| {
        let mut object = arguments.object_mut::<Object>(1, FILE)?;
        let Some(file) = object.as_mut() else {
            return Ok(Found::Not("file is closed".to_owned()));
        };
        Ok(match file.line(lua, &context.budget) {
            Ok(Some(line)) => Found::Is(lua.create_string(line)?),
            Ok(None) => Found::Nothing,
            Err(NoLine::Over(error)) => return Err(error.into()),
            Err(NoLine::Long) => Found::Not(format!("line is longer than {LINE_MAX} bytes")),
            Err(NoLine::Read(error)) => Found::Not(file::go_error(&error)),
        })
    })?;
    class.function("close", |_, _, arguments| {
        *arguments.object_mut::<Object>(1, FILE)? = None;
        Ok(())
    })?;
    class.class(FILE)
}

#[cfg(test)]
mod tests {
    use crate::lua::testing::Stage;

    #[test]
    fn zalua_54_lines_come_last_first() {
        let stage = Stage::new();
        for (content, lines) in [
            ("", "{}"),
            ("\n", "{''}"),
            ("one", "{'one'}"),
            ("one\n", "{'one'}"),
            ("one\r\n\ntwo", "{'two', '', 'one'}"),
            ("\none\n\n", "{'', 'one', ''}"),
        ] {
            let path = stage.write("file", content);
            stage.pass(format!(
                "local file = tac.open('{}')
                 for number, line in ipairs({lines}) do
                   local got, message = file:line()
                   assert(got == line and message == nil, number)
                 end
                 assert(file:line() == nil and file:line() == nil)
                 file:close()
                 file:close()
                 local line, message = file:line()
                 assert(line == nil and message == 'file is closed')",
                path.display()
            ));
        }
        stage.pass(
            "local ok, message = pcall(tac.open, '/absent')
             assert(not ok and message:find('open error: open /absent: no such file or directory'), message)
             assert(not pcall(tac.open, '/') and not pcall(tac.open))
             assert(not pcall(tac.open('/dev/null').line, io.stdout))",
        );
    }

    #[test]
    fn zalua_54_long_files_and_long_lines_are_read_in_pieces() {
        let stage = Stage::new();
        let mut content = String::new();
        for number in 1..=3000 {
            content.extend(["x".repeat(number % 40), format!("{number}\n")]);
        }
        let numbers = stage.write("numbers", content);
        let long = "l".repeat(1_048_576);
        let lines = stage.write("lines", format!("first\n{long}\nmiddle\n{long}l\nlast\n"));
        stage.pass(format!(
            "local file = tac.open('{}')
             for number = 3000, 1, -1 do
               assert(file:line() == ('x'):rep(number % 40) .. number)
             end
             assert(file:line() == nil)
             local file = tac.open('{}')
             assert(file:line() == 'last')
             local line, message = file:line()
             assert(line == nil and message == 'line is longer than 1048576 bytes', message)
             assert(file:line() == 'middle')
             assert(#file:line() == 1048576)
             assert(file:line() == 'first' and file:line() == nil)",
            numbers.display(),
            lines.display()
        ));
    }

    #[test]
    fn files_that_nobody_closes_are_no_leak_but_have_a_limit() {
        let stage = Stage::new();
        let path = stage.write("file", "x");
        stage.pass(format!(
            "for _ = 1, 1000 do tac.open('{path}') end
             local all = {{}}
             local ok, message
             repeat ok, message = pcall(function() all[#all + 1] = tac.open('{path}') end) until not ok
             assert(#all == 128 and message:find('too many'), message)",
            path = path.display()
        ));
    }
}
