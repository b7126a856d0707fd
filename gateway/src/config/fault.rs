//! What is wrong with a configuration: every fault with file, line and key, all at once.

use std::fmt;
use std::path::Path;
use std::rc::Rc;

/// Where something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: Rc<Path>,
    pub(super) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// One thing that is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    place: String,
    key: String,
    what: String,
}

impl Fault {
    pub(super) fn at(place: &Place, key: &str, what: &str) -> Self {
        Self {
            place: place.to_string(),
            key: key.to_owned(),
            what: what.to_owned(),
        }
    }

    pub(super) fn of_file(path: &Path, what: &str) -> Self {
        Self {
            place: path.display().to_string(),
            key: String::new(),
            what: what.to_owned(),
        }
    }

    pub(super) fn of_variable(name: &str, what: &str) -> Self {
        Self {
            place: "environment".to_owned(),
            key: name.to_owned(),
            what: what.to_owned(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
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
