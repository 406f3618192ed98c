//! From the text of a path to its steps.

use super::XmlPathError;
use super::axis::Axis;

/// The longest path in bytes.
pub const PATH_MAX: usize = 4096;

/// The deepest nesting of predicates and parentheses.
pub const NESTING_MAX: usize = 32;

/// A path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Path {
    /// Begins at the document whatever the node is.
    pub(super) absolute: bool,
    pub(super) steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) axis: Axis,
    pub(super) test: Test,
    pub(super) predicates: Vec<Condition>,
}

/// What kind of node a step looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    Name(String),
    /// `*`
    AnyName,
    /// `node()`
    Node,
    Text,
    Comment,
    /// With a target, if one is named.
    Instruction(Option<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Position(usize),
    Last,
    Exists(Path),
    Equals(Path, String),
    Contains(Path, String),
    StartsWith(Path, String),
    Not(Box<Self>),
    All(Vec<Self>),
    Any(Vec<Self>),
}

/// Reads a path.
pub(super) fn parse(path: &str) -> Result<Path, XmlPathError> {
    let mut reader = Reader {
        text: path,
        at: 0,
        nesting: 0,
    };
    let result = if path.len() > PATH_MAX {
        Err(format!("longer than {PATH_MAX} bytes"))
    } else {
        reader.whole()
    };
    result.map_err(|problem| XmlPathError::Path {
        path: path.chars().take(PATH_MAX).collect(),
        at: reader.at,
        problem,
    })
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    nesting: usize,
}

type Read<T> = Result<T, String>;

