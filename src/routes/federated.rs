//! `POST signin/<provider>` and `GET, POST callback/<provider>`: signing in with another site.
//!
//! Going there: the browser gets a sealed cookie of its own for each sign-in, and the address. Coming back: the cookie must
//! be there, be this provider's and this state's, not over, and not have come back before; only then is anything asked of
//! the other site. Whatever goes wrong is one answer for the person and one line in the log.

use rocket::data::ToByteUnit as _;
use rocket::http::Status;
use rocket::{Data, Request, State, get, head, post};
use serde_json::json;

use super::answer::Answer;
use super::failure::Failure;
use super::medium::prefers_html;
use super::page::page;
use super::reauthenticate;
use super::session::Sender;
use super::unknown;
use super::welcome::{replaced_session, welcome};
use crate::guards::{Auth, Outbox, SentCookies, client_of};
use crate::pages::{PageContext, Pages, language_of};
use crate::providers::{
    Federation, Leaving, Profile, Provider, ProviderError, ProviderTokens, Returned, StateError,
    TRANSACTION_AGE, Transaction, cookie_id,
};
use crate::session::{Found, SessionData};
use crate::signin::{Arrival, Arrived, Client, SignIn, SignInError};

/// Sign-ins under way in one browser at a time: as many tabs as anybody has open at a sign-in, and few enough that their
/// cookies fit into a request.
const MAX_UNDER_WAY: usize = 5;
/// The longest body of a posted answer, and of a query.
const MAX_RETURNED: usize = 8 * 1024;

/// Sends somebody to another site, from a checked form.
pub(super) async fn begin(
    request: &Request<'_>,
    auth: &Auth,
    provider: &Provider,
    callback_url: &str,
    script: bool,
) -> Answer {
    match go(request, auth, provider, callback_url).await {
        Ok(url) if script => Answer::script_redirect(Status::Ok, &url),
        // Browsers apply a page's form-action to every redirect after its form; a page in between ends that chain,
        // wherever the other site sends people on to.
        Ok(url) if prefers_html(request) => on_the_way(request, provider, &url).await,
        Ok(url) => Answer::redirect(url),
        Err(failure) => failure.answer_action(request, &auth.config.url, script).await,
    }
}

async fn go(
    request: &Request<'_>,
    auth: &Auth,
    provider: &Provider,
    callback_url: &str,
) -> Result<String, Failure> {
    let session = replaced_session(request).await?;
    let query = request.uri().query().map(|query| query.as_str().to_owned()).unwrap_or_default();
    let wishes: Vec<(String, String)> =
        url::form_urlencoded::parse(query.as_bytes()).into_owned().take(32).collect();
    let may_link = session.as_ref().is_some_and(|session| auth.is_fresh(session));
    if let Some(session) = &session
        && !may_link
    {
        let sign_in = auth.sign_in.as_ref().ok_or_else(Failure::internal)?;
        // Who comes from there proves by it who they are; everybody else wants to link.
        if !sign_in.comes_from(&session.user_id, provider).await? {
            return Err(Failure::stale(reauthenticate::url_after(request, auth, Some(callback_url))));
        }
    }
    let user = session.as_ref().map(|session| &session.user_id);
    let leaving = Leaving { user, may_link };
    let begun = federation(auth)?.begin(provider, callback_url, leaving, &wishes).await;
    let begun = begun.map_err(|error| Failure::from_start(&error))?;
    forget_oldest(request, auth);
    let cookie = auth.cookies.transaction(&cookie_id(&begun.state), &begun.sealed, TRANSACTION_AGE);
    Outbox::of(request).put([cookie]);
    Ok(begun.url)
}

/// Browsers send older cookies first (RFC 6265 section 5.4): those beyond the limit were abandoned.
fn forget_oldest(request: &Request<'_>, auth: &Auth) {
    let sent = SentCookies::of(request).header();
    let ids = sent.names_after(auth.cookies.transaction_prefix());
    let beyond = ids.len().saturating_sub(MAX_UNDER_WAY - 1);
    Outbox::of(request).put(ids.iter().take(beyond).map(|id| auth.cookies.delete_transaction(id)));
}

