//! `strings`: four functions of Go's package of that name.

use super::Module;
use crate::lua::go::strings;

/// After how many parts it is looked whether the turn is over.
const LOOK: usize = 1024;

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.function("split", |lua, context, arguments| {
        let (text, separator) = (arguments.bytes(1)?, arguments.bytes(2)?);
        let (text, separator) = (text.as_bytes(), separator.as_bytes());
        let parts = lua.create_table()?;
        for (index, part) in strings::split(&text, &separator).enumerate() {
            if index % LOOK == LOOK - 1 {
                context.budget.check(lua)?;
            }
            parts.raw_push(lua.create_string(part)?)?;
        }
        Ok(parts)
    })?;
    module.function("has_prefix", |_, _, arguments| {
        let (text, prefix) = (arguments.bytes(1)?, arguments.bytes(2)?);
        Ok(text.as_bytes().starts_with(&prefix.as_bytes()))
    })?;
    module.function("has_suffix", |_, _, arguments| {
        let (text, suffix) = (arguments.bytes(1)?, arguments.bytes(2)?);
        Ok(text.as_bytes().ends_with(&suffix.as_bytes()))
    })?;
    module.function("trim", |lua, _, arguments| {
        let (text, cutset) = (arguments.bytes(1)?, arguments.bytes(2)?);
        Ok(lua.create_string(strings::trim(&text.as_bytes(), &cutset.as_bytes()))?)
    })
}

#[cfg(test)]
mod tests {
    use crate::lua::testing::Stage;

    #[test]
    fn zalua_44_strings_are_taken_apart_as_go_does() {
        Stage::new().pass(
            "local function same(parts, ...)
               assert(#parts == select('#', ...), #parts)
               for index, part in ipairs({...}) do assert(parts[index] == part, part) end
             end
             same(strings.split('a,b,,c,', ','), 'a', 'b', '', 'c', '')
             same(strings.split('', ','), '')
             same(strings.split('abc', ','), 'abc')
             same(strings.split('a\\195\\164\\255', ''), 'a', '\\195\\164', '\\255')
             same(strings.split('a\\0b', '\\0'), 'a', 'b')
             assert(strings.has_prefix('abc', 'ab') and not strings.has_prefix('abc', 'b'))
             assert(strings.has_suffix('abc', 'bc') and not strings.has_suffix('abc', 'b'))
             assert(strings.has_prefix('abc', '') and strings.has_suffix('', ''))
             assert(strings.trim(' \\nx y\\n ', ' \\n') == 'x y' and strings.trim('xxx', 'x') == '')
             local ok, message = pcall(strings.split, 'a', 1)
             assert(message:find('bad argument #2 to split %(string expected, got number%)'), message)",
        );
    }
}
