//! Rows of an export become consumer records, their secrets opened, so that no client changes a thing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use token_store::{
    Consumer, ConsumerId, ConsumerRecord, Grant, Integration, IntegrationId, NewIntegration, OwnToken, Secret, Setup,
    Status, UnixSeconds,
};

use super::crypt::{Keys, SecretError, is_encrypted};
use super::dump::{ConsumerRow, Dump, IntegrationRow, TokenRow};
use super::sql::Ending;
use super::{Note, Place, integrations};
use crate::authorize::resources::{ALL, ResourceTree};

/// What the records are made for.
pub struct Ground<'a> {
    /// The export, as notes show it.
    pub file: Arc<str>,
    /// The resources that can be granted.
    pub tree: &'a ResourceTree,
    /// Integrations that the configuration defines, by name.
    pub configured: BTreeMap<String, NewIntegration>,
    /// `oauth.request_token_lifetime`
    pub request_token_lifetime: Duration,
}

/// A record of the export.
#[derive(Debug)]
pub struct Wanted {
    /// As it should stand in the store; its numbers are the storefront's.
    pub record: ConsumerRecord,
    /// Where its consumer stands.
    pub place: Place,
}

/// Why nothing of an export can be used.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// No `--crypt-key`.
    #[error("its secrets are encrypted: give the storefront's key by --crypt-key file:app/etc/env.php")]
    KeyNeeded,
    /// No secret opened.
    #[error("none of its {0} encrypted secrets is opened by the keys of --crypt-key: are they this store's?")]
    WrongKeys(usize),
    /// Nothing can be granted.
    #[error("its grants name resources, but none is known: give the acl.xml files (--code or --acl), too")]
    NoResources,
}

/// The records, by consumer number.
pub fn records(dump: &Dump, keys: &Keys, ground: &Ground<'_>, notes: &mut Vec<Note>) -> Result<Vec<Wanted>, LiveError> {
    check_keys(dump, keys)?;
    if ground.tree.iter().next().is_none() && dump.rules.values().flatten().any(|(id, allowed)| *allowed && id != ALL) {
        return Err(LiveError::NoResources);
    }
    let mut making = Making {
        keys,
        ground,
        notes,
        parents: ground
            .tree
            .iter()
            .map(|one| (one.id.as_str(), one.parent.as_deref()))
            .collect(),
        unknown: BTreeMap::new(),
    };
    let consumers: BTreeSet<u64> = dump.consumers.iter().map(|one| one.id).collect();
    let mut owners: BTreeMap<u64, &IntegrationRow> = BTreeMap::new();
    for row in &dump.integrations {
        match row.consumer {
            Some(consumer) if consumers.contains(&consumer) => {
                owners.insert(consumer, row);
            }
            Some(_) | None => {
                let why = "it has no consumer, so nobody can use it: create it anew";
                making.lost(row.line, named(row), why);
            }
        }
    }
    let mut tokens: BTreeMap<u64, Vec<&TokenRow>> = BTreeMap::new();
    for row in &dump.tokens {
        tokens.entry(row.consumer).or_default().push(row);
    }
    let mut wanted = Vec::new();
    let mut taken = BTreeSet::new();
    for row in &dump.consumers {
        let tokens = tokens.remove(&row.id).unwrap_or_default();
        if let Some(one) = making.record(row, (owners.get(&row.id).copied(), dump), &tokens) {
            // The database keeps these unique; an export that was put together by hand may not.
            let names = unique_names(&one.record);
            if names.iter().any(|name| taken.contains(name)) {
                making.lost(
                    row.line,
                    format!("consumer {}", row.id),
                    "its number, key, name or token stands twice in the export",
                );
            } else {
                taken.extend(names);
                wanted.push(one);
            }
        }
    }
    for row in tokens.into_values().flatten() {
        making.lost(row.line, "token", "its consumer is not in the export");
    }
    making.note_ending(dump.ending);
    making.finish(dump);
    wanted.sort_by_key(|one| one.record.consumer.id);
    Ok(wanted)
}

