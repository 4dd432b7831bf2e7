//! Every route, and every call that it makes to the store, failing in turn: the answer is "unknown", and nothing happened.
//!
//! The routes are the application's own list, so a new one is driven without being listed anywhere.

use std::time::Duration;

use countersign::guards::Auth;
use countersign::model::UserId;
use rocket::http::{ContentType, Method};
use rocket::tokio;

use crate::app::{App, STRATEGIES, Setup};
use crate::browser::{Answer, Browser, PASSWORD, Steps as _};
use crate::dump::{Dump, difference};
use crate::faults::Fault;

/// Calls that are not needed for the answer: it is given all the same, and what they were to do is done later.
const NOT_NEEDED: [&str; 4] = ["return_attempts", "strengthen_hash", "append_audit", "end_oldest_sessions"];

/// Unsafe routes that ask the store nothing with these fields: three by their nature, and those which go on with a second
/// factor or a passkey that was begun elsewhere.
const ASK_NOTHING: [&str; 8] = [
    "/api/auth/callback/<provider>",
    "/api/auth/_log",
    "/api/auth/language",
    "/api/auth/signin/<provider>",
    "/api/auth/factor",
    "/api/auth/factor/options",
    "/api/auth/passkey/options",
    "/api/auth/callback/passkey",
];

const NEW_PASSWORD: &str = "another good password";

/// A route, ready to be asked.
#[derive(Clone, Debug)]
struct Driven {
    method: Method,
    /// As it is mounted.
    route: String,
    /// With its segments filled in.
    path: String,
}

/// Everything that is mounted, but for what catches all the rest.
fn routes(app: &App) -> Vec<Driven> {
    let mut driven: Vec<Driven> = app
        .client()
        .rocket()
        .routes()
        .filter(|route| !route.uri.path().contains("..>"))
        .map(|route| Driven {
            method: route.method,
            route: route.uri.path().to_owned(),
            path: route.uri.path().split('/').map(filled_in).collect::<Vec<_>>().join("/"),
        })
        .collect();
    driven.sort_by(|a, b| (&a.route, a.method.as_str()).cmp(&(&b.route, b.method.as_str())));
    driven.dedup_by(|a, b| a.route == b.route && a.method == b.method);
    driven
}

fn filled_in(segment: &str) -> &str {
    match segment {
        // The way of passwords has a route of its own; none of the other sites is configured here.
        "<provider>" => "nobody",
        "<name>" => "countersign.js",
        segment if segment.starts_with('<') => "x",
        segment => segment,
    }
}

/// Somebody with two sessions, and the fields that every form of ours asks for.
struct Person<'a> {
    app: &'a App,
    id: UserId,
    browser: Browser<'a>,
    fields: Vec<(&'static str, String)>,
}

async fn person<'a>(app: &'a App, driven: &Driven, number: &mut u32) -> Person<'a> {
    *number += 1;
    let email = format!("person{number}@example.com");
    let mut browser = app.browser().enter(&email).await;
    // Whoever has not confirmed the address is refused a factor; whoever has is sent no mail to confirm it.
    if driven.route.contains("/account/security") {
        app.confirm(&email).await;
    }
    let own = app.session_ids(&email).await;
    app.browser().try_sign_in(&email, PASSWORD).await;
    let other = app.session_ids(&email).await.into_iter().find(|id| !own.contains(id)).unwrap();
    let token = browser.csrf().await;
    let fields = vec![
        ("csrfToken", token),
        ("email", email),
        ("password", PASSWORD.to_owned()),
        ("currentPassword", PASSWORD.to_owned()),
        ("newPassword", NEW_PASSWORD.to_owned()),
        ("name", "Ada Lovelace".to_owned()),
        ("id", other),
        ("lang", "ko".to_owned()),
    ];
    Person { app, id: app.user(&fields[1].1).await.unwrap().id, browser, fields }
}

impl Person<'_> {
    /// Sends the request, keeping nothing of what is answered: the cookies are what they were.
    async fn ask(&self, driven: &Driven, page: bool) -> Answer {
        // What was verified a moment ago would be answered without a call.
        self.app.client().rocket().state::<Auth>().unwrap().sessions.forget_user(&self.id);
        let mut browser = self.browser.clone();
        if page {
            browser = browser.with_header("Accept", "text/html,application/xhtml+xml");
        }
        let unsafe_method = !matches!(driven.method, Method::Get | Method::Head | Method::Options);
        let body = unsafe_method.then(|| {
            // An account of its own for a sign-up: with an address that is taken nothing would happen.
            let fresh = |(name, value): &(&str, String)| {
                let taken = *name == "email" && driven.route.ends_with("/signup");
                ((*name).to_owned(), if taken { format!("new.{value}") } else { value.clone() })
            };
            let pairs = self.fields.iter().map(fresh);
            let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
            (ContentType::Form, body)
        });
        browser.send(driven.method, &driven.path, body).await
    }
}

fn generous(strategy: &str) -> Setup {
    let limits = "[default.auth.limits]\nsign_ups_per_address = 1000000\nper_address = 1000000";
    Setup::new(strategy).toml(limits)
}

/// The answer is "unknown", says when to come back, and touches no cookie.
pub(crate) fn assert_unknown(answer: &Answer, page: bool, label: &str) {
    assert_eq!(answer.status, 503, "{label}: {}", answer.body);
    assert!(answer.header("retry-after").is_some(), "{label}");
    assert!(answer.headers("set-cookie").is_empty(), "{label}: {:?}", answer.headers("set-cookie"));
    let kind = answer.header("content-type").unwrap_or_default();
    assert_eq!(kind.starts_with("text/html"), page, "{label}: {kind}");
    if page {
        assert!(answer.body.contains("<h1") && answer.body.contains("</html>"), "{label}: {}", answer.body);
    }
}

