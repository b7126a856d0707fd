//! The parts that pages are made of, one function each. Everything from outside is escaped by the template.

use jiff::Timestamp;
use maud::{Markup, html};
use token_store::{Role, Status};

use super::assets::ICONS;

/// A symbol beside words that say the same.
pub(super) fn icon(name: &str) -> Markup {
    html! { svg.i aria-hidden="true" { use href=(format!("{}#{name}", ICONS.path)) {} } }
}

/// What stands out on a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// For information.
    Plain,
    /// Where one is now.
    Accent,
    /// It worked.
    Good,
    /// Needs a look.
    Warn,
    /// Needs a person, or destroys something.
    Bad,
}

impl Tone {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Accent => "acc",
            Self::Good => "ok",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// A note: its first words, in bold, are the message.
pub(super) fn note(tone: Tone, symbol: &str, text: &Markup) -> Markup {
    let role = (tone == Tone::Bad).then_some("alert");
    html! { div class={ "note " (tone.class()) } role=[role] { (icon(symbol)) div { (text) } } }
}

/// A word in a pill.
pub(super) fn tag(tone: Tone, text: &str) -> Markup {
    html! { span class={ "tag " (tone.class()) } { (text) } }
}

/// An integration's state: "recreated" is "Reset" to people, as in Magento.
pub(super) fn status(status: Status) -> Markup {
    match status {
        Status::Inactive => tag(Tone::Plain, status_word(status)),
        Status::Active => tag(Tone::Good, status_word(status)),
        Status::Recreated => tag(Tone::Warn, status_word(status)),
    }
}

/// The word for a state.
pub(super) fn status_word(status: Status) -> &'static str {
    match status {
        Status::Inactive => "Inactive",
        Status::Active => "Active",
        Status::Recreated => "Reset",
    }
}

/// A state as addresses and the API name it.
pub(super) fn status_name(status: Status) -> &'static str {
    match status {
        Status::Inactive => "inactive",
        Status::Active => "active",
        Status::Recreated => "recreated",
    }
}

/// A role as it is written everywhere.
pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Viewer => "viewer",
        Role::Operator => "operator",
        Role::Admin => "admin",
    }
}

/// A text field with its label, its error, its hint.
pub(super) struct Field<'a> {
    /// `name`
    pub(super) name: &'a str,
    /// `id`: the name, where nothing else on the page has it.
    pub(super) id: &'a str,
    /// Above it.
    pub(super) label: &'a str,
    /// As typed.
    pub(super) value: &'a str,
    /// `type`
    pub(super) kind: &'a str,
    /// `autocomplete`
    pub(super) autocomplete: &'a str,
    /// Characters at most.
    pub(super) most: Option<u32>,
    /// Whether it may stay empty.
    pub(super) is_optional: bool,
    /// What is wrong with it.
    pub(super) error: Option<&'a str>,
    /// What it is for.
    pub(super) hint: Option<&'a str>,
    /// Not for this role.
    pub(super) is_disabled: bool,
    /// Where one goes on.
    pub(super) has_focus: bool,
}

impl<'a> Field<'a> {
    /// A required text.
    pub(super) fn new(name: &'a str, label: &'a str, value: &'a str) -> Self {
        Self {
            name,
            id: name,
            label,
            value,
            kind: "text",
            autocomplete: "off",
            most: None,
            is_optional: false,
            error: None,
            hint: None,
            is_disabled: false,
            has_focus: false,
        }
    }

    /// The field.
    pub(super) fn show(&self) -> Markup {
        let (name, id) = (self.name, self.id);
        let (error_id, hint_id) = (format!("e-{id}"), format!("h-{id}"));
        let described: Vec<&str> = [
            self.error.map(|_| error_id.as_str()),
            self.hint.map(|_| hint_id.as_str()),
        ]
        .into_iter()
        .flatten()
        .collect();
        let described = (!described.is_empty()).then(|| described.join(" "));
        let inputmode = match (self.kind, self.autocomplete) {
            ("url", _) => Some("url"),
            (_, "one-time-code") => Some("numeric"),
            (_, _) => None,
        };
        html! {
            div.field {
                label for=(id) { (self.label) @if self.is_optional { " " span.opt { "optional" } } }
                input.in id=(id) name=(name) type=(self.kind) value=(self.value) autocomplete=(self.autocomplete)
                    maxlength=[self.most] required[!self.is_optional] disabled[self.is_disabled] inputmode=[inputmode]
                    spellcheck="false" autocapitalize="none" autofocus[self.has_focus]
                    aria-invalid=[self.error.map(|_| "true")] aria-describedby=[described];
                @if let Some(error) = self.error { p.err id=(error_id) { (icon("warn")) span { (error) } } }
                @if let Some(hint) = self.hint { p.hint id=(hint_id) { (hint) } }
            }
        }
    }
}

