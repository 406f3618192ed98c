//! `sqlite`: files of SQLite, with the face of `postgres`.

use super::Module;
use super::database::{self, Face};
use crate::lua::sql::Kind;

struct Sqlite;

impl Face for Sqlite {
    const NAME: &'static str = "sqlite";
    const CLASS: &'static str = "sqlite.db";
    const KIND: Kind = Kind::Sqlite;
}

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    database::open::<Sqlite>(module)
}
