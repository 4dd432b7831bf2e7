//! The part of the account page about accounts at other sites, and `POST account/unlink`.

use rocket::{State, post};
use serde_json::{Value, json};

use super::answer::Answer;
use super::failure::Failure;
use super::form::{CheckedForm, FormError};
use super::session::Sender;
use crate::guards::{Auth, Fresh, Session};
use crate::model::LinkedAccount;
use crate::pages::PageContext;
use crate::providers::Federation;
use crate::signin::SignIn;
use crate::store::{self, Unlinked};

/// What the page shows: accounts that are linked, and sites whose account can be.
pub(super) async fn section(auth: &Auth, sign_in: &SignIn, session: &Session) -> Result<Value, store::Error> {
    let Some(federation) = sign_in.federation() else {
        return Ok(Value::Null);
    };
    let linked = sign_in.linked_accounts(session.user_id()).await?;
    let v5 = auth.config.jwt.format == crate::token::Format::AuthJsV5;
    let all: Vec<Value> =
        federation.all().map(|provider| json!(provider.public(&auth.config.url, v5))).collect();
    if linked.is_empty() && all.is_empty() {
        return Ok(Value::Null);
    }
    let shown: Vec<Value> = linked.iter().map(|account| shown(federation, account)).collect();
    Ok(json!({ "linked": shown, "providers": all, "return": auth.config.url.base("account") }))
}

fn shown(federation: &Federation, account: &LinkedAccount) -> Value {
    let id = account.external.provider.as_str();
    let name = federation.find(id).map_or(id, |provider| provider.config().name.as_str());
    json!({
        "id": account.id,
        "provider": name,
        "label": account.label,
        "linked_at": account.linked_at.to_rfc3339(),
    })
}

#[post("/account/unlink", data = "<form>")]
pub(super) async fn unlink(
    sender: Sender<'_>,
    auth: &State<Auth>,
    fresh: Fresh,
    context: PageContext,
    form: Result<CheckedForm, FormError>,
) -> Answer {
    let form = match form {
        Ok(form) => form,
        Err(error) => return Failure::from(&error.reason).answer(sender.0).await,
    };
    let Some(sign_in) = &auth.sign_in else {
        return Failure::internal().answer(sender.0).await;
    };
    let notice = match sign_in.unlink(fresh.session().data(), form.text("id"), context.lang()).await {
        Ok(Unlinked::Unlinked(_)) => "account_unlinked",
        Ok(Unlinked::LastWayIn) => "last_way_in",
        // Somebody else's and none at all look alike (ASVS 5.0, 8.2.2).
        Ok(Unlinked::NotFound) => return Failure::not_found().answer(sender.0).await,
        Err(error) => return Failure::from(error).answer(sender.0).await,
    };
    Answer::see_other(format!("{}?notice={notice}", auth.config.url.base("account")))
}
