//! `GET account` and the forms on it: name, password, sessions.

use rocket::http::Status;
use rocket::{Request, State, get, post};
use serde_json::{Value, json};

use super::answer::Answer;
use super::failure::Failure;
use super::form::{CheckedForm, FormError};
use super::page::page as render;
use super::session::Sender;
use crate::guards::{Auth, Outbox, Session, client_of, cookie_header, presented_cookie};
use crate::model::SessionRecord;
use crate::pages::{PageContext, Pages};
use crate::secret::{Password, TokenHash};
use crate::session::{CookieHeader, Found};
use crate::signin::{AccountError, PasswordChange, SignIn};

/// What a form on the page came to: errors by field and code, or a notice's key.
struct Outcome {
    status: Status,
    errors: Vec<(&'static str, &'static str)>,
}

#[get("/account?<notice>")]
pub(super) async fn page(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    session: Session,
    context: PageContext,
    notice: Option<&str>,
) -> Answer {
    // A closed list: the query chooses among our own texts.
    const NOTICES: [&str; 6] = [
        "name_saved",
        "password_changed",
        "session_ended",
        "sessions_ended",
        "account_unlinked",
        "last_way_in",
    ];
    let notice = NOTICES.iter().find(|known| Some(**known) == notice);
    let notice = notice.map(|known| pages.locales().text(context.lang(), &format!("notice_{known}")));
    let fine = Outcome { status: Status::Ok, errors: Vec::new() };
    show(sender.0, auth, pages, &session, &context, notice, fine).await
}

#[post("/account/name", data = "<form>")]
pub(super) async fn change_name(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    session: Session,
    context: PageContext,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let (form, sign_in) = match checked(auth, form) {
        Ok(checked) => checked,
        Err(failure) => return failure.answer(sender.0).await,
    };
    let Found::Value(presented) = presented_cookie(sender.0, auth) else {
        return Failure::internal().answer(sender.0).await;
    };
    match sign_in.change_name(session.data(), &presented, form.text("name")).await {
        Ok(issued) => {
            let sent = cookie_header(sender.0).unwrap_or_else(|| CookieHeader::parse([]));
            Outbox::of(sender.0).put(auth.cookies.session(&issued.value, issued.expires_at, &sent));
            done(auth, "name_saved")
        }
        Err(error) => explain(sender.0, auth, pages, &session, &context, error).await,
    }
}

#[post("/account/password", data = "<form>")]
pub(super) async fn change_password(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    session: Session,
    context: PageContext,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let (form, sign_in) = match checked(auth, form) {
        Ok(checked) => checked,
        Err(failure) => return failure.answer(sender.0).await,
    };
    let change = PasswordChange {
        current: Password::new(form.text("currentPassword")),
        new: Password::new(form.text("newPassword")),
        client: client_of(sender.0, &auth.config.trusted_proxies),
    };
    match sign_in.change_password(session.data(), change).await {
        Ok(()) => done(auth, "password_changed"),
        Err(error) => explain(sender.0, auth, pages, &session, &context, error).await,
    }
}

#[post("/account/sessions/end", data = "<form>")]
pub(super) async fn end_session(
    sender: Sender<'_>,
    auth: &State<Auth>,
    session: Session,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let (form, sign_in) = match checked(auth, form) {
        Ok(checked) => checked,
        Err(failure) => return failure.answer(sender.0).await,
    };
    let id = TokenHash::from_hex(form.text("id"));
    let ended = match id {
        Some(id) => sign_in.end_session(session.data(), &id).await,
        None => Ok(false),
    };
    match ended {
        Ok(true) => done(auth, "session_ended"),
        // Somebody else's session and none at all look alike (ASVS 5.0, 8.2.2).
        Ok(false) => Failure::not_found().answer(sender.0).await,
        Err(error) => Failure::from(error).answer(sender.0).await,
    }
}

#[post("/account/sessions/end-others", data = "<form>")]
pub(super) async fn end_others(
    sender: Sender<'_>,
    auth: &State<Auth>,
    session: Session,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let sign_in = match checked(auth, form) {
        Ok((_, sign_in)) => sign_in,
        Err(failure) => return failure.answer(sender.0).await,
    };
    match sign_in.end_other_sessions(session.data()).await {
        Ok(_) => done(auth, "sessions_ended"),
        Err(error) => Failure::from(error).answer(sender.0).await,
    }
}

fn checked(auth: &Auth, form: Result<CheckedForm, FormError>) -> Result<(CheckedForm, &SignIn), Failure> {
    let form = form.map_err(|error| Failure::from(&error.reason))?;
    Ok((form, auth.sign_in.as_ref().ok_or_else(Failure::internal)?))
}

/// Back to the page, which says what was done: reloading it does nothing twice.
fn done(auth: &Auth, notice: &str) -> Answer {
    Answer::see_other(format!("{}?notice={notice}", auth.config.url.base("account")))
}

async fn explain(
    request: &Request<'_>,
    auth: &Auth,
    pages: &Pages,
    session: &Session,
    context: &PageContext,
    error: AccountError,
) -> Answer {
    let (field, code) = match error {
        AccountError::Name(_) => ("name", "name_invalid"),
        AccountError::WrongPassword => ("currentPassword", "password_wrong"),
        AccountError::NewPassword(error) => ("newPassword", error.code()),
        AccountError::Other(error) => return Failure::from(error).answer(request).await,
    };
    let outcome = Outcome { status: Status::BadRequest, errors: vec![(field, code)] };
    show(request, auth, pages, session, context, None, outcome).await
}

async fn show(
    request: &Request<'_>,
    auth: &Auth,
    pages: &Pages,
    session: &Session,
    context: &PageContext,
    notice: Option<String>,
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
        "notice": notice,
        "errors": errors,
        "has_password": account.created_at.is_some(),
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
fn device(user_agent: &str) -> String {
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
