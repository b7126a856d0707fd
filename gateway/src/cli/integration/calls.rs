//! The calls of the admin API that the commands make.

use http::Method;
use serde_json::{Value, json};

use super::{Command, One, Update};
use crate::cli::api::{self, Api, CallError};

/// Signs in, and makes the command's calls.
pub(super) async fn call(url: &str, command: &Command) -> Result<Value, CallError> {
    let api = Api::sign_in(url).await?;
    let answer = made(&api, command).await;
    api.sign_out().await;
    answer
}

async fn made(api: &Api, command: &Command) -> Result<Value, CallError> {
    match command {
        Command::List { name, status } => list(api, name.as_deref(), status.as_deref()).await,
        Command::Create(create) => {
            let body = json!({
                "name": create.name,
                "email": create.email,
                "endpoint": create.endpoint,
                "identity_link_url": create.identity_link_url,
                "resources": create.resources,
                "all_resources": create.all_resources,
            });
            api.call(Method::POST, INTEGRATIONS, Some(&body)).await
        }
        Command::Show(one) => api.call(Method::GET, &path(api, one, "").await?, None).await,
        Command::Update(update) => change(api, update).await,
        Command::Activate { one, no_exchange } => activate(api, one, "/activate", *no_exchange).await,
        Command::Reauthorize { one, no_exchange } => activate(api, one, "/reauthorize", *no_exchange).await,
        Command::Deactivate(one) => {
            let path = path(api, one, "/deactivate").await?;
            api.call(Method::POST, &path, None).await
        }
        Command::Delete(one) => api.call(Method::DELETE, &path(api, one, "").await?, None).await,
        Command::Resources {
            one,
            resources,
            all,
            none,
        } => {
            let path = path(api, one, "/resources").await?;
            let body = match (all, none) {
                (true, _) => json!({ "all": true }),
                (false, true) => json!([]),
                (false, false) if resources.is_empty() => return api.call(Method::GET, &path, None).await,
                (false, false) => json!(resources),
            };
            api.call(Method::PUT, &path, Some(&body)).await
        }
        Command::RotateSecret { one, grace } => {
            let path = path(api, one, "/rotate-secret").await?;
            api.call(Method::POST, &path, Some(&json!({ "grace": grace }))).await
        }
    }
}

async fn activate(api: &Api, one: &One, verb: &str, no_exchange: bool) -> Result<Value, CallError> {
    let body = if no_exchange {
        json!({ "exchange": false })
    } else {
        json!({})
    };
    let path = path(api, one, verb).await?;
    api.call(Method::POST, &path, Some(&body)).await
}

/// What stands, with the given fields replaced.
async fn change(api: &Api, update: &Update) -> Result<Value, CallError> {
    let path = path(api, &update.one, "").await?;
    let mut body = api.call(Method::GET, &path, None).await?;
    let given = [
        ("name", &update.name),
        ("email", &update.email),
        ("endpoint", &update.endpoint),
        ("identity_link_url", &update.identity_link_url),
    ];
    for (field, value) in given {
        if let (Some(value), Some(fields)) = (value, body.as_object_mut()) {
            fields.insert(field.to_owned(), json!(value));
        }
    }
    api.call(Method::PUT, &path, Some(&body)).await
}

/// The path of one: its number or, where that is nobody's, its name.
async fn path(api: &Api, one: &One, verb: &str) -> Result<String, CallError> {
    let named = &one.integration;
    if named.parse::<u64>().is_ok() {
        match api.call(Method::GET, &format!("{INTEGRATIONS}/{named}"), None).await {
            Ok(_) => return Ok(format!("{INTEGRATIONS}/{named}{verb}")),
            Err(CallError::Refused { status: 404, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let all = list(api, Some(named), None).await?;
    let mut found = all.as_array().into_iter().flatten();
    let id = found
        .find(|item| item.get("name").and_then(Value::as_str) == Some(named))
        .and_then(|item| item.get("id").and_then(Value::as_u64))
        .ok_or_else(|| CallError::NoSuchName(named.clone()))?;
    Ok(format!("{INTEGRATIONS}/{id}{verb}"))
}

/// All pages, as one list.
async fn list(api: &Api, name: Option<&str>, status: Option<&str>) -> Result<Value, CallError> {
    let mut items = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("limit", "1000");
        let filters = [("name", name), ("status", status), ("after", after.as_deref())];
        for (key, value) in filters
            .into_iter()
            .filter_map(|(key, value)| value.map(|value| (key, value)))
        {
            query.append_pair(key, value);
        }
        let path = format!("{INTEGRATIONS}?{}", query.finish());
        let mut page = api.call(Method::GET, &path, None).await?;
        items.extend(api::items(&mut page)?);
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = Some(next.to_owned()),
            None => return Ok(Value::Array(items)),
        }
    }
}

const INTEGRATIONS: &str = "/api/v1/integrations";
