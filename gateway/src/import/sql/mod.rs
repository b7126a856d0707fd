//! The INSERT statements of a database export, read as a stream: a dump of a whole store has gigabytes, of which a few rows
//! are wanted. Understands what mysqldump, mariadb-dump and phpMyAdmin write; statements for other tables are skipped
//! without being kept.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};

/// One value of a row; numbers stay text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    /// NULL
    Null,
    /// A text, number or octets.
    Octets(Vec<u8>),
}

/// A row of a wanted table.
#[derive(Debug)]
pub struct Row<'a> {
    /// Without schema and backticks.
    pub table: &'a str,
    /// As the statement, or the table's CREATE TABLE before it, names them; `None`: neither does.
    pub columns: Option<&'a [String]>,
    /// In that order.
    pub cells: Vec<Cell>,
    /// Where the row begins, counted from 1.
    pub line: usize,
}

/// Why an export can't be read.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The file.
    #[error("line {line}: {error}")]
    Read {
        /// Counted from 1.
        line: usize,
        /// What the system said.
        error: std::io::Error,
    },
    /// Its content.
    #[error("line {line}: {what}")]
    Malformed {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
}

/// Reads an export to its end; `wanted` decides by a table's name whose rows `each` is given. One that ends inside of a
/// statement is an error.
pub fn read(
    source: impl Read,
    wanted: impl Fn(&str) -> bool,
    mut each: impl FnMut(Row<'_>) -> Result<(), SqlError>,
) -> Result<Ending, SqlError> {
    let mut scanner = Scanner {
        source,
        held: vec![0; HELD],
        from: 0,
        to: 0,
        line: 1,
        delimiter: b";".to_vec(),
        ending: Ending::default(),
    };
    scanner.refuse_other_formats()?;
    let mut declared: BTreeMap<String, Vec<String>> = BTreeMap::new();
    while scanner.begin_statement()? {
        if scanner.ending == Ending::Whole {
            scanner.ending = Ending::Unsaid;
        }
        match scanner.word()?.to_ascii_uppercase().as_str() {
            "DELIMITER" => scanner.new_delimiter()?,
            "INSERT" | "REPLACE" => scanner.insert(&declared, &wanted, &mut each)?,
            "CREATE" => {
                if let Some((table, columns)) = scanner.create(&wanted)? {
                    declared.insert(table, columns);
                }
            }
            _ => scanner.skip_statement()?,
        }
    }
    Ok(scanner.ending)
}

/// How an export ends, after a complete statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// Nothing says whether more was to come.
    #[default]
    Unsaid,
    /// The program that wrote it ends with a line that says so, and it isn't there.
    Unkept,
    /// With that line.
    Whole,
}

struct Scanner<R> {
    source: R,
    /// What was read ahead: `from` up to `to` of it is still to be looked at.
    held: Vec<u8>,
    from: usize,
    to: usize,
    line: usize,
    delimiter: Vec<u8>,
    /// How it ends, if nothing more comes.
    ending: Ending,
}

impl<R: Read> Scanner<R> {
    fn malformed(&self, what: impl Into<String>) -> SqlError {
        SqlError::Malformed {
            line: self.line,
            what: what.into(),
        }
    }

    /// What stands ahead: at least [`AHEAD`] octets, unless the file ends before.
    fn ahead(&mut self) -> Result<&[u8], SqlError> {
        if self.to - self.from < AHEAD {
            self.held.copy_within(self.from..self.to, 0);
            (self.from, self.to) = (0, self.to - self.from);
            while self.to < AHEAD {
                let line = self.line;
                let space = self.held.get_mut(self.to..).unwrap_or_default();
                match self.source.read(space) {
                    Ok(0) => break,
                    Ok(more) => self.to += more,
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(error) => return Err(SqlError::Read { line, error }),
                }
            }
        }
        Ok(self.held.get(self.from..self.to).unwrap_or_default())
    }

