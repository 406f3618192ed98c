//! `ioutil`: whole files.

use super::{Failure, Module, file};

/// The longest file that is read, in bytes: a mistake in the path should not fill the memory.
const FILE_MAX: usize = 64 * 1_048_576;

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.function("readfile", |lua, context, arguments| {
        let path = file::place(context, &arguments.bytes(1)?);
        let most = FILE_MAX.min(context.budget.limits().memory);
        match file::read(context, &path, most) {
            Ok(Some(content)) => Ok(Some(lua.create_string(content)?)),
            Ok(None) => Err(Failure::raise(format!(
                "readfile: {} is longer than {most} bytes",
                path.display()
            ))),
            Err(_) => Ok(None),
        }
    })?;
    module.alias("read_file", "readfile")
}

#[cfg(test)]
mod tests {
    use crate::lua::testing::Stage;

    #[test]
    fn files_are_read_whole_and_bounded() {
        let mut stage = Stage::new();
        stage.limits.memory = 4 * 1_048_576;
        let path = stage.write("binary", b"a\0\xff\n");
        let long = stage.write("long", vec![0; 5 * 1_048_576]);
        let pipe = stage.directory.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        stage.pass(format!(
            "assert(ioutil.readfile('{path}') == 'a\\0\\255\\n')
             assert(ioutil.read_file('{path}') == 'a\\0\\255\\n')
             assert(select('#', ioutil.readfile('/absent')) == 1 and ioutil.readfile('/absent') == nil)
             assert(ioutil.readfile('/') == nil and ioutil.readfile('/proc/self/environ') == nil)
             assert(ioutil.readfile('{pipe}') == '')
             assert(ioutil.readfile('/proc/self/stat'):find('^%d+ '))
             assert(ioutil.readfile('/proc/sys/kernel/ostype') == 'Linux\\n')
             local ok, message = pcall(ioutil.readfile, '{long}')
             assert(not ok and message:find('is longer than 4194304 bytes'), message)
             local ok, message = pcall(ioutil.readfile, 1)
             assert(message:find('bad argument #1 to readfile %(string expected, got number%)'), message)",
            path = path.display(),
            pipe = pipe.display(),
            long = long.display(),
        ));
    }
}
