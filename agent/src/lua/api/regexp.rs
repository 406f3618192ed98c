//! `regexp`: regular expressions as Go's package of that name writes them.
//!
//! The engine is Rust's: like Go's, one search takes time in proportion to the text and never more.
//! [`crate::lua::go::regexp`] rewrites what the two write differently.

use std::sync::{Arc, OnceLock};

use mlua::{Lua, LuaString, Table};
use regex::bytes::{Regex, RegexBuilder};

use super::{Arguments, Failure, Found, Module, object};
use crate::lua::context::Context;
use crate::lua::go::regexp::translate;
use crate::lua::quota::Held;

/// The class of compiled expressions.
const EXPRESSION: &str = "regexp.expression";

/// The longest expression, in bytes.
const EXPRESSION_MAX: usize = 65_536;

/// What a compiled expression may take, in bytes: the smallest that is enough is tried first and
/// charged to the script.
const SIZES: [usize; 4] = [16_384, 131_072, 1_048_576, 4_194_304];

/// No compiled expression is smaller.
const SIZE_MIN: usize = 512;

/// What the engine keeps for a search beside the expression, in bytes.
const CACHE: usize = 131_072;

/// The most work of one search, which nothing can stop; between two it is looked at the turn's time: bytes of the text times bytes of the compiled
/// expression. The engine may look at every state of the expression at every byte, which took 0.1 to
/// 0.6 ns per byte times byte with the worst expressions that were tried, so this is about a second.
const WORK_MAX: usize = 3_000_000_000;

/// How often the size of an expression is halved in when it matters; each is a compilation.
const HALVINGS: u32 = 5;

/// How many expressions `regexp.match` keeps compiled for a script.
const KEPT_MAX: usize = 16;

/// Where a state keeps them: a table from the expression to its object, and how many there are.
const KEPT: &str = "moonward.regexp.kept";
const KEPT_COUNT: &str = "moonward.regexp.kept.count";

/// A compiled expression.
#[derive(Debug)]
struct Expression {
    regex: Regex,
    /// As the engine has it.
    translated: String,
    /// A size that is enough for it, of [`SIZES`], and the size that it has.
    enough: usize,
    size: OnceLock<usize>,
    _held: Held,
}

impl Expression {
    /// Refuses a text that is too long for this expression, which is argument `position`.
    fn check(&self, arguments: &Arguments, position: usize, text: &[u8]) -> Result<(), Failure> {
        let fits = |size: usize| text.len().saturating_mul(size) <= WORK_MAX;
        if fits(self.enough) {
            return Ok(());
        }
        let size = *self.size.get_or_init(|| self.measure());
        if fits(size) {
            return Ok(());
        }
        Err(arguments.wrong(
            position,
            &format!(
                "a text of {} bytes is too long for this expression, which takes {size} bytes when \
                 compiled: nothing could end the search in time; give it at most {} bytes at once, \
                 such as a line, or a shorter expression with smaller counts",
                text.len(),
                WORK_MAX / size.max(1)
            ),
        ))
    }

    /// The size of the compiled expression, never too small and at most a sixth too large.
    fn measure(&self) -> usize {
        let below = SIZES.iter().rfind(|size| **size < self.enough);
        let mut too_small = below.copied().unwrap_or(SIZE_MIN);
        let mut enough = self.enough;
        for _ in 0..HALVINGS {
            let middle = too_small.saturating_mul(enough).isqrt();
            if builder(&self.translated, middle).build().is_ok() {
                enough = middle;
            } else {
                too_small = middle;
            }
        }
        enough
    }
}