    fn peek(&mut self) -> Result<Option<u8>, SqlError> {
        Ok(self.ahead()?.first().copied())
    }

    fn bump(&mut self) -> Result<Option<u8>, SqlError> {
        let next = self.peek()?;
        if let Some(byte) = next {
            self.line += usize::from(byte == b'\n');
            self.from += 1;
        }
        Ok(next)
    }

    /// Takes the next octet if it is that one.
    fn takes(&mut self, byte: u8) -> Result<bool, SqlError> {
        let is_next = self.peek()? == Some(byte);
        if is_next {
            self.bump()?;
        }
        Ok(is_next)
    }

    fn needs(&mut self, byte: u8) -> Result<(), SqlError> {
        self.skip_blank()?;
        if self.takes(byte)? {
            return Ok(());
        }
        let found = self.peek()?;
        Err(match found {
            None => self.malformed("the file ends inside of a statement: was it cut?"),
            Some(found) => self.malformed(format!(
                "expected {:?}, found {:?}",
                char::from(byte),
                char::from(found)
            )),
        })
    }

    /// Passes over octets for which `dull` holds, many at a time.
    fn skip_while(&mut self, dull: impl Fn(u8) -> bool) -> Result<(), SqlError> {
        loop {
            let ahead = self.ahead()?;
            let run = ahead.iter().position(|byte| !dull(*byte));
            let passed = run.unwrap_or(ahead.len());
            let lines = ahead.iter().take(passed).filter(|byte| **byte == b'\n').count();
            self.line += lines;
            self.from += passed;
            if run.is_some() || passed == 0 {
                return Ok(());
            }
        }
    }