/// A wrong key should not end in a long list.
fn check_keys(dump: &Dump, keys: &Keys) -> Result<(), LiveError> {
    let access = dump
        .tokens
        .iter()
        .filter(|one| one.kind == "access")
        .map(|one| &one.secret);
    let secrets = dump.consumers.iter().map(|one| &one.secret).chain(access);
    let encrypted: Vec<&String> = secrets.filter(|secret| is_encrypted(secret)).collect();
    if encrypted.is_empty() {
        return Ok(());
    }
    if keys.is_empty() {
        return Err(LiveError::KeyNeeded);
    }
    let fails = |secret: &&String| matches!(keys.open(secret), Err(SecretError::WrongKey(_) | SecretError::NoKey(_)));
    if encrypted.iter().all(fails) {
        return Err(LiveError::WrongKeys(encrypted.len()));
    }
    Ok(())
}

/// What of a definition differs that a module or the configuration can say.
pub(super) fn definition_differences(one: &NewIntegration, other: &NewIntegration) -> Vec<&'static str> {
    let compared = [
        ("name", one.name == other.name),
        ("e-mail address", one.email == other.email),
        ("endpoint", one.endpoint == other.endpoint),
        ("identity link", one.identity_link_url == other.identity_link_url),
        (
            "grant",
            one.grant == other.grant || (opens_all(&one.grant) && opens_all(&other.grant)),
        ),
    ];
    compared
        .into_iter()
        .filter(|(_, is_same)| !is_same)
        .map(|(what, _)| what)
        .collect()
}

fn opens_all(grant: &Grant) -> bool {
    match grant {
        Grant::All => true,
        Grant::Listed(ids) => ids.contains(ALL),
    }
}

/// What no two records may share.
fn unique_names(record: &ConsumerRecord) -> Vec<(&'static str, String)> {
    let mut names = vec![
        ("consumer", record.consumer.id.0.to_string()),
        ("key", record.consumer.key.clone()),
    ];
    if let Some(integration) = &record.integration {
        names.push(("integration", integration.id.0.to_string()));
        names.push(("name", integration.definition.name.clone()));
    }
    names.extend(
        record
            .token
            .as_ref()
            .and_then(OwnToken::token)
            .map(|token| ("token", token.to_owned())),
    );
    names
}

fn named(row: &IntegrationRow) -> String {
    let name: String = row.name.chars().filter(|one| !one.is_control()).take(80).collect();
    format!("integration {name:?}")
}

struct Making<'a> {
    keys: &'a Keys,
    ground: &'a Ground<'a>,
    notes: &'a mut Vec<Note>,
    /// The tree: every resource and what it stands below.
    parents: BTreeMap<&'a str, Option<&'a str>>,
    /// Resources that are granted but not known, and to how many.
    unknown: BTreeMap<String, usize>,
}

