//! `goos`: files' attributes and the size of a page; also as `os.stat` and `os.pagesize`.

use std::os::unix::fs::MetadataExt;

use mlua::Table;

use super::{Module, file};

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    fill(module)?;
    // Where ZaLua had them in 2017, beside what the standard library has.
    fill(&module.on(module.lua().globals().get::<Table>("os")?))
}

fn fill(module: &Module<'_>) -> mlua::Result<()> {
    module.function("stat", |lua, context, arguments| {
        let path = file::place(context, &arguments.bytes(1)?);
        let Ok(data) = std::fs::metadata(path) else {
            return Ok(None);
        };
        let stat = lua.create_table()?;
        stat.raw_set("size", data.size())?;
        stat.raw_set("is_dir", data.is_dir())?;
        stat.raw_set("mod_time", data.mtime())?;
        Ok(Some(stat))
    })?;
    module.function("pagesize", |_, _, _| Ok(rustix::param::page_size()))
}

#[cfg(test)]
mod tests {
    use crate::lua::testing::Stage;

    #[test]
    fn zalua_48_files_have_a_size_a_time_and_may_be_directories() {
        let stage = Stage::new();
        let path = stage.write("file", "12345");
        let link = stage.directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        stage.pass(format!(
            "for _, module in ipairs({{goos, os}}) do
               local stat = module.stat('{link}')
               assert(stat.size == 5 and stat.is_dir == false)
               assert(math.abs(stat.mod_time - os.time()) < 60)
               assert(module.stat('/').is_dir == true)
               assert(module.stat('/absent') == nil)
               assert(type(module.pagesize()) == 'number' and module.pagesize() % 4096 == 0)
               assert(not pcall(module.stat))
             end
             assert(os.time and os.date and os.getenv)",
            link = link.display()
        ));
    }
}
