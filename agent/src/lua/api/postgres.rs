//! `postgres`: PostgreSQL, and pgbouncer with its console.

use super::Module;
use super::database::{self, Face};
use crate::lua::sql::Kind;

struct Postgres;

impl Face for Postgres {
    const NAME: &'static str = "postgres";
    const CLASS: &'static str = "postgres.db";
    const KIND: Kind = Kind::Postgres;
}

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    database::open::<Postgres>(module)
}
