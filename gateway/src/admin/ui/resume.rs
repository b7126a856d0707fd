//! What was typed in a form that could not be taken, since its session had ended: on its way back into the form.
//!
//! It travels with the page alone, through the sign-in and back; secrets are left out. Whoever is signed in then gets the
//! form filled, and nothing is done before it is sent again.

use maud::{Markup, html};

use super::parts::csrf;
use super::visitor::Form;

/// The entries of a form, and where they belong.
pub(super) struct Kept {
    to: String,
    entries: Form,
}

impl Kept {
    /// Of what was sent to `path`; `None` where nothing was typed, or more than is carried along.
    pub(super) fn of(path: &str, form: &Form) -> Option<Self> {
        if !has_entries(path) {
            return None;
        }
        let mut entries = form.clone();
        entries.forget(&NEVER_KEPT);
        let length = entries.encoded().len();
        (1..=LARGEST).contains(&length).then(|| Self {
            to: path.to_owned(),
            entries,
        })
    }

    /// As a sign-in brought it along.
    pub(super) fn carried(sign_in: &Form) -> Option<Self> {
        Self::of(sign_in.get("kept_to"), &Form::of(sign_in.get("kept").as_bytes()))
    }

    /// Through a sign-in.
    pub(super) fn hidden(&self) -> Markup {
        html! {
            input type="hidden" name="kept_to" value=(self.to);
            input type="hidden" name="kept" value=(self.entries.encoded());
        }
    }

    /// Back into the form: by itself where script runs, else by the button.
    pub(super) fn back(&self, token: &str) -> Markup {
        html! {
            form method="post" action=(self.to) data-go {
                (csrf(token))
                input type="hidden" name="again" value="1";
                @for (name, value) in self.entries.pairs() { input type="hidden" name=(name) value=(value); }
                button.b.main type="submit" { "Back to the form" }
            }
        }
    }
}

/// Whether a form is to be shown again as it was, and nothing done.
pub(super) fn is_again(form: &Form) -> bool {
    form.get("again") == "1"
}

/// The page of the form that is sent to `path`.
pub(super) fn page_of(path: &str) -> &str {
    match path {
        "/integrations" => "/integrations/new",
        "/accounts" => "/accounts/new",
        "/appearance" => "/accounts",
        "/sign-out" => "/",
        other => other,
    }
}

/// Those forms look for `again`.
fn has_entries(path: &str) -> bool {
    let is_number = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    let numbered = ["/integrations/", "/accounts/"]
        .iter()
        .any(|folder| path.strip_prefix(folder).is_some_and(is_number));
    numbered || ["/integrations", "/accounts", "/explain"].contains(&path)
}

/// Said with the form that is back.
pub(super) const BACK: &str =
    "Your session had ended meanwhile. What you typed is still here, except passwords and secrets.";
/// Octets, encoded: a form with every resource ticked fits.
pub(super) const LARGEST: usize = 32 * 1024;
const NEVER_KEPT: [&str; 11] = [
    "csrf",
    "do",
    "again",
    "current_password",
    "password",
    "consumer_secret",
    "token_secret",
    "code",
    "recovery",
    "kept",
    "kept_to",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_kept_but_no_secret_and_only_for_forms_that_take_it_back() {
        let form = Form::of(b"csrf=t&name=A+b&resource%5B%5D=X%3A%3Ay&current_password=p&do=save");

        let kept = Kept::of("/integrations/7", &form).unwrap();

        assert_eq!(kept.entries.encoded(), "name=A+b&resource%5B%5D=X%3A%3Ay");
        for path in [
            "/integrations/7/rotate",
            "/integrations/x",
            "//evil.example",
            "https://evil.example",
            "",
        ] {
            assert!(Kept::of(path, &form).is_none(), "{path}");
        }
        assert!(Kept::of("/accounts/1", &Form::of(b"csrf=t&do=disable")).is_none());
        let large = format!("name={}", "a".repeat(LARGEST));
        assert!(Kept::of("/integrations", &Form::of(large.as_bytes())).is_none());
    }

    #[test]
    fn a_sign_in_hands_on_what_it_was_given() {
        let sign_in = Form::of(b"username=u&kept_to=%2Faccounts&kept=username%3Dnew%26password%3Dp");

        let kept = Kept::carried(&sign_in).unwrap();

        assert_eq!(
            (kept.to.as_str(), kept.entries.encoded().as_str()),
            ("/accounts", "username=new")
        );
    }
}
