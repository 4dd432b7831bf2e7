//! Hooks that fail, each in its turn: what their request answers, and what it leaves behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use countersign::model::SessionRecord;
use countersign::session::SessionData;
use countersign::signin::{Decision, Event, HookError, Hooks, SignInAttempt, Trigger};
use countersign::token::Claims;
use serde_json::{Map, Value};

use crate::app::{STRATEGIES, Setup};
use crate::browser::{Answer, Browser, PASSWORD, Steps as _};
use crate::dump::{Dump, difference};

/// One hook of all fails, and only when it is told to.
#[derive(Clone)]
pub(crate) struct Failing {
    pub(crate) hook: Hook,
    pub(crate) how: How,
    pub(crate) armed: Arc<AtomicBool>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hook {
    SignIn,
    JwtAtSignIn,
    JwtAtRenewal,
    JwtAtUpdate,
    Session,
    Redirect,
    Event,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Error,
    Panic,
}

/// The ways in which the hooks fail that are asked before somebody is signed in.
pub(crate) const AT_A_SIGN_IN: [(Hook, How); 4] = [
    (Hook::SignIn, How::Error),
    (Hook::SignIn, How::Panic),
    (Hook::JwtAtSignIn, How::Error),
    (Hook::JwtAtSignIn, How::Panic),
];

impl Failing {
    fn meet(&self, hook: Hook) -> Result<(), HookError> {
        if hook != self.hook || !self.armed.load(Ordering::SeqCst) {
            return Ok(());
        }
        assert!(self.how == How::Error, "a hook's own panic");
        Err("a hook's own error".into())
    }
}

#[rocket::async_trait]
impl Hooks for Failing {
    async fn sign_in(&self, _: &SignInAttempt<'_>) -> Result<Decision, HookError> {
        self.meet(Hook::SignIn).map(|()| Decision::Allow)
    }

    async fn jwt(&self, claims: &mut Claims, trigger: &Trigger<'_>) -> Result<(), HookError> {
        claims.set("touched", true);
        self.meet(match trigger {
            Trigger::SignIn { .. } => Hook::JwtAtSignIn,
            Trigger::Update { .. } => Hook::JwtAtUpdate,
            _ => Hook::JwtAtRenewal,
        })
    }

    async fn session(&self, _: &mut Map<String, Value>, _: &SessionData) -> Result<(), HookError> {
        self.meet(Hook::Session)
    }

    fn redirect(&self, _: &str) -> Option<String> {
        self.meet(Hook::Redirect).ok()?;
        None
    }

    async fn event(&self, _: &Event<'_>) {
        self.meet(Hook::Event).ok();
    }
}

/// Everything a browser does, in the order in which each hook has its turn. The two that end the session stand last.
const ACTS: [&str; 7] =
    ["signup", "session", "GET session", "a page", "a guarded route", "callback/credentials", "signout"];

/// One of [`ACTS`]. By a copy of the browser: what one answer sets does not change what the next request sends.
async fn act(name: &str, browser: &Browser<'_>, token: &str, number: u32) -> Answer {
    let mut browser = browser.clone();
    match name {
        "GET session" => browser.get("/api/auth/session").await,
        "a page" => browser.visit("/api/auth/signout").await,
        "a guarded route" => browser.get("/me").await,
        path => {
            let newcomer = format!("new{number}@example.com");
            let email = if path == "signup" { &newcomer } else { "ada@example.com" };
            let fields = [("csrfToken", token), ("email", email), ("password", PASSWORD)];
            browser.form(&format!("/api/auth/{path}"), &fields).await
        }
    }
}

/// Which of [`ACTS`] answers 500 when a hook fails.
fn hit(hook: Hook) -> &'static [&'static str] {
    match hook {
        Hook::SignIn | Hook::JwtAtSignIn => &["callback/credentials"],
        Hook::JwtAtUpdate => &["session"],
        // Every look at the session comes upon the renewal.
        Hook::JwtAtRenewal => &[
            "signup",
            "session",
            "callback/credentials",
            "signout",
            "GET session",
            "a page",
            "a guarded route",
        ],
        // Pages carry the session; a sign-up is answered by one only when something is wrong with it.
        Hook::Session => &["signup", "session", "GET session", "a page"],
        Hook::Redirect => &["signup", "callback/credentials", "signout", "GET session", "a page"],
        Hook::Event => &[],
    }
}

