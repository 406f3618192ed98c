//! `parser`: what became of ZaLua's parsers, which were shared objects made by Go.

use super::Module;

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.function("load", |_, _, arguments| {
        let path = arguments.text(1)?;
        let message = format!(
            "parser.load: {path} is a plugin for Go programs, which Moonward is none of; parse in \
             Lua (regexp, json, yaml, xmlpath, string.match) or have cmd.exec run a program that \
             prints JSON, and give its output to json.decode"
        );
        Ok((None::<bool>, message))
    })
}
