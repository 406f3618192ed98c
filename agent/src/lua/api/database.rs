//! What the modules `postgres`, `mysql` and `sqlite` have in common: `open`, and the methods
//! `query`, `rows` and `close` of what it gives.

use std::marker::PhantomData;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mlua::{IntoLuaMulti as _, Lua, MultiValue, Table, Value};

use super::{Arguments, Failure, Module, object, too_many, type_name};
use crate::lua::context::Context;
use crate::lua::files::{Access, check};
use crate::lua::quota::Held;
use crate::lua::sql::{Cell, Database, Kind, Options, Rows, SqlError};
use crate::lua::wait::{Wait, wait};

/// The path of a database of SQLite that is in no file.
const MEMORY: &str = ":memory:";

/// The whole numbers that a number of Lua holds exactly end here.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// One of the modules.
pub(super) trait Face: Send + Sync + 'static {
    /// The module's name.
    const NAME: &'static str;
    /// The name of its objects' class.
    const CLASS: &'static str;
    /// The database that it speaks to.
    const KIND: Kind;
    /// How many of the files and connections that a plugin may have one database counts for.
    const COST: usize = 1;
}

/// A database that a script opened.
struct Handle<F> {
    database: Arc<Database>,
    face: PhantomData<F>,
    _held: Held,
}

/// Fills the module.
pub(super) fn open<F: Face>(module: &Module<'_>) -> mlua::Result<()> {
    module.waiting("open", |lua, context, arguments| {
        let options = match options(&arguments) {
            Ok(options) => guard(context, options),
            Err(Refusal::Raised(failure)) => return Err(failure),
            Err(Refusal::Told(error)) => Err(error),
        };
        let held = context.handles.take(lua, F::COST)?;
        let held = held.ok_or_else(|| SqlError::Option(too_many(context)));
        let plugin = context.name.clone();
        Ok(wait(
            async move {
                let held = held?;
                Ok((Database::open(F::KIND, options?).await?, held))
            },
            move |lua, outcome| opened::<F>(lua, &plugin, outcome),
        ))
    })?;
    let methods = module.another()?;
    methods.waiting("query", |_, _, arguments| {
        asked::<F>(&arguments, |lua, rows| {
            // Both counts are one too large: plugins of ZaLua have learned to live with it.
            let columns = rows.columns.len().saturating_add(1);
            let count = rows.rows.len().saturating_add(1);
            let table = by_position(lua, rows)?;
            (table, Value::Nil, columns, count).into_lua_multi(lua)
        })
    })?;
    methods.waiting("rows", |_, _, arguments| {
        asked::<F>(&arguments, |lua, rows| {
            let affected = rows.affected as f64;
            let table = by_name(lua, rows)?;
            (table, Value::Nil, affected).into_lua_multi(lua)
        })
    })?;
    methods.waiting("close", |_, _, arguments| {
        let database = Arc::clone(&arguments.object::<Handle<F>>(1, F::CLASS)?.database);
        Ok(wait(async move { database.close().await }, |_, ()| {
            Ok::<_, Failure>(())
        }))
    })?;
    methods.class(F::CLASS)
}

fn opened<F: Face>(
    lua: &Lua,
    plugin: &str,
    outcome: Result<(Database, Held), SqlError>,
) -> Result<MultiValue, Failure> {
    let (database, held) = match outcome {
        Ok(opened) => opened,
        Err(error) => return Ok((Value::Nil, error.to_string()).into_lua_multi(lua)?),
    };
    tracing::info!(
        plugin,
        "New {} connection `{}`",
        F::NAME,
        database.summary()
    );
    let handle = Handle::<F> {
        database: Arc::new(database),
        face: PhantomData,
        _held: held,
    };
    Ok(object(lua, F::CLASS, handle)?.into_lua_multi(lua)?)
}

