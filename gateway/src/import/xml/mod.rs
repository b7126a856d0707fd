//! One XML file of a module as a small tree that remembers its lines.
//!
//! The files come from third parties' packages, so everything that a hostile one could grow has a bound. Entities other
//! than XML's own five and any document type are refused: nothing is expanded and nothing outside of the file is read.

use quick_xml::Reader;
use quick_xml::XmlVersion;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};

/// An element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// Without a namespace's prefix.
    pub name: String,
    /// In file order, namespaces' own left out.
    pub attributes: Vec<(String, String)>,
    /// In file order.
    pub children: Vec<Self>,
    /// All text directly inside, as written.
    pub text: String,
    /// Where its tag begins, counted from 1.
    pub line: usize,
}

impl Element {
    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    }

    /// The children of that name.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }
}

/// Why a file can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {what}")]
pub struct XmlError {
    /// As it was named.
    pub file: String,
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// Parses a file; the answer is its root element.
pub fn parse(file: &str, octets: &[u8]) -> Result<Element, XmlError> {
    let error = |line: usize, what: &str| XmlError {
        file: file.to_owned(),
        line,
        what: what.to_owned(),
    };
    if octets.len() > MOST_OCTETS {
        return Err(error(1, "is larger than 4 MiB: no module declares so much"));
    }
    let text = decode(octets).map_err(|(line, what)| error(line, what))?;
    let lines = Lines::of(text);
    let mut building = Building::default();
    let mut reader = Reader::from_str(text);
    loop {
        let at = lines.line(reader.buffer_position());
        let event = reader
            .read_event()
            .map_err(|fault| error(lines.line(reader.error_position()), &cut(&fault.to_string())))?;
        if matches!(event, Event::Eof) {
            return building
                .finish()
                .map_err(|(line, what)| error(line.unwrap_or(at), &what));
        }
        building.take(event, at).map_err(|what| error(at, &what))?;
    }
}

/// The text without its byte-order mark, or the line and reason why it isn't UTF-8.
fn decode(octets: &[u8]) -> Result<&str, (usize, &'static str)> {
    if octets.starts_with(&[0xFF, 0xFE])
        || octets.starts_with(&[0xFE, 0xFF])
        || octets.iter().take(4).any(|one| *one == 0)
    {
        return Err((1, "is UTF-16 or UTF-32: save it as UTF-8"));
    }
    let octets = octets.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(octets);
    let line_of = |end: usize| octets.iter().take(end).filter(|one| **one == b'\n').count() + 1;
    let text = std::str::from_utf8(octets).map_err(|fault| {
        (
            line_of(fault.valid_up_to()),
            "holds octets that aren't UTF-8: save it as UTF-8",
        )
    })?;
    match text.find(is_forbidden) {
        Some(at) => Err((line_of(at), "holds a control character, which XML forbids")),
        None => Ok(text),
    }
}

fn is_forbidden(character: char) -> bool {
    character.is_control() && !matches!(character, '\t' | '\n' | '\r')
}

/// Where lines begin.
struct Lines(Vec<u64>);

impl Lines {
    fn of(text: &str) -> Self {
        let ends = text.bytes().zip(0_u64..).filter(|(byte, _)| *byte == b'\n');
        Self(ends.map(|(_, at)| at).collect())
    }

