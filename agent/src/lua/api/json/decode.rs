//! From JSON to tables, without a tree between: what is read counts as the script's memory at once.

use std::cell::RefCell;
use std::fmt;

use mlua::{IntoLua, Lua, Value};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Why there is no value.
pub(super) enum Error {
    /// The text is no JSON.
    Text(String),
    /// The engine could not take it.
    Engine(mlua::Error),
}

/// Reads a text. Bytes that are no UTF-8 are replaced, as Go does.
pub(super) fn decode(lua: &Lua, text: &[u8]) -> Result<Value, Error> {
    let text = String::from_utf8_lossy(text);
    let engine = RefCell::new(None);
    let reader = Reader {
        lua,
        engine: &engine,
    };
    let mut source = serde_json::Deserializer::from_str(&text);
    let value = reader
        .deserialize(&mut source)
        .and_then(|value| source.end().map(|()| value));
    match (value, engine.into_inner()) {
        (_, Some(error)) => Err(Error::Engine(error)),
        (Ok(value), None) => Ok(value),
        (Err(error), None) => Err(Error::Text(error.to_string())),
    }
}

/// Makes one value.
#[derive(Clone, Copy)]
struct Reader<'a> {
    lua: &'a Lua,
    /// Where an error of the engine waits, since one of the text cannot hold it.
    engine: &'a RefCell<Option<mlua::Error>>,
}

impl Reader<'_> {
    fn kept<T, E: serde::de::Error>(&self, result: mlua::Result<T>) -> Result<T, E> {
        result.map_err(|error| {
            let text = E::custom("the value cannot be made");
            self.engine.replace(Some(error));
            text
        })
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Value, D::Error> {
        source.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Boolean(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        self.kept(text.into_lua(self.lua))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let table = self.kept(self.lua.create_table())?;
        while let Some(item) = items.next_element_seed(self)? {
            // What is null takes no place.
            if !item.is_nil() {
                self.kept(table.raw_push(item))?;
            }
        }
        Ok(Value::Table(table))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let table = self.kept(self.lua.create_table())?;
        while let Some(key) = entries.next_key_seed(self)? {
            let item = entries.next_value_seed(self)?;
            self.kept(table.raw_set(key, item))?;
        }
        Ok(Value::Table(table))
    }
}