    /// What other programs write must not look like an export without rows.
    fn refuse_other_formats(&mut self) -> Result<(), SqlError> {
        let start = self.ahead()?;
        let what = match start {
            [0x1F, 0x8B, ..] | [b'B', b'Z', b'h', ..] | [0x28, 0xB5, 0x2F, 0xFD, ..] | [b'P', b'K', 3, 4, ..] => {
                "is compressed: unpack it first"
            }
            [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => "is UTF-16: write the export without a conversion by the shell",
            [b'<', b'?', ..] => "is XML: write the export without --xml",
            _ => return Ok(()),
        };
        Err(self.malformed(what))
    }

    /// White space and comments.
    fn skip_blank(&mut self) -> Result<(), SqlError> {
        loop {
            self.skip_while(|byte| byte.is_ascii_whitespace())?;
            match self.peek()? {
                Some(b'#') => self.skip_line()?,
                Some(b'-') if self.ahead()?.starts_with(b"--") => {
                    let ahead = self.ahead()?;
                    let begins = ahead.starts_with(b"-- MySQL dump") || ahead.starts_with(b"-- MariaDB dump");
                    let ends = ahead.starts_with(b"-- Dump completed");
                    if begins {
                        self.ending = Ending::Unkept;
                    } else if ends {
                        self.ending = Ending::Whole;
                    }
                    self.skip_line()?;
                }
                Some(b'/') if self.ahead()?.starts_with(b"/*") => self.skip_block()?,
                Some(_) | None => return Ok(()),
            }
        }
    }

    fn skip_line(&mut self) -> Result<(), SqlError> {
        self.skip_while(|byte| byte != b'\n')
    }

    /// `/* … */`; those with a version in them hold settings, never rows.
    fn skip_block(&mut self) -> Result<(), SqlError> {
        self.bump()?;
        self.bump()?;
        loop {
            self.skip_while(|byte| byte != b'*')?;
            if self.bump()?.is_none() {
                return Err(self.malformed("the file ends inside of a comment: was it cut?"));
            }
            if self.takes(b'/')? {
                return Ok(());
            }
        }
    }

    /// Whether there is another statement.
    fn begin_statement(&mut self) -> Result<bool, SqlError> {
        loop {
            self.skip_blank()?;
            match self.peek()? {
                None => return Ok(false),
                Some(b';') => {
                    self.bump()?;
                }
                Some(byte) if self.delimiter.first() == Some(&byte) => {
                    self.bump()?;
                }
                Some(_) => return Ok(true),
            }
        }
    }

    /// A bare word; empty where none stands.
    fn word(&mut self) -> Result<String, SqlError> {
        self.skip_blank()?;
        let mut word = String::new();
        while let Some(byte) = self
            .peek()?
            .filter(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$'))
        {
            if word.len() >= MOST_NAME {
                return Err(self.malformed("a word longer than 256 octets: is it an SQL export?"));
            }
            word.push(char::from(byte));
            self.bump()?;
        }
        if word.is_empty() && self.peek()?.is_some_and(|byte| !byte.is_ascii()) {
            return Err(self.malformed("is it an SQL export? A statement begins with no word"));
        }
        Ok(word)
    }

    /// A bare or quoted name; empty where none stands.
    fn name(&mut self) -> Result<String, SqlError> {
        self.skip_blank()?;
        match self.peek()? {
            Some(quote @ (b'`' | b'"')) => {
                let octets = self.quoted(quote)?;
                String::from_utf8(octets).map_err(|_| self.malformed("a name that isn't UTF-8"))
            }
            Some(_) | None => self.word(),
        }
    }

    /// A table's name, without its schema.
    fn table(&mut self) -> Result<String, SqlError> {
        let mut name = self.name()?;
        while self.takes(b'.')? {
            name = self.name()?;
        }
        Ok(name)
    }

    /// `DELIMITER ;;`: what ends statements from here on.
    fn new_delimiter(&mut self) -> Result<(), SqlError> {
        self.skip_while(|byte| byte == b' ' || byte == b'\t')?;
        let mut delimiter = Vec::new();
        while let Some(byte) = self.peek()?.filter(|byte| !byte.is_ascii_whitespace()) {
            if delimiter.len() >= 16 {
                return Err(self.malformed("a DELIMITER longer than 16 octets"));
            }
            delimiter.push(byte);
            self.bump()?;
        }
        if delimiter.is_empty() {
            return Err(self.malformed("a DELIMITER without one"));
        }
        self.delimiter = delimiter;
        Ok(())
    }

    /// To the end of the statement, over what is quoted.
    fn skip_statement(&mut self) -> Result<(), SqlError> {
        let first = self.delimiter.first().copied().unwrap_or(b';');
        loop {
            self.skip_while(|byte| byte != first && !matches!(byte, b'\'' | b'"' | b'`' | b'-' | b'#' | b'/'))?;
            match self.peek()? {
                None => return Err(self.malformed("the file ends inside of a statement, without its ;: was it cut?")),
                Some(byte) if byte == first => {
                    if self.takes_delimiter()? {
                        return Ok(());
                    }
                }
                Some(quote @ (b'\'' | b'"' | b'`')) => self.skip_quoted(quote)?,
                Some(b'-') if self.ahead()?.starts_with(b"-- ") => self.skip_line()?,
                Some(b'#') => self.skip_line()?,
                Some(b'/') if self.ahead()?.starts_with(b"/*") => self.skip_block()?,
                Some(_) => {
                    self.bump()?;
                }
            }
        }
    }

    /// Whether the delimiter stands here; its octets, or the first of them, are passed over.
    fn takes_delimiter(&mut self) -> Result<bool, SqlError> {
        for byte in self.delimiter.clone() {
            if !self.takes(byte)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn skip_quoted(&mut self, quote: u8) -> Result<(), SqlError> {
        let begun = self.line;
        self.bump()?;
        loop {
            self.skip_while(|byte| byte != quote && byte != b'\\')?;
            match self.bump()? {
                None => return Err(unclosed(begun)),
                Some(b'\\') if quote != b'`' => {
                    self.bump()?;
                }
                // A doubled quote ends one text and begins the next: all the same to who skips them.
                Some(byte) if byte == quote => return Ok(()),
                Some(_) => {}
            }
        }
    }

    /// What stands between quotes, its escapes resolved as the database's manual has them ("String Literals").
    fn quoted(&mut self, quote: u8) -> Result<Vec<u8>, SqlError> {
        let begun = self.line;
        self.bump()?;
        let mut octets = Vec::new();
        loop {
            let byte = self.bump()?.ok_or_else(|| unclosed(begun))?;
            let byte = match byte {
                b'\\' if quote != b'`' => match self.bump()?.ok_or_else(|| unclosed(begun))? {
                    b'0' => 0,
                    b'b' => 8,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'Z' => 26,
                    // Only patterns tell \% and \_ from % and _.
                    pattern @ (b'%' | b'_') => {
                        octets.push(b'\\');
                        pattern
                    }
                    other => other,
                },
                byte if byte == quote => {
                    if !self.takes(quote)? {
                        return Ok(octets);
                    }
                    quote
                }
                byte => byte,
            };
            if octets.len() >= MOST_VALUE {
                return Err(self.malformed("a value longer than 64 KiB in a table that has none"));
            }
            octets.push(byte);
        }
    }

    /// `CREATE TABLE`: the order of a wanted table's columns.
    fn create(&mut self, wanted: impl Fn(&str) -> bool) -> Result<Option<(String, Vec<String>)>, SqlError> {
        let is_table = self.word()?.eq_ignore_ascii_case("TABLE");
        let mut table = if is_table { self.table()? } else { String::new() };
        if table.eq_ignore_ascii_case("IF") {
            self.word()?;
            self.word()?;
            table = self.table()?;
        }
        if table.is_empty() || !wanted(&table) {
            self.skip_statement()?;
            return Ok(None);
        }
        self.needs(b'(')?;
        let mut columns = Vec::new();
        loop {
            self.skip_blank()?;
            let is_quoted = matches!(self.peek()?, Some(b'`' | b'"'));
            let name = self.name()?;
            let is_column = is_quoted || !NOT_COLUMNS.contains(&name.to_ascii_uppercase().as_str());
            if is_column {
                columns.push(name);
            }
            if columns.len() > MOST_COLUMNS {
                return Err(self.malformed("a table of more than 256 columns"));
            }
            if self.ends_definition()? {
                self.skip_statement()?;
                return Ok(Some((table, columns)));
            }
        }
    }

    /// Passes over the rest of a column's definition; whether it was the last.
    fn ends_definition(&mut self) -> Result<bool, SqlError> {
        let mut depth = 0_u32;
        loop {
            self.skip_while(|byte| !matches!(byte, b'\'' | b'"' | b'`' | b'(' | b')' | b','))?;
            match self.peek()? {
                None => return Err(self.malformed("the file ends inside of a CREATE TABLE: was it cut?")),
                Some(quote @ (b'\'' | b'"' | b'`')) => self.skip_quoted(quote)?,
                Some(byte) => {
                    self.bump()?;
                    match byte {
                        b'(' => depth += 1,
                        b')' if depth == 0 => return Ok(true),
                        b')' => depth -= 1,
                        b',' if depth == 0 => return Ok(false),
                        _ => {}
                    }
                }
            }
        }
    }
}

fn unclosed(line: usize) -> SqlError {
    let what = "a quoted value has no end: was the file cut?".to_owned();
    SqlError::Malformed { line, what }
}

const HELD: usize = 64 << 10;
const AHEAD: usize = 32;
const MOST_NAME: usize = 256;
const MOST_VALUE: usize = 64 << 10;
const MOST_COLUMNS: usize = 256;
/// How those definitions of a CREATE TABLE begin that are none of a column.
const NOT_COLUMNS: [&str; 9] = [
    "PRIMARY",
    "KEY",
    "UNIQUE",
    "CONSTRAINT",
    "FULLTEXT",
    "SPATIAL",
    "INDEX",
    "CHECK",
    "FOREIGN",
];

mod insert;
#[cfg(test)]
mod tests;
