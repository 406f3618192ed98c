//! The same answers as LuaJIT's own `string` library.

use mlua::{Function, Lua, MultiValue, Value};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// Calls a function and gives what it returns, or its error, as text.
const TELL: &str = r##"
local function tell(ok, ...)
  if not ok then return "error: " .. tostring((...)) end
  local parts = {}
  for at = 1, select("#", ...) do parts[at] = type(select(at, ...)) .. " " .. tostring((select(at, ...))) end
  return table.concat(parts, "\n")
end
local calls = {}
function calls.find(s, p, init, plain) return tell(pcall(string.find, s, p, init, plain)) end
function calls.match(s, p, init) return tell(pcall(string.match, s, p, init)) end
function calls.gmatch(s, p)
  return tell(pcall(function()
    local parts = {}
    for a, b, c in string.gmatch(s, p) do
      parts[#parts + 1] = tell(true, a, b, c)
    end
    return table.concat(parts, ";")
  end))
end
function calls.gsub(s, p, r, n) return tell(pcall(string.gsub, s, p, r, n)) end
return calls[...]
"##;

/// Pieces from which patterns are made, so that most of them mean something.
const PIECES: [&str; 44] = [
    "a", "b", "x", "1", " ", ".", "%a", "%d", "%s", "%w", "%p", "%G", "%x", "%z", "%U", "%.", "%-",
    "[ab]", "[^a]", "[a-x]", "[%w_]", "[]]", "[^]]", "[a-%]", "[+-%%]", "%b()", "%bxx", "%f[%w]",
    "%f[^a]", "%1", "%2", "(", ")", "()", "*", "+", "-", "?", "^", "$", "%", "[", "]", "\0",
];

fn patterns() -> impl Strategy<Value = Vec<u8>> {
    let pieces = vec(select(&PIECES[..]), 0..9);
    let sensible = pieces.prop_map(|pieces| pieces.concat().into_bytes());
    let wild = vec(any::<u8>(), 0..6);
    prop_oneof![9 => sensible, 1 => wild]
}

fn subjects() -> impl Strategy<Value = Vec<u8>> {
    let letters = vec(select(&b"aabbx1 ()-.]\0\xff"[..]), 0..16);
    let wild = vec(any::<u8>(), 0..8);
    prop_oneof![9 => letters, 1 => wild]
}

struct Engine {
    lua: Lua,
    call: Function,
}

impl Engine {
    fn new(name: &str) -> Self {
        let lua = Lua::new();
        let call = lua.load(TELL).call(name).unwrap();
        Self { lua, call }
    }

    fn text(&self, bytes: &[u8]) -> Value {
        Value::String(self.lua.create_string(bytes).unwrap())
    }

    fn ask(&self, arguments: Vec<Value>) -> Vec<u8> {
        let answer = self
            .call
            .call::<mlua::LuaString>(MultiValue::from_vec(arguments));
        answer.unwrap().as_bytes().to_vec()
    }
}

/// Steps that are enough for every pattern here that LuaJIT can match in a moment.
fn budget() -> Budget<'static> {
    Budget::new(200_000)
}

/// A result in the form of `tell`.
fn told(subject: &[u8], result: Result<Vec<Option<Capture>>, PatternError>) -> Vec<u8> {
    let parts = match result {
        Err(error) => return format!("error: {error}").into_bytes(),
        Ok(parts) => parts,
    };
    let one = |part: Option<Capture>| match part {
        None => b"nil nil".to_vec(),
        Some(Capture::Position(at)) => format!("number {}", at + 1).into_bytes(),
        Some(Capture::Text(range)) => [b"string ", &subject[range]].concat(),
    };
    parts.into_iter().map(one).collect::<Vec<_>>().join(&b'\n')
}

fn too_long<T>(result: &Result<T, PatternError>, budget: &Budget<'_>) -> bool {
    budget.left() == 0 && matches!(result, Err(PatternError::TooComplex))
}

fn captures(found: Option<Match>) -> Result<Vec<Option<Capture>>, PatternError> {
    match found {
        None => Ok(vec![None]),
        Some(found) => Ok(found.captures()?.into_iter().map(Some).collect()),
    }
}

