//! `/accounts`: who may use the console and the admin API, their roles, and how the console looks to oneself.

use axum::Router;
use axum::extract::Path;
use axum::http::{Method, StatusCode};
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;
use token_store::{Role, Secret};

use super::super::ask;
use super::Console;
use super::client::Problem;
use super::confirm::{Confirmed, confirm};
use super::integrations::who_may;
use super::own_password;
use super::page::{Page, Place, only_look};
use super::parts::{Field, Tone, csrf, icon, note, role_name, sentence, tag, time, your_password};
use super::resume::{BACK, is_again};
use super::totp;
use super::visitor::{Form, Submitted, Visitor, done};
use super::{appearance, withdraw};
use crate::exchange::account;

pub(super) fn router() -> Router<Console> {
    Router::new()
        .route("/accounts", get(index).post(create))
        .route("/accounts/new", get(new))
        .route("/accounts/{id}", get(edit).post(change))
        .route(
            "/accounts/{id}/disable",
            get(withdraw::ask_disable).post(withdraw::disable),
        )
        .route(
            "/accounts/{id}/password",
            get(own_password::ask).post(own_password::change),
        )
        .route("/accounts/{id}/totp", get(totp::page).post(totp::act))
        .route(
            "/accounts/{id}/totp/off",
            get(withdraw::ask_off).post(withdraw::turn_off),
        )
}

#[derive(Deserialize)]
struct Accounts {
    items: Vec<Account>,
}

/// An account, as the API shows it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Account {
    pub(super) id: u64,
    pub(super) username: String,
    email: String,
    role: Role,
    pub(super) active: bool,
    pub(super) totp: bool,
    /// How many are left.
    pub(super) recovery_codes: Option<u64>,
    updated_at: u64,
}

impl Account {
    pub(super) fn address(&self) -> String {
        format!("/accounts/{}", self.id)
    }

    /// With the version of it.
    pub(super) async fn load(visitor: &Visitor, id: &str) -> Result<(Self, String), Problem> {
        let number = ask::number(id).ok_or_else(|| Problem::not_found("The account doesn't exist."))?;
        let read = visitor.api.read(&format!("/admins/{number}")).await?;
        let account = serde_json::from_value(read.body).map_err(|error| Problem::unreadable(&error))?;
        Ok((account, read.etag.unwrap_or_default()))
    }
}

/// `GET /accounts`
async fn index(visitor: Visitor) -> Response {
    let page = async {
        let accounts: Accounts = visitor.api.get("/admins").await?;
        let now = visitor.console.now();
        let may = visitor.may(Role::Admin);
        let body = html! {
            div.card { div.scroll { table.fold {
                thead { tr { th scope="col" { "Name" } th scope="col" { "Role" } th scope="col" { "Two-step sign-in" } th scope="col" { "Changed" } th.num scope="col" { "Actions" } } }
                tbody { @for account in &accounts.items { (row(&visitor, account, now)) } }
            } } }
            div.cols.a11 {
                section.card aria-labelledby="ro" {
                    header { h2 id="ro" { "Roles" } }
                    div.in-card { dl.kv {
                        dt { "viewer" } dd { "sees everything but keys" }
                        dt { "operator" } dd { "also activates, reauthorizes, deactivates, revokes and tests" }
                        dt { "admin" } dd { "also creates, edits, deletes, rotates, sees keys and manages accounts" }
                    } }
                }
                (appearance::choice(&visitor))
            }
        };
        let page = Page {
            lead: html! { p.lead { "Who may use this console and the admin API." } },
            acts: html! {
                @if may { a.b.main href="/accounts/new" { (icon("plus")) "Add account" } }
                @else { button.b type="button" disabled title="Needs the role admin" { "Add account" span.vh { " (needs the role admin)" } } }
            },
            ..Page::new(Place::Accounts, "Accounts", body)
        };
        Ok(visitor.frame().page(&page))
    };
    let page: Result<Response, Problem> = page.await;
    visitor.show(page)
}

