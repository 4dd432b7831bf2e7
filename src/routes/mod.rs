//! The URL map: one file per action.
//!
//! | route | file |
//! | --- | --- |
//! | `GET signin`, `GET signin/<provider>`, `POST signin/<provider>` | `signin.rs` |
//! | `POST callback/credentials` | `callback.rs` |
//! | `GET, POST callback/<provider>` of other sites | `federated.rs` |
//! | `POST account/unlink` | `linked.rs` |
//! | `GET, POST signout` | `signout.rs` |
//! | `GET, POST session` | `session.rs` |
//! | `GET csrf`, `GET providers`, `POST _log` | `small.rs` |
//! | `GET, POST signup` | `signup.rs` |
//! | `GET error`, `GET verify-request` | `error.rs` |
//! | `POST signin/email`, `GET, POST callback/email` | `email.rs` |
//! | `GET, POST forgot-password`, `GET, POST reset-password` | `recovery.rs` |
//! | `GET account` and the forms on it | `account.rs`, `account_email.rs`, `account_life.rs` |
//! | `GET reauthenticate` | `reauthenticate.rs` |
//! | `GET outbox` (debug profile without a mail server) | `outbox.rs` |
//! | `GET, POST factor`, `POST factor/options` | `factor.rs` |
//! | `POST passkey/options`, `POST callback/passkey` | `passkey.rs` |
//! | `GET account/security` and the forms on it | `security.rs` |
//! | `GET account/tokens` and the forms on it | `access_tokens.rs` |
//! | `GET admin`, `GET, POST admin/users/<id>`, `GET admin/log` | `admin.rs`, `admin_log.rs` |
//! | `POST language` | `language.rs` |
//! | `GET assets/<name>` | `assets.rs` |
//!
//! Every unsafe route takes a `CheckedForm`: no CSRF token, no form. `failure.rs` is the only place where an error becomes
//! a status.

mod access_tokens;
mod account;
mod account_email;
mod account_life;
mod account_page;
mod admin;
mod admin_log;
mod again;
mod answer;
mod assets;
mod callback;
mod callback_url;
mod catchers;
mod email;
mod error;
mod factor;
mod failure;
mod federated;
mod form;
mod language;
mod linked;
mod medium;
mod outbox;
mod page;
mod passkey;
mod reauthenticate;
mod recovery;
mod scope;
mod security;
mod session;
mod signin;
mod signout;
mod signup;
mod small;
mod unknown;
mod welcome;

use rocket::{Catcher, Route, routes};

use crate::policy::{Policy, tried_first};
use crate::signin::ADMIN;

/// All routes, to be mounted at the base path.
#[must_use]
pub(crate) fn routes() -> Vec<Route> {
    let admins = routes![admin::people, admin::person, admin::act, admin_log::page];
    let account = routes![
        access_tokens::revoke,
        account::page,
        account::change_name,
        account::change_password,
        account::end_session,
        account::end_others,
        account_email::send_verification,
        account_email::verify_page,
        account_email::verify,
        account_email::change_page,
        account_email::change,
        reauthenticate::page,
    ];
    let fresh = routes![
        access_tokens::page,
        access_tokens::make,
        linked::unlink,
        security::page,
        security::totp_page,
        security::enable_totp,
        security::disable_totp,
        security::renew_codes,
        security::passkey_options,
        security::add_passkey,
        security::remove_passkey,
        account_email::request_change,
        account_life::data,
        account_life::delete,
        account_life::set_first_password,
    ];
    // Rocket tries the routes of one method in turn, so what scripts ask for now and then stands first.
    let anybodys = routes![
        small::csrf,
        assets::asset,
        callback::credentials,
        callback::credentials_get,
        callback::credentials_head,
        federated::come_back,
        federated::come_back_by_post,
        federated::come_back_head,
        email::start,
        email::page,
        email::finish,
        error::error,
        error::error_in_path,
        error::verify_request,
        factor::page,
        factor::prove,
        factor::options,
        language::choose,
        passkey::options,
        passkey::sign_in,
        recovery::forgot_page,
        recovery::forgot,
        recovery::reset_page,
        recovery::reset,
        session::update,
        signin::page,
        signin::page_of_provider,
        signin::start,
        signout::page,
        signout::sign_out,
        signup::page,
        signup::sign_up,
        small::providers,
        small::log,
    ];
    let routes = [
        Policy::Public.routes(tried_first(routes![session::read])),
        Policy::Public.routes(anybodys),
        Policy::Session.routes(account),
        Policy::Fresh.routes(fresh),
        Policy::Role(ADMIN).routes(admins),
        Policy::Public.routes(unknown::routes()),
    ];
    scope::scoped(routes.concat())
}

/// The page of mail that was kept instead of being sent.
#[must_use]
pub(crate) fn outbox_routes() -> Vec<Route> {
    Policy::Public.routes(routes![outbox::page])
}

/// The catchers for what guards refuse, to be registered at the root unless the host has its own.
#[must_use]
pub(crate) fn catchers() -> Vec<Catcher> {
    catchers::catchers()
}

/// Catchers for every other failure, in the library's own pages and problem documents, for an application that has none:
/// `.register("/", countersign::error_catchers())`.
#[must_use]
pub fn error_catchers() -> Vec<Catcher> {
    catchers::default_catchers()
}
