//! `log`: lines for the administrator.

use std::io::Write;
use std::sync::Arc;

use mlua::{Function, Lua, Table};

use super::{Arguments, Failure, Module};
use crate::lua::context::Context;

/// Where a state keeps the engine's own `os.date`, which knows the local time.
const DATE: &str = "moonward.log.date";

/// What a message is.
#[derive(Clone, Copy, Debug)]
enum Level {
    Error,
    Info,
}

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    let lua = module.lua();
    let date: Function = lua.globals().get::<Table>("os")?.get("date")?;
    lua.set_named_registry_value(DATE, date)?;
    module.function("error", |lua, context, arguments| {
        log(lua, context, &arguments, Level::Error)
    })?;
    module.function("info", |lua, context, arguments| {
        log(lua, context, &arguments, Level::Info)
    })
}

fn log(
    lua: &Lua,
    context: &Arc<Context>,
    arguments: &Arguments,
    level: Level,
) -> Result<(), Failure> {
    let message = arguments.text(1)?;
    let services = &context.services;
    if services.log.is_none() && services.is_service {
        let plugin = context.name.as_str();
        match level {
            Level::Error => tracing::error!(plugin, "{message}"),
            Level::Info => tracing::info!(plugin, "{message}"),
        }
        return Ok(());
    }
    let date: Function = lua.named_registry_value(DATE)?;
    let now = services.store.clock().wall().seconds();
    let date: String = date.call(("%d/%m/%Y %H:%M:%S", now))?;
    let level = match level {
        Level::Error => "ERROR",
        Level::Info => "INFO",
    };
    let line = format!("{date} [{level}] {message}\n");
    let written = match &services.log {
        Some(log) => log.append(line.as_bytes()),
        // A person who runs a script by hand wants to see it, and not among the script's output.
        None => std::io::stderr().write_all(line.as_bytes()),
    };
    written.map_err(|error| Failure::raise(format!("internal error: {error}")))
}

#[cfg(test)]
mod tests {
    use crate::lua::testing::Stage;

    #[test]
    fn zalua_51_lines_in_a_file_have_the_old_form() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("zalua.log");
        let stage = Stage::changed(|options| options.log = Some(path.clone()));
        stage.pass(
            "log.info('all is well')
             log.error('two\\nlines')
             os.date = nil
             log.info('')
             assert(not pcall(log.info, 1) and not pcall(log.error))",
        );
        let text = std::fs::read_to_string(&path).unwrap();
        let form = r"^\d\d/\d\d/\d{4} \d\d:\d\d:\d\d \[INFO\] all is well
\d\d/\d\d/\d{4} \d\d:\d\d:\d\d \[ERROR\] two
lines
\d\d/\d\d/\d{4} \d\d:\d\d:\d\d \[INFO\] 
$";
        assert!(regex::Regex::new(form).unwrap().is_match(&text), "{text}");
    }

    #[test]
    fn zalua_51_a_log_that_cannot_be_opened_is_an_error() {
        let stage = Stage::changed(|options| options.log = Some("/absent/log".into()));
        stage.pass(
            "local ok, message = pcall(log.info, 'x')
             assert(not ok and message:find('internal error: '), message)",
        );
    }
}
