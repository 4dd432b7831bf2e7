//! `GET admin` and below: people, and what an administrator does about them.
//!
//! Every route asks for the role `admin`, and an act for a recent proof besides. Lists go on from the last address they showed, so that a page costs the same
//! among a hundred people and among a million.

use rocket::http::Status;
use rocket::request::{FromRequest, Outcome};
use rocket::{Request, State, get, post};
use serde_json::{Value, json};

use super::account_page::device;
use super::answer::Answer;
use super::failure::Failure;
use super::form::{CheckedForm, FormError};
use super::page::page as render;
use super::session::Sender;
use crate::guards::{Admin, Auth, Fresh, Role, Session};
use crate::model::{DisplayName, Email, Permission, User, UserId};
use crate::pages::{PageContext, Pages};
use crate::session::encode_component;
use crate::signin::{AdminAct, AdminError, Person};

/// People on a page.
const PAGE: u32 = 50;

/// An administrator who proved a moment ago who they are: nobody's cookie is worth more to whoever finds it.
pub(super) struct Acting(Session);

#[rocket::async_trait]
impl<'r> FromRequest<'r> for Acting {
    type Error = ();

    async fn from_request(request: &'r Request<'_>) -> Outcome<Self, ()> {
        match Role::<Admin>::from_request(request).await {
            Outcome::Success(_) => {}
            Outcome::Error((status, _)) => return Outcome::Error((status, ())),
            Outcome::Forward(status) => return Outcome::Forward(status),
        }
        match Fresh::from_request(request).await {
            Outcome::Success(fresh) => Outcome::Success(Self(fresh.into_inner())),
            Outcome::Error((status, _)) => Outcome::Error((status, ())),
            Outcome::Forward(status) => Outcome::Forward(status),
        }
    }
}

#[get("/admin?<q>&<after>")]
pub(super) async fn people(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    _admin: Role<Admin>,
    context: PageContext,
    q: Option<&str>,
    after: Option<&str>,
) -> Answer {
    let Some(sign_in) = &auth.sign_in else {
        return Failure::internal().answer(sender.0).await;
    };
    let beginning: String = q.unwrap_or_default().chars().take(254).collect();
    let after = after.and_then(|text| Email::parse(text).ok());
    let found = match sign_in.search_users(&beginning, after.as_ref(), PAGE + 1).await {
        Ok(found) => found,
        Err(error) => return Failure::from(error).answer(sender.0).await,
    };
    let shown = found.get(..found.len().min(PAGE as usize)).unwrap_or_default();
    let next = (found.len() > shown.len()).then(|| shown.last()).flatten().map(|last| {
        let (q, after) = (encode_component(&beginning), encode_component(last.email.as_str()));
        format!("{}?q={q}&after={after}", auth.config.url.base("admin"))
    });
    let own = json!({
        "q": beginning,
        "people": shown.iter().map(summary).collect::<Vec<_>>(),
        "next": next,
    });
    render(pages, Status::Ok, "admin", &context, own)
}

#[get("/admin/users/<id>?<notice>")]
pub(super) async fn person(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    _admin: Role<Admin>,
    context: PageContext,
    id: &str,
    notice: Option<&str>,
) -> Answer {
    let notice = (notice == Some("done")).then(|| pages.locales().text(context.lang(), "notice_admin_done"));
    show(sender.0, auth, pages, &context, &UserId::from_existing(id), json!({ "notice": notice })).await
}

#[post("/admin/users/<id>", data = "<form>")]
pub(super) async fn act(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    admin: Acting,
    context: PageContext,
    id: &str,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let form = match form {
        Ok(form) => form,
        Err(error) => return Failure::from(&error.reason).answer(sender.0).await,
    };
    let Some(sign_in) = &auth.sign_in else {
        return Failure::internal().answer(sender.0).await;
    };
    let id = UserId::from_existing(id);
    let text = |key: &str| pages.locales().text(context.lang(), key);
    let complaint = |key: &str| json!({ "error": text(key) });
    let Some(act) = act_of(&form) else {
        let typed: String = form.text("role").chars().take(64).collect();
        let errors = json!([{ "field": "role", "message": text("error_role_name") }]);
        let own = json!({ "errors": errors, "kept": { "role": typed } });
        return show(sender.0, auth, pages, &context, &id, own).await;
    };
    match sign_in.administer(admin.0.data(), &id, &act).await {
        Ok(()) => {
            let id = encode_component(id.as_str());
            Answer::see_other(format!("{}/{id}?notice=done", auth.config.url.base("admin/users")))
        }
        Err(AdminError::NoSuchUser) => Failure::not_found().answer(sender.0).await,
        Err(AdminError::Oneself) => {
            show(sender.0, auth, pages, &context, &id, complaint("error_oneself")).await
        }
        Err(AdminError::Store(error)) => Failure::from(error).answer(sender.0).await,
    }
}

/// What a form asks for; `None` when it is none of the acts, or names no role.
fn act_of(form: &CheckedForm) -> Option<AdminAct> {
    let role = || Permission::parse(form.text("role").trim()).ok();
    match form.text("act") {
        "disable" => Some(AdminAct::Disable),
        "enable" => Some(AdminAct::Enable),
        "end_sessions" => Some(AdminAct::EndSessions),
        "remove_factors" => Some(AdminAct::RemoveFactors),
        "grant" => role().map(AdminAct::Grant),
        "take" => role().map(AdminAct::Take),
        _ => None,
    }
}

async fn show(
    request: &Request<'_>,
    auth: &Auth,
    pages: &Pages,
    context: &PageContext,
    id: &UserId,
    mut own: Value,
) -> Answer {
    let Some(sign_in) = &auth.sign_in else {
        return Failure::internal().answer(request).await;
    };
    let person = match sign_in.person(id).await {
        Ok(person) => person,
        Err(AdminError::Store(error)) => return Failure::from(error).answer(request).await,
        Err(_) => return Failure::not_found().answer(request).await,
    };
    let refused = own.get("error").is_some() || own.get("errors").is_some();
    let status = if refused { Status::BadRequest } else { Status::Ok };
    if let Some(own) = own.as_object_mut() {
        own.entry("errors").or_insert_with(|| json!([]));
        own.entry("kept").or_insert_with(|| json!({}));
        own.insert("person".to_owned(), whole(&person));
    }
    render(pages, status, "admin_user", context, own)
}

fn summary(user: &User) -> Value {
    json!({
        "id": user.id.as_str(),
        "email": user.email.as_str(),
        "name": user.name.as_ref().map(DisplayName::as_str),
        "since": user.created_at.to_rfc3339(),
        "disabled": user.disabled_at.is_some(),
    })
}

fn whole(person: &Person) -> Value {
    let sessions: Vec<Value> = person
        .sessions
        .iter()
        .map(|session| {
            json!({
                "device": session.user_agent.as_deref().map(device),
                "address": session.address,
                "last_used": session.renewed_at.to_rfc3339(),
            })
        })
        .collect();
    let mut shown = summary(&person.user);
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("roles".to_owned(), person.roles.iter().map(Permission::as_str).collect());
        shown.insert("sessions".to_owned(), sessions.into());
        shown.insert("second_factor".to_owned(), person.second_factor.into());
    }
    shown
}