fn row(visitor: &Visitor, account: &Account, now: u64) -> Markup {
    let is_me = account.id == visitor.account().id.0;
    let tone = if account.role == Role::Admin {
        Tone::Accent
    } else {
        Tone::Plain
    };
    html! {
        tr {
            td.lead { a.who href=(account.address()) { (account.username) } @if is_me { " " (tag(Tone::Plain, "you")) } span.sub { (account.email) } }
            td { (tag(tone, role_name(account.role))) @if !account.active { " " (tag(Tone::Bad, "disabled")) } }
            td data-l="Two-step" { @if account.totp { "on" } @else { "off" } }
            td.dim data-l="Changed" { (time(account.updated_at, now)) }
            td.line { div.acts { a.b.small href=(account.address()) { "Open" span.vh { " " (account.username) } } } }
        }
    }
}

/// Why a form comes back.
struct Refused {
    /// What is wrong, by field.
    fields: Vec<(String, String)>,
    /// What belongs to no field.
    general: Option<String>,
    status: StatusCode,
    /// Whether all but the password was saved before.
    is_partly_saved: bool,
}

impl Refused {
    fn of(problem: Problem) -> Self {
        let is_name = problem.message.starts_with("An account with the name");
        let field = if is_name {
            Some("username".to_owned())
        } else {
            problem.field
        };
        let known = field.filter(|field| FIELDS.contains(&field.as_str()));
        let (fields, general) = match known {
            Some(field) => (vec![(field, sentence(&problem.message))], None),
            None => (Vec::new(), Some(problem.message)),
        };
        Self {
            fields,
            general,
            status: problem.status,
            is_partly_saved: false,
        }
    }

    /// Of one field; the sentence may begin with its name.
    fn field(name: &str, what: &str) -> Self {
        Self {
            fields: vec![(name.to_owned(), fault(what))],
            general: None,
            status: StatusCode::UNPROCESSABLE_ENTITY,
            is_partly_saved: false,
        }
    }

    /// Nothing is wrong: it is shown again.
    fn back() -> Self {
        Self {
            fields: Vec::new(),
            general: Some(BACK.to_owned()),
            status: StatusCode::OK,
            is_partly_saved: false,
        }
    }

    /// With all else that is wrong in the form; the API stops at the first.
    fn with_faults(mut self, form: &Form, is_new: bool) -> Self {
        if self.fields.is_empty() {
            return self;
        }
        let password = form.get("password");
        let is_chosen = is_new || !password.is_empty();
        let (name, email) = (form.get("username").trim(), form.get("email").trim());
        let checks = [
            (
                "username",
                account::check_name(name).err().map(|error| error.to_string()),
            ),
            (
                "email",
                account::check_email(email).err().map(|error| error.to_string()),
            ),
            (
                "password",
                account::check_password(&Secret::new(password.to_owned()))
                    .err()
                    .filter(|_| is_chosen)
                    .map(|error| error.to_string()),
            ),
        ];
        for (field, what) in checks {
            if let (Some(what), None) = (what, Self::error(Some(&self), field)) {
                self.fields.push((field.to_owned(), fault(&what)));
            }
        }
        self
    }

    fn error<'a>(refused: Option<&'a Self>, name: &str) -> Option<&'a str> {
        let found = refused?.fields.iter().find(|(field, _)| field == name);
        found.map(|(_, message)| message.as_str())
    }

    fn note(refused: Option<&Self>) -> Markup {
        let Some(refused) = refused else { return html! {} };
        let text = html! {
            strong { @if refused.is_partly_saved { "All but the new password was saved." } @else { "Nothing was saved yet." } }
            @match (&refused.general, refused.fields.len()) {
                (Some(general), _) => { " " (general) },
                (None, 1) => " One field below needs a change; what you typed is still here, except passwords.",
                (None, number) => { " " (number) " fields below need a change; what you typed is still here, except passwords." },
            }
        };
        note(Tone::Bad, "warn", &text)
    }
}

/// A fault, without the name of the field that it stands beside.
pub(super) fn fault(what: &str) -> String {
    sentence(what.split_once(": ").map_or(what, |(_, what)| what))
}

/// What the form has a place for.
const FIELDS: [&str; 4] = ["username", "email", "password", "current_password"];

/// `GET /accounts/new`
async fn new(visitor: Visitor) -> Response {
    render_new(&visitor, &Form::default(), None).await
}