/// What was counted and then taken back is taken back as soon as the store answers: no attempt is left.
pub(crate) async fn assert_nothing_counted(before: &str, dump: &Dump, label: &str) {
    for _ in 0..100 {
        if dump.attempts().await == before {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{label}: attempts are left: {:#?}", difference(before, &dump.attempts().await));
}

// ASVS: 16.5.3
#[rocket::async_test]
async fn whatever_call_fails_the_answer_is_unknown_and_nothing_happened() {
    let (mut refused, mut number, mut silent) = (0, 0, Vec::new());
    for strategy in STRATEGIES {
        let app = generous(strategy).start().await;
        let dump = Dump::of(&app).await;
        for driven in routes(&app) {
            let ada = person(&app, &driven, &mut number).await;
            let before = app.store.calls();
            let usual = ada.ask(&driven, false).await;
            let calls = app.store.calls() - before;
            let label = format!("{strategy} {} {}", driven.method, driven.route);
            assert!(usual.status < 500, "{label}: {}", usual.body);
            let is_unsafe = !matches!(driven.method, Method::Get | Method::Head | Method::Options);
            if calls == 0
                && is_unsafe
                && strategy == "database"
                && !ASK_NOTHING.contains(&driven.route.as_str())
            {
                silent.push(format!("{label} ({})", usual.status));
            }
            refused += drive(&app, &dump, &driven, calls, usual.status, &mut number).await;
        }
    }
    assert!(refused > 150, "only {refused} failures were seen");
    assert!(
        silent.is_empty(),
        "new routes that ask nothing of the store with these fields: add what they need to `person`, or list them: \
         {silent:#?}"
    );
}

/// Each call of a route with each fault. How many answers were "unknown".
async fn drive(app: &App, dump: &Dump, driven: &Driven, calls: usize, usual: u16, number: &mut u32) -> usize {
    let mut refused = 0;
    for fault in [Fault::Down, Fault::Hangs, Fault::Once] {
        let mut ada = person(app, driven, number).await;
        let mut attempts = dump.attempts().await;
        for healthy in 0..calls {
            let state = dump.state().await;
            let page = fault == Fault::Down && prefers_page(driven);
            app.store.plan(fault, healthy);
            let answer = ada.ask(driven, page).await;
            let met = app.store.recover();
            let label = format!("{} {}, {fault:?} at call {healthy} ({met:?})", driven.method, driven.route);
            if met.is_empty() {
                // What was owed was taken back meanwhile, so there was less to do this time.
                assert!(answer.status < 500, "{label}: {}", answer.body);
                ada = person(app, driven, number).await;
                attempts = dump.attempts().await;
                continue;
            }
            // The account was made: that its mail could not be counted, and so was not sent, does not unmake it.
            let made = driven.route.ends_with("/signup") && healthy >= 2;
            let not_needed = |name: &&str| NOT_NEEDED.contains(name) || (made && *name == "count_attempts");
            if met.iter().all(not_needed) {
                assert_eq!(answer.status, usual, "{label}: {}", answer.body);
                ada = person(app, driven, number).await;
                attempts = dump.attempts().await;
                continue;
            }
            assert_unknown(&answer, page, &label);
            let happened = difference(&state, &dump.state().await);
            assert!(happened.is_empty(), "{label}: something happened: {happened:#?}");
            refused += 1;
        }
        let label = format!("{} {}, {fault:?}", driven.method, driven.route);
        assert_nothing_counted(&attempts, dump, &label).await;
        // The same cookies as before: nothing was lost.
        assert_eq!(ada.ask(driven, false).await.status, usual, "{label}: after recovery");
    }
    for healthy in 0..calls {
        let ada = person(app, driven, number).await;
        app.store.plan(Fault::Slow, healthy);
        let answer = ada.ask(driven, false).await;
        assert!(app.store.recover().len() <= 1);
        assert_eq!(answer.status, usual, "{} {}, slow at {healthy}", driven.method, driven.route);
    }
    refused
}

/// Whether a person is answered by a page when they ask for one: NextAuth's scripts ask some routes, which are JSON.
fn prefers_page(driven: &Driven) -> bool {
    const NEVER: [&str; 4] = ["/api/auth/session", "/api/auth/csrf", "/api/auth/providers", "/api/auth/_log"];
    driven.method != Method::Head && !NEVER.contains(&driven.route.as_str())
}

/// A session that is due for renewal writes when it is read: that may fail like everything else.
#[rocket::async_test]
async fn a_renewal_that_fails_is_unknown_and_comes_later() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        for fault in [Fault::Down, Fault::Hangs, Fault::Once] {
            let ada = app.browser().enter(&format!("{fault:?}@example.com").to_lowercase()).await;
            app.clock.advance(86_400);
            let calls = if strategy == "jwt" { 1 } else { 2 };
            for healthy in 0..calls {
                let mut same = ada.clone();
                app.store.plan(fault, healthy);
                let answer = same.get("/me").await;
                let met = app.store.recover();
                assert!(!met.is_empty(), "{strategy}, {fault:?} at {healthy}");
                assert_unknown(&answer, false, &format!("{strategy}, {fault:?} at {healthy}: {met:?}"));
            }
            let answer = ada.clone().get("/me").await;
            assert_eq!(answer.status, 200, "{strategy}: the same cookie");
            assert!(answer.set_cookie("next-auth.session-token").is_some(), "{strategy}: renewed now");
        }
    }
}
