//! `GET account/tokens` and the forms on it: personal access tokens.

use rocket::http::Status;
use rocket::{Request, State, get, post};
use serde_json::{Value, json};

use super::answer::Answer;
use super::failure::Failure;
use super::form::{CheckedForm, FormError};
use super::page::page as render;
use super::session::Sender;
use crate::clock::Timestamp;
use crate::guards::{Auth, Fresh, Session};
use crate::model::{AccessTokenRecord, Permission};
use crate::pages::{PageContext, Pages};
use crate::secret::TokenHash;
use crate::signin::{MOST_DAYS, NewToken, NewTokenError, NewTokenMistake, SignIn};

#[get("/account/tokens?<notice>")]
pub(super) async fn page(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    fresh: Fresh,
    context: PageContext,
    notice: Option<&str>,
) -> Answer {
    let notice =
        (notice == Some("revoked")).then(|| pages.locales().text(context.lang(), "notice_token_revoked"));
    show(sender.0, auth, pages, fresh.session(), &context, json!({ "notice": notice })).await
}

/// Makes a token. It is shown in the answer to the form, once: nobody finds it at an address.
#[post("/account/tokens", data = "<form>")]
pub(super) async fn make(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    fresh: Fresh,
    context: PageContext,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let (form, sign_in) = match checked(auth, form) {
        Ok(checked) => checked,
        Err(failure) => return failure.answer(sender.0).await,
    };
    // One field per scope: a browser sends those that are ticked.
    let is_ticked = |scope: &&Permission| form.optional(&format!("scope.{scope}")).is_some();
    let offered = &auth.config.scopes;
    let scopes: Vec<&str> = offered.iter().filter(is_ticked).map(Permission::as_str).collect();
    let days = form.text("days").trim().parse().unwrap_or_default();
    let language = context.lang();
    let wanted = NewToken { name: form.text("name"), scopes: &scopes, days, language };
    let own = match sign_in.make_access_token(fresh.session().data(), wanted, offered).await {
        Ok(token) => json!({ "token": token }),
        Err(NewTokenError::Form(mistakes)) => {
            let errors: Vec<Value> =
                mistakes.iter().map(|mistake| explain(pages, &context, *mistake)).collect();
            let kept = json!({ "name": form.text("name"), "days": form.text("days"), "scopes": scopes });
            json!({ "errors": errors, "kept": kept })
        }
        Err(NewTokenError::TooMany) => json!({ "error": text(pages, &context, "error_token_many") }),
        Err(NewTokenError::Store(error)) => return Failure::from(error).answer(sender.0).await,
        Err(NewTokenError::Internal(error)) => {
            tracing::error!(error, "an access token could not be made");
            return Failure::internal().answer(sender.0).await;
        }
    };
    show(sender.0, auth, pages, fresh.session(), &context, own).await
}

#[post("/account/tokens/revoke", data = "<form>")]
pub(super) async fn revoke(
    sender: Sender<'_>,
    auth: &State<Auth>,
    session: Session,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let (form, sign_in) = match checked(auth, form) {
        Ok(checked) => checked,
        Err(failure) => return failure.answer(sender.0).await,
    };
    let revoked = match TokenHash::from_hex(form.text("id")) {
        Some(id) => sign_in.revoke_access_token(session.data(), &id).await,
        None => Ok(false),
    };
    match revoked {
        Ok(true) => Answer::see_other(format!("{}?notice=revoked", auth.config.url.base("account/tokens"))),
        // Somebody else's token and none at all look alike (ASVS 5.0, 8.2.2).
        Ok(false) => Failure::not_found().answer(sender.0).await,
        Err(error) => Failure::from(error).answer(sender.0).await,
    }
}

fn checked(auth: &Auth, form: Result<CheckedForm, FormError>) -> Result<(CheckedForm, &SignIn), Failure> {
    let form = form.map_err(|error| Failure::from(&error.reason))?;
    Ok((form, auth.sign_in.as_ref().ok_or_else(Failure::internal)?))
}

/// Which field is wrong, and why.
fn explain(pages: &Pages, context: &PageContext, mistake: NewTokenMistake) -> Value {
    let (field, code) = match mistake {
        NewTokenMistake::Name => ("name", "token_name_invalid"),
        NewTokenMistake::Scopes => ("scope-1", "token_scopes_missing"),
        NewTokenMistake::Days => ("days", "token_days_invalid"),
    };
    json!({ "field": field, "message": text(pages, context, code) })
}

fn text(pages: &Pages, context: &PageContext, key: &str) -> String {
    pages.locales().text(context.lang(), key)
}

async fn show(
    request: &Request<'_>,
    auth: &Auth,
    pages: &Pages,
    session: &Session,
    context: &PageContext,
    mut own: Value,
) -> Answer {
    let Some(sign_in) = &auth.sign_in else {
        return Failure::internal().answer(request).await;
    };
    let tokens = match sign_in.access_tokens(session.data()).await {
        Ok(tokens) => tokens,
        // A token is shown now or never; the list can be looked at later.
        Err(_) if own.get("token").is_some() => Vec::new(),
        Err(error) => return Failure::from(error).answer(request).await,
    };
    let refused = own.get("error").is_some() || own.get("errors").is_some();
    let status = if refused { Status::BadRequest } else { Status::Ok };
    let now = auth.clock.now();
    if let Some(own) = own.as_object_mut() {
        own.entry("errors").or_insert_with(|| json!([]));
        own.entry("kept").or_insert_with(|| json!({ "scopes": [] }));
        // What is shown once would be lost by a change of the language.
        let path =
            if own.contains_key("token") { String::new() } else { auth.config.url.base("account/tokens") };
        own.insert("path".to_owned(), path.into());
        own.insert("tokens".to_owned(), tokens.iter().map(|token| shown(token, now)).collect());
        own.insert("scopes".to_owned(), auth.config.scopes.iter().map(Permission::as_str).collect());
        own.insert("most_days".to_owned(), MOST_DAYS.into());
    }
    render(pages, status, "access_tokens", context, own)
}

fn shown(token: &AccessTokenRecord, now: Timestamp) -> Value {
    json!({
        "id": token.id.to_hex(),
        "name": token.name,
        "scopes": token.scopes.iter().map(Permission::as_str).collect::<Vec<_>>(),
        "made": token.created_at.to_rfc3339(),
        "expires": token.expires_at.to_rfc3339(),
        "expired": now >= token.expires_at,
        "last_used": token.last_used_at.map(Timestamp::to_rfc3339),
    })
}
