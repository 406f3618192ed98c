//! What a script waits for: a future of the host's, and what to make of its end in Lua.

use std::future::Future;
use std::pin::Pin;

use mlua::{IntoLuaMulti, Lua, MultiValue, Value};

use super::api::Failure;

/// The work that a script waits for. It runs on the runtime, never on the thread of a turn, and is
/// given up when the script is.
pub(crate) type Wait = Pin<Box<dyn Future<Output = Reply> + Send>>;

/// Makes the results of the call, inside the script's next turn.
pub(crate) type Reply = Box<dyn FnOnce(&Lua) -> mlua::Result<MultiValue> + Send>;

/// A wait whose end `reply` turns into the results of the call.
pub(crate) fn wait<T, R>(
    work: impl Future<Output = T> + Send + 'static,
    reply: impl FnOnce(&Lua, T) -> Result<R, Failure> + Send + 'static,
) -> Wait
where
    T: Send + 'static,
    R: IntoLuaMulti,
{
    Box::pin(async move {
        let outcome = work.await;
        let reply: Reply = Box::new(move |lua| answer(lua, reply(lua, outcome)));
        reply
    })
}

/// The results of a function of the library as its wrapper in `prelude.lua` wants them: true and
/// the results, or false and the message. Only what no script may catch stays an error.
pub(crate) fn answer<R: IntoLuaMulti>(
    lua: &Lua,
    outcome: Result<R, Failure>,
) -> mlua::Result<MultiValue> {
    let values = outcome.and_then(|results| Ok(results.into_lua_multi(lua)?));
    match values {
        Ok(mut values) => {
            // A result without a message is one result: scripts hand it on as the last argument of
            // another call, as in `metrics.set(key, json.encode(table))`.
            if values.front().is_some_and(|first| !first.is_nil()) {
                while values.back().is_some_and(Value::is_nil) {
                    values.pop_back();
                }
            }
            values.push_front(Value::Boolean(true));
            Ok(values)
        }
        Err(Failure::Raise(message)) => (false, message).into_lua_multi(lua),
        Err(Failure::Engine(error)) => match error {
            mlua::Error::MemoryError(_) => Err(error),
            other => (false, super::fault::message(&other)).into_lua_multi(lua),
        },
    }
}