impl Making<'_> {
    fn place(&self, line: usize) -> Place {
        Place {
            file: Arc::clone(&self.ground.file),
            line,
        }
    }

    fn lost(&mut self, line: usize, what: impl Into<String>, why: impl Into<String>) {
        let note = Note::not_carried(&self.place(line), what, why);
        self.notes.push(note);
    }

    /// Rows that were cut off at a statement's end leave no trace.
    fn note_ending(&mut self, ending: Ending) {
        let found = match ending {
            Ending::Whole => return,
            Ending::Unsaid => {
                "its last statement is complete, but no line \"-- Dump completed\" says that nothing is missing"
            }
            Ending::Unkept => {
                "its last statement is complete, but the line \"-- Dump completed\" that ends such an export is missing"
            }
        };
        let why = format!("{found}: compare what is carried with SELECT COUNT(*) FROM oauth_consumer");
        let note = Note::look(&self.place(1), "the export's end", why);
        self.notes.push(note);
    }

    fn record(
        &mut self,
        row: &ConsumerRow,
        (owner, dump): (Option<&IntegrationRow>, &Dump),
        tokens: &[&TokenRow],
    ) -> Option<Wanted> {
        let what = owner.map_or_else(|| format!("consumer {}", row.id), named);
        if row.id == 0 || owner.is_some_and(|owner| owner.id == 0) {
            self.lost(row.line, what, "its number is 0");
            return None;
        }
        if row.key.len() != LENGTH || !row.key.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.lost(row.line, what, "its consumer key doesn't have 32 characters");
            return None;
        }
        let secret = match self.keys.open(&row.secret) {
            Ok(secret) => secret,
            Err(error) => {
                self.lost(row.line, what, format!("consumer secret: {error}"));
                return None;
            }
        };
        let integration = match owner {
            None => None,
            Some(owner) => Some(self.integration(owner, (row.id, &what), dump)?),
        };
        let created_at = seconds(row.created_at.as_deref()).unwrap_or_default();
        let updated_at = seconds(row.updated_at.as_deref());
        let record = ConsumerRecord {
            version: 1,
            consumer: Consumer {
                id: ConsumerId(row.id),
                name: row.name.clone(),
                key: row.key.clone(),
                secret,
                previous_secret: None,
                callback_url: row.callback_url.clone(),
                rejected_callback_url: row.rejected_callback_url.clone(),
                created_at,
                updated_at: updated_at.unwrap_or(created_at),
                posted_at: updated_at,
            },
            integration,
            token: self.token(tokens, &what),
        };
        let place = self.place(row.line);
        Some(Wanted { record, place })
    }

    fn integration(&mut self, row: &IntegrationRow, (consumer, what): (u64, &str), dump: &Dump) -> Option<Integration> {
        let place = self.place(row.line);
        let status = match row.status {
            0 => Status::Inactive,
            1 => Status::Active,
            2 => Status::Recreated,
            other => {
                self.lost(
                    row.line,
                    what,
                    format!("status {other} is none of 0, 1, 2: it stands inactive"),
                );
                Status::Inactive
            }
        };
        let definition = NewIntegration {
            name: row.name.clone(),
            email: row.email.clone(),
            endpoint: row.endpoint.clone(),
            identity_link_url: row.identity_link_url.clone(),
            setup: Setup::Manual,
            grant: self.grant(row, dump),
            signature_methods: None,
            rsa_public_key: None,
            two_legged: false,
            placements: None,
            callback_urls: Vec::new(),
            flags: BTreeSet::new(),
        };
        let definition = self.configured((row.setup_type == 1, definition), (&place, what));
        let created_at = seconds(row.created_at.as_deref()).unwrap_or_default();
        Some(Integration {
            id: IntegrationId(row.id),
            consumer_id: ConsumerId(consumer),
            status,
            created_at,
            updated_at: seconds(row.updated_at.as_deref()).unwrap_or(created_at),
            definition: integrations::acceptable(definition, &place, self.notes)?,
        })
    }

    /// One that the configuration defines stands as it does there: the gateway would make it anew, with other credentials,
    /// where it differs.
    fn configured(
        &mut self,
        (is_of_module, live): (bool, NewIntegration),
        (place, what): (&Place, &str),
    ) -> NewIntegration {
        let why = match (is_of_module, self.ground.configured.get(&live.name)) {
            (false, None) => return live,
            (false, Some(_)) => "an admin made it, and [[integrations]] defines its name, too: rename one",
            (true, None) => {
                "a module defines it, but no [[integrations]] does: it becomes a manual one, which admins may edit"
            }
            (true, Some(defined)) => {
                let mut defined = defined.clone();
                if let Grant::Listed(ids) = &defined.grant {
                    defined.grant = Grant::Listed(self.ground.tree.with_ancestors(ids));
                }
                let differs = definition_differences(&live, &defined);
                if !differs.is_empty() {
                    let why = format!(
                        "[[integrations]] has another {}: it stands as defined there",
                        differs.join(", ")
                    );
                    self.notes.push(Note::look(place, what, why));
                }
                return defined;
            }
        };
        self.notes.push(Note::look(place, what, why));
        live
    }

    /// The rules of the integration's role; all resources, or those that are allowed and known.
    fn grant(&mut self, row: &IntegrationRow, dump: &Dump) -> Grant {
        let empty = BTreeMap::new();
        let rules = dump
            .roles
            .get(&row.id)
            .and_then(|role| dump.rules.get(role))
            .unwrap_or(&empty);
        if rules.get(ALL) == Some(&true) {
            return Grant::All;
        }
        let mut granted = BTreeSet::new();
        for (id, _) in rules.iter().filter(|(_, is_allowed)| **is_allowed) {
            if self.parents.contains_key(id.as_str()) {
                granted.insert(id.clone());
            } else {
                *self.unknown.entry(id.clone()).or_default() += 1;
            }
        }
        self.note_inherited(row, rules);
        Grant::Listed(granted)
    }

    /// A resource without a rule is as its parent in the storefront, and denied here.
    fn note_inherited(&mut self, row: &IntegrationRow, rules: &BTreeMap<String, bool>) {
        let inherits = |id: &str| {
            let mut above = self.parents.get(id).copied().flatten();
            while let Some(parent) = above {
                if let Some(is_allowed) = rules.get(parent) {
                    return *is_allowed;
                }
                above = self.parents.get(parent).copied().flatten();
            }
            false
        };
        let bare = self.parents.keys().filter(|id| !rules.contains_key(**id));
        let inherited: Vec<&str> = bare.copied().filter(|id| inherits(id)).collect();
        if let Some(first) = inherited.first() {
            let why = format!(
                "{} resources without a rule of their own, as {first}, are allowed there by the one above: denied here until \
                 they are granted",
                inherited.len()
            );
            self.lost(row.line, named(row), why);
        }
    }

    /// The one token that the gateway keeps of a consumer: an access token before others, the youngest of several.
    fn token(&mut self, rows: &[&TokenRow], what: &str) -> Option<OwnToken> {
        let rank = |row: &&&TokenRow| (row.kind == "access" && !row.is_revoked, row.kind == "access", row.id);
        let best = rows.iter().max_by_key(rank)?;
        for row in rows.iter().filter(|row| row.id != best.id) {
            let why = format!(
                "its {} token number {}: a consumer has one token, and number {} is it",
                row.kind, row.id, best.id
            );
            self.lost(row.line, what, why);
        }
        match self.own_token(best) {
            Ok(token) => Some(token),
            Err(why) => {
                self.lost(best.line, what, format!("its {} token: {why}", best.kind));
                None
            }
        }
    }

    fn own_token(&self, row: &TokenRow) -> Result<OwnToken, String> {
        let created_at = seconds(row.created_at.as_deref()).unwrap_or_default();
        let plain = |text: &str| text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_graphic());
        if !plain(&row.token) {
            return Err("it doesn't have 32 characters".to_owned());
        }
        let verifier = || match &row.verifier {
            Some(verifier) if plain(verifier) => Ok(Secret::new(verifier.as_str())),
            Some(_) | None => Err("it has no verifier of 32 characters"),
        };
        let secret = || self.keys.open(&row.secret).map_err(|error| error.to_string());
        match row.kind.as_str() {
            "verifier" => Ok(OwnToken::Verifier {
                verifier: verifier()?,
                created_at,
            }),
            "request" => Ok(OwnToken::Request {
                token: row.token.clone(),
                secret: secret()?,
                verifier: verifier()?,
                created_at,
                expires_at: created_at.saturating_add(self.ground.request_token_lifetime.as_secs()),
            }),
            "access" => Ok(OwnToken::Access {
                token: row.token.clone(),
                secret: secret()?,
                revoked: row.is_revoked,
                created_at,
                exchanged: None,
            }),
            _ => Err("its type is none of verifier, request, access".to_owned()),
        }
    }

    fn finish(mut self, dump: &Dump) {
        for (id, count) in std::mem::take(&mut self.unknown) {
            let why = format!("granted to {count} of the integrations, but no [[resources]] has it: not granted here");
            self.lost(1, id, why);
        }
        if dump.users_tokens > 0 {
            let why = "tokens of admins and customers: they last for hours, their owners sign in again";
            self.lost(1, format!("{} tokens", dump.users_tokens), why);
        }
        if !dump.has_tokens {
            let note = Note::look(
                &self.place(1),
                "oauth_token",
                "the export holds nothing of it: no integration has a token",
            );
            self.notes.push(note);
        }
    }
}

/// A TIMESTAMP as an export has it, in UTC; none for NULL and the zero date.
fn seconds(text: Option<&str>) -> Option<UnixSeconds> {
    let parsed: jiff::civil::DateTime = text?.parse().ok()?;
    let zoned = parsed.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    u64::try_from(zoned.timestamp().as_second()).ok()
}

const LENGTH: usize = 32;

#[cfg(test)]
mod tests;