    fn line(&self, offset: u64) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}

/// The tree while it grows: the open elements, outermost first.
#[derive(Default)]
struct Building {
    open: Vec<Element>,
    root: Option<Element>,
    elements: usize,
}

impl Building {
    fn take(&mut self, event: Event<'_>, line: usize) -> Result<(), String> {
        match event {
            Event::Start(tag) => self.begin(&tag, line),
            Event::Empty(tag) => {
                self.begin(&tag, line)?;
                self.end()
            }
            Event::End(_) => self.end(),
            Event::Text(text) => self.text(&text.xml10_content()),
            Event::CData(text) => self.text(&text.xml10_content()),
            Event::GeneralRef(reference) => {
                let text = resolve(&reference)?;
                self.text(&text)
            }
            Event::Decl(declaration) => check_encoding(&declaration),
            Event::DocType(_) => {
                Err("holds a document type, which could declare entities: remove the <!DOCTYPE".to_owned())
            }
            Event::Comment(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn begin(&mut self, tag: &BytesStart<'_>, line: usize) -> Result<(), String> {
        self.elements += 1;
        if self.open.len() >= MOST_DEPTH {
            return Err(format!("elements are nested deeper than {MOST_DEPTH}"));
        }
        if self.elements > MOST_ELEMENTS {
            return Err(format!("holds more than {MOST_ELEMENTS} elements"));
        }
        if self.root.is_some() {
            return Err("goes on after the end of its root element".to_owned());
        }
        self.open.push(Element {
            name: local(tag.name().as_ref()).to_owned(),
            attributes: attributes(tag)?,
            line,
            ..Element::default()
        });
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        let Some(done) = self.open.pop() else {
            return Err("ends an element that was not begun".to_owned());
        };
        match self.open.last_mut() {
            Some(parent) => parent.children.push(done),
            None => self.root = Some(done),
        }
        Ok(())
    }

    fn text(&mut self, text: &str) -> Result<(), String> {
        match self.open.last_mut() {
            Some(element) => {
                element.text.push_str(text);
                Ok(())
            }
            None if text.trim().is_empty() => Ok(()),
            None => Err("holds text outside of its root element: is it XML?".to_owned()),
        }
    }

    fn finish(mut self) -> Result<Element, (Option<usize>, String)> {
        if let Some(open) = self.open.pop() {
            return Err((
                None,
                format!(
                    "ends inside of <{}>, begun at line {}: was it cut?",
                    cut(&open.name),
                    open.line
                ),
            ));
        }
        self.root
            .ok_or_else(|| (Some(1), "holds no element: is it XML?".to_owned()))
    }
}

fn attributes(tag: &BytesStart<'_>) -> Result<Vec<(String, String)>, String> {
    let mut found = Vec::new();
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|fault| fault.to_string())?;
        let name = attribute.key.as_ref();
        if found.len() >= MOST_ATTRIBUTES {
            return Err(format!("an element has more than {MOST_ATTRIBUTES} attributes"));
        }
        let value = attribute
            .normalized_value(XmlVersion::Implicit1_0)
            .map_err(|fault| format!("attribute {}: {fault}", cut(name)))?;
        if value.len() > MOST_VALUE {
            return Err(format!("attribute {} is longer than {MOST_VALUE} octets", cut(name)));
        }
        if value.contains(char::is_control) {
            return Err(format!("attribute {} holds a control character", cut(name)));
        }
        if name != "xmlns" && !name.starts_with("xmlns:") && !name.starts_with("xsi:") {
            found.push((local(name).to_owned(), value.into_owned()));
        }
    }
    Ok(found)
}

/// What an error repeats of the file: the file decides how long it is.
fn cut(text: &str) -> String {
    text.chars().take(120).collect()
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// `&amp;` and its kin, and character references; whatever a document type could have declared is refused.
fn resolve(reference: &BytesRef<'_>) -> Result<String, String> {
    if let Some(character) = reference.resolve_char_ref().map_err(|fault| fault.to_string())? {
        return if is_forbidden(character) {
            Err("refers to a control character, which XML forbids".to_owned())
        } else {
            Ok(character.to_string())
        };
    }
    let name = reference.xml10_content();
    let known = match name.as_ref() {
        "amp" => "&",
        "lt" => "<",
        "gt" => ">",
        "apos" => "'",
        "quot" => "\"",
        _ => return Err(format!("refers to the entity {:?}, which XML doesn't know", cut(&name))),
    };
    Ok(known.to_owned())
}

fn check_encoding(declaration: &BytesDecl<'_>) -> Result<(), String> {
    let Some(encoding) = declaration.encoding() else {
        return Ok(());
    };
    let encoding = encoding.map_err(|fault| fault.to_string())?;
    if ["utf-8", "utf8", "us-ascii", "ascii"].contains(&encoding.to_ascii_lowercase().as_str()) {
        Ok(())
    } else {
        Err(format!("says that it is {:?}: save it as UTF-8", cut(&encoding)))
    }
}

const MOST_OCTETS: usize = 4 << 20;
const MOST_DEPTH: usize = 64;
const MOST_ELEMENTS: usize = 200_000;
const MOST_ATTRIBUTES: usize = 64;
const MOST_VALUE: usize = 16 << 10;

#[cfg(test)]
mod tests;
