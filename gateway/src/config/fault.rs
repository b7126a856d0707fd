//! What is wrong with a configuration: every fault with file, line and key, all at once.

use std::fmt;
use std::path::Path;
use std::rc::Rc;

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A line of a file.
    Line(Rc<Path>, usize),
    /// A variable of the environment.
    Variable(String),
    /// Nowhere: the default stands.
    Default,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(file, line) => write!(f, "{}:{line}", file.display()),
            Self::Variable(name) => write!(f, "environment: {name}"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// One thing that is wrong, and what to do about it. Ordered as a reader meets them: by file and line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    place: String,
    line: usize,
    key: String,
    what: String,
}

impl Fault {
    pub(super) fn at(place: &Place, key: &str, what: &str) -> Self {
        let (place, line) = match place {
            Place::Line(file, line) => (file.display().to_string(), *line),
            // The variable's name says which key.
            Place::Variable(_) => return Self::somewhere(&place.to_string(), "", what),
            Place::Default => (String::new(), 0),
        };
        Self {
            place,
            line,
            key: key.to_owned(),
            what: what.to_owned(),
        }
    }

    pub(super) fn of_file(path: &Path, what: &str) -> Self {
        Self::somewhere(&path.display().to_string(), "", what)
    }

    fn somewhere(place: &str, key: &str, what: &str) -> Self {
        Self {
            place: place.to_owned(),
            line: 0,
            key: key.to_owned(),
            what: what.to_owned(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.place.as_str(), self.line) {
            ("", _) => {}
            (place, 0) => write!(f, "{place}: ")?,
            (place, line) => write!(f, "{place}:{line}: ")?,
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.what)
    }
}

/// All that is wrong. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub(super) Vec<Fault>);

impl Faults {
    /// One line a fault.
    pub fn lines(&self) -> Vec<String> {
        self.0.iter().map(Fault::to_string).collect()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

impl std::error::Error for Faults {}

/// Something that works, but hardly as meant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning(pub(super) Fault);

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