impl<'a> Reader<'a> {
    fn whole(&mut self) -> Read<Path> {
        let path = self.path()?;
        self.spaces();
        match self.rest().chars().next() {
            None => Ok(path),
            Some(found) => Err(format!("unexpected '{found}'")),
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn spaces(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }

    /// Takes a text, with spaces before it, if it comes next.
    fn take(&mut self, text: &str) -> bool {
        self.spaces();
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    fn expect(&mut self, text: &str) -> Read<()> {
        if self.take(text) {
            Ok(())
        } else {
            Err(format!("expected '{text}'"))
        }
    }

    /// The name that comes next, without taking it.
    fn name(&mut self) -> &'a str {
        self.spaces();
        let rest = self.rest();
        if !rest.starts_with(|first: char| first.is_alphabetic() || first == '_') {
            return "";
        }
        let is_part = |one: char| one.is_alphanumeric() || "_-.".contains(one);
        let end = rest.find(|one| !is_part(one)).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    /// Takes `name(`, if it comes next.
    fn call(&mut self, name: &str) -> bool {
        if self.name() != name {
            return false;
        }
        let before = self.at;
        self.at += name.len();
        if self.take("(") {
            return true;
        }
        self.at = before;
        false
    }

    /// Takes a word that stands between two conditions.
    fn word(&mut self, word: &str) -> bool {
        let found = self.name() == word;
        if found {
            self.at += word.len();
        }
        found
    }

    fn path(&mut self) -> Read<Path> {
        let mut steps = Vec::new();
        let mut absolute = true;
        if self.take("//") {
            steps.push(anything_below());
        } else if self.take("/") {
            if !self.begins_step() {
                return Ok(Path { absolute, steps });
            }
        } else {
            absolute = false;
        }
        loop {
            steps.push(self.step()?);
            if self.take("//") {
                steps.push(anything_below());
            } else if !self.take("/") {
                return Ok(Path { absolute, steps });
            }
        }
    }

    fn begins_step(&mut self) -> bool {
        !self.name().is_empty() || self.rest().starts_with(['.', '@', '*'])
    }

    fn step(&mut self) -> Read<Step> {
        let short = |axis| Step {
            axis,
            test: Test::Node,
            predicates: Vec::new(),
        };
        let mut step = if self.take("..") {
            short(Axis::Parent)
        } else if self.take(".") {
            short(Axis::Itself)
        } else {
            let axis = self.axis()?;
            let test = self.test()?;
            Step {
                axis,
                test,
                predicates: Vec::new(),
            }
        };
        while self.take("[") {
            step.predicates.push(self.nested()?);
            if !self.take("]") {
                return Err("expected ']'".to_owned());
            }
        }
        Ok(step)
    }

    fn axis(&mut self) -> Read<Axis> {
        if self.take("@") {
            return Ok(Axis::Attribute);
        }
        let (before, name) = (self.at, self.name());
        let start = self.at;
        self.at += name.len();
        if name.is_empty() || !self.take("::") {
            self.at = before;
            return Ok(Axis::Child);
        }
        Axis::named(name).ok_or_else(|| {
            self.at = start;
            format!("unknown axis: {name}")
        })
    }

    fn test(&mut self) -> Read<Test> {
        if self.take("*") {
            return Ok(Test::AnyName);
        }
        if self.call("processing-instruction") {
            let target = if self.take(")") {
                None
            } else {
                Some(self.literal()?)
            };
            if target.is_some() {
                self.expect(")")?;
            }
            return Ok(Test::Instruction(target));
        }
        for (name, test) in [
            ("node", Test::Node),
            ("text", Test::Text),
            ("comment", Test::Comment),
        ] {
            if self.call(name) {
                self.expect(")")?;
                return Ok(test);
            }
        }
        let name = self.name();
        if name.is_empty() {
            return Err("missing name".to_owned());
        }
        self.at += name.len();
        if self.rest().starts_with(':') {
            return Err("prefixes of namespaces are not supported".to_owned());
        }
        if self.rest().starts_with('(') {
            return Err(format!("unknown test: {name}()"));
        }
        Ok(Test::Name(name.to_owned()))
    }

    fn literal(&mut self) -> Read<String> {
        self.spaces();
        let missing = || "expected a literal string".to_owned();
        let quote = self
            .rest()
            .chars()
            .next()
            .filter(|one| "'\"".contains(*one));
        let quote = quote.ok_or_else(missing)?;
        let inner = self.rest().get(1..).unwrap_or_default();
        let (text, _) = inner.split_once(quote).ok_or_else(missing)?;
        self.at += text.len() + 2;
        Ok(text.to_owned())
    }

    /// A condition one level deeper.
    fn nested(&mut self) -> Read<Condition> {
        self.nesting += 1;
        if self.nesting > NESTING_MAX {
            return Err(format!("nested more than {NESTING_MAX} levels deep"));
        }
        let condition = self.any();
        self.nesting -= 1;
        condition
    }

    fn any(&mut self) -> Read<Condition> {
        let first = self.all()?;
        let mut conditions = vec![first];
        while self.word("or") {
            conditions.push(self.all()?);
        }
        Ok(single(conditions, Condition::Any))
    }

    fn all(&mut self) -> Read<Condition> {
        let first = self.condition()?;
        let mut conditions = vec![first];
        while self.word("and") {
            conditions.push(self.condition()?);
        }
        Ok(single(conditions, Condition::All))
    }

    fn condition(&mut self) -> Read<Condition> {
        if self.call("not") {
            let inner = self.nested()?;
            self.expect(")")?;
            return Ok(Condition::Not(Box::new(inner)));
        }
        if self.take("(") {
            let inner = self.nested()?;
            self.expect(")")?;
            return Ok(inner);
        }
        if self.call("contains") {
            let (path, text) = self.path_and_text()?;
            return Ok(Condition::Contains(path, text));
        }
        if self.call("starts-with") {
            let (path, text) = self.path_and_text()?;
            return Ok(Condition::StartsWith(path, text));
        }
        if self.call("last") {
            self.expect(")")?;
            return Ok(Condition::Last);
        }
        if self.call("position") {
            self.expect(")")?;
            self.expect("=")?;
            if self.call("last") {
                self.expect(")")?;
                return Ok(Condition::Last);
            }
            return self
                .position()?
                .ok_or_else(|| "expected a number".to_owned());
        }
        if let Some(position) = self.position()? {
            return Ok(position);
        }
        let path = self.path()?;
        if self.take("=") {
            return Ok(Condition::Equals(path, self.literal()?));
        }
        Ok(Condition::Exists(path))
    }

    fn position(&mut self) -> Read<Option<Condition>> {
        self.spaces();
        let rest = self.rest();
        let digits = rest.len()
            - rest
                .trim_start_matches(|one: char| one.is_ascii_digit())
                .len();
        if digits == 0 {
            return Ok(None);
        }
        let number = rest.get(..digits).and_then(|digits| digits.parse().ok());
        match number {
            Some(number @ 1..) => {
                self.at += digits;
                Ok(Some(Condition::Position(number)))
            }
            Some(0) => Err("positions must be positive".to_owned()),
            None => Err("position too large".to_owned()),
        }
    }

    fn path_and_text(&mut self) -> Read<(Path, String)> {
        let path = self.path()?;
        self.expect(",")?;
        let text = self.literal()?;
        self.expect(")")?;
        Ok((path, text))
    }
}

/// What `//` stands for.
fn anything_below() -> Step {
    Step {
        axis: Axis::DescendantOrSelf,
        test: Test::Node,
        predicates: Vec::new(),
    }
}

/// The only condition, or all of them together.
fn single(mut conditions: Vec<Condition>, together: fn(Vec<Condition>) -> Condition) -> Condition {
    if conditions.len() == 1
        && let Some(only) = conditions.pop()
    {
        return only;
    }
    together(conditions)
}
