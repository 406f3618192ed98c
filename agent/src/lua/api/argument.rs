//! The arguments of a library function: strict, as ZaLua's were. A number is no string and a string
//! no number.

use mlua::{
    Function, IntoLua, IntoLuaMulti, Lua, LuaString, MultiValue, Table, UserDataRef,
    UserDataRefMut, Value,
};

/// The results of a function that gives one thing, or `nil` and a message. There is no second result
/// beside the thing: what a function gives is often the last argument of another.
#[derive(Debug)]
pub(crate) enum Found<T> {
    /// The thing.
    Is(T),
    /// There is none, and that is as it should be.
    Nothing,
    /// There is none; why.
    Not(String),
}

impl<T: IntoLua> IntoLuaMulti for Found<T> {
    fn into_lua_multi(self, lua: &Lua) -> mlua::Result<MultiValue> {
        match self {
            Self::Is(thing) => thing.into_lua_multi(lua),
            Self::Nothing => Value::Nil.into_lua_multi(lua),
            Self::Not(message) => (Value::Nil, message).into_lua_multi(lua),
        }
    }
}

/// Why a library function has no results.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The message of an error that the script may catch.
    Raise(String),
    /// The engine's own error. What is not about memory becomes a message.
    Engine(mlua::Error),
}

impl From<mlua::Error> for Failure {
    fn from(error: mlua::Error) -> Self {
        Self::Engine(error)
    }
}

impl Failure {
    /// An error with this message.
    pub(crate) fn raise(message: impl Into<String>) -> Self {
        Self::Raise(message.into())
    }
}

/// The arguments of one call. Positions count from 1, as messages do.
#[derive(Debug)]
pub(crate) struct Arguments {
    function: &'static str,
    values: MultiValue,
}

impl Arguments {
    pub(super) fn new(function: &'static str, values: MultiValue) -> Self {
        Self { function, values }
    }

    /// How many there are, nil included.
    pub(crate) fn count(&self) -> usize {
        self.values.len()
    }

    /// One argument; nil when it is not there.
    pub(crate) fn get(&self, position: usize) -> &Value {
        const NIL: Value = Value::Nil;
        let index = position.checked_sub(1);
        index
            .and_then(|index| self.values.get(index))
            .unwrap_or(&NIL)
    }

    /// Whether it is there and not nil.
    pub(crate) fn is_given(&self, position: usize) -> bool {
        !self.get(position).is_nil()
    }

    /// A value of any type, nil included, that must be there.
    pub(crate) fn any(&self, position: usize) -> Result<&Value, Failure> {
        if position > self.values.len() {
            return Err(self.wrong(position, "value expected"));
        }
        Ok(self.get(position))
    }

    /// A string of bytes.
    pub(crate) fn bytes(&self, position: usize) -> Result<LuaString, Failure> {
        match self.get(position) {
            Value::String(text) => Ok(text.clone()),
            other => Err(self.expected(position, "string", other)),
        }
    }

    /// A string as text; bytes that are not UTF-8 are replaced.
    pub(crate) fn text(&self, position: usize) -> Result<String, Failure> {
        self.bytes(position).map(|text| text.to_string_lossy())
    }

    /// A text that may be absent.
    pub(crate) fn optional_text(&self, position: usize) -> Result<Option<String>, Failure> {
        self.is_given(position)
            .then(|| self.text(position))
            .transpose()
    }

    /// A number.
    pub(crate) fn number(&self, position: usize) -> Result<f64, Failure> {
        match self.get(position) {
            Value::Integer(number) => Ok(*number as f64),
            Value::Number(number) => Ok(*number),
            other => Err(self.expected(position, "number", other)),
        }
    }

    /// A number that may be absent.
    pub(crate) fn optional_number(&self, position: usize) -> Result<Option<f64>, Failure> {
        self.is_given(position)
            .then(|| self.number(position))
            .transpose()
    }

    /// A table.
    pub(crate) fn table(&self, position: usize) -> Result<Table, Failure> {
        match self.get(position) {
            Value::Table(table) => Ok(table.clone()),
            other => Err(self.expected(position, "table", other)),
        }
    }

    /// A table that may be absent.
    pub(crate) fn optional_table(&self, position: usize) -> Result<Option<Table>, Failure> {
        self.is_given(position)
            .then(|| self.table(position))
            .transpose()
    }

    /// A function.
    pub(crate) fn function(&self, position: usize) -> Result<Function, Failure> {
        match self.get(position) {
            Value::Function(function) => Ok(function.clone()),
            other => Err(self.expected(position, "function", other)),
        }
    }

    /// An object that the library made, `class` in messages.
    pub(crate) fn object<T: 'static>(
        &self,
        position: usize,
        class: &str,
    ) -> Result<UserDataRef<T>, Failure> {
        match self.get(position) {
            Value::UserData(object) if object.is::<T>() => Ok(object.borrow::<T>()?),
            _ => Err(self.wrong(position, &format!("{class} expected"))),
        }
    }

    /// The same, to be changed.
    pub(crate) fn object_mut<T: 'static>(
        &self,
        position: usize,
        class: &str,
    ) -> Result<UserDataRefMut<T>, Failure> {
        match self.get(position) {
            Value::UserData(object) if object.is::<T>() => Ok(object.borrow_mut::<T>()?),
            _ => Err(self.wrong(position, &format!("{class} expected"))),
        }
    }

    /// `bad argument #N to FUNCTION (WHAT)`.
    pub(crate) fn wrong(&self, position: usize, what: &str) -> Failure {
        Failure::Raise(format!(
            "bad argument #{position} to {} ({what})",
            self.function
        ))
    }

    fn expected(&self, position: usize, wanted: &str, got: &Value) -> Failure {
        self.wrong(
            position,
            &format!("{wanted} expected, got {}", type_name(got)),
        )
    }
}

/// The type of a value as scripts call it.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Integer(_) => "number",
        Value::LightUserData(_) | Value::Error(_) => "userdata",
        other => other.type_name(),
    }
}

/// A number as scripts have them; none when the value is something else.
pub(crate) fn as_number(value: &Value) -> Option<f64> {
    match value {
        Value::Integer(number) => Some(*number as f64),
        Value::Number(number) => Some(*number),
        _ => None,
    }
}

/// The whole part of a number; the nearest there is when it is too large, and 0 for what is none.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the nearest there is is what is wanted"
)]
pub(crate) fn whole(number: f64) -> i64 {
    number as i64
}

/// What Lua's `tostring` makes of a number: whole numbers without decimals.
pub(crate) fn number_text(lua: &Lua, value: &Value) -> Option<String> {
    match value {
        Value::Integer(_) | Value::Number(_) => {
            let text = lua.coerce_string(value.clone()).ok()??;
            Some(text.to_string_lossy())
        }
        _ => None,
    }
}