/// Asks the database, and lets `shape` make the results of the rows.
fn asked<F: Face>(
    arguments: &Arguments,
    shape: fn(&Lua, Rows) -> mlua::Result<MultiValue>,
) -> Result<Wait, Failure> {
    let database = Arc::clone(&arguments.object::<Handle<F>>(1, F::CLASS)?.database);
    let sql = arguments.text(2)?;
    let parameters = (3..=arguments.count())
        .map(|position| parameter(arguments, position))
        .collect::<Result<Vec<Cell>, Failure>>()?;
    Ok(wait(
        async move { database.query(&sql, &parameters).await },
        move |lua, outcome| match outcome {
            Ok(rows) => Ok(shape(lua, rows)?),
            Err(error) => Ok((Value::Nil, error.to_string()).into_lua_multi(lua)?),
        },
    ))
}

fn parameter(arguments: &Arguments, position: usize) -> Result<Cell, Failure> {
    match arguments.get(position) {
        Value::Nil => Ok(Cell::Null),
        Value::Boolean(truth) => Ok(Cell::Bool(*truth)),
        Value::Integer(number) => Ok(Cell::Integer(*number)),
        Value::Number(number) => Ok(whole(*number).map_or(Cell::Float(*number), Cell::Integer)),
        Value::String(text) => Ok(match text.to_str() {
            Ok(text) => Cell::Text(text.to_owned()),
            Err(_) => Cell::Bytes(text.as_bytes().to_vec()),
        }),
        other => Err(arguments.wrong(
            position,
            &format!(
                "nil, boolean, number or string expected, got {}",
                type_name(other)
            ),
        )),
    }
}

/// A number of Lua that stands for a whole one.
#[expect(
    clippy::cast_possible_truncation,
    reason = "it is whole and in the range where both have every number"
)]
fn whole(number: f64) -> Option<i64> {
    (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
}

/// Rows as lists; NULL is nil.
fn by_position(lua: &Lua, rows: Rows) -> mlua::Result<Table> {
    let list = lua.create_table_with_capacity(rows.rows.len(), 0)?;
    for (row, at) in rows.rows.into_iter().zip(1..) {
        let table = lua.create_table_with_capacity(row.len(), 0)?;
        for (cell, position) in row.into_iter().zip(1..) {
            if let Some(value) = value(lua, cell)? {
                table.raw_seti(position, value)?;
            }
        }
        list.raw_seti(at, table)?;
    }
    Ok(list)
}

/// Rows as tables by the columns' names; NULL is nil. Of two columns with one name the last counts.
fn by_name(lua: &Lua, rows: Rows) -> mlua::Result<Table> {
    let names = rows
        .columns
        .iter()
        .map(|column| lua.create_string(&column.name))
        .collect::<mlua::Result<Vec<_>>>()?;
    let list = lua.create_table_with_capacity(rows.rows.len(), 0)?;
    for (row, at) in rows.rows.into_iter().zip(1..) {
        let table = lua.create_table_with_capacity(0, row.len())?;
        for (cell, name) in row.into_iter().zip(&names) {
            if let Some(value) = value(lua, cell)? {
                table.raw_set(name, value)?;
            }
        }
        list.raw_seti(at, table)?;
    }
    Ok(list)
}

fn value(lua: &Lua, cell: Cell) -> mlua::Result<Option<Value>> {
    Ok(Some(match cell {
        Cell::Null => return Ok(None),
        Cell::Bool(truth) => Value::Boolean(truth),
        // Numbers of Lua, exact up to 2^53.
        Cell::Integer(number) => Value::Number(number as f64),
        Cell::Float(number) => Value::Number(number),
        Cell::Text(text) => Value::String(lua.create_string(text)?),
        Cell::Bytes(bytes) => Value::String(lua.create_string(bytes)?),
    }))
}

/// Why options are refused.
enum Refusal {
    /// A value of a wrong type raises an error.
    Raised(Failure),
    /// A value that makes no sense is told, as what a server says is.
    Told(SqlError),
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Self::Raised(failure)
    }
}