/// The password of who is signed in (magento.md 6.5). It never comes back.
pub(super) fn your_password(id: &str, error: Option<&str>) -> Markup {
    let field = Field {
        id,
        kind: "password",
        autocomplete: "current-password",
        error,
        ..Field::new("current_password", "Your Password", "")
    };
    field.show()
}

/// A key to copy; script masks a secret until it is shown.
pub(super) fn secret(id: &str, label: &str, value: &str, is_secret: bool) -> Markup {
    let spoken = label.to_lowercase();
    html! {
        div.field {
            label for=(id) { (label) }
            div.secret {
                input.in id=(id) value=(value) readonly spellcheck="false" autocomplete="off";
                div.acts {
                    @if is_secret {
                        button.b.icon.js-only type="button" data-reveal=(id) aria-pressed="false" { (icon("eye")) span.vh { "Show " (spoken) } }
                    }
                    button.b.js-only type="button" data-copy=(id) data-name=(label) { (icon("copy")) "Copy" span.vh { " " (spoken) } }
                }
            }
        }
    }
}

/// The hidden field without which nothing is changed.
pub(super) fn csrf(token: &str) -> Markup {
    html! { input type="hidden" name="csrf" value=(token); }
}

/// A time by the gateway's clock, in UTC: the time of day today, else the date.
pub(super) fn time(at: u64, now: u64) -> Markup {
    let Some(stamp) = stamp(at) else {
        return html! { "–" };
    };
    let is_today = stamp.strftime("%F").to_string() == self::stamp(now).unwrap_or_default().strftime("%F").to_string();
    let text = if is_today {
        stamp.strftime("%T").to_string()
    } else {
        stamp.strftime("%-d %b %Y").to_string()
    };
    html! { time datetime=(stamp.to_string()) title={ (stamp.strftime("%-d %b %Y %T")) " UTC" } { (text) } }
}

/// Date and time of day, in UTC.
pub(super) fn full_time(at: u64) -> Markup {
    let Some(stamp) = stamp(at) else {
        return html! { "–" };
    };
    html! { time datetime=(stamp.to_string()) { (stamp.strftime("%-d %b %Y %T")) } }
}

fn stamp(at: u64) -> Option<Timestamp> {
    Timestamp::from_second(i64::try_from(at).ok()?).ok()
}

/// A sentence of the API, as people read it beside a field.
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).collect()
}

/// The way back and on in a list, each with its address; none: nothing is there.
pub(super) fn turns(ways: [(&str, Option<&str>); 2]) -> Markup {
    html! {
        span.join {
            @for (label, address) in ways {
                @match address {
                    Some(address) => a.b.small href=(address) { (label) },
                    None => span.b.small aria-disabled="true" { (label) },
                }
            }
        }
    }
}

/// A count with separators: `1,284`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Up to two letters that stand for a name.
pub(super) fn initials(name: &str) -> String {
    let letters = name
        .split(|letter: char| !letter.is_alphanumeric())
        .filter_map(|word| word.chars().next());
    letters.take(2).flat_map(char::to_uppercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_written_for_people() {
        assert_eq!(count(999), "999");
        assert_eq!(count(1284), "1,284");
        assert_eq!(count(1_000_000), "1,000,000");
        assert_eq!(sentence("at most 255 characters"), "At most 255 characters");
    }

    #[test]
    fn today_shows_the_time_of_day_and_another_day_its_date() {
        let now = 1_795_357_921;

        assert!(
            time(now - 60, now).0.contains(">14:31:01<"),
            "{}",
            time(now - 60, now).0
        );
        assert!(time(now - 86_400 * 40, now).0.contains(" Oct 2026<"));
    }

    #[test]
    fn a_fields_value_and_error_are_text() {
        let script = "\"><script>alert(1)</script>";
        let field = Field {
            error: Some(script),
            ..Field::new("name", "Name", script)
        };

        let shown = field.show().0;

        assert!(!shown.contains("<script"), "{shown}");
        assert!(shown.contains("aria-invalid=\"true\""));
        assert!(shown.contains("aria-describedby=\"e-name\""));
    }
}
