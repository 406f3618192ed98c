//! `json`: reads and writes JSON, with the peculiarities of ZaLua's.

mod decode;
mod encode;

use super::{Failure, Found, Module};

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.function("decode", |lua, _, arguments| {
        let text = arguments.bytes(1)?;
        match decode::decode(lua, &text.as_bytes()) {
            Ok(value) => Ok(Found::Is(value)),
            Err(decode::Error::Text(message)) => Ok(Found::Not(message)),
            Err(decode::Error::Engine(error)) => Err(Failure::Engine(error)),
        }
    })?;
    module.function("encode", |lua, context, arguments| {
        match encode::encode(lua, &context.budget, arguments.any(1)?) {
            Ok(text) => Ok(Found::Is(lua.create_string(text)?)),
            Err(encode::Error::Value(message)) => Ok(Found::Not(message)),
            Err(encode::Error::Engine(error)) => Err(Failure::Engine(error)),
        }
    })
}

#[cfg(test)]
mod tests {
    use crate::lua::testing::Stage;

    #[test]
    fn zalua_42_values_are_written_as_zalua_did() {
        Stage::new().pass(
            r##"local function is(value, text)
              local got, message = json.encode(value)
              assert(got == text and message == nil, tostring(got) .. " is not " .. text)
            end
            is({}, "null")
            assert(select("#", json.encode({})) == 1 and select("#", json.decode("1")) == 1)
            metrics.set("discovery", json.encode({data = {}}))
            is(nil, "{}")
            is({data = {}}, '{"data":null}')
            is({data = {{["{#MOUNTPOINT}"] = "/"}}}, '{"data":[{"{#MOUNTPOINT}":"/"}]}')
            is({1, 2.5, "x", true, false}, '[1,2.5,"x",true,false]')
            is({b = 1, a = 2, [10] = 3}, '{"10":3,"a":2,"b":1}')
            is({[1] = "a", [3] = "b"}, '{"1":"a","3":"b"}')
            is({[true] = 1}, '{"true":1}')
            is("<a&b>\n\"\255", '"\\u003ca\\u0026b\\u003e\\n\\"\\ufffd"')
            is("\226\128\168", '"\\u2028"')
            is(1e21, "1e+21") is(1e-7, "1e-7") is(8253988864, "8253988864") is(-0.5, "-0.5")
            local function fails(value, text)
              local got, message = json.encode(value)
              assert(got == nil and message == text, message)
            end
            local cycle = {} cycle[1] = cycle
            local shared = {1}
            local wrap = "json: error calling MarshalJSON for type dsl.jsonValue: "
            fails(cycle, wrap .. "cannot encode recursively nested tables to JSON")
            fails({shared, shared}, wrap .. "cannot encode recursively nested tables to JSON")
            fails(print, "cannot encode function to JSON")
            fails(io.stdout, "cannot encode userdata to JSON")
            fails(coroutine.create(print), "cannot encode state to JSON")
            fails({a = {print}}, wrap .. wrap .. "cannot encode function to JSON")
            fails(0 / 0, "json: unsupported value: NaN")
            fails(1 / 0, "json: unsupported value: +Inf")
            local ok, message = pcall(json.encode)
            assert(message:find("bad argument #1 to encode %(value expected%)"), message)"##,
        );
    }

    #[test]
    fn zalua_43_values_are_read_and_nulls_vanish() {
        Stage::new().pass(
            r#"local value = assert(json.decode('{"a": [1, null, "x", true, {"b": null}], "c": null, "d": -1.5e3}'))
            assert(#value.a == 4 and value.a[1] == 1 and value.a[2] == "x" and value.a[3] == true)
            assert(next(value.a[4]) == nil and value.c == nil and value.d == -1500)
            assert(json.decode("null") == nil and json.decode('"\\u00e4\255"') == "\195\164\239\191\189")
            assert(json.decode("18446744073709551616") == 18446744073709551616)
            assert(json.decode('{"a":1,"a":2}').a == 2)
            for _, wrong in ipairs({"", "{", "[1,]", "1 2", "nil", "{'a':1}", "1e999", ("["):rep(1000)}) do
              local value, message = json.decode(wrong)
              assert(value == nil and type(message) == "string" and #message > 0, wrong)
            end
            assert(not pcall(json.decode, 1))"#,
        );
    }

    #[test]
    fn what_is_read_and_written_is_bounded() {
        let mut stage = Stage::new();
        stage.limits.memory = 8 * 1_048_576;
        stage.pass(
            r#"local deep = {}
            for _ = 1, 1000 do deep = {deep} end
            local text, message = json.encode(deep)
            assert(text == nil and message:find("nested"), message)
            local long = ("x"):rep(1e6)
            local all = {}
            for i = 1, 100 do all[i] = long end
            local text, message = json.encode(all)
            assert(text == nil and message:find("longer than"), message)"#,
        );
        let error = stage
            .run("json.decode('[' .. ('{},'):rep(1000000) .. '1]')")
            .unwrap_err();
        assert!(
            matches!(error.fault, crate::lua::Fault::Memory(_)),
            "{error:?}"
        );
    }
}