/// The engine's settings, with the most that the compiled expression may take.
fn builder(translated: &str, size: usize) -> RegexBuilder {
    let mut builder = RegexBuilder::new(translated);
    builder.size_limit(size).dfa_size_limit(CACHE).octal(true);
    builder
}

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.function("match", |lua, context, arguments| {
        let subject = arguments.bytes(1)?;
        let expression = match kept(lua, context, &arguments.bytes(2)?)? {
            Ok(expression) => expression,
            Err(message) => return Ok(Found::Not(message)),
        };
        let expression = expression.borrow::<Expression>()?;
        expression.check(&arguments, 1, &subject.as_bytes())?;
        Ok(Found::Is(expression.regex.is_match(&subject.as_bytes())))
    })?;
    module.function("compile", |lua, context, arguments| {
        Ok(match compiled(lua, context, &arguments.bytes(1)?)? {
            Ok(expression) => Found::Is(expression),
            Err(message) => Found::Not(message),
        })
    })?;
    let class = module.another()?;
    class.function("match", |_, _, arguments| {
        let Some(expression) = receiver(&arguments) else {
            return Ok(Found::Not(NO_EXPRESSION.to_owned()));
        };
        let subject = arguments.bytes(2)?;
        expression.check(&arguments, 2, &subject.as_bytes())?;
        Ok(Found::Is(expression.regex.is_match(&subject.as_bytes())))
    })?;
    class.function("find", |lua, _, arguments| {
        let Some(expression) = receiver(&arguments) else {
            return Ok(Found::Not(NO_EXPRESSION.to_owned()));
        };
        let subject = arguments.bytes(2)?;
        let subject = subject.as_bytes();
        expression.check(&arguments, 2, &subject)?;
        let found = expression.regex.find(&subject);
        let found = found.map(|found| found.as_bytes()).unwrap_or_default();
        Ok(Found::Is(lua.create_string(found)?))
    })?;
    class.alias("find_string", "find")?;
    class.function("find_all", |lua, context, arguments| {
        let Some(expression) = receiver(&arguments) else {
            return Ok(Found::Not(NO_EXPRESSION.to_owned()));
        };
        let subject = arguments.bytes(2)?;
        let most = arguments.optional_number(3)?.unwrap_or(-1.0).trunc();
        let subject = subject.as_bytes();
        expression.check(&arguments, 2, &subject)?;
        let found: Table = lua.create_table()?;
        let mut places = expression.regex.find_iter(&subject);
        let mut count = 0.0;
        // Each place is a search of its own, which may go to the end of the text before it finds it.
        while !(most >= 0.0 && count >= most)
            && let Some(one) = places.next()
        {
            context.budget.check(lua)?;
            found.raw_push(lua.create_string(one.as_bytes())?)?;
            count += 1.0;
        }
        Ok(Found::Is(found))
    })?;
    class.alias("find_all_string", "find_all")?;
    class.class(EXPRESSION)
}

/// What ZaLua answered when a method was called on something else.
const NO_EXPRESSION: &str = "regexp is nil";

fn receiver(arguments: &Arguments) -> Option<mlua::UserDataRef<Expression>> {
    arguments.object::<Expression>(1, EXPRESSION).ok()
}

type Compiled = Result<mlua::AnyUserData, String>;

/// An expression that was compiled before, or is now and then kept.
fn kept(lua: &Lua, context: &Arc<Context>, text: &LuaString) -> Result<Compiled, Failure> {
    let mut count: usize = lua
        .named_registry_value::<Option<_>>(KEPT_COUNT)?
        .unwrap_or_default();
    let mut table = lua.named_registry_value::<Option<Table>>(KEPT)?;
    if let Some(found) = table
        .as_ref()
        .map(|table| table.raw_get(text))
        .transpose()?
        && let Some(found) = found
    {
        return Ok(Ok(found));
    }
    let compiled = compiled(lua, context, text)?;
    if let Ok(expression) = &compiled {
        if count >= KEPT_MAX {
            table = None;
        }
        let table = if let Some(table) = table {
            table
        } else {
            count = 0;
            let table = lua.create_table()?;
            lua.set_named_registry_value(KEPT, &table)?;
            table
        };
        table.raw_set(text, expression)?;
        lua.set_named_registry_value(KEPT_COUNT, count + 1)?;
    }
    Ok(compiled)
}

fn compiled(lua: &Lua, context: &Arc<Context>, text: &LuaString) -> Result<Compiled, Failure> {
    let bytes = text.as_bytes();
    if bytes.len() > EXPRESSION_MAX {
        return Ok(Err(format!(
            "error parsing regexp: the expression is longer than {EXPRESSION_MAX} bytes"
        )));
    }
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return Ok(Err("error parsing regexp: invalid UTF-8".to_owned()));
    };
    let translated = match translate(text) {
        Ok(translated) => translated,
        Err(message) => return Ok(Err(format!("error parsing regexp: {message}"))),
    };
    for size in SIZES {
        let Some(held) = context
            .expressions
            .take(lua, size + CACHE + translated.len())?
        else {
            return Ok(Err(format!(
                "error parsing regexp: the plugin's expressions would take more than {} MiB",
                context.expressions.most() / 1_048_576
            )));
        };
        match builder(&translated, size).build() {
            Ok(regex) => {
                let content = Expression {
                    regex,
                    translated,
                    enough: size,
                    size: OnceLock::new(),
                    _held: held,
                };
                return Ok(Ok(object(lua, EXPRESSION, content)?));
            }
            Err(regex::Error::CompiledTooBig(_)) => {}
            Err(error) => return Ok(Err(format!("error parsing regexp: {}", reason(&error)))),
        }
    }
    Ok(Err(
        "error parsing regexp: expression is too large".to_owned()
    ))
}

