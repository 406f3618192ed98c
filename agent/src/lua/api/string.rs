//! The pattern functions of `string`: find, match, gmatch and gsub with bounded work.
//!
//! The engine's own cannot be interrupted. `string.lua` has those parts that call the script.

use std::sync::Arc;

use mlua::{Function, IntoLua, IntoLuaMulti, Lua, LuaString, MultiValue, Table, Value};

use super::{Arguments, Failure, Module, type_name, whole};
use crate::lua::context::Context;
use crate::lua::pattern::{Budget, Capture, Match, Pattern, PatternError, expand, find, offset};
use crate::lua::wait::answer;

/// Puts the functions into the standard `string`.
pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    let lua = module.lua();
    let string: Table = lua.globals().get("string")?;
    let on = module.on(string.clone());
    on.function("find", |lua, context, arguments| {
        let (subject, pattern) = (text(lua, &arguments, 1)?, text(lua, &arguments, 2)?);
        let subject = subject.as_bytes();
        let from = start(&arguments, subject.len())?;
        let plain = !matches!(arguments.get(4), Value::Nil | Value::Boolean(false));
        let is_over = || context.budget.check(lua).is_err();
        let mut budget = Budget::until(&is_over);
        let found = find(&subject, &pattern.as_bytes(), from, plain, &mut budget);
        let Some(found) = found.map_err(raise)? else {
            return Ok(MultiValue::from_iter([Value::Nil]));
        };
        let range = found.range();
        let mut results = (range.start + 1, range.end).into_lua_multi(lua)?;
        for index in 0..found.count() {
            results.push_back(capture(lua, &subject, &found, index)?);
        }
        Ok(results)
    })?;
    on.function("match", |lua, context, arguments| {
        let (subject, pattern) = (text(lua, &arguments, 1)?, text(lua, &arguments, 2)?);
        let subject = subject.as_bytes();
        let from = start(&arguments, subject.len())?;
        let pattern = Pattern::compile(&pattern.as_bytes()).map_err(raise)?;
        let is_over = || context.budget.check(lua).is_err();
        let found = pattern.find(&subject, from, &mut Budget::until(&is_over));
        match found.map_err(raise)? {
            Some(found) => captures(lua, &subject, &found),
            None => Ok(MultiValue::from_iter([Value::Nil])),
        }
    })?;
    let (gmatch, gsub): (Function, Function) = lua
        .load(include_str!("string.lua"))
        .set_name("=string.lua")
        .call((
            part(module, "gmatch", |lua, _, arguments| {
                prepare_gmatch(lua, arguments)
            })?,
            part(module, "gsub", |lua, _, arguments| {
                prepare_gsub(lua, arguments)
            })?,
            part(module, "gsub", step)?,
            part(module, "gsub", replace)?,
        ))?;
    on.field("gmatch", &gmatch)?;
    // Its name in Lua 5.0, which the engine still has.
    on.field("gfind", gmatch)?;
    on.field("gsub", gsub)
}

/// A part for `string.lua`; `name` is the function that messages name.
fn part<R: IntoLuaMulti>(
    module: &Module<'_>,
    name: &'static str,
    body: impl Fn(&Lua, &Context, &Arguments) -> Result<R, Failure> + Send + 'static,
) -> mlua::Result<Function> {
    let context = Arc::clone(module.context());
    module
        .lua()
        .create_function(move |lua, values: MultiValue| {
            answer(lua, body(lua, &context, &Arguments::new(name, values)))
        })
}

fn prepare_gmatch(lua: &Lua, arguments: &Arguments) -> Result<(LuaString, LuaString), Failure> {
    let (subject, pattern) = (text(lua, arguments, 1)?, text(lua, arguments, 2)?);
    Pattern::compile_global(&pattern.as_bytes()).map_err(raise)?;
    Ok((subject, pattern))
}

/// The arguments of `gsub` that it has in any case: subject, pattern, the most replacements, and
/// whether the pattern is tried at one place only.
fn prepare_gsub(
    lua: &Lua,
    arguments: &Arguments,
) -> Result<(LuaString, LuaString, f64, bool), Failure> {
    let (subject, pattern) = (text(lua, arguments, 1)?, text(lua, arguments, 2)?);
    if !matches!(arguments.get(3), Value::Table(_) | Value::Function(_)) {
        let got = type_name(arguments.get(3));
        return Err(arguments.wrong(3, &format!("string/function/table expected, got {got}")));
    }
    let most = most(arguments)?;
    let anchored = pattern.as_bytes().starts_with(b"^");
    Ok((subject, pattern, most, anchored))
}

