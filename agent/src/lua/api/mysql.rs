//! `mysql`: MySQL and MariaDB, with the face of `postgres`.

use super::Module;
use super::database::{self, Face};
use crate::lua::sql::Kind;

struct Mysql;

impl Face for Mysql {
    const NAME: &'static str = "mysql";
    const CLASS: &'static str = "mysql.db";
    const KIND: Kind = Kind::Mysql;
}

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    database::open::<Mysql>(module)
}