/// The last line of the engine's message, which comes with a drawing of the place.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    let line = text.lines().last().unwrap_or_default();
    line.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use crate::lua::testing::Stage;

    #[test]
    fn zalua_52_the_subject_comes_first_and_no_match_is_no_nil() {
        Stage::new().pass(
            r##"assert(regexp.match("disk sda1", "sd[a-z]\\d") == true)
            assert(regexp.match("sd[a-z]", "disk sda1") == false)
            local answer, message = regexp.match("x", "(")
            assert(answer == nil and message:find("^error parsing regexp: "), message)
            local expression = assert(regexp.compile("a+(b)?"))
            assert(select("#", regexp.compile("a")) == 1 and select("#", expression:find("a")) == 1)
            assert(expression:match("xab") == true and expression:match("x") == false)
            assert(expression:find("xaab aab") == "aab" and expression:find_string("x") == "")
            local all = expression:find_all("ab aab a")
            assert(table.concat(all, ",") == "ab,aab,a")
            assert(table.concat(expression:find_all_string("ab aab a", 2), ",") == "ab,aab")
            assert(#expression:find_all("ab aab a", 0) == 0 and #expression:find_all("x") == 0)
            assert(#expression:find_all("ab aab a", -1) == 3)
            local expression, message = regexp.compile("[a")
            assert(expression == nil and message:find("unclosed"), message)
            local compiled = regexp.compile("a")
            local answer, message = compiled.find(io.stdout, "a")
            assert(answer == nil and message == "regexp is nil")
            local ok, message = pcall(regexp.match, 1, "a")
            assert(message:find("bad argument #1 to match %(string expected, got number%)"), message)"##,
        );
    }

    #[test]
    fn expressions_are_go_s() {
        Stage::new().pass(
            r#"-- Classes are ASCII, braces and brackets stand for themselves where they can.
            assert(not regexp.match("\195\164", "^\\w+$") and regexp.match("\195\164", "^.$"))
            assert(regexp.match('{"a":1}', '^{"a":\\d}$'))
            assert(regexp.match("a]b", "a]b") and regexp.match("[", "[[]") and regexp.match("&", "^[a&&b]$"))
            assert(regexp.match("a.b", "^\\Qa.b\\E$") and not regexp.match("axb", "^\\Qa.b\\E$"))
            assert(regexp.match("\255x", "x") and regexp.match("A\n", "(?im)^a$"))
            assert(#regexp.compile("a*"):find_all("baab") == 3)"#,
        );
    }

    #[test]
    fn expressions_are_bounded() {
        Stage::new().pass(
            r#"local answer, message = regexp.match("x", "((a{1000}){1000})")
            assert(answer == nil and message:find("too large"), message)
            -- A plugin that compiles again and again is no leak; one that keeps all has a limit.
            for i = 1, 2000 do assert(regexp.compile("\\d{3}x" .. i)) end
            for i = 1, 100 do assert(regexp.match("y" .. i, "^y" .. i .. "$")) end
            local all, message = {}
            repeat all[#all + 1], message = regexp.compile("x") until message
            assert(#all > 100 and message:find("more than 32 MiB"), message)
            all = nil
            assert(regexp.match(("a"):rep(30) , "(a*)*b") == false)"#,
        );
    }

    /// Nothing ends a search before its time, so what would take long is not begun.
    #[test]
    fn a_search_is_bounded_by_the_text_and_the_expression() {
        Stage::new().pass(
            r#"local large = assert(regexp.compile("(?:a?b?c?d?){600}x"))
            local text = ("a"):rep(2e6)
            for _, call in ipairs({
              function() return regexp.match(text, "(?:a?b?c?d?){600}x") end,
              function() return large:match(text) end,
              function() return large:find(text) end,
              function() return large:find_string(text) end,
              function() return large:find_all(text) end,
              function() return large:find_all_string(text, 1) end,
            }) do
              local ok, message = pcall(call)
              assert(not ok and message:find("a text of 2000000 bytes is too long for this expression"), message)
              -- The text says how much would do, and that does.
              local most = tonumber(message:match("give it at most (%d+) bytes at once"))
              assert(most > 5000 and most < 20000, message)
            end
            assert(large:match("dcbax") and large:find(("a"):rep(40) .. "x") == ("a"):rep(40) .. "x")"#,
        );
    }

    /// Several times as long as is let through without a look at the expression's size.
    #[test]
    fn an_ordinary_expression_may_have_a_long_text() {
        let mut stage = Stage::new();
        stage.limits.time = Some(std::time::Duration::from_mins(1));
        stage.pass(
            r#"local text = ("sda is fine, sdb is fine\n"):rep(24000) .. "nvme0n1"
            assert(#text > 600000 and regexp.match(text, [[nvme\d+n\d+$]]))
            assert(regexp.match(text, "sd[xy]") == false)"#,
        );
    }
}
