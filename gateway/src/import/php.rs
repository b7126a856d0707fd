//! The literals in `app/etc/env.php` and `app/etc/config.php`: `<?php return [ … ];`. Nothing is run; what is no literal is
//! there as [`Value::Computed`].

/// A value of PHP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// `true` or `false`
    Boolean(bool),
    /// Entries with texts or numbers for keys; those without a key have none here.
    List(Vec<(Option<String>, Self)>),
    /// Anything that PHP would have to compute.
    Computed,
}

impl Value {
    /// The entry with that key.
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::List(entries) => entries
                .iter()
                .rev()
                .find(|(own, _)| own.as_deref() == Some(key))
                .map(|(_, value)| value),
            Self::Text(_) | Self::Number(_) | Self::Boolean(_) | Self::Computed => None,
        }
    }
}

/// Why a file can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct PhpError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong.
    pub what: &'static str,
}

/// What the file returns.
pub fn parse(text: &str) -> Result<Value, PhpError> {
    let mut parser = Parser {
        rest: text.as_bytes(),
        line: 1,
    };
    while let Some(token) = parser.token()? {
        if token == Token::Word("return".to_owned()) {
            return parser.value(MOST_DEPTH);
        }
    }
    Err(parser.error("returns nothing: is it env.php or config.php?"))
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Number(i64),
    Arrow,
    Sign(u8),
}

struct Parser<'a> {
    rest: &'a [u8],
    line: usize,
}

