//! `GET admin/log`: the audit log, newest records first.

use rocket::http::Status;
use rocket::{State, get};
use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::failure::Failure;
use super::page::page as render;
use super::session::Sender;
use crate::guards::{Admin, Auth, Role};
use crate::model::{AuditRecord, UserId};
use crate::pages::{PageContext, Pages};

/// Records on a page.
const PAGE: u32 = 100;

#[get("/admin/log?<before>")]
pub(super) async fn page(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    _admin: Role<Admin>,
    context: PageContext,
    before: Option<i64>,
) -> Answer {
    let Some(sign_in) = &auth.sign_in else {
        return Failure::internal().answer(sender.0).await;
    };
    let records = match sign_in.audit_page(before, PAGE).await {
        Ok(records) => records,
        Err(error) => return Failure::from(error).answer(sender.0).await,
    };
    let older = (records.len() == PAGE as usize).then(|| records.last()).flatten();
    let older = older.map(|last| format!("{}?before={}", auth.config.url.base("admin/log"), last.sequence));
    let own = json!({ "records": records.iter().map(shown).collect::<Vec<_>>(), "older": older });
    render(pages, Status::Ok, "admin_log", &context, own)
}

/// The details one by one, as they are named in the record.
fn details(json: &str) -> Vec<Value> {
    let details: Map<String, Value> = serde_json::from_str(json).unwrap_or_default();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    details.iter().map(|(name, value)| json!({ "name": name, "value": text(value) })).collect()
}

fn shown(record: &AuditRecord) -> Value {
    let entry = &record.entry;
    json!({
        "sequence": record.sequence,
        "at": entry.at.to_rfc3339(),
        "event": entry.event,
        "outcome": entry.outcome,
        "user": entry.user_id.as_ref().map(UserId::as_str),
        "email": entry.email,
        "address": entry.address,
        "details": details(&entry.details),
    })
}