#[test]
fn find_and_match_agree_with_luajit() {
    let (find_engine, match_engine) = (Engine::new("find"), Engine::new("match"));
    let cases = (subjects(), patterns(), -9_i32..12, any::<bool>());
    let config = ProptestConfig::with_cases(8_000);
    proptest!(config, |((subject, pattern, init, plain) in cases)| {
        let from = offset(i64::from(init), subject.len());
        let mut left = budget();
        let found = find(&subject, &pattern, from, plain, &mut left);
        prop_assume!(!too_long(&found, &left));
        // The first and the last byte, counted from 1, and the captures that are written.
        let ours = match found {
            Ok(Some(found)) => {
                let range = found.range();
                let ends = format!("number {}\nnumber {}", range.start + 1, range.end);
                match found.captures() {
                    Ok(_) if found.count() == 0 => ends.into_bytes(),
                    Ok(parts) => {
                        let parts = told(&subject, Ok(parts.into_iter().map(Some).collect()));
                        [ends.as_bytes(), &parts].join(&b'\n')
                    }
                    Err(error) => told(&subject, Err(error)),
                }
            }
            Ok(None) => told(&subject, Ok(vec![None])),
            Err(error) => told(&subject, Err(error)),
        };
        let text = |bytes| find_engine.text(bytes);
        let plain = Value::Boolean(plain);
        let theirs = find_engine.ask(vec![text(&subject), text(&pattern), Value::Integer(init.into()), plain]);
        prop_assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs));

        let compiled = Pattern::compile(&pattern).unwrap();
        let mut left = budget();
        let found = compiled.find(&subject, from, &mut left);
        prop_assume!(!too_long(&found, &left));
        let ours = told(&subject, found.and_then(captures));
        let text = |bytes| match_engine.text(bytes);
        let theirs = match_engine.ask(vec![text(&subject), text(&pattern), Value::Integer(init.into())]);
        prop_assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs));
    });
}

#[test]
fn gmatch_agrees_with_luajit() {
    let engine = Engine::new("gmatch");
    let config = ProptestConfig::with_cases(4_000);
    proptest!(config, |(subject in subjects(), pattern in patterns())| {
        let mut left = budget();
        let mut all = GlobalMatch::new(&pattern).unwrap();
        let mut matches = Vec::new();
        let result = loop {
            let step = all.step(&subject, &mut left).and_then(|found| {
                found.map(|found| found.captures()).transpose()
            });
            match step {
                Ok(Some(parts)) => {
                    let mut parts: Vec<_> = parts.into_iter().map(Some).collect();
                    parts.resize(3, None);
                    matches.push(told(&subject, Ok(parts)));
                }
                Ok(None) => break Ok([&b"string "[..], &matches.join(&b';')].concat()),
                Err(error) => break Err(error),
            }
        };
        prop_assume!(!too_long(&result, &left));
        let ours = result.unwrap_or_else(|error| format!("error: {error}").into_bytes());
        let theirs = engine.ask(vec![engine.text(&subject), engine.text(&pattern)]);
        // What a Lua function raises is told with its place.
        let theirs = String::from_utf8_lossy(&theirs).into_owned();
        let ours = String::from_utf8_lossy(&ours).into_owned();
        if let Some(message) = ours.strip_prefix("error: ") {
            prop_assert!(theirs.ends_with(message), "{} and {}", ours, theirs);
        } else {
            prop_assert_eq!(ours, theirs);
        }
    });
}

#[test]
fn gsub_agrees_with_luajit() {
    let engine = Engine::new("gsub");
    let config = ProptestConfig::with_cases(4_000);
    let replacements = vec(select(&["-", "%0", "%1", "%2", "%%", "", "x"][..]), 0..4);
    let cases = (subjects(), patterns(), replacements, -1_i32..6);
    proptest!(config, |((subject, pattern, replacement, limit) in cases)| {
        let replacement = replacement.concat();
        let mut left = budget();
        let limit_here = Some(usize::try_from(limit).unwrap_or(0));
        let result = Pattern::compile(&pattern).unwrap().gsub(
            &subject, limit_here, &mut left,
            |found, out| expand(replacement.as_bytes(), found, &subject, out),
        );
        prop_assume!(!too_long(&result, &left));
        let ours = match result {
            Err(error) => format!("error: {error}").into_bytes(),
            Ok((text, count)) => [b"string ", &text[..], format!("\nnumber {count}").as_bytes()].concat(),
        };
        let text = |bytes| engine.text(bytes);
        let theirs = engine.ask(vec![
            text(&subject), text(&pattern), text(replacement.as_bytes()), Value::Integer(limit.into()),
        ]);
        prop_assert_eq!(String::from_utf8_lossy(&ours), String::from_utf8_lossy(&theirs));
    });
}