/// Every hook, by an error and by a panic: that request answers 500, nothing is half done, no cookie is touched, nobody is
/// signed in or out, and the next request is served.
#[rocket::async_test]
async fn a_hook_that_fails_fails_its_request_alone_and_undoes_it() {
    let hooks = [
        Hook::SignIn,
        Hook::JwtAtSignIn,
        Hook::JwtAtRenewal,
        Hook::JwtAtUpdate,
        Hook::Session,
        Hook::Redirect,
        Hook::Event,
    ];
    let mut failures = 0;
    for (strategy, hook, how) in STRATEGIES
        .into_iter()
        .flat_map(|strategy| hooks.map(|hook| (strategy, hook)))
        .flat_map(|(strategy, hook)| [How::Error, How::Panic].map(|how| (strategy, hook, how)))
    {
        // These two have no error to return.
        if how == How::Error && matches!(hook, Hook::Redirect | Hook::Event) {
            continue;
        }
        let armed = Arc::new(AtomicBool::new(false));
        let failing = Failing { hook, how, armed: Arc::clone(&armed) };
        let app = Setup::new(strategy).fairing(|fairing| fairing.hooks(failing)).start().await;
        let mut ada = app.browser().enter("ada@example.com").await;
        // Long enough for a change to show in whatever is dated.
        app.clock.advance(if hook == Hook::JwtAtRenewal { 86_400 } else { 3600 });
        let dump = Dump::of(&app).await;
        let token = ada.csrf().await;
        let label = |what: &str| format!("{strategy}: {hook:?} by {how:?}: {what}");
        for what in ACTS {
            // Looked at around each request alone: others succeed meanwhile, and leave what they should.
            let kept = (dump.state().await, dump.attempts().await);
            armed.store(true, Ordering::SeqCst);
            let answer = act(what, &ada, &token, 1).await;
            armed.store(false, Ordering::SeqCst);
            let failed = hit(hook).contains(&what);
            assert_eq!(answer.status == 500, failed, "{}: {} {}", label(what), answer.status, answer.body);
            assert!(!answer.body.contains("a hook's own"), "{}", label(what));
            if failed {
                failures += 1;
                assert!(answer.headers("set-cookie").is_empty(), "{}", label(what));
                let happened = difference(&kept.0, &dump.state().await);
                assert!(happened.is_empty(), "{}: {happened:#?}", label(what));
                let counted = difference(&kept.1, &dump.attempts().await);
                assert!(counted.is_empty(), "{}: {counted:#?}", label(what));
            }
        }
        let mut eve = app.browser().enter("eve@example.com").await;
        let token = eve.csrf().await;
        for what in ACTS {
            let answer = act(what, &eve, &token, 2).await;
            assert!(answer.status < 400, "{}: {}", label(what), answer.status);
        }
        // What she carried before it failed is still good, unless she was rightly answered a sign-out meanwhile.
        if hit(hook).contains(&"signout") {
            assert_eq!(ada.me().await, (200, "ada@example.com".to_owned()), "{}", label("afterwards"));
        }
    }
    assert!(failures > 50, "only {failures} failures were seen");
}

/// A renewal that was due is done before anything that a visit is for, and is no part of it: it stands, and nothing else does.
#[rocket::async_test]
async fn a_renewal_that_was_due_stands_when_a_later_hook_fails() {
    for (strategy, (hook, how)) in STRATEGIES.into_iter().flat_map(|strategy| {
        [(Hook::Session, How::Error), (Hook::Session, How::Panic), (Hook::Redirect, How::Panic)]
            .map(|failure| (strategy, failure))
    }) {
        let label = format!("{strategy}: {hook:?} by {how:?}");
        let armed = Arc::new(AtomicBool::new(false));
        let failing = Failing { hook, how, armed: Arc::clone(&armed) };
        let app = Setup::new(strategy).fairing(|fairing| fairing.hooks(failing)).start().await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let token = ada.csrf().await;
        app.clock.advance(86_400);
        let dump = Dump::of(&app).await;
        let (before, row) = (dump.state().await, dump.rows_of("sessions").await);
        let session = app.sessions("ada@example.com").await.remove(0);
        armed.store(true, Ordering::SeqCst);
        for what in ["a page", "signup"] {
            let answer = act(what, &ada, &token, 1).await;
            assert_eq!(answer.status, 500, "{label}: {what}");
            assert!(answer.headers("set-cookie").is_empty(), "{label}: {what}");
        }
        armed.store(false, Ordering::SeqCst);
        let rows = row + &dump.rows_of("sessions").await;
        let mut happened = difference(&before, &dump.state().await);
        happened.retain(|line| !rows.contains(&line[2..]));
        assert!(happened.is_empty(), "{label}: {happened:#?}");
        let renewed = app.sessions("ada@example.com").await;
        let dates = |session: &SessionRecord| (session.renewed_at, session.expires_at);
        assert_eq!(renewed.len(), 1, "{label}");
        assert_eq!((renewed[0].id, renewed[0].authenticated_at), (session.id, session.authenticated_at));
        assert_eq!(dates(&renewed[0]), (session.renewed_at.plus(86_400), session.expires_at.plus(86_400)));
        assert_eq!(ada.me().await, (200, "ada@example.com".to_owned()), "{label}");
    }
}

/// A sign-in that a hook stops leaves the browser the session it had.
#[rocket::async_test]
async fn a_hook_that_fails_at_a_second_sign_in_leaves_the_first() {
    for strategy in STRATEGIES {
        for (hook, how) in AT_A_SIGN_IN {
            let armed = Arc::new(AtomicBool::new(false));
            let failing = Failing { hook, how, armed: Arc::clone(&armed) };
            let app = Setup::new(strategy).fairing(|fairing| fairing.hooks(failing)).start().await;
            let mut ada = app.browser().enter("ada@example.com").await;
            let dump = Dump::of(&app).await;
            let state = dump.state().await;
            armed.store(true, Ordering::SeqCst);
            let answer = ada.try_sign_in("ada@example.com", PASSWORD).await;
            assert_eq!(answer.status, 500, "{strategy}: {hook:?} by {how:?}");
            assert!(difference(&state, &dump.state().await).is_empty(), "{strategy}: {hook:?} by {how:?}");
            assert_eq!(
                ada.me().await,
                (200, "ada@example.com".to_owned()),
                "{strategy}: {hook:?} by {how:?}"
            );
        }
    }
}
