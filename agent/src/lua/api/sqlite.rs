//! `sqlite`: files of SQLite, with the face of `postgres`.

use super::Module;
use super::database::{self, Face};
use crate::lua::sql::Kind;

struct Sqlite;

impl Face for Sqlite {
    const NAME: &'static str = "sqlite";
    const CLASS: &'static str = "sqlite.db";
    const KIND: Kind = Kind::Sqlite;
    // Each connection has a thread of the driver's.
    const COST: usize = 8;
}

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    database::open::<Sqlite>(module)
}

#[cfg(test)]
mod tests {
    use crate::lua::testing::Stage;

    #[test]
    fn a_plugin_makes_files_only_where_plugins_may() {
        let stage = Stage::new();
        stage.pass(
            r#"
            local db, message = sqlite.open{path = "/var/lib/moonward.db", create = true}
            assert(db == nil and message:find("a plugin writes below /tmp", 1, true), message)
            -- A path, no address: there is no such directory.
            db, message = sqlite.open{path = "file:/var/lib/moonward.db?mode=rwc", create = true}
            assert(db == nil and message:find("/file:/var/lib/moonward.db?mode=rwc", 1, true), message)
            db, message = sqlite.open{path = "/proc/self/environ"}
            assert(db == nil and message:find("part of the service itself", 1, true), message)

            local name = os.tmpname()
            local db = assert(sqlite.open{path = name, create = true})
            assert(db:query("CREATE TABLE x (y)"))
            local file = sqlite.open{path = name}
            assert(file:query("SELECT y FROM x"))
            os.remove(name)
            "#,
        );
    }

    #[test]
    fn a_plugin_has_so_many_databases_and_no_more() {
        let stage = Stage::new();
        stage.pass(
            r#"
            local kept = {}
            for number = 1, 16 do kept[number] = assert(sqlite.open{path = ":memory:"}) end
            local db, message = sqlite.open{path = ":memory:"}
            assert(db == nil and message:find("too many open files", 1, true), message)
            kept[1] = nil
            assert(sqlite.open{path = ":memory:"})
            "#,
        );
    }

    #[test]
    fn a_database_reaches_no_other_file() {
        let stage = Stage::new();
        stage.pass(
            r#"
            local db = assert(sqlite.open{path = ":memory:", max_connections = 1})
            for _, sql in ipairs{"ATTACH '/tmp/moonward-other.db' AS other", "VACUUM INTO '/tmp/moonward-copy.db'"} do
              local rows, message = db:query(sql)
              assert(rows == nil and message:find("attached databases", 1, true), message)
            end
            "#,
        );
    }
}
