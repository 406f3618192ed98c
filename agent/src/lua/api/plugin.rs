//! `plugin`: what a plugin says about itself, and plugins that a script runs.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mlua::{IntoLua, Lua, Table, Value};

use super::{Arguments, Failure, Module, every, object};
use crate::config::{OptionValue, Options, PluginSettings};
use crate::lua::context::Context;
use crate::lua::quota::Held;
use crate::lua::register::Page;
use crate::lua::{Ending, Fault, Host, Limits, Run, Script, script_name};

/// What objects of `plugin.new` are called in messages.
const CLASS: &str = "plugin";

/// The methods of those objects.
const HANDLE: &str = "plugin.handle";

/// What the error of a plugin that was stopped is, word for word.
const STOPPED: &str = "plugin was stopped";

/// What `plugin.new` gives.
#[derive(Debug)]
struct Handle {
    file: String,
    page: Arc<Page>,
    run: Mutex<Option<Run>>,
    _held: Held,
}

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    let context = module.context();
    module.field("name", context.name.as_str())?;
    module.field("options", options(module.lua(), &context.options)?)?;
    every::add(module)?;
    module.function("new", |lua, context, arguments| {
        let file = arguments.text(1)?;
        let plugins = context.account.plugins();
        let Some(held) = plugins.take(lua, 1)? else {
            return Err(Failure::raise(format!(
                "new: this script and those that it runs have {} plugins; that is the most",
                plugins.most()
            )));
        };
        tracing::info!(plugin = context.name, "Start plugin: `{file}`");
        let page = context.services.register.page(&page_name(&file));
        page.is_made();
        let made = Handle {
            file,
            page,
            run: Mutex::default(),
            _held: held,
        };
        Ok(object(lua, HANDLE, made)?)
    })?;
    methods(module)
}

fn methods(module: &Module<'_>) -> mlua::Result<()> {
    let class = module.another()?;
    class.function("run", |_, context, arguments| {
        let handle = arguments.object::<Handle>(1, CLASS)?;
        run(context, &handle)
    })?;
    class.function("stop", |_, context, arguments| {
        let handle = arguments.object::<Handle>(1, CLASS)?;
        tracing::info!(plugin = context.name, "Stop plugin: `{}`", handle.file);
        let Some(run) = handle.lock().clone() else {
            return Err(Failure::raise(format!(
                "stop: plugin `{}` was never run",
                handle.file
            )));
        };
        run.stop();
        Ok(())
    })?;
    class.function("is_running", |_, _, arguments| {
        let run = arguments.object::<Handle>(1, CLASS)?.lock().clone();
        Ok(run.is_some_and(|run| run.ending().is_none()))
    })?;
    class.function("error", |_, _, arguments| error(&arguments))?;
    class.function("was_stopped", |_, _, arguments| {
        Ok(error(&arguments)?.is_some_and(|error| error == STOPPED))
    })?;
    class.function("filename", |_, _, arguments| {
        Ok(arguments.object::<Handle>(1, CLASS)?.file.clone())
    })?;
    class.class(HANDLE)
}

/// Runs the plugin, unless it runs already. One that is about to end ends first.
fn run(context: &Arc<Context>, handle: &Handle) -> Result<(), Failure> {
    let mut current = handle.lock();
    if let Some(run) = &*current
        && run.ending().is_none()
        && !run.is_stopped()
    {
        return Ok(());
    }
    let descendants = &context.services.descendants;
    let Some(place) = descendants.try_take(1) else {
        return Err(Failure::raise(format!(
            "run: `{}` would be one plugin too many: scripts run {} already, the most for all of \
             them together",
            handle.file,
            descendants.most()
        )));
    };
    // Also those that other objects of the same file were told to stop: none overlap.
    let before = handle.page.predecessors();
    let services = &context.services;
    let script = script(context, &handle.file);
    let run = Host::of(Arc::clone(services)).start_child(script, &context.account, before);
    handle.page.begins(run.clone());
    context.children.add(run.clone(), Arc::clone(&handle.page));
    let (ended, page) = (run.clone(), Arc::clone(&handle.page));
    services.runtime.spawn(async move {
        ended.ended().await;
        page.ended(&ended, None);
        drop(place);
        // The page stays while a turn that was left behind has its thread: it knows of it.
        ended.released().await;
        page.rests(&ended, false);
    });
    *current = Some(run);
    Ok(())
}

/// The name of the page of a file: its absolute path. The plugins of the service have theirs under
/// names without a slash, and those pages are not to be had by a name.
fn page_name(file: &str) -> String {
    let path = std::path::absolute(file);
    // No file, or no working directory.
    let path = path.unwrap_or_else(|_| Path::new("/").join(file));
    path.to_string_lossy().into_owned()
}

/// The script of a file, with the settings that the configuration has for its name; outside the
/// service it may use what its parent may.
fn script(context: &Context, file: &str) -> Script {
    let path = PathBuf::from(file);
    let name = script_name(&path);
    let plugins = context.services.plugins.read();
    let plugins = plugins.unwrap_or_else(PoisonError::into_inner);
    let settings = plugins.as_ref().map(|plugins| plugins.settings(&name));
    let limits = settings.as_ref().map(Limits::from);
    Script {
        name,
        path,
        code: None,
        deadline: settings
            .as_ref()
            .map_or(context.deadline, |settings| settings.deadline),
        limits: limits.unwrap_or_else(|| context.budget.limits()),
        options: settings.map_or_else(Options::default, |settings| settings.options),
    }
}

/// The error of the latest run, as text.
fn error(arguments: &Arguments) -> Result<Option<String>, Failure> {
    let run = arguments.object::<Handle>(1, CLASS)?.lock().clone();
    Ok(match run.and_then(|run| run.ending()) {
        Some(Ending::Failed(error)) if error.fault == Fault::Stopped => Some(STOPPED.to_owned()),
        Some(Ending::Failed(error)) => Some(error.with_traceback()),
        Some(Ending::Returned) | None => None,
    })
}

impl Handle {
    fn lock(&self) -> MutexGuard<'_, Option<Run>> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<&PluginSettings> for Limits {
    fn from(settings: &PluginSettings) -> Self {
        Self {
            memory: usize::try_from(settings.memory).unwrap_or(usize::MAX),
            instructions: Some(settings.instructions),
            time: Some(settings.time),
        }
    }
}

/// The options of the configuration as a table.
fn options(lua: &Lua, options: &Options) -> mlua::Result<Table> {
    let table = lua.create_table()?;
    for (name, value) in options.iter() {
        table.raw_set(name, option(lua, value)?)?;
    }
    Ok(table)
}

fn option(lua: &Lua, value: &OptionValue) -> mlua::Result<Value> {
    match value {
        OptionValue::Bool(value) => value.into_lua(lua),
        OptionValue::Integer(number) => number.into_lua(lua),
        OptionValue::Float(number) => number.into_lua(lua),
        OptionValue::Text(text) => text.as_str().into_lua(lua),
        OptionValue::List(list) => {
            let table = lua.create_table()?;
            for element in list {
                table.raw_push(option(lua, element)?)?;
            }
            Ok(Value::Table(table))
        }
        OptionValue::Table(pairs) => {
            let table = lua.create_table()?;
            for (name, value) in pairs {
                table.raw_set(name.as_str(), option(lua, value)?)?;
            }
            Ok(Value::Table(table))
        }
    }
}
