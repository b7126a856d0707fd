//! INSERT and REPLACE: their rows.

use std::collections::BTreeMap;
use std::io::Read;

use super::{Cell, MOST_COLUMNS, MOST_VALUE, Row, Scanner, SqlError};

impl<R: Read> Scanner<R> {
    /// `INSERT [IGNORE] INTO t [(columns)] VALUES (…), (…);` where the first word was read.
    pub(super) fn insert(
        &mut self,
        declared: &BTreeMap<String, Vec<String>>,
        wanted: &impl Fn(&str) -> bool,
        each: &mut impl FnMut(Row<'_>) -> Result<(), SqlError>,
    ) -> Result<(), SqlError> {
        let mut table = self.table()?;
        while MODIFIERS.contains(&table.to_ascii_uppercase().as_str()) {
            table = self.table()?;
        }
        if !wanted(&table) {
            return self.skip_statement();
        }
        self.skip_blank()?;
        let listed = if self.peek()? == Some(b'(') {
            Some(self.columns()?)
        } else {
            None
        };
        let columns = listed.as_deref().or_else(|| declared.get(&table).map(Vec::as_slice));
        let word = self.word()?.to_ascii_uppercase();
        if word != "VALUES" && word != "VALUE" {
            return Err(self.malformed(format!(
                "INSERT INTO {table}: expected VALUES: rows can't come from a query"
            )));
        }
        loop {
            self.skip_blank()?;
            let line = self.line;
            let cells = self.row()?;
            if let Some(columns) = columns
                && columns.len() != cells.len()
            {
                let what = format!(
                    "a row of {table} has {} values for {} columns",
                    cells.len(),
                    columns.len()
                );
                return Err(SqlError::Malformed { line, what });
            }
            each(Row {
                table: &table,
                columns,
                cells,
                line,
            })?;
            self.skip_blank()?;
            match self.peek()? {
                Some(b',') => {
                    self.bump()?;
                }
                Some(_) => return self.skip_statement(),
                None => return Err(self.malformed("the file ends inside of an INSERT: was it cut?")),
            }
        }
    }

    fn columns(&mut self) -> Result<Vec<String>, SqlError> {
        self.needs(b'(')?;
        let mut columns = Vec::new();
        loop {
            let name = self.name()?;
            if name.is_empty() || columns.len() >= MOST_COLUMNS {
                return Err(self.malformed("expected a column's name"));
            }
            columns.push(name);
            self.skip_blank()?;
            if !self.takes(b',')? {
                self.needs(b')')?;
                return Ok(columns);
            }
        }
    }

    fn row(&mut self) -> Result<Vec<Cell>, SqlError> {
        self.needs(b'(')?;
        let mut cells = Vec::new();
        loop {
            if cells.len() >= MOST_COLUMNS {
                return Err(self.malformed("a row of more than 256 values"));
            }
            cells.push(self.cell()?);
            self.skip_blank()?;
            if !self.takes(b',')? {
                self.needs(b')')?;
                return Ok(cells);
            }
        }
    }

    fn cell(&mut self) -> Result<Cell, SqlError> {
        self.skip_blank()?;
        match self.peek()? {
            Some(quote @ (b'\'' | b'"')) => self.quoted(quote).map(Cell::Octets),
            Some(byte) if byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.') => self.number(),
            Some(byte) if byte.is_ascii_alphabetic() || byte == b'_' => {
                let word = self.word()?.to_ascii_uppercase();
                self.named(&word)
            }
            Some(byte) => Err(self.malformed(format!("expected a value, found {:?}", char::from(byte)))),
            None => Err(self.malformed("the file ends inside of a row: was it cut?")),
        }
    }

    /// NULL, booleans, `X'…'`, and texts with their character set before them (`_binary '…'`).
    fn named(&mut self, word: &str) -> Result<Cell, SqlError> {
        match word {
            "NULL" => return Ok(Cell::Null),
            "TRUE" => return Ok(Cell::Octets(b"1".to_vec())),
            "FALSE" => return Ok(Cell::Octets(b"0".to_vec())),
            "X" if self.peek()? == Some(b'\'') => {
                let digits = self.quoted(b'\'')?;
                return self.hexadecimal(&digits);
            }
            _ => {}
        }
        self.skip_blank()?;
        if word.starts_with('_') {
            match self.peek()? {
                Some(b'\'') => return self.quoted(b'\'').map(Cell::Octets),
                Some(b'0') => return self.number(),
                Some(_) | None => {}
            }
        }
        Err(self.malformed(format!(
            "expected a value, found {word}: an export holds values, no expressions"
        )))
    }

    /// A number as it stands, or `0x…`.
    fn number(&mut self) -> Result<Cell, SqlError> {
        let mut octets = Vec::new();
        let of_number = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.');
        while let Some(byte) = self.peek()?.filter(of_number) {
            if octets.len() >= MOST_VALUE {
                return Err(self.malformed("a value longer than 64 KiB in a table that has none"));
            }
            octets.push(byte);
            self.bump()?;
        }
        match octets.strip_prefix(b"0x") {
            Some(digits) => self.hexadecimal(digits),
            None if octets
                .iter()
                .all(|byte| !byte.is_ascii_alphabetic() || matches!(byte, b'e' | b'E')) =>
            {
                Ok(Cell::Octets(octets))
            }
            None => Err(self.malformed("a value that is neither a number nor quoted")),
        }
    }

    fn hexadecimal(&self, digits: &[u8]) -> Result<Cell, SqlError> {
        let digit = |byte: &u8| {
            char::from(*byte)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        };
        let pairs = digits.chunks(2).map(|pair| match pair {
            [high, low] => Some(digit(high)? * 16 + digit(low)?),
            _ => None,
        });
        let octets: Option<Vec<u8>> = pairs.collect();
        octets
            .map(Cell::Octets)
            .ok_or_else(|| self.malformed("hexadecimal digits that aren't pairs of them"))
    }
}

const MODIFIERS: [&str; 5] = ["INTO", "IGNORE", "LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED"];