async fn render_new(visitor: &Visitor, form: &Form, refused: Option<&Refused>) -> Response {
    let may = visitor.may(Role::Admin);
    let password = Field {
        kind: "password",
        autocomplete: "new-password",
        error: Refused::error(refused, "password"),
        hint: Some("From 8 to 1024 characters. Tell it to nobody but its owner."),
        ..Field::new("password", "Password of the new account", "")
    };
    let username = Field {
        most: Some(255),
        error: Refused::error(refused, "username"),
        ..Field::new("username", "User name", form.get("username"))
    };
    let body = html! {
        @if may { (Refused::note(refused)) } @else { (only_look(visitor, Role::Admin, &who_may(visitor, Role::Admin).await)) }
        form.stack method="post" action="/accounts" novalidate data-guard {
            (csrf(&visitor.csrf()))
            fieldset.plain disabled[!may] { div.stack {
                div.two { (username.show()) (email(form.get("email"), refused)) }
                div.two { (role_field(form.get("role"))) @if may { (password.show()) } }
                @if may { div.two { (your_password("current_password", Refused::error(refused, "current_password"))) } }
            } }
            div.savebar { span.say role="status" {} a.b.plain href="/accounts" { "Back" } @if may { button.b.main type="submit" { "Add account" } } }
        }
    };
    let page = Page {
        crumb: Some(("/accounts", "Accounts")),
        is_narrow: true,
        status: refused.map_or(StatusCode::OK, |refused| refused.status),
        ..Page::new(Place::Accounts, "New account", body)
    };
    visitor.frame().page(&page)
}

fn email(value: &str, refused: Option<&Refused>) -> Markup {
    let field = Field {
        kind: "email",
        most: Some(254),
        is_optional: true,
        error: Refused::error(refused, "email"),
        ..Field::new("email", "Email", value)
    };
    field.show()
}

fn role_field(chosen: &str) -> Markup {
    html! {
        div.field {
            label for="role" { "Role" }
            select.in id="role" name="role" {
                @for role in [Role::Viewer, Role::Operator, Role::Admin] { option value=(role_name(role)) selected[role_name(role) == chosen] { (role_name(role)) } }
            }
        }
    }
}

/// What stands between a form and its change: the password of who sent it.
async fn confirmed(visitor: &Visitor, form: &Form) -> Result<Option<Response>, Refused> {
    match confirm(visitor, form).await.map_err(Refused::of)? {
        Confirmed::Yes => Ok(None),
        Confirmed::Locked(away) => Ok(Some(away)),
        Confirmed::No(message) => Err(Refused::field("current_password", &message)),
    }
}

/// `POST /accounts`
async fn create(Submitted { visitor, form }: Submitted) -> Response {
    if is_again(&form) {
        return render_new(&visitor, &form, Some(&Refused::back())).await;
    }
    let made = async {
        if let Some(away) = confirmed(&visitor, &form).await? {
            return Ok(away);
        }
        let body = json!({
            "username": form.get("username").trim(),
            "email": form.get("email").trim(),
            "role": form.get("role"),
            "password": form.get("password"),
        });
        visitor.api.post("/admins", Some(&body)).await.map_err(Refused::of)?;
        let said = format!("The account '{}' was added.", form.get("username").trim());
        Ok(done("/accounts", &said))
    };
    let made: Result<Response, Refused> = made.await;
    match made {
        Ok(response) => response,
        Err(refused) => render_new(&visitor, &form, Some(&refused.with_faults(&form, true))).await,
    }
}

/// `GET /accounts/{id}`
async fn edit(visitor: Visitor, Path(id): Path<String>) -> Response {
    let page = async {
        let (account, version) = Account::load(&visitor, &id).await?;
        Ok(render_edit(&visitor, &account, &version, None).await)
    };
    let page = page.await;
    visitor.show(page)
}

