//! The tables of an export that hold integrations, their credentials and grants (magento.md 1, 4.6).

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use super::sql::{self, Cell, Ending, Row, SqlError};

/// What the export holds of integrations.
#[derive(Debug, Default)]
pub struct Dump {
    pub(super) integrations: Vec<IntegrationRow>,
    pub(super) consumers: Vec<ConsumerRow>,
    pub(super) tokens: Vec<TokenRow>,
    /// Integration → its role.
    pub(super) roles: BTreeMap<u64, u64>,
    /// Role → resource → allowed.
    pub(super) rules: BTreeMap<u64, BTreeMap<String, bool>>,
    /// Tokens of admins and customers.
    pub(super) users_tokens: usize,
    /// How it ends.
    pub(super) ending: Ending,
    /// Whether the export names the table `oauth_token` at all.
    pub(super) has_tokens: bool,
}

#[derive(Debug)]
pub(super) struct IntegrationRow {
    pub(super) line: usize,
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) email: String,
    pub(super) endpoint: Option<String>,
    pub(super) status: u64,
    pub(super) consumer: Option<u64>,
    pub(super) created_at: Option<String>,
    pub(super) updated_at: Option<String>,
    pub(super) setup_type: u64,
    pub(super) identity_link_url: Option<String>,
}

pub(super) struct ConsumerRow {
    pub(super) line: usize,
    pub(super) id: u64,
    pub(super) created_at: Option<String>,
    pub(super) updated_at: Option<String>,
    pub(super) name: String,
    pub(super) key: String,
    pub(super) secret: String,
    pub(super) callback_url: Option<String>,
    pub(super) rejected_callback_url: Option<String>,
}

pub(super) struct TokenRow {
    pub(super) line: usize,
    pub(super) id: u64,
    pub(super) consumer: u64,
    pub(super) kind: String,
    pub(super) token: String,
    pub(super) secret: String,
    pub(super) verifier: Option<String>,
    pub(super) is_revoked: bool,
    pub(super) created_at: Option<String>,
}

impl std::fmt::Debug for ConsumerRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ConsumerRow({}, …)", self.id)
    }
}

impl std::fmt::Debug for TokenRow {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TokenRow({}, …)", self.id)
    }
}

/// Why an export can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DumpError {
    /// It can't be read.
    #[error("{0}")]
    Sql(#[from] SqlError),
    /// Tables are missing.
    #[error("holds nothing of {missing}: export {}{}", TABLES.join(", "), hint(other_prefix.as_deref()))]
    Absent {
        /// Which.
        missing: String,
        /// What other tables of the same names begin with.
        other_prefix: Option<String>,
    },
}

fn hint(other_prefix: Option<&str>) -> String {
    match other_prefix {
        None => String::new(),
        Some("") => "; there are tables without the prefix: leave --table-prefix out".to_owned(),
        Some(prefix) => format!("; there are tables that begin with {prefix:?}: --table-prefix {prefix}"),
    }
}

/// Reads an export; `prefix` stands before the tables' names where the store was installed with one.
pub fn read(source: impl Read, prefix: &str) -> Result<Dump, DumpError> {
    let mut dump = Dump::default();
    let seen: RefCell<BTreeSet<&str>> = RefCell::default();
    let other_prefix: RefCell<Option<String>> = RefCell::default();
    let ours = |table: &str| {
        let plain = table.strip_prefix(prefix)?;
        TABLES.into_iter().find(|known| plain.eq_ignore_ascii_case(known))
    };
    let wanted = |table: &str| {
        let found = ours(table);
        seen.borrow_mut().extend(found);
        if let Some(other) = table.strip_suffix("oauth_consumer").filter(|other| *other != prefix) {
            *other_prefix.borrow_mut() = Some(other.to_owned());
        }
        found.is_some()
    };
    let ending = sql::read(source, wanted, |row| match ours(row.table) {
        Some(table) => dump.take(table, row),
        None => Ok(()),
    })?;
    let seen = seen.into_inner();
    let missing: Vec<&str> = TABLES
        .into_iter()
        .filter(|table| *table != TOKENS && !seen.contains(table))
        .collect();
    if !missing.is_empty() {
        return Err(DumpError::Absent {
            missing: missing.join(", "),
            other_prefix: other_prefix.into_inner(),
        });
    }
    dump.ending = ending;
    dump.has_tokens = seen.contains(TOKENS);
    Ok(dump)
}