/// A page that goes on by itself, and has a link for whom it does not.
async fn on_the_way(request: &Request<'_>, provider: &Provider, url: &str) -> Answer {
    use rocket::request::{FromRequest as _, Outcome};
    let (Some(pages), Outcome::Success(context)) =
        (request.rocket().state::<Pages>(), PageContext::from_request(request).await)
    else {
        return Answer::redirect(url.to_owned());
    };
    let own = json!({ "url": url, "provider": provider.config().name });
    page(pages, Status::Ok, "on_the_way", &context, own).with("Cache-Control", "no-store")
}

#[get("/callback/<provider>")]
pub(super) async fn come_back(
    sender: Sender<'_>,
    auth: &State<Auth>,
    pages: &State<Pages>,
    provider: &str,
) -> Answer {
    let request = sender.0;
    let query = request.uri().query().map(|query| query.as_str().to_owned()).unwrap_or_default();
    let Some(provider) = federation(auth).ok().and_then(|all| all.find(provider)) else {
        return unknown::answer(request).await;
    };
    let language = language_of(request, auth, pages);
    match arrive(request, auth, language, (provider, &query)).await {
        Ok((Arrived::Entered(entered), url)) => welcome(request, auth, &entered, &url, false).await,
        Ok((Arrived::Linked, url)) => Answer::redirect(url),
        Err(failure) => failure.answer_action(request, &auth.config.url, false).await,
    }
}

/// Rocket would answer HEAD by the GET handler.
#[head("/callback/<_provider>")]
pub(super) fn come_back_head(_provider: &str) -> Answer {
    Answer::empty(Status::MethodNotAllowed).with("Allow", "GET")
}

/// An answer that comes by POST (`response_mode=form_post`) comes from the other site, without our cookies: it is turned
/// into the GET that brings them. Nothing is done here, so nothing can be forged.
#[post("/callback/<provider>", data = "<data>")]
pub(super) async fn come_back_by_post(
    sender: Sender<'_>,
    auth: &State<Auth>,
    provider: &str,
    data: Data<'_>,
) -> Answer {
    let found = federation(auth).ok().and_then(|all| all.find(provider));
    let Some(provider) = found.filter(|provider| provider.config().form_post) else {
        return unknown::answer(sender.0).await;
    };
    let is_form = sender.0.content_type().is_some_and(|kind| kind.is_form());
    let body = data.open(MAX_RETURNED.bytes()).into_string().await;
    let body = body.ok().filter(|body| is_form && body.is_complete()).map(rocket::data::Capped::into_inner);
    let site = &auth.config.url;
    let Some(fields) = body.as_deref().and_then(fields) else {
        let error = SignInError::from(ProviderError::State(StateError::Malformed));
        if let Some(sign_in) = &auth.sign_in {
            let client = client_of(sender.0, &auth.config.trusted_proxies);
            sign_in.tell_refused(&error, &provider.config().id, None, &client).await;
        }
        return Failure::from(error).answer_action(sender.0, site, false).await;
    };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in &fields {
        if ["code", "state", "iss", "error", "user"].contains(&name.as_str()) {
            query.append_pair(name, value);
        }
    }
    let callback = site.base(&format!("callback/{}", provider.config().id));
    Answer::see_other(format!("{callback}?{}", query.finish()))
}

