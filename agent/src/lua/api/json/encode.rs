//! From tables to JSON.

use std::collections::HashSet;
use std::ffi::c_void;

use mlua::{Lua, Table, Value};

use super::super::{as_number, number_text, type_name};
use crate::lua::budget::Budget;
use crate::lua::go::json::{encode_number, encode_string};

/// The deepest nesting of tables; ten times what is usual.
const DEPTH_MAX: usize = 200;

/// What ZaLua said before the reason when it was inside a table, once for each table around it.
const NESTED: &str = "json: error calling MarshalJSON for type dsl.jsonValue: ";

/// Why there is no text.
pub(super) enum Error {
    /// The value is none of JSON.
    Value(String),
    /// The engine's own.
    Engine(mlua::Error),
}

impl From<mlua::Error> for Error {
    fn from(error: mlua::Error) -> Self {
        Self::Engine(error)
    }
}

/// Writes a value. The text is at most as long as the script's memory.
pub(super) fn encode(lua: &Lua, budget: &Budget, value: &Value) -> Result<String, Error> {
    if value.is_nil() {
        return Ok("{}".to_owned());
    }
    let mut writer = Writer {
        lua,
        budget,
        seen: HashSet::new(),
        depth: 0,
        text: String::new(),
    };
    writer.value(value)?;
    Ok(writer.text)
}

struct Writer<'a> {
    lua: &'a Lua,
    budget: &'a Budget,
    /// The tables that were written: none may come twice.
    seen: HashSet<*const c_void>,
    depth: usize,
    text: String,
}

impl Writer<'_> {
    fn value(&mut self, value: &Value) -> Result<(), Error> {
        let longest = self.budget.limits().memory;
        if self.text.len() > longest {
            return Err(wrong(&format!(
                "json: the text is longer than {longest} bytes"
            )));
        }
        match value {
            Value::Boolean(flag) => self.text.push_str(if *flag { "true" } else { "false" }),
            Value::Integer(_) | Value::Number(_) => {
                let number = as_number(value).unwrap_or_default();
                let number = encode_number(number).map_err(|error| wrong(&error.to_string()))?;
                self.text.push_str(&number);
            }
            Value::String(text) => encode_string(&text.as_bytes(), &mut self.text),
            Value::Table(table) => return self.table(table),
            other => {
                let name = match type_name(other) {
                    "thread" => "state",
                    name => name,
                };
                return Err(wrong(&format!("cannot encode {name} to JSON")));
            }
        }
        Ok(())
    }

    fn table(&mut self, table: &Table) -> Result<(), Error> {
        if !self.seen.insert(table.to_pointer()) {
            return Err(wrong("cannot encode recursively nested tables to JSON"));
        }
        if self.depth >= DEPTH_MAX {
            let text = format!("json: tables are nested more than {DEPTH_MAX} deep");
            return Err(wrong(&text));
        }
        self.depth += 1;
        let written = if table.is_empty() {
            self.text.push_str("null");
            Ok(())
        } else {
            match array(table)? {
                Some(length) => self.array(table, length),
                None => self.object(table),
            }
        };
        self.depth -= 1;
        written
    }

    fn array(&mut self, table: &Table, length: usize) -> Result<(), Error> {
        let mut mark = '[';
        for index in 1..=length {
            self.text.push(mark);
            mark = ',';
            self.nested(&table.raw_get(index)?)?;
        }
        self.text.push(']');
        Ok(())
    }

    fn object(&mut self, table: &Table) -> Result<(), Error> {
        let mut entries: Vec<(Vec<u8>, Value)> = Vec::new();
        for pair in table.pairs::<Value, Value>() {
            let (key, value) = pair?;
            entries.push((self.key(&key), value));
        }
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut mark = '{';
        for (key, value) in entries {
            self.text.push(mark);
            mark = ',';
            encode_string(&key, &mut self.text);
            self.text.push(':');
            self.nested(&value)?;
        }
        self.text.push('}');
        Ok(())
    }

    fn key(&self, key: &Value) -> Vec<u8> {
        if let Value::String(text) = key {
            return text.as_bytes().to_vec();
        }
        let text = match (key, number_text(self.lua, key)) {
            (_, Some(text)) => text,
            (Value::Boolean(truth), None) => truth.to_string(),
            // What an object says of itself would be asked for from here; see `standard.lua`.
            (_, None) => format!("{}: {:p}", type_name(key), key.to_pointer()),
        };
        text.into_bytes()
    }

    fn nested(&mut self, value: &Value) -> Result<(), Error> {
        self.value(value).map_err(|error| match error {
            // A limit is no part of ZaLua's and is told plainly, not two hundred times wrapped.
            Error::Value(text) if !text.starts_with("json: t") => {
                Error::Value(format!("{NESTED}{text}"))
            }
            other => other,
        })
    }
}

fn wrong(text: &str) -> Error {
    Error::Value(text.to_owned())
}

/// The length of a table that has the keys from 1 on and no others.
fn array(table: &Table) -> mlua::Result<Option<usize>> {
    let length = table.raw_len();
    let mut count = 0;
    for pair in table.pairs::<Value, Value>() {
        let (key, _) = pair?;
        let is_index = match key {
            Value::Integer(index) => index >= 1 && usize::try_from(index).unwrap_or(0) <= length,
            Value::Number(index) => index.fract() == 0.0 && index >= 1.0 && index <= length as f64,
            _ => false,
        };
        if !is_index {
            return Ok(None);
        }
        count += 1;
    }
    Ok((count == length).then_some(length))
}
