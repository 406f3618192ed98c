//! `http`: requests to other servers.

mod request;

use std::time::Duration;

use mlua::{Lua, Table, Value};
use reqwest::Method;

use super::{Arguments, Failure, Found, Module, as_number, whole};
use crate::lua::go::url::{query_escape, query_unescape};
use crate::lua::wait::{Wait, wait};

pub(in crate::lua) use request::Clients;
use request::{Answer, Error, Request};

/// How long a whole request may take.
const TIME: Duration = Duration::from_secs(10);

/// The longest body of an answer, in bytes, when the script does not say.
const BODY: usize = 16 * 1_048_576;

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.waiting("get", |_, context, arguments| {
        let url = arguments.text(1)?;
        let request = Request::new(Method::GET, url);
        Ok(simple(context.services.http.default_client(), request))
    })?;
    module.waiting("post", |_, context, arguments| {
        let mut request = Request::new(Method::POST, arguments.text(1)?);
        request.body = arguments.bytes(2)?.as_bytes().to_vec();
        request.header("Content-Type", "application/json")?;
        Ok(simple(context.services.http.default_client(), request))
    })?;
    module.waiting("request", |lua, context, arguments| {
        let (request, special) = read(lua, &arguments)?;
        let client = match special {
            None => context.services.http.default_client(),
            Some((insecure, ca)) => request::special_client(context, insecure, ca.as_deref()),
        };
        Ok(wait(request::send(client, request), |lua, outcome| {
            answer(lua, outcome, |lua, table, answer| {
                table.raw_set("url", answer.url)?;
                let headers = lua.create_table()?;
                for (name, value) in answer.headers {
                    headers.raw_set(name, lua.create_string(value)?)?;
                }
                table.raw_set("headers", headers)
            })
        }))
    })?;
    module.function("escape", |_, _, arguments| {
        Ok(query_escape(&arguments.bytes(1)?.as_bytes()))
    })?;
    module.function("unescape", |lua, _, arguments| {
        Ok(match query_unescape(&arguments.bytes(1)?.as_bytes()) {
            Ok(text) => Found::Is(lua.create_string(text)?),
            Err(error) => Found::Not(format!("unescape error: {error}\n")),
        })
    })
}

/// A request as ZaLua made it: the table has the address that was asked for.
fn simple(client: Result<reqwest::Client, String>, request: Request) -> Wait {
    let url = request.url.clone();
    wait(request::send(client, request), move |lua, outcome| {
        answer(lua, outcome, |_, table, _| table.raw_set("url", url))
    })
}

fn answer(
    lua: &Lua,
    outcome: Result<Answer, Error>,
    add: impl FnOnce(&Lua, &Table, Answer) -> mlua::Result<()>,
) -> Result<Found<Table>, Failure> {
    match outcome {
        Ok(mut answer) => {
            let table = lua.create_table()?;
            table.raw_set("code", answer.code)?;
            let body = lua.create_string(std::mem::take(&mut answer.body))?;
            table.raw_set("body", body)?;
            add(lua, &table, answer)?;
            Ok(Found::Is(table))
        }
        Err(error) => Ok(Found::Not(error.to_string())),
    }
}

/// Whether certificates are not verified, and the file of further ones.
type Special = Option<(bool, Option<String>)>;

/// The table of `http.request`.
fn read(lua: &Lua, arguments: &Arguments) -> Result<(Request, Special), Failure> {
    let table = arguments.table(1)?;
    let wrong = |name: &str, what: &str| Failure::raise(format!("http.request: {name}: {what}"));
    let mut request = Request::new(Method::GET, String::new());
    let (mut insecure, mut ca) = (false, None);
    let mut has_method = false;
    for pair in table.pairs::<Value, Value>() {
        let (name, value) = pair?;
        let name = match &name {
            Value::String(name) => name.to_string_lossy(),
            other => return Err(wrong(super::type_name(other), "field names are strings")),
        };
        match (name.as_str(), &value) {
            ("url", Value::String(url)) => request.url = url.to_string_lossy(),
            ("method", Value::String(method)) => {
                has_method = true;
                request.method = Method::from_bytes(&method.as_bytes())
                    .map_err(|_| wrong("method", "no method of HTTP"))?;
            }
            ("headers", Value::Table(headers)) => {
                let headers = super::metrics::tags(lua, headers)
                    .ok_or_else(|| wrong("headers", "a table of strings to strings expected"))?;
                for (name, value) in headers {
                    request.header(&name, &value)?;
                }
            }
            ("body", Value::String(body)) => request.body = body.as_bytes().to_vec(),
            ("timeout", Value::Integer(_) | Value::Number(_)) => {
                let seconds = as_number(&value).unwrap_or_default();
                let range = 0.001..=3600.0;
                if !range.contains(&seconds) {
                    return Err(wrong("timeout", "0.001 to 3600 seconds expected"));
                }
                request.time = Duration::from_secs_f64(seconds);
            }
            ("insecure", Value::Boolean(flag)) => insecure = *flag,
            ("ca", Value::String(path)) => ca = Some(path.to_string_lossy()),
            ("max_size", Value::Integer(_) | Value::Number(_)) => {
                let bytes = as_number(&value).unwrap_or_default().trunc();
                if !(0.0..=request::BODY_MAX).contains(&bytes) {
                    let range = format!("0 to {} bytes expected", request::BODY_MAX);
                    return Err(wrong("max_size", &range));
                }
                request.max_size = usize::try_from(whole(bytes)).unwrap_or(0);
            }
            (
                name @ ("url" | "method" | "headers" | "body" | "timeout" | "insecure" | "ca"
                | "max_size"),
                other,
            ) => {
                let got = format!("a {} does not fit", super::type_name(other));
                return Err(wrong(name, &got));
            }
            (other, _) => {
                return Err(wrong(
                    other,
                    "no such field; there are url, method, headers, body, timeout, insecure, ca \
                     and max_size",
                ));
            }
        }
    }
    if request.url.is_empty() {
        return Err(wrong("url", "is missing"));
    }
    if !has_method && !request.body.is_empty() {
        request.method = Method::POST;
    }
    let is_special = insecure || ca.is_some();
    Ok((request, is_special.then_some((insecure, ca))))
}