async fn arrive(
    request: &Request<'_>,
    auth: &Auth,
    language: &str,
    (provider, query): (&Provider, &str),
) -> Result<(Arrived, String), Failure> {
    let sign_in = auth.sign_in.as_ref().ok_or_else(Failure::internal)?;
    let client = client_of(request, &auth.config.trusted_proxies);
    let session = replaced_session(request).await?;
    let received = receive(request, auth, sign_in, provider, (session.as_deref(), &client), query).await;
    let Received { transaction, linking, profile, tokens } = match received {
        Ok(received) => received,
        Err(error) => {
            sign_in.tell_refused(&error, &provider.config().id, None, &client).await;
            return Err(error.into());
        }
    };
    let arrival = Arrival {
        provider,
        profile,
        tokens,
        client,
        language,
        session: session.as_deref(),
        linking: transaction.user.as_ref().filter(|_| linking),
        may_link: transaction.may_link,
        now: auth.clock.now(),
    };
    // Validated when it was remembered, and sealed since; what is allowed may have changed.
    let url = auth.redirects.choose([Some(transaction.callback_url.as_str())]);
    match sign_in.by_provider(&arrival).await {
        Ok(arrived) => Ok((arrived, url)),
        Err(SignInError::Stale) => Err(Failure::stale(reauthenticate::url(auth, &url))),
        Err(error) => Err(error.into()),
    }
}

/// An answer that is this browser's, came in time and for the first time, and that the other site stands by.
struct Received {
    transaction: Transaction,
    linking: bool,
    profile: Profile,
    tokens: ProviderTokens,
}

async fn receive(
    request: &Request<'_>,
    auth: &Auth,
    sign_in: &SignIn,
    provider: &Provider,
    (session, client): (Option<&SessionData>, &Client),
    query: &str,
) -> Result<Received, SignInError> {
    let federation =
        sign_in.federation().ok_or_else(|| SignInError::Internal("no other sites".to_owned()))?;
    let fields = fields(query).ok_or(ProviderError::State(StateError::Malformed))?;
    let field = |name: &str| fields.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
    let state = field("state").unwrap_or_default();
    let transaction = take(request, auth, federation, provider, state).map_err(ProviderError::from)?;
    let linking = bound_user(&transaction, session).map_err(ProviderError::from)?;
    let (first, receipt) = sign_in.spend(&transaction, client).await?;
    Outbox::of(request).put([auth.cookies.delete_transaction(&cookie_id(&transaction.state))]);
    if !first {
        return Err(ProviderError::State(StateError::Replayed).into());
    }
    let returned =
        Returned { code: field("code"), iss: field("iss"), error: field("error"), user: field("user") };
    let (profile, tokens) = federation.finish(provider, &transaction, &returned).await?;
    sign_in.came_to_something(receipt).await;
    Ok(Received { transaction, linking, profile, tokens })
}

/// The transaction this browser began with this provider under this state.
fn take(
    request: &Request<'_>,
    auth: &Auth,
    federation: &Federation,
    provider: &Provider,
    state: &str,
) -> Result<Transaction, StateError> {
    if state.is_empty() {
        return Err(StateError::Missing);
    }
    let name = format!("{}{}", auth.cookies.transaction_prefix(), cookie_id(state));
    let Found::Value(sealed) = SentCookies::of(request).find(&name) else {
        return Err(StateError::Unknown);
    };
    federation.open(provider, state, &sealed).ok_or(StateError::Mismatch)
}

/// Whether the account there is to be linked: somebody was signed in when it began, and the same person is now. Somebody
/// else now is an attempt at linking an account to the wrong person (protocol section 10.4).
fn bound_user(transaction: &Transaction, session: Option<&SessionData>) -> Result<bool, StateError> {
    match (&transaction.user, session) {
        (None, _) => Ok(false),
        (Some(user), Some(session)) if session.user_id == *user => Ok(true),
        (Some(_), _) => Err(StateError::SomebodyElse),
    }
}

/// The fields of an answer. One that comes twice has no meaning two readers agree on.
fn fields(text: &str) -> Option<Vec<(String, String)>> {
    if text.len() > MAX_RETURNED {
        return None;
    }
    let mut fields: Vec<(String, String)> = Vec::new();
    for (name, value) in url::form_urlencoded::parse(text.as_bytes()).into_owned() {
        if fields.len() >= 32 || fields.iter().any(|(known, _)| *known == name) {
            return None;
        }
        fields.push((name, value));
    }
    Some(fields)
}

fn federation(auth: &Auth) -> Result<&Federation, Failure> {
    auth.sign_in.as_ref().and_then(SignIn::federation).ok_or_else(Failure::internal)
}
