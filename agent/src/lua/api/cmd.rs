//! `cmd`: programs, executed by the runner and never by this process.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use mlua::{IntoLuaMulti, Lua, LuaString, MultiValue, Table, Value};

use super::{Arguments, Failure, Module, as_number, type_name};
use crate::lua::wait::wait;
use crate::runner::{Ending, Outcome, Output, Request, SYSTEM_FILE};

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.waiting("exec", |_, context, arguments| {
        let request = request(&arguments)?;
        let runner = context.services.runner.clone();
        let execute = async move {
            let Some(runner) = runner else {
                return Err(
                    "nothing is executed here: there is no runner, see socket in the section \
                     [runner] of the configuration"
                        .to_owned(),
                );
            };
            let outcome = runner.execute(request).await;
            outcome.map_err(|error| crate::telemetry::log::chain(&error).to_string())
        };
        Ok(wait(execute, |lua, outcome| match outcome {
            Ok(outcome) => results(lua, &outcome),
            Err(message) => Ok((Value::Nil, message).into_lua_multi(lua)?),
        }))
    })
}

fn results(lua: &Lua, outcome: &Outcome) -> Result<MultiValue, Failure> {
    let error = outcome.error();
    if let Ending::Refused(reason) = &outcome.ending {
        let message = format!("{reason}; {SYSTEM_FILE} says what may be executed");
        return Ok((Value::Nil, message).into_lua_multi(lua)?);
    }
    let Some(code) = outcome.code() else {
        return Ok((Value::Nil, error).into_lua_multi(lua)?);
    };
    let table = lua.create_table()?;
    table.raw_set("code", code)?;
    for (name, lost, output) in [
        ("stdout", "stdout_lost", &outcome.stdout),
        ("stderr", "stderr_lost", &outcome.stderr),
    ] {
        let Output { bytes, .. } = output;
        table.raw_set(name, lua.create_string(bytes)?)?;
        if output.truncated() {
            table.raw_set(lost, output.lost())?;
        }
    }
    // The table alone when nothing is wrong.
    Ok(match error {
        Some(error) => (table, error).into_lua_multi(lua)?,
        None => table.into_lua_multi(lua)?,
    })
}

/// The command, and the options behind it.
fn request(arguments: &Arguments) -> Result<Request, Failure> {
    let text = |text: &LuaString| OsString::from_vec(text.as_bytes().to_vec());
    let mut request = match arguments.get(1) {
        Value::Table(table) => Request::program(words(arguments, table)?),
        _ => Request::shell(text(&arguments.bytes(1)?)),
    };
    let options: Option<Table> = arguments.optional_table(2)?;
    for pair in options.iter().flat_map(Table::pairs::<Value, Value>) {
        let (name, value) = pair?;
        let name = match &name {
            Value::String(name) => name.to_string_lossy(),
            other => type_name(other).to_owned(),
        };
        match (name.as_str(), &value) {
            ("timeout", Value::Integer(_) | Value::Number(_)) => {
                let seconds = as_number(&value).unwrap_or_default();
                let (least, most) = (Request::TIMEOUT_MIN, Request::TIMEOUT_MAX);
                let time = Duration::try_from_secs_f64(seconds)
                    .ok()
                    .filter(|time| (least..=most).contains(time));
                let Some(time) = time else {
                    let (least, most) = (least.as_secs_f64(), most.as_secs_f64());
                    let range = format!("timeout: {least} to {most} seconds expected");
                    return Err(arguments.wrong(2, &range));
                };
                request = request.with_timeout(time);
            }
            ("stdin", Value::String(input)) => {
                request = request.with_stdin(input.as_bytes().to_vec());
            }
            ("timeout" | "stdin", other) => {
                let got = type_name(other);
                return Err(arguments.wrong(2, &format!("{name}: a {got} does not fit")));
            }
            _ => {
                let text = format!("{name}: no such option; there are timeout and stdin");
                return Err(arguments.wrong(2, &text));
            }
        }
    }
    Ok(request)
}

/// A program and its arguments: nothing that would be left out or read as something else may be
/// among them, since a command with a word less can be quite another.
fn words(arguments: &Arguments, table: &Table) -> Result<Vec<OsString>, Failure> {
    let count = table.raw_len();
    if count == 0 && table.is_empty() {
        return Err(arguments.wrong(1, "a program expected, the array is empty"));
    }
    let mut words = Vec::with_capacity(count);
    for position in 1..=count {
        match table.raw_get::<Value>(position)? {
            Value::String(word) => words.push(OsString::from_vec(word.as_bytes().to_vec())),
            other => {
                let got = type_name(&other);
                let text = format!("array of strings expected, word {position} is a {got}");
                return Err(arguments.wrong(1, &text));
            }
        }
    }
    for pair in table.pairs::<Value, Value>() {
        let key = pair?.0;
        let place = as_number(&key).filter(|place| (1.0..=count as f64).contains(place));
        if place.is_none_or(|place| place.fract() != 0.0) {
            let key = match &key {
                Value::String(name) => format!("{:?}", name.to_string_lossy()),
                other => number_text_or_type(other),
            };
            let text =
                format!("array of strings expected, there is {key} beside its {count} words");
            return Err(arguments.wrong(1, &text));
        }
    }
    Ok(words)
}

