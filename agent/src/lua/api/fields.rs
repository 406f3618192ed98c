//! A table of named options, as an argument; and numbers that must be numbers.

use mlua::{Table, Value};

use super::{Arguments, Failure, type_name};
use crate::lua::context::Context;

/// A table of options.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    arguments: &'a Arguments,
    position: usize,
    table: Table,
}

impl<'a> Fields<'a> {
    /// The table at a position, none of whose names may be unknown.
    pub(super) fn new(
        arguments: &'a Arguments,
        position: usize,
        known: &[&str],
    ) -> Result<Self, Failure> {
        let table = arguments.table(position)?;
        for pair in table.pairs::<Value, Value>() {
            let (name, _) = pair?;
            let name = match &name {
                Value::String(name) => name.to_string_lossy(),
                other => type_name(other).to_owned(),
            };
            if !known.contains(&name.as_str()) {
                let what = format!("{name:?} is none of its options: {}", known.join(", "));
                return Err(arguments.wrong(position, &what));
            }
        }
        Ok(Self {
            arguments,
            position,
            table,
        })
    }

    /// A finite number.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, Failure> {
        match self.table.raw_get::<Value>(name)? {
            Value::Nil => Ok(None),
            Value::Integer(number) => Ok(Some(number as f64)),
            Value::Number(number) if number.is_finite() => Ok(Some(number)),
            other => Err(self.wrong(&format!(
                "{name} must be a finite number, not {}",
                type_name(&other)
            ))),
        }
    }

    /// A number of seconds, not below zero.
    pub(super) fn seconds(&self, name: &str) -> Result<Option<f64>, Failure> {
        match self.number(name)? {
            Some(number) if number < 0.0 => {
                Err(self.wrong(&format!("{name} is a time and cannot be negative")))
            }
            number => Ok(number),
        }
    }

    /// A text.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Failure> {
        match self.table.raw_get::<Value>(name)? {
            Value::Nil => Ok(None),
            Value::String(text) => Ok(Some(text.to_string_lossy())),
            other => Err(self.wrong(&format!(
                "{name} must be a string, not {}",
                type_name(&other)
            ))),
        }
    }

    /// What is wrong with the table.
    pub(super) fn wrong(&self, what: &str) -> Failure {
        self.arguments.wrong(self.position, what)
    }
}

/// An argument that is a finite number.
pub(super) fn finite(arguments: &Arguments, position: usize) -> Result<f64, Failure> {
    let number = arguments.number(position)?;
    if number.is_finite() {
        Ok(number)
    } else {
        Err(arguments.wrong(position, "finite number expected"))
    }
}

/// The time that the script gives, in seconds of a clock of its own, or that of the store's clock.
pub(super) fn time(
    context: &Context,
    arguments: &Arguments,
    position: usize,
) -> Result<f64, Failure> {
    if arguments.is_given(position) {
        finite(arguments, position)
    } else {
        Ok(now(context))
    }
}

/// The time of the store's clock, in seconds.
pub(super) fn now(context: &Context) -> f64 {
    context.services.store.clock().now().0 as f64 / 1e9
}