async fn render_edit(
    visitor: &Visitor,
    account: &Account,
    version: &str,
    refused: Option<(&Refused, &Form)>,
) -> Response {
    let may = visitor.may(Role::Admin);
    let is_me = account.id == visitor.account().id.0;
    let (said, typed) = (refused.map(|(said, _)| said), refused.map(|(_, form)| form));
    let value = |name: &str, stands: &str| typed.map_or_else(|| stands.to_owned(), |form| form.get(name).to_owned());
    let (username, address) = (value("username", &account.username), value("email", &account.email));
    let role = value("role", role_name(account.role));
    let name = Field {
        most: Some(255),
        error: Refused::error(said, "username"),
        ..Field::new("username", "User name", &username)
    };
    let password = Field {
        kind: "password",
        autocomplete: "new-password",
        is_optional: true,
        error: Refused::error(said, "password"),
        hint: Some("Left empty it stays. A new one signs the account out everywhere."),
        ..Field::new("password", "New password", "")
    };
    let body = html! {
        @if may { (Refused::note(said)) } @else { (only_look(visitor, Role::Admin, &who_may(visitor, Role::Admin).await)) }
        form.stack method="post" action=(account.address()) novalidate data-guard {
            (csrf(&visitor.csrf()))
            input type="hidden" name="version" value=(version);
            fieldset.plain disabled[!may] { div.stack {
                div.two { (name.show()) (email(&address, said)) }
                div.two { (role_field(&role)) @if may { (password.show()) } }
                @if may { div.two { (your_password("current_password", Refused::error(said, "current_password"))) } }
            } }
            div.savebar { span.say role="status" {} a.b.plain href="/accounts" { "Back" } @if may { button.b.main type="submit" name="do" value="save" { "Save" } } }
        }
        div.cols.a11 { (totp::card(visitor, account)) (withdraw::card(visitor, account)) (own_password::card(visitor, account)) }
    };
    let page = Page {
        crumb: Some(("/accounts", "Accounts")),
        marks: html! { @if is_me { (tag(Tone::Plain, "you")) } @if !account.active { (tag(Tone::Bad, "disabled")) } },
        is_narrow: true,
        status: said.map_or(StatusCode::OK, |said| said.status),
        ..Page::new(Place::Accounts, &account.username, body)
    };
    visitor.frame().page(&page)
}

/// `POST /accounts/{id}`
async fn change(Path(id): Path<String>, Submitted { visitor, form }: Submitted) -> Response {
    let page = async {
        let (account, _) = Account::load(&visitor, &id).await?;
        if is_again(&form) {
            let back = Refused::back();
            return Ok(render_edit(&visitor, &account, form.get("version"), Some((&back, &form))).await);
        }
        let name = &account.username;
        let path = format!("/admins/{}", account.id);
        let said = match form.get("do") {
            "end" => {
                visitor
                    .api
                    .call(Method::DELETE, &format!("{path}/tokens"), None, None)
                    .await?;
                format!("The account '{name}' was signed out everywhere.")
            }
            "enable" => {
                visitor.api.post(&format!("{path}/enable"), None).await?;
                format!("The account '{name}' was enabled.")
            }
            _ => {
                return Ok(match saved(&visitor, &form, &path).await {
                    Ok(away) => away,
                    Err(refused) => {
                        let refused = refused.with_faults(&form, false);
                        let (account, version) = Account::load(&visitor, &id).await?;
                        render_edit(&visitor, &account, &version, Some((&refused, &form))).await
                    }
                });
            }
        };
        Ok(done(&account.address(), &said))
    };
    let page = page.await;
    visitor.show(page)
}

async fn saved(visitor: &Visitor, form: &Form, path: &str) -> Result<Response, Refused> {
    if let Some(away) = confirmed(visitor, form).await? {
        return Ok(away);
    }
    // Two calls: what the second would refuse is refused before the first.
    let password = form.get("password");
    if !password.is_empty() {
        let checked = account::check_password(&Secret::new(password.to_owned()));
        checked.map_err(|error| Refused::field("password", &error.to_string()))?;
    }
    let body = json!({
        "username": form.get("username").trim(),
        "email": form.get("email").trim(),
        "role": form.get("role"),
    });
    let version = Some(form.get("version"));
    visitor
        .api
        .call(Method::PUT, path, version, Some(&body))
        .await
        .map_err(Refused::of)?;
    if !password.is_empty() {
        let body = json!({ "password": password });
        let set = visitor.api.post(&format!("{path}/password"), Some(&body)).await;
        set.map_err(|problem| Refused {
            is_partly_saved: true,
            ..Refused::of(problem)
        })?;
    }
    let said = format!("The account '{}' has been saved.", form.get("username").trim());
    Ok(done("/accounts", &said))
}
