//! The account page, shown as it is or with what a form on it came to.

use rocket::Request;
use rocket::http::Status;
use serde_json::{Value, json};

use super::answer::Answer;
use super::failure::Failure;
use super::form::{CheckedForm, FormError};
use super::page::page as render;
use crate::guards::{Auth, Session};
use crate::model::SessionRecord;
use crate::pages::{PageContext, Pages};
use crate::signin::{ADMIN, AccountError, SignIn};

/// What a form on the page came to.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) status: Status,
    /// Fields that are wrong, each with the code that says why.
    pub(super) errors: Vec<(&'static str, &'static str)>,
    /// What was typed, to be corrected and not to be typed again.
    pub(super) kept: Value,
    /// What was done, in words.
    pub(super) notice: Option<String>,
    /// What was not done, in words.
    pub(super) complaint: Option<String>,
}

pub(super) fn checked(
    auth: &Auth,
    form: Result<CheckedForm, FormError>,
) -> Result<(CheckedForm, &SignIn), Failure> {
    let form = form.map_err(|error| Failure::from(&error.reason))?;
    Ok((form, auth.sign_in.as_ref().ok_or_else(Failure::internal)?))
}

/// Back to the page, which says what was done: reloading it does nothing twice.
pub(super) fn done(auth: &Auth, notice: &str) -> Answer {
    Answer::see_other(format!("{}?notice={notice}", auth.config.url.base("account")))
}

pub(super) async fn explain(
    request: &Request<'_>,
    auth: &Auth,
    pages: &Pages,
    session: &Session,
    context: &PageContext,
    form: &CheckedForm,
    error: AccountError,
) -> Answer {
    let (field, code) = match error {
        AccountError::Name(_) => ("name", "name_invalid"),
        AccountError::Email(_) => ("email", "email_invalid"),
        AccountError::EmailTaken => ("email", "email_taken"),
        AccountError::WrongPassword => ("currentPassword", "password_wrong"),
        AccountError::NewPassword(error) => ("newPassword", error.code()),
        AccountError::Other(error) => return Failure::from(error).answer(request).await,
    };
    let typed = |name: &str| form.optional(name).map(|text| text.chars().take(320).collect::<String>());
    let kept = json!({ "name": typed("name"), "email": typed("email") });
    let errors = vec![(field, code)];
    let outcome = Outcome { status: Status::BadRequest, errors, kept, ..Outcome::default() };
    show(request, auth, pages, session, context, outcome).await
}

/// The page again, saying which field is wrong and why.
pub(super) async fn refuse(
    request: &Request<'_>,
    auth: &Auth,
    pages: &Pages,
    session: &Session,
    context: &PageContext,
    mistake: (&'static str, &'static str),
) -> Answer {
    let outcome = Outcome { status: Status::BadRequest, errors: vec![mistake], ..Outcome::default() };
    show(request, auth, pages, session, context, outcome).await
}

pub(super) async fn show(
    request: &Request<'_>,
    auth: &Auth,
    pages: &Pages,
    session: &Session,
    context: &PageContext,
    outcome: Outcome,
) -> Answer {
    let Some(sign_in) = &auth.sign_in else {
        return Failure::internal().answer(request).await;
    };
    let account = match sign_in.account(session.data()).await {
        Ok(account) => account,
        Err(error) => return Failure::from(error).answer(request).await,
    };
    let accounts = match super::linked::section(auth, sign_in, session).await {
        Ok(accounts) => accounts,
        Err(error) => return Failure::from(error).answer(request).await,
    };
    let roles = match sign_in.roles_of(session.user_id()).await {
        Ok(roles) => roles,
        Err(error) => return Failure::from(error).answer(request).await,
    };
    let text = |key: &str| pages.locales().text(context.lang(), key);
    let errors: Vec<Value> =
        outcome.errors.iter().map(|(field, code)| json!({ "field": field, "message": text(code) })).collect();
    let current = session.data().id;
    let sessions: Vec<Value> =
        account.sessions.iter().map(|record| shown(record, record.id == current)).collect();
    let own = json!({
        "user": {
            "name": account.name,
            "email": session.email(),
            "image": session.image(),
            "created_at": account.created_at.map(crate::clock::Timestamp::to_rfc3339),
        },
        "sessions": sessions,
        "accounts": accounts,
        "is_admin": roles.iter().any(|role| role.as_str() == ADMIN),
        "notice": outcome.notice,
        "complaint": outcome.complaint,
        "errors": errors,
        "kept": outcome.kept,
        "path": auth.config.url.base("account"),
        "has_account": account.created_at.is_some(),
        "has_password": account.has_password,
        "passwords": auth.config.credentials.is_some(),
        "email_verified": account.email_verified,
        "can_mail": sign_in.can_mail(),
    });
    render(pages, outcome.status, "account", context, own)
}

/// A session as people recognise it.
fn shown(record: &SessionRecord, current: bool) -> Value {
    json!({
        "id": record.id.to_hex(),
        "device": record.user_agent.as_deref().map(device),
        "address": record.address,
        "last_used": record.renewed_at.to_rfc3339(),
        "signed_in": record.authenticated_at.to_rfc3339(),
        "current": current,
    })
}

/// "Firefox, Windows" out of a `User-Agent`; what is not recognised is shown as it came, cut.
pub(super) fn device(user_agent: &str) -> String {
    const BROWSERS: [(&str, &str); 7] = [
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
        ("curl/", "curl"),
    ];
    const SYSTEMS: [(&str, &str); 6] = [
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ];
    let find = |known: &[(&str, &'static str)]| {
        known.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    match (find(&BROWSERS), find(&SYSTEMS)) {
        (Some(browser), Some(system)) => format!("{browser}, {system}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => user_agent.chars().take(60).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::device;

    #[test]
    fn a_browser_is_told_by_its_marks() {
        let chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36";
        assert_eq!(device(chrome), "Chrome, Windows");
        assert_eq!(device(&format!("{chrome} Edg/130.0")), "Edge, Windows");
        assert_eq!(device("my-script 1.0"), "my-script 1.0");
    }
}