/// The first match from an offset on: where it begins and ends, and what it caught.
fn step(lua: &Lua, context: &Context, arguments: &Arguments) -> Result<MultiValue, Failure> {
    let (subject, pattern) = (arguments.bytes(1)?, arguments.bytes(2)?);
    let (subject, pattern) = (subject.as_bytes(), pattern.as_bytes());
    let from = usize::try_from(whole(arguments.number(3)?)).unwrap_or(0);
    if from > subject.len() {
        return Ok(MultiValue::from_iter([Value::Nil]));
    }
    let pattern = match arguments.get(4) {
        Value::Boolean(true) => Pattern::compile(&pattern),
        _ => Pattern::compile_global(&pattern),
    };
    let is_over = || context.budget.check(lua).is_err();
    let mut budget = Budget::until(&is_over);
    let found = pattern.and_then(|pattern| pattern.find(&subject, from, &mut budget));
    let Some(found) = found.map_err(raise)? else {
        return Ok(MultiValue::from_iter([Value::Nil]));
    };
    let mut results = captures(lua, &subject, &found)?;
    let range = found.range();
    results.push_front(range.end.into_lua(lua)?);
    results.push_front(range.start.into_lua(lua)?);
    Ok(results)
}

/// `gsub` with a text as the replacement.
fn replace(
    lua: &Lua,
    context: &Context,
    arguments: &Arguments,
) -> Result<(LuaString, usize), Failure> {
    let (subject, pattern) = (text(lua, arguments, 1)?, text(lua, arguments, 2)?);
    let replacement = text(lua, arguments, 3)?;
    let most = most(arguments)?;
    let (subject, replacement) = (subject.as_bytes(), replacement.as_bytes());
    let pattern = Pattern::compile(&pattern.as_bytes()).map_err(raise)?;
    let most = most
        .is_finite()
        .then_some(usize::try_from(whole(most)).unwrap_or(0));
    let is_over = || context.budget.check(lua).is_err();
    let mut budget = Budget::until(&is_over);
    let replaced = pattern.gsub(&subject, most, &mut budget, |found, result| {
        expand(&replacement, found, &subject, result)
    });
    let (result, count): (Vec<u8>, usize) = replaced.map_err(raise)?;
    Ok((lua.create_string(result)?, count))
}

/// A string, or a number as one, as the standard library takes them.
fn text(lua: &Lua, arguments: &Arguments, position: usize) -> Result<LuaString, Failure> {
    if let value @ (Value::Integer(_) | Value::Number(_)) = arguments.get(position)
        && let Some(text) = lua.coerce_string(value.clone())?
    {
        return Ok(text);
    }
    arguments.bytes(position)
}

/// The offset of the third argument.
fn start(arguments: &Arguments, length: usize) -> Result<usize, Failure> {
    let first = arguments.optional_number(3)?.unwrap_or(1.0);
    Ok(offset(whole(first), length))
}

/// The fourth argument of `gsub`.
fn most(arguments: &Arguments) -> Result<f64, Failure> {
    let most = arguments.optional_number(4)?;
    Ok(most.map_or(f64::INFINITY, f64::trunc))
}

fn captures(lua: &Lua, subject: &[u8], found: &Match) -> Result<MultiValue, Failure> {
    let mut results = MultiValue::new();
    for index in 0..found.count().max(1) {
        results.push_back(capture(lua, subject, found, index)?);
    }
    Ok(results)
}

fn capture(lua: &Lua, subject: &[u8], found: &Match, index: usize) -> Result<Value, Failure> {
    Ok(match found.capture(index).map_err(raise)? {
        Capture::Text(range) => {
            let text = subject.get(range).unwrap_or_default();
            Value::String(lua.create_string(text)?)
        }
        Capture::Position(at) => (at + 1).into_lua(lua)?,
    })
}

