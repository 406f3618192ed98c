//! `plugin`: what a plugin says about itself, and plugins that a script runs.

use super::{Module, every};

pub(super) fn open(module: &Module<'_>) -> mlua::Result<()> {
    module.field("name", module.context().name.as_str())?;
    every::add(module)
}
