//! `filepath`: parts of paths, and the paths that fit a pattern.

use std::os::unix::ffi::OsStrExt;

use mlua::Table;

use super::{Failure, Module, file};
use crate::lua::go::{GlobError, filepath, glob};

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.function("base", |lua, _, arguments| {
        Ok(lua.create_string(filepath::base(&arguments.bytes(1)?.as_bytes()))?)
    })?;
    module.function("dir", |lua, _, arguments| {
        Ok(lua.create_string(filepath::dir(&arguments.bytes(1)?.as_bytes()))?)
    })?;
    module.function("ext", |lua, _, arguments| {
        Ok(lua.create_string(filepath::ext(&arguments.bytes(1)?.as_bytes()))?)
    })?;
    module.function("glob", |lua, context, arguments| {
        let pattern = arguments.bytes(1)?;
        let place = file::place(context, &pattern);
        let place = place.as_os_str().as_bytes();
        // Where the kernel's files are recorded, scripts see the paths of the machine.
        let hidden = place.len().saturating_sub(pattern.as_bytes().len());
        let found = match glob(place) {
            Ok(found) => found,
            Err(GlobError::BadPattern) => return Ok(None),
            Err(error) => return Err(Failure::raise(format!("glob: {error}"))),
        };
        let paths: Table = lua.create_table_with_capacity(found.len(), 0)?;
        for path in found {
            paths.raw_push(lua.create_string(path.get(hidden..).unwrap_or_default())?)?;
        }
        Ok(Some(paths))
    })
}

#[cfg(test)]
mod tests {
    use crate::collect::Root;
    use crate::lua::testing::Stage;
    use crate::model::Clock;

    #[test]
    fn zalua_45_paths_are_taken_apart_as_go_does() {
        Stage::new().pass(
            "for path, parts in pairs({
               ['/a/b.txt'] = {'b.txt', '/a', '.txt'},
               ['x'] = {'x', '.', ''},
               [''] = {'.', '.', ''},
               ['/a/'] = {'a', '/a', ''},
               ['.bashrc'] = {'.bashrc', '.', '.bashrc'},
               ['a//../b/c'] = {'c', 'b', ''},
             }) do
               assert(filepath.base(path) == parts[1], path)
               assert(filepath.dir(path) == parts[2], path)
               assert(filepath.ext(path) == parts[3], path)
             end",
        );
    }

    #[test]
    fn zalua_45_patterns_find_files_and_bad_ones_are_nil() {
        let stage = Stage::new();
        stage.write("b.conf", "");
        stage.write("a.conf", "");
        stage.write(".c.conf", "");
        stage.pass(format!(
            "local directory = '{}'
             local found = filepath.glob(directory .. '/*.conf')
             assert(#found == 3 and found[1] == directory .. '/.c.conf' and found[3] == directory .. '/b.conf')
             assert(#filepath.glob(directory .. '/[ab].conf') == 2)
             assert(#filepath.glob('/absent/*') == 0)
             assert(select('#', filepath.glob('[a')) == 1 and filepath.glob('[a') == nil)
             local cpu = filepath.glob('/proc/self/sta*')
             assert(cpu[2] == '/proc/self/stat', cpu[2])",
            stage.directory.path().display()
        ));
    }

    #[test]
    fn recorded_files_have_the_paths_of_the_machine() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(tree.path().join("sys/block/sda")).unwrap();
        std::fs::write(tree.path().join("sys/block/sda/size"), "42\n").unwrap();
        Stage::with(Clock::System, Root::recorded(tree.path())).pass(
            "local found = filepath.glob('/sys/block/*/size')
             assert(#found == 1 and found[1] == '/sys/block/sda/size')
             assert(ioutil.readfile(found[1]) == '42\\n' and goos.stat(found[1]).size == 3)
             assert(filepath.glob('/etc/pass*')[1] == '/etc/passwd')",
        );
    }
}
