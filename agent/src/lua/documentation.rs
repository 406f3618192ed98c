//! Holds the pages of `lua-stdlib/doc` and the annotations of `lua-stdlib/types` to the library:
//! every function has both, neither has more, and every example runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use mlua::{Table, Value};

use super::Fault;
use super::account::Account;
use super::api::{CLASSES, MODULES};
use super::budget::Budget;
use super::context::Context;
use super::state::State;
use super::testing::{LIMITS, Stage};

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../lua-stdlib")
        .join(name)
}

/// Every function of the library: `module.function`, or `module.class.method` for objects.
fn functions() -> BTreeSet<String> {
    let stage = Stage::new();
    let budget = Arc::new(Budget::new(stage.store.clock().clone(), LIMITS));
    let script = stage.script("documentation.lua");
    let account = Account::new(LIMITS.memory);
    let context = Context::new(stage.host.services(), &script, budget, account);
    let state = State::new(Arc::new(context), "documentation.lua").unwrap();
    let mut all = BTreeSet::new();
    let mut add = |prefix: &str, table: &Table| {
        for (name, value) in table.pairs::<String, Value>().flatten() {
            if value.is_function() {
                all.insert(format!("{prefix}.{name}"));
            }
        }
    };
    for (module, ..) in MODULES {
        add(module, &state.global(module));
    }
    let classes: Option<Table> = state.kept(CLASSES).unwrap();
    for (class, methods) in classes
        .iter()
        .flat_map(Table::pairs::<String, Table>)
        .flatten()
    {
        add(&class, &methods);
    }
    all
}

fn files(name: &str, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder(name)).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    paths
}

/// The blocks of a page that begin with "```lua", with the words behind that.
fn examples(page: &str) -> Vec<(&str, &str)> {
    let blocks = page.split("\n```lua").skip(1);
    blocks
        .filter_map(|block| block.split_once('\n'))
        .map(|(words, rest)| (words.trim(), rest.split("\n```").next().unwrap_or_default()))
        .collect()
}

#[test]
fn every_function_has_a_page_and_every_page_a_function() {
    let stems = files("doc", "md").into_iter();
    let pages = stems.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned());
    let pages: BTreeSet<String> = pages.collect();
    let functions = functions();
    let missing: Vec<_> = functions.difference(&pages).collect();
    let left_over: Vec<_> = pages.difference(&functions).collect();
    assert!(
        missing.is_empty(),
        "functions without a page in lua-stdlib/doc: {missing:?}"
    );
    assert!(
        left_over.is_empty(),
        "pages without a function: {left_over:?}"
    );
}

#[test]
fn the_index_has_every_page() {
    let index = fs::read_to_string(folder("README.md")).unwrap();
    for page in files("doc", "md") {
        let name = page.file_name().unwrap().to_string_lossy();
        let link = format!("(doc/{name})");
        assert!(
            index.contains(&link),
            "lua-stdlib/README.md has no link to {name}"
        );
    }
    for link in index.split("](").skip(1) {
        let target = link.split(')').next().unwrap_or_default();
        let is_there = target.contains("://") || folder(target).exists();
        assert!(
            is_there,
            "lua-stdlib/README.md leads to {target}, which is not there"
        );
    }
}

#[test]
fn every_function_has_an_annotation() {
    let all: String = files("types", "lua")
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let annotated = |function: &String| {
        // A method is annotated at its class, whose name is the last word but one.
        let (owner, name) = function.rsplit_once('.').unwrap();
        let class = owner.rsplit('.').next().unwrap();
        all.contains(&format!("function {owner}.{name}("))
            || all.contains(&format!("function {class}:{name}("))
    };
    let missing: Vec<String> = functions()
        .into_iter()
        .filter(|name| !annotated(name))
        .collect();
    assert!(
        missing.is_empty(),
        "functions without an annotation in lua-stdlib/types: {missing:?}"
    );
}

#[test]
fn every_example_runs() {
    let mut pages = files("doc", "md");
    pages.push(folder("LANGUAGE.md"));
    for path in pages {
        let page = fs::read_to_string(&path).unwrap();
        let examples = examples(&page);
        assert!(!examples.is_empty(), "{} has no example", path.display());
        for (words, example) in examples {
            // Other words name a server that the example needs; other tests run those.
            if words.is_empty() {
                let stage = Stage::new();
                let run = stage.start("example.lua", example);
                // An example with `plugin.every` goes on until it is stopped.
                while run.ending().is_none() && run.status().runs < 3 {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                run.stop();
                match stage.wait(&run) {
                    Err(error) if error.fault != Fault::Stopped => {
                        panic!("{}: {error}\n{example}", path.display())
                    }
                    _ => {}
                }
            }
        }
    }
}