impl Dump {
    /// How many integrations, consumers and tokens of consumers there are.
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.integrations.len(), self.consumers.len(), self.tokens.len())
    }

    fn take(&mut self, table: &'static str, row: Row<'_>) -> Result<(), SqlError> {
        let mut fields = Fields::of(table, row)?;
        match table {
            INTEGRATIONS => self.integrations.push(integration(&mut fields)?),
            CONSUMERS => self.consumers.push(consumer(&mut fields)?),
            TOKENS => match token(&mut fields)? {
                Some(token) => self.tokens.push(token),
                None => self.users_tokens += 1,
            },
            ROLES => self.role(&mut fields)?,
            _ => self.rule(&mut fields)?,
        }
        let rows = self.integrations.len() + self.consumers.len() + self.tokens.len() + self.roles.len();
        if rows > MOST_ROWS {
            return Err(fields.error("more integrations and tokens than 1,000,000"));
        }
        Ok(())
    }

    /// An integration's role: of type U, for user type 1, with the integration for its user.
    fn role(&mut self, fields: &mut Fields) -> Result<(), SqlError> {
        let (kind, user_type) = (fields.text("role_type")?, fields.text("user_type")?);
        let is_integrations = kind.as_deref() == Some("U") && user_type.as_deref() == Some("1");
        let (role, user) = (fields.number("role_id")?, fields.number("user_id")?);
        if is_integrations {
            self.roles.insert(user, role);
        }
        Ok(())
    }

    fn rule(&mut self, fields: &mut Fields) -> Result<(), SqlError> {
        let (role, resource) = (fields.number("role_id")?, fields.text("resource_id")?);
        let is_allowed = fields.text("permission")?.as_deref() == Some("allow");
        if let Some(resource) = resource {
            let rules = self.rules.entry(role).or_default();
            if rules.len() >= MOST_RULES {
                return Err(fields.error("a role of more than 20,000 rules"));
            }
            rules.insert(resource, is_allowed);
        }
        Ok(())
    }
}

fn integration(fields: &mut Fields) -> Result<IntegrationRow, SqlError> {
    Ok(IntegrationRow {
        line: fields.line,
        id: fields.number("integration_id")?,
        name: fields.required("name")?,
        email: fields.text("email")?.unwrap_or_default(),
        endpoint: fields.filled("endpoint")?,
        status: fields.number("status")?,
        consumer: fields.optional_number("consumer_id")?,
        created_at: fields.text("created_at")?,
        updated_at: fields.text("updated_at")?,
        setup_type: fields.number("setup_type")?,
        identity_link_url: fields.filled("identity_link_url")?,
    })
}

fn consumer(fields: &mut Fields) -> Result<ConsumerRow, SqlError> {
    Ok(ConsumerRow {
        line: fields.line,
        id: fields.number("entity_id")?,
        created_at: fields.text("created_at")?,
        updated_at: fields.text("updated_at")?,
        name: fields.required("name")?,
        key: fields.required("key")?,
        secret: fields.required("secret")?,
        callback_url: fields.filled("callback_url")?,
        rejected_callback_url: fields.filled("rejected_callback_url")?,
    })
}

/// `None`: an admin's or a customer's token.
fn token(fields: &mut Fields) -> Result<Option<TokenRow>, SqlError> {
    let Some(consumer) = fields.optional_number("consumer_id")? else {
        return Ok(None);
    };
    let of_user = fields.filled("admin_id")?.is_some() || fields.filled("customer_id")?.is_some();
    if of_user {
        return Ok(None);
    }
    Ok(Some(TokenRow {
        line: fields.line,
        id: fields.number("entity_id")?,
        consumer,
        kind: fields.required("type")?,
        token: fields.required("token")?,
        secret: fields.required("secret")?,
        verifier: fields.filled("verifier")?,
        is_revoked: fields.number("revoked")? != 0,
        created_at: fields.text("created_at")?,
    }))
}