/// A key that belongs to no array, as a message shows it.
fn number_text_or_type(key: &Value) -> String {
    as_number(key).map_or_else(
        || format!("a {}", type_name(key)),
        |number| number.to_string(),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;
    use std::path::Path;
    use std::sync::Arc;

    use crate::lua::testing::Stage;
    use crate::runner::{Client, Door, Policy, Server};

    /// A stage with a runner in this process that permits what the policy does.
    fn stage(policy: Policy, directory: &Path) -> Stage {
        let socket = directory.join("runner.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let stage = Stage::changed(|options| options.runner = Some(Client::socket(&socket)));
        let server = Arc::new(Server::new(policy, "/").for_own_user());
        stage.runtime.handle().spawn(async move {
            server
                .serve(Door::Listening(listener), std::future::pending())
                .await
        });
        stage
    }

    #[test]
    fn zalua_56_commands_end_in_every_way() {
        let directory = tempfile::tempdir().unwrap();
        stage(Policy::everything(), directory.path()).pass(
            r##"local result, message = cmd.exec("echo ok; echo bad >&2")
            assert(message == nil and result.code == 0 and select("#", cmd.exec("true")) == 1)
            assert(result.stdout == "ok\n" and result.stderr == "bad\n")
            local result, message = cmd.exec("exit 3")
            assert(result.code == 3 and message == "exit status 3", message)
            local result, message = cmd.exec("unknown command")
            assert(result.code == 127 and message == "exit status 127", message)
            local result, message = cmd.exec("echo before; kill -9 $$")
            assert(result.code == -1 and message == "signal: killed", message)
            assert(result.stdout == "before\n")
            local begun = time.unix_nano()
            local result, message = cmd.exec("sleep 60", {timeout = 0.2})
            assert(result == nil and message == "execute timeout after 0.2 seconds", message)
            assert(time.unix_nano() - begun < 30e9)
            assert(cmd.exec("cat", {stdin = "in\0put"}).stdout == "in\0put")
            assert(cmd.exec({"printf", "%s|", "a b", "$HOME"}).stdout == "a b|$HOME|")
            local result = cmd.exec("head -c 2000000 /dev/zero")
            assert(#result.stdout == 1048576 and result.stdout_lost == 2000000 - 1048576)
            for text, wrong in pairs({
              ["string expected, got nil"] = {},
              ["array of strings expected, word 1 is a table"] = {{{}}},
              ["word 2 is a number"] = {{"echo", 1e15}},
              ["word 1 is a boolean"] = {{false, "x"}},
              ["array of strings expected, "] = {{"echo", nil, "lost"}},
              ['there is "timeout" beside its 1 words'] = {{"echo", timeout = 1}},
              ["there is 1.5 beside its 1 words"] = {{"echo", [1.5] = "x"}},
              ["there is 9 beside its 1 words"] = {{"echo", [9] = "x"}},
              ["there is a boolean beside its 0 words"] = {{[true] = "x"}},
              ["the array is empty"] = {{}},
            }) do
              local ok, message = pcall(cmd.exec, wrong[1])
              assert(not ok and message:find(text, 1, true), message)
            end
            local ok, message = pcall(cmd.exec, "true", {timeout = 1e9})
            assert(not ok and message:find("timeout: 0.001 to 300 seconds expected", 1, true), message)
            local ok, message = pcall(cmd.exec, "true", {tiemout = 1})
            assert(not ok and message:find("tiemout: no such option"), message)"##,
        );
    }

    #[test]
    fn a_command_that_is_not_allowed_is_nil_and_the_file_that_says_so() {
        let directory = tempfile::tempdir().unwrap();
        stage(Policy::nothing("there is no list"), directory.path()).pass(
            r#"local result, message = cmd.exec("true")
            assert(result == nil and message:find("nothing may be executed: there is no list", 1, true), message)
            assert(message:find("/etc/moonward/runner.toml", 1, true), message)"#,
        );
        Stage::new().pass(
            r#"local result, message = cmd.exec("true")
            assert(result == nil and message:find("there is no runner"), message)"#,
        );
    }

    #[test]
    fn a_plugin_that_is_stopped_leaves_no_command() {
        let directory = tempfile::tempdir().unwrap();
        let stage = stage(Policy::everything(), directory.path());
        let mark = directory.path().join("mark");
        let run = stage.start(
            "command.lua",
            format!("cmd.exec('echo $$ > {}; sleep 60')", mark.display()),
        );
        let pid = loop {
            let pid = std::fs::read_to_string(&mark).unwrap_or_default();
            if pid.ends_with('\n') {
                break pid.trim().to_owned();
            }
            assert!(run.ending().is_none(), "{:?}", run.ending());
            std::thread::sleep(std::time::Duration::from_millis(1));
        };
        run.stop();
        stage.wait(&run).unwrap_err();
        let process = Path::new("/proc").join(pid);
        while std::fs::read_to_string(process.join("stat")).is_ok_and(|stat| !stat.contains(") Z "))
        {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }
}
