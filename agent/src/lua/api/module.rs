//! How a module of the library is put together.
//!
//! A function is plain Rust over [`Arguments`]; the wrappers of `prelude.lua` turn its failure into
//! an error at the place of the call, as text, which the engine's own errors from Rust are not.

use std::sync::Arc;

use mlua::{AnyUserData, Function, IntoLua, IntoLuaMulti, Lua, MultiValue, Table};

use super::{Arguments, Failure};
use crate::lua::context::Context;
use crate::lua::wait::{Wait, answer};

/// Where a state keeps the methods of all classes, by the class.
pub(in crate::lua) const CLASSES: &str = "moonward.classes";

/// The makers of library functions in `prelude.lua`.
#[derive(Clone, Debug)]
pub(crate) struct Wrappers {
    pub(crate) plain: Function,
    pub(crate) waiting: Function,
}

/// A module that is being made: a table of functions.
#[derive(Debug)]
pub(crate) struct Module<'a> {
    lua: &'a Lua,
    context: &'a Arc<Context>,
    wrappers: &'a Wrappers,
    table: Table,
}

impl<'a> Module<'a> {
    pub(crate) fn new(
        lua: &'a Lua,
        context: &'a Arc<Context>,
        wrappers: &'a Wrappers,
    ) -> mlua::Result<Self> {
        Ok(Self {
            lua,
            context,
            wrappers,
            table: lua.create_table()?,
        })
    }

    /// The state that it is for.
    pub(crate) fn lua(&self) -> &'a Lua {
        self.lua
    }

    /// What the plugin is given by the host.
    pub(crate) fn context(&self) -> &'a Arc<Context> {
        self.context
    }

    /// An empty module of the same state: a class, or a module in this one.
    pub(crate) fn another(&self) -> mlua::Result<Self> {
        Self::new(self.lua, self.context, self.wrappers)
    }

    /// A module of the same state that adds to a table that is there, such as `string`.
    pub(crate) fn on(&self, table: Table) -> Self {
        Self {
            lua: self.lua,
            context: self.context,
            wrappers: self.wrappers,
            table,
        }
    }

    /// A function that answers at once. It may block on a file: others get another thread.
    pub(crate) fn function<R: IntoLuaMulti>(
        &self,
        name: &'static str,
        body: impl Fn(&Lua, &Arc<Context>, Arguments) -> Result<R, Failure> + Send + 'static,
    ) -> mlua::Result<()> {
        let context = Arc::clone(self.context);
        let inner = self.lua.create_function(move |lua, values: MultiValue| {
            answer(lua, body(lua, &context, Arguments::new(name, values)))
        })?;
        self.table
            .raw_set(name, self.wrappers.plain.call::<Function>(inner)?)
    }

    /// A function whose answer takes time: `body` checks the arguments and says what to wait for.
    pub(crate) fn waiting(
        &self,
        name: &'static str,
        body: impl Fn(&Lua, &Arc<Context>, Arguments) -> Result<Wait, Failure> + Send + 'static,
    ) -> mlua::Result<()> {
        let context = Arc::clone(self.context);
        let inner = self.lua.create_function(move |lua, values: MultiValue| {
            let begun = body(lua, &context, Arguments::new(name, values));
            answer(lua, begun.map(|wait| context.leave(wait)))
        })?;
        self.table
            .raw_set(name, self.wrappers.waiting.call::<Function>(inner)?)
    }

    /// A field that is no function.
    pub(crate) fn field(&self, name: &str, value: impl IntoLua) -> mlua::Result<()> {
        self.table.raw_set(name, value)
    }

    /// A second name for a function that is there.
    pub(crate) fn alias(&self, name: &str, of: &str) -> mlua::Result<()> {
        self.table
            .raw_set(name, self.table.raw_get::<Function>(of)?)
    }

    /// Keeps the table as the methods of objects of `class`, which is called `module.class`; see
    /// [`object`].
    pub(crate) fn class(self, class: &'static str) -> mlua::Result<()> {
        let classes = match self.lua.named_registry_value::<Option<Table>>(CLASSES)? {
            Some(classes) => classes,
            None => self.lua.create_table()?,
        };
        classes.raw_set(class, &self.table)?;
        self.lua.set_named_registry_value(CLASSES, classes)?;
        self.lua.set_named_registry_value(class, self.table)
    }
}

/// An object for scripts. Its methods are the functions of the module that was kept as `class`
/// ([`Module::class`]); they get the object as their first argument.
pub(crate) fn object<T: Send + Sync + 'static>(
    lua: &Lua,
    class: &'static str,
    content: T,
) -> mlua::Result<AnyUserData> {
    let methods: Table = lua.named_registry_value(class)?;
    let registered = format!("{class}.registered");
    if lua
        .named_registry_value::<Option<bool>>(&registered)?
        .is_none()
    {
        lua.register_userdata_type::<T>(|registry| {
            use mlua::UserDataFields as _;
            registry.add_meta_field("__index", methods);
        })?;
        lua.set_named_registry_value(&registered, true)?;
    }
    lua.create_any_userdata(content)
}