/// The table of options. Names that are not known are not looked at, as in ZaLua.
fn options(arguments: &Arguments) -> Result<Options, Refusal> {
    let given = Given {
        arguments,
        table: arguments.table(1)?,
    };
    let password = match given.text("password")? {
        Some(password) => Some(password),
        None => given.text("passwd")?,
    };
    Ok(Options {
        host: given.text("host")?,
        port: given.whole("port", 65_535)?,
        database: given.text("database")?,
        user: given.text("user")?,
        // An empty one, ZaLua's default, is none.
        password: password.filter(|password| !password.is_empty()),
        sslmode: given
            .text("sslmode")?
            .map(|text| text.parse())
            .transpose()
            .map_err(Refusal::Told)?,
        sslrootcert: given.text("sslrootcert")?.map(PathBuf::from),
        connect_timeout: given.seconds("connect_timeout")?,
        statement_timeout: given.seconds("statement_timeout")?,
        max_connections: given.whole("max_connections", 32)?,
        path: given.text("path")?.map(PathBuf::from),
        writable: given.truth("writable")?,
        create: given.truth("create")?,
    })
}

/// Refuses a file that the script may not open. Its path becomes absolute, because SQLite takes
/// `file:…` for an address with options.
fn guard(context: &Context, options: Options) -> Result<Options, SqlError> {
    let Some(path) = options.path.as_deref() else {
        return Ok(options);
    };
    if !context.services.is_service || path.as_os_str().is_empty() || path.as_os_str() == MEMORY {
        return Ok(options);
    }
    let refused = |message| SqlError::Option(message);
    let path = std::path::absolute(path)
        .map_err(|error| refused(format!("{}: {error}", path.display())))?;
    let access = if options.writable || options.create {
        Access::Write
    } else {
        Access::Read
    };
    check(path.as_os_str().as_bytes(), access).map_err(refused)?;
    Ok(Options {
        path: Some(path),
        ..options
    })
}

struct Given<'a> {
    arguments: &'a Arguments,
    table: Table,
}

impl Given<'_> {
    fn get(&self, name: &str) -> Result<Value, Failure> {
        Ok(self.table.raw_get(name)?)
    }

    fn wrong(&self, name: &str, wanted: &str, got: &Value) -> Failure {
        let got = type_name(got);
        self.arguments
            .wrong(1, &format!("{name} must be {wanted}, got {got}"))
    }

    fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.get(name)? {
            Value::Nil => Ok(None),
            Value::String(text) => Ok(Some(text.to_string_lossy())),
            other => Err(self.wrong(name, "string", &other)),
        }
    }

    fn truth(&self, name: &str) -> Result<bool, Failure> {
        match self.get(name)? {
            Value::Nil => Ok(false),
            Value::Boolean(truth) => Ok(truth),
            other => Err(self.wrong(name, "boolean", &other)),
        }
    }

    fn number(&self, name: &str) -> Result<Option<f64>, Failure> {
        match self.get(name)? {
            Value::Nil => Ok(None),
            Value::Integer(number) => Ok(Some(number as f64)),
            Value::Number(number) => Ok(Some(number)),
            other => Err(self.wrong(name, "number", &other)),
        }
    }

    fn whole<T: TryFrom<i64>>(&self, name: &str, most: i64) -> Result<Option<T>, Refusal> {
        let Some(number) = self.number(name)? else {
            return Ok(None);
        };
        whole(number)
            .filter(|number| (1..=most).contains(number))
            .and_then(|number| T::try_from(number).ok())
            .map(Some)
            .ok_or_else(|| {
                let message = format!("{name} is {number}; it is a whole number, 1 to {most}");
                Refusal::Told(SqlError::Option(message))
            })
    }

    fn seconds(&self, name: &str) -> Result<Option<Duration>, Refusal> {
        let number = self.number(name)?;
        let seconds = number.map(Duration::try_from_secs_f64).transpose();
        seconds
            .map_err(|_| Refusal::Told(SqlError::Option(format!("{name} is no number of seconds"))))
    }
}
