//! `GET outbox`: mail that was kept instead of being sent. Mounted in the debug profile without a mail server, and there
//! alone; whoever reads it can sign in as anybody, so it answers this machine only.

use rocket::http::Status;
use rocket::{State, get};
use serde_json::{Value, json};

use super::answer::Answer;
use super::failure::Failure;
use super::page::page as render;
use super::session::Sender;
use crate::guards::{Auth, client_of};
use crate::mail::CapturedMails;
use crate::pages::{PageContext, Pages};

#[get("/outbox")]
pub(super) async fn page(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    mails: &State<CapturedMails>,
    context: PageContext,
) -> Answer {
    let client = client_of(sender.0, &auth.config.trusted_proxies);
    if !client.address.is_some_and(|address| address.is_loopback()) {
        return Failure::not_found().answer(sender.0).await;
    }
    let shown: Vec<Value> = mails
        .all()
        .into_iter()
        .rev()
        .map(|mail| {
            json!({
                "to": mail.to.as_str(),
                "subject": mail.subject,
                "text": mail.text,
                "link": mail.link(),
            })
        })
        .collect();
    render(pages, Status::Ok, "outbox", &context, json!({ "mails": shown }))
}