/// A row by its columns' names.
struct Fields {
    table: &'static str,
    line: usize,
    cells: BTreeMap<String, Cell>,
}

impl Fields {
    fn of(table: &'static str, row: Row<'_>) -> Result<Self, SqlError> {
        let names: Vec<String> = match row.columns {
            Some(columns) => columns.to_vec(),
            None => defaults(table).iter().map(|name| (*name).to_owned()).collect(),
        };
        if names.len() != row.cells.len() {
            let what = format!(
                "a row of {table} has {} values, its table has {} columns: export it with --complete-insert",
                row.cells.len(),
                names.len()
            );
            return Err(SqlError::Malformed { line: row.line, what });
        }
        Ok(Self {
            table,
            line: row.line,
            cells: names.into_iter().zip(row.cells).collect(),
        })
    }

    fn error(&self, what: &str) -> SqlError {
        SqlError::Malformed {
            line: self.line,
            what: format!("{}: {what}", self.table),
        }
    }

    fn text(&mut self, column: &str) -> Result<Option<String>, SqlError> {
        match self.cells.remove(column) {
            None => Err(self.error(&format!("a row without its column {column}: export whole rows"))),
            Some(Cell::Null) => Ok(None),
            Some(Cell::Octets(octets)) => String::from_utf8(octets).map(Some).map_err(|_| {
                self.error(&format!(
                    "{column} isn't UTF-8: export with --default-character-set=utf8mb4"
                ))
            }),
        }
    }

    /// Neither NULL nor empty.
    fn filled(&mut self, column: &str) -> Result<Option<String>, SqlError> {
        Ok(self.text(column)?.filter(|text| !text.is_empty()))
    }

    fn required(&mut self, column: &str) -> Result<String, SqlError> {
        self.text(column)?
            .ok_or_else(|| self.error(&format!("{column} is NULL")))
    }

    fn optional_number(&mut self, column: &str) -> Result<Option<u64>, SqlError> {
        let Some(text) = self.text(column)? else {
            return Ok(None);
        };
        let number = text
            .parse()
            .map_err(|_| self.error(&format!("{column} is no number")))?;
        Ok(Some(number))
    }

    fn number(&mut self, column: &str) -> Result<u64, SqlError> {
        self.optional_number(column)?
            .ok_or_else(|| self.error(&format!("{column} is NULL")))
    }
}

/// The columns of magento.md 1, in the order in which the storefront makes them.
fn defaults(table: &str) -> &'static [&'static str] {
    match table {
        INTEGRATIONS => &[
            "integration_id",
            "name",
            "email",
            "endpoint",
            "status",
            "consumer_id",
            "created_at",
            "updated_at",
            "setup_type",
            "identity_link_url",
        ],
        CONSUMERS => &[
            "entity_id",
            "created_at",
            "updated_at",
            "name",
            "key",
            "secret",
            "callback_url",
            "rejected_callback_url",
        ],
        TOKENS => &[
            "entity_id",
            "consumer_id",
            "admin_id",
            "customer_id",
            "type",
            "token",
            "secret",
            "verifier",
            "callback_url",
            "revoked",
            "authorized",
            "user_type",
            "created_at",
        ],
        ROLES => &[
            "role_id",
            "parent_id",
            "tree_level",
            "sort_order",
            "role_type",
            "user_id",
            "user_type",
            "role_name",
        ],
        _ => &["rule_id", "role_id", "resource_id", "privileges", "permission"],
    }
}

const INTEGRATIONS: &str = "integration";
const CONSUMERS: &str = "oauth_consumer";
const TOKENS: &str = "oauth_token";
const ROLES: &str = "authorization_role";
const RULES: &str = "authorization_rule";
const TABLES: [&str; 5] = [INTEGRATIONS, CONSUMERS, TOKENS, ROLES, RULES];
const MOST_ROWS: usize = 1_000_000;
const MOST_RULES: usize = 20_000;

#[cfg(test)]
pub(super) mod tests;
