//! `yaml`: reads YAML.

use mlua::{IntoLua, Lua, Value};

use super::{Found, Module};
use crate::lua::go::yaml::{Node, decode};

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.function("decode", |lua, _, arguments| {
        let text = arguments.bytes(1)?;
        match decode(&text.as_bytes()) {
            Ok(node) => Ok(Found::Is(value(lua, &node)?)),
            Err(error) => Ok(Found::Not(error.to_string())),
        }
    })
}

/// A tree as Lua has it. It is not deep, see [`crate::lua::go::yaml::DEPTH_MAX`].
fn value(lua: &Lua, node: &Node) -> mlua::Result<Value> {
    Ok(match node {
        Node::Null => Value::Nil,
        Node::Bool(flag) => Value::Boolean(*flag),
        Node::Int(number) => Value::Number(*number as f64),
        Node::Float(number) => Value::Number(*number),
        Node::String(text) => lua.create_string(text)?.into_lua(lua)?,
        Node::Sequence(items) => {
            let table = lua.create_table()?;
            for item in items {
                let item = value(lua, item)?;
                // What is nothing takes no place, as in `json.decode`.
                if !item.is_nil() {
                    table.raw_push(item)?;
                }
            }
            Value::Table(table)
        }
        Node::Mapping(entries) => {
            let table = lua.create_table()?;
            for (key, item) in entries {
                let key = value(lua, key)?;
                let is_key = match &key {
                    Value::Nil => false,
                    Value::Number(number) => !number.is_nan(),
                    _ => true,
                };
                if is_key {
                    table.raw_set(key, value(lua, item)?)?;
                }
            }
            Value::Table(table)
        }
    })
}

#[cfg(test)]
mod tests {
    use crate::lua::testing::Stage;

    #[test]
    fn values_come_as_lua_has_them() {
        Stage::new().pass(
            r#"assert(yaml.decode("a:\n  b: 1\n").a.b == 1)
            local value = yaml.decode("list: [1, ~, 2.5, yes, text, .nan]\n3: three\n~: nothing\nbig: 18446744073709551615\n")
            local list = value.list
            assert(#list == 5 and list[1] == 1 and list[2] == 2.5 and list[3] == true and list[4] == "text")
            assert(list[5] ~= list[5] and value[3] == "three" and value.big == nil)
            assert(yaml.decode("") == nil and yaml.decode("~") == nil and yaml.decode("x") == "x")
            local value, message = yaml.decode("a: [")
            assert(value == nil and type(message) == "string" and #message > 0)
            local bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
            for i = 1, 20 do
              local last, this = string.char(96 + i), string.char(97 + i)
              bomb = bomb .. this .. ": &" .. this .. " [" .. ("*" .. last .. ","):rep(9) .. "*" .. last .. "]\n"
            end
            local value, message = yaml.decode(bomb)
            assert(value == nil and type(message) == "string")
            assert(not pcall(yaml.decode))"#,
        );
    }
}
