//! `syscall`: what a file system has room for.

use super::{Found, Module, file};

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.function("statfs", |lua, context, arguments| {
        let path = file::place(context, &arguments.bytes(1)?);
        let stat = match rustix::fs::statvfs(&path) {
            Ok(stat) => stat,
            Err(error) => {
                let error = file::go_error(&error.into());
                let message = format!("syscall statfs error: {error}\n");
                return Ok(Found::Not(message));
            }
        };
        // As floats, since all numbers of scripts are.
        let bytes = |blocks: u64| blocks as f64 * stat.f_frsize as f64;
        let table = lua.create_table()?;
        table.raw_set("size", bytes(stat.f_blocks))?;
        table.raw_set("free", bytes(stat.f_bfree))?;
        table.raw_set("avail", bytes(stat.f_bavail))?;
        table.raw_set("files", stat.f_files)?;
        table.raw_set("files_free", stat.f_ffree)?;
        Ok(Found::Is(table))
    })
}

#[cfg(test)]
mod tests {
    use crate::lua::testing::Stage;

    #[test]
    fn zalua_49_a_file_system_has_five_numbers() {
        let stage = Stage::new();
        let expected = rustix::fs::statvfs("/").unwrap();
        let size = expected.f_blocks * expected.f_frsize;
        stage.pass(format!(
            "local stat = syscall.statfs('/')
             assert(stat.size == {size})
             local count = 0
             for name, value in pairs(stat) do
               assert(type(value) == 'number', name)
               count = count + 1
             end
             assert(count == 5)
             assert(stat.free <= stat.size and stat.avail <= stat.size)
             assert(stat.files_free <= stat.files)
             local stat, message = syscall.statfs('/absent')
             assert(stat == nil)
             assert(message == 'syscall statfs error: no such file or directory\\n', message)"
        ));
    }
}