fn raise(error: PatternError) -> Failure {
    Failure::raise(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::lua::testing::{LIMITS, Stage};
    use crate::lua::{Fault, Limits};

    #[test]
    fn patterns_answer_as_the_manual_says() {
        Stage::new().pass(
            r##"local function is(...)
              local got = {...}
              return function(...)
                local want = {...}
                assert(select("#", ...) == #got, #got)
                for i, value in ipairs(want) do assert(got[i] == value, tostring(got[i])) end
              end
            end
            is(("hello world"):find("o w"))(5, 7)
            is(("hello"):find("l+"))(3, 4)
            is(("hello"):find("(h)(e)()"))(1, 2, "h", "e", 3)
            is(("a.b"):find(".", 1, true))(2, 2)
            is(("a.b"):find(".", -1))(3, 3)
            assert(("hello"):find("x") == nil and select("#", ("hello"):find("x")) == 1)
            is(("key = value"):match("^(%w+)%s*=%s*(%w+)$"))("key", "value")
            is(("2024"):match("%d+"))("2024")
            assert(("x"):match("%d") == nil and string.match(1234, "23") == "23")
            local words = {}
            for word in ("one two  three"):gmatch("%a+") do words[#words + 1] = word end
            assert(table.concat(words, ",") == "one,two,three")
            local pairs_found = {}
            for k, v in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do pairs_found[k] = v end
            assert(pairs_found.a == "1" and pairs_found.b == "2")
            local count = 0
            for _ in ("abc"):gmatch("") do count = count + 1 end
            assert(count == 4)
            is(("hello world"):gsub("o", "0"))("hell0 w0rld", 2)
            is(("hello"):gsub("", "-"))("-h-e-l-l-o-", 6)
            is(("hello"):gsub("l", "L", 1))("heLlo", 1)
            is(("abc"):gsub("%w", "%0%0"))("aabbcc", 3)
            is(("abc"):gsub("%w", {a = "1", b = true == false}))("1bc", 3)
            is(("abc"):gsub("%w*", function() return "x" end))("x" .. "x", 2)
            is(("hello world"):gsub("(%w+) (%w+)", "%2 %1"))("world hello", 1)
            is(("abc"):gsub("^%w", function(c) return c:upper() end))("Abc", 1)
            is(("abc"):gsub("()", function(at) return at end))("1a2b3c4", 4)
            is(("x"):gsub("x", setmetatable({}, {__index = function(_, key) return key .. "!" end})))("x!", 1)
            is(("abc"):gsub("b", 7))("a7c", 1)
            is(("abc"):gsub(".", "x", 0))("abc", 0)
            is(("abc"):gsub(".", string.upper, -1))("abc", 0)"##,
        );
    }

    #[test]
    fn zalua_67_a_percent_before_no_digit_stays_in_a_replacement() {
        Stage::new().pass(
            r#"local pattern = ("/dev/mapper/vg0-lv_root"):gsub("-", "%S")
            assert(pattern == "/dev/mapper/vg0%Slv_root", pattern)
            assert(("/dev/mapper/vg0-lv_root / ext4"):match("^" .. pattern .. " (%S+)") == "/")"#,
        );
    }

    #[test]
    fn mistakes_in_patterns_are_told_at_the_place_of_the_call() {
        Stage::new().pass(
            r##"local function fails(text, f, ...)
              local arguments = {...}
              local n = select("#", ...)
              local ok, message = pcall(function() return (f(unpack(arguments, 1, n))) end)
              assert(not ok and message:find("script.lua:4: " .. text, 1, true), message)
            end
            fails("malformed pattern (ends with '%')", string.find, "a", "a%")
            fails("malformed pattern (missing ']')", string.match, "a", "[a")
            fails("unfinished capture", string.gsub, "a", "(a", "%1")
            fails("unfinished capture", string.gsub, "a", "(a", function() end)
            fails("invalid capture index", string.gsub, "a", "a", "%2")
            fails("invalid replacement value (a table)", string.gsub, "a", "a", function() return {} end)
            fails("bad argument #3 to gsub (string/function/table expected, got nil)", string.gsub, "a", "a")
            fails("bad argument #1 to find (string expected, got nil)", string.find, nil, "a")
            fails("bad argument #2 to gmatch (string expected, got nil)", string.gmatch, "a")
            fails("inner", string.gsub, "a", "a", function() error("script.lua:4: inner", 0) end)
            local ok, message = pcall(function() for _ in ("a"):gmatch("a%") do end end)
            assert(not ok and message:find("ends with"), message)"##,
        );
    }

    #[test]
    fn a_pattern_without_end_is_given_up() {
        Stage::new().pass(
            r#"local ok, message = pcall(string.match, ("a"):rep(5000), ".-.-.-.-.-.-x")
            assert(not ok and message:find("pattern too complex"), message)"#,
        );
    }

    #[test]
    fn a_replacement_may_wait_and_is_stopped_in_time() {
        let stage = Stage::new();
        stage.pass(
            r#"local text = ("a b"):gsub("%a", function(letter)
              time.sleep(letter == "a" and 1 or 0)
              return letter .. letter
            end)
            assert(text == "aa bb")
            local word = ("a b"):gmatch("%a")
            assert(coroutine.wrap(function() time.sleep(1) return word() end)() == "a")"#,
        );
        let limit = Duration::from_millis(50);
        for source in [
            "('x'):gsub('x', function() while true do end end)",
            "string.gsub(string.rep('x', 1e6), 'x', function() for i = 1, 1e5 do end end)",
            "while true do pcall(string.gsub, string.rep('a', 2000), '.-.-.-x', 'y') end",
        ] {
            let mut stage = Stage::new();
            stage.limits = Limits {
                time: Some(limit),
                ..LIMITS
            };
            let error = stage.run(source).unwrap_err();
            assert_eq!(error.fault, Fault::Time(limit), "{source}");
        }
    }
}