impl Parser<'_> {
    fn error(&self, what: &'static str) -> PhpError {
        PhpError { line: self.line, what }
    }

    fn bump(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        self.line += usize::from(*first == b'\n');
        Some(*first)
    }

    fn skip_blank(&mut self) -> Result<(), PhpError> {
        loop {
            match self.rest {
                [b' ' | b'\t' | b'\r' | b'\n', ..] => {
                    self.bump();
                }
                [b'#', ..] | [b'/', b'/', ..] => while self.bump().is_some_and(|byte| byte != b'\n') {},
                [b'/', b'*', ..] => {
                    while !self.rest.starts_with(b"*/") {
                        self.bump().ok_or_else(|| self.error("ends inside of a comment"))?;
                    }
                    self.bump();
                    self.bump();
                }
                _ => return Ok(()),
            }
        }
    }

    fn token(&mut self) -> Result<Option<Token>, PhpError> {
        self.skip_blank()?;
        Ok(Some(match self.rest {
            [] => return Ok(None),
            [quote @ (b'\'' | b'"'), ..] => Token::Text(self.text(*quote)?),
            [b'=', b'>', ..] => {
                self.bump();
                self.bump();
                Token::Arrow
            }
            [first, ..] if first.is_ascii_alphanumeric() || matches!(first, b'_' | b'\\') => {
                let mut word = String::new();
                while let [next, ..] = self.rest
                    && (next.is_ascii_alphanumeric() || matches!(next, b'_' | b'\\'))
                {
                    word.push(char::from(*next));
                    self.bump();
                }
                word.parse().map_or(Token::Word(word), Token::Number)
            }
            [first, ..] => {
                let sign = *first;
                self.bump();
                Token::Sign(sign)
            }
        }))
    }

    /// Single quotes know `\\` and `\'`; double quotes the usual letters.
    fn text(&mut self, quote: u8) -> Result<String, PhpError> {
        self.bump();
        let mut octets = Vec::new();
        loop {
            match self.bump() {
                None => return Err(self.error("ends inside of a text")),
                Some(byte) if byte == quote => {
                    return String::from_utf8(octets).map_err(|_| self.error("holds a text that isn't UTF-8"));
                }
                Some(b'\\') => match (quote, self.bump()) {
                    (_, Some(escaped)) if escaped == quote || escaped == b'\\' => octets.push(escaped),
                    (b'"', Some(b'n')) => octets.push(b'\n'),
                    (b'"', Some(b'r')) => octets.push(b'\r'),
                    (b'"', Some(b't')) => octets.push(b'\t'),
                    (b'"', Some(b'$')) => octets.push(b'$'),
                    (_, other) => {
                        octets.push(b'\\');
                        octets.extend(other);
                    }
                },
                Some(byte) => octets.push(byte),
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, PhpError> {
        let Some(depth) = depth.checked_sub(1) else {
            return Err(self.error("nests its lists too deep"));
        };
        self.skip_blank()?;
        // A cast or a call in brackets: what is in them is passed over below.
        if matches!(self.rest, [b'(' | b'{', ..]) {
            self.skip_expression()?;
            return Ok(Value::Computed);
        }
        let value = match self.token()? {
            Some(Token::Text(text)) => Value::Text(text),
            Some(Token::Number(number)) => Value::Number(number),
            Some(Token::Sign(b'[')) => self.list(b']', depth)?,
            Some(Token::Word(word)) => match word.to_ascii_lowercase().as_str() {
                "array" if self.next_is(b'(')? => {
                    self.bump();
                    self.list(b')', depth)?
                }
                "true" => Value::Boolean(true),
                "false" => Value::Boolean(false),
                _ => Value::Computed,
            },
            Some(Token::Sign(_) | Token::Arrow) => Value::Computed,
            None => return Err(self.error("ends where a value should stand")),
        };
        // Whatever goes on here (a call, a concatenation) makes the value a computed one.
        if self.skip_expression()? {
            Ok(Value::Computed)
        } else {
            Ok(value)
        }
    }

    fn next_is(&mut self, byte: u8) -> Result<bool, PhpError> {
        self.skip_blank()?;
        Ok(self.rest.first() == Some(&byte))
    }

    /// To the next `,`, `=>`, `;` or closing bracket on this level; whether there was anything.
    fn skip_expression(&mut self) -> Result<bool, PhpError> {
        let mut depth = 0_usize;
        let mut skipped = false;
        loop {
            self.skip_blank()?;
            match self.rest {
                [] => return Ok(skipped),
                [b',' | b';' | b']' | b')', ..] | [b'=', b'>', ..] if depth == 0 => return Ok(skipped),
                [b'[' | b'(' | b'{', ..] => depth += 1,
                [b']' | b')' | b'}', ..] => depth = depth.saturating_sub(1),
                _ => {}
            }
            self.token()?;
            skipped = true;
        }
    }

    fn list(&mut self, end: u8, depth: usize) -> Result<Value, PhpError> {
        let mut entries = Vec::new();
        loop {
            if self.next_is(end)? {
                self.bump();
                return Ok(Value::List(entries));
            }
            let first = self.value(depth)?;
            self.skip_blank()?;
            if self.rest.starts_with(b"=>") {
                self.bump();
                self.bump();
                let key = match first {
                    Value::Text(text) => Some(text),
                    Value::Number(number) => Some(number.to_string()),
                    Value::Boolean(_) | Value::List(_) | Value::Computed => None,
                };
                entries.push((key, self.value(depth)?));
            } else {
                entries.push((None, first));
            }
            if self.next_is(b',')? {
                self.bump();
            } else if !self.next_is(end)? {
                return Err(self.error("a list that goes on in no known way"));
            }
        }
    }
}

const MOST_DEPTH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_lists_comments_and_escapes_are_read() {
        let text = "<?php\n// one\nreturn [\n  'crypt' => ['key' => 'a\\'b\nsecond'], # two\n  \
                    'modules' => array('Magento_Store' => 1, 'Acme_Shop' => 0,), /* three */ 'x' => \"t\\tb\"\n];\n";

        let value = parse(text).unwrap();

        assert_eq!(
            value.get("crypt").and_then(|crypt| crypt.get("key")),
            Some(&Value::Text("a'b\nsecond".to_owned()))
        );
        assert_eq!(
            value.get("modules"),
            Some(&Value::List(vec![
                (Some("Magento_Store".to_owned()), Value::Number(1)),
                (Some("Acme_Shop".to_owned()), Value::Number(0)),
            ]))
        );
        assert_eq!(value.get("x"), Some(&Value::Text("t\tb".to_owned())));
    }

    #[test]
    fn what_php_would_compute_is_no_literal() {
        let value =
            parse("<?php return ['key' => getenv('K', [1, 2]), 'b' => 'x' . 'y', 'c' => -1, 'd' => 'plain'];").unwrap();

        assert_eq!(value.get("key"), Some(&Value::Computed));
        assert_eq!(value.get("b"), Some(&Value::Computed));
        assert_eq!(value.get("c"), Some(&Value::Computed));
        assert_eq!(value.get("d"), Some(&Value::Text("plain".to_owned())));
    }

    #[test]
    fn a_cut_or_hostile_file_is_an_error_with_its_line() {
        for (text, line) in [
            ("<?php\nreturn ['a' => 'b", 2),
            ("<?php\nreturn ['a'\n=> [", 3),
            ("<?php /* …", 1),
            ("just text", 1),
        ] {
            assert_eq!(parse(text).map_err(|error| error.line), Err(line), "{text:?}");
        }
        let deep = format!("<?php return {}", "[".repeat(100_000));
        assert_eq!(parse(&deep).unwrap_err().what, "nests its lists too deep");
    }
}
