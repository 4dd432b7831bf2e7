//! A sign-in that is under way while something ends the person's sessions: it leads to none.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use countersign::signin::{HookError, Hooks, Trigger};
use countersign::token::Claims;
use rocket::tokio::{join, sync::Notify};

use crate::app::{App, STRATEGIES, Setup};
use crate::browser::{Answer, Browser, PASSWORD, Steps as _};
use crate::factors::{code, first_proof, second_proof, switch_on};

const ADA: &str = "ada@example.com";

/// Holds one sign-in between its proof and its session.
#[derive(Clone, Default)]
struct Gate(Arc<Inner>);

#[derive(Default)]
struct Inner {
    armed: AtomicBool,
    reached: Notify,
    opened: Notify,
}

#[rocket::async_trait]
impl Hooks for Gate {
    async fn jwt(&self, _: &mut Claims, trigger: &Trigger<'_>) -> Result<(), HookError> {
        if matches!(trigger, Trigger::SignIn { .. }) && self.0.armed.swap(false, Ordering::SeqCst) {
            self.0.reached.notify_one();
            self.0.opened.notified().await;
        }
        Ok(())
    }
}

impl Gate {
    /// Does something while a sign-in is held; what the sign-in is answered.
    async fn during(&self, sign_in: impl Future<Output = Answer>, act: impl Future<Output = ()>) -> Answer {
        self.0.armed.store(true, Ordering::SeqCst);
        let act = async {
            self.0.reached.notified().await;
            act.await;
            self.0.opened.notify_one();
        };
        join!(sign_in, act).0
    }
}

async fn app(strategy: &str, gate: &Gate) -> App {
    let gate = gate.clone();
    Setup::new(strategy).fairing(|fairing| fairing.hooks(gate)).start().await
}

async fn post(browser: &mut Browser<'_>, path: &str, fields: &[(&str, &str)]) {
    let token = browser.csrf().await;
    let mut all = vec![("csrfToken", token.as_str())];
    all.extend(fields);
    let answer = browser.form(path, &all).await;
    assert_eq!(answer.status, 303, "{path}: {}", answer.body);
}

/// What ends Ada's sessions, or in the first case nothing: then the sign-in succeeds.
async fn act(app: &App, ada: &mut Browser<'_>, name: &str) {
    match name {
        "nothing" => {}
        "password" => {
            let fields = [("currentPassword", PASSWORD), ("newPassword", "another horse entirely")];
            post(ada, "/api/auth/account/password", &fields).await;
        }
        "end others" => post(ada, "/api/auth/account/sessions/end-others", &[]).await,
        "disabled" => {
            app.disable(ADA).await;
            app.enable(ADA).await;
            // A user revocation refuses what began in its own second anyway; this must not be why.
            app.clock.advance(2);
        }
        // Ada never proved her address: its owner arrives.
        "evicted" => {
            let mut owner = crate::email::enter_by_mail(app, ADA).await;
            assert_eq!(owner.me().await.0, 200, "the owner is in");
        }
        "reset" => {
            let mut forgetful = app.browser();
            post(&mut forgetful, "/api/auth/forgot-password", &[("email", ADA)]).await;
            let mail = app.mail(ADA, "Choose a new password").await;
            let token = mail.link().unwrap().split("token=").nth(1).unwrap().split('&').next().unwrap();
            let fields = [("email", ADA), ("token", token), ("password", "another horse entirely")];
            post(&mut forgetful, "/api/auth/reset-password", &fields).await;
        }
        other => panic!("{other}"),
    }
}

#[rocket::async_test]
async fn a_sign_in_by_password_that_was_overtaken_begins_no_session() {
    for strategy in STRATEGIES {
        for name in ["nothing", "password", "end others", "disabled", "evicted", "reset"] {
            let gate = Gate::default();
            let app = app(strategy, &gate).await;
            let mut ada = app.browser().enter(ADA).await;
            let mut late = app.browser();
            let answer =
                gate.during(async { late.try_sign_in(ADA, PASSWORD).await }, act(&app, &mut ada, name)).await;
            let label = format!("{strategy}, {name}");
            let sessions = app.sessions(ADA).await.len();
            if name == "nothing" {
                assert_eq!(
                    (answer.status, late.me().await.0, sessions),
                    (200, 200, 2),
                    "{label}: the control"
                );
                continue;
            }
            assert_eq!(answer.status, 401, "{label}: {}", answer.body);
            assert!(answer.set_cookie("next-auth.session-token").is_none(), "{label}");
            assert_eq!(late.me().await.0, 401, "{label}");
            let left = usize::from(!["disabled", "reset"].contains(&name));
            assert_eq!(sessions, left, "{label}: what lives is not of the sign-in that was held");
        }
    }
}

#[rocket::async_test]
async fn a_sign_in_by_mail_that_was_overtaken_begins_no_session() {
    for strategy in STRATEGIES {
        let gate = Gate::default();
        let app = app(strategy, &gate).await;
        let mut ada = crate::email::enter_by_mail(&app, ADA).await;
        let mut late = app.browser();
        assert_eq!(crate::email::ask(&mut late, ADA).await.status, 302);
        let mail = app.mail(ADA, "Sign in").await;
        let sign_in = async { crate::email::follow(&mut late, mail.link().unwrap()).await };
        let answer = gate.during(sign_in, act(&app, &mut ada, "end others")).await;
        assert!(answer.set_cookie("next-auth.session-token").is_none(), "{strategy}: {}", answer.body);
        assert_eq!((late.me().await.0, ada.me().await.0), (401, 200), "{strategy}");
    }
}

/// Between the proofs there may be ten minutes.
#[rocket::async_test]
async fn a_first_proof_ends_with_what_ends_the_sessions() {
    for strategy in STRATEGIES {
        for name in ["nothing", "password", "end others", "reset"] {
            let gate = Gate::default();
            let app = app(strategy, &gate).await;
            let mut ada = app.browser().enter(ADA).await;
            let (phone, _) = switch_on(&app, &mut ada).await;
            app.clock.advance(60);
            let mut half = first_proof(&app, ADA).await;
            act(&app, &mut ada, name).await;
            let answer = second_proof(&mut half, &code(&phone, &app)).await;
            let expected = if name == "nothing" { 200 } else { 401 };
            assert_eq!((answer.status, half.me().await.0), (expected, expected), "{strategy}, {name}");
        }
    }
}

/// Two who know the password change it at the same moment: the second is told that it is another by now.
#[rocket::async_test]
async fn of_two_changes_of_one_password_the_first_holds() {
    let app = App::new("jwt").await;
    let mut one = app.browser().enter(ADA).await;
    let mut two = app.browser().enter_again(ADA).await;
    let (first, second) = (one.csrf().await, two.csrf().await);
    let fields = |token, new| [("csrfToken", token), ("currentPassword", PASSWORD), ("newPassword", new)];
    let path = "/api/auth/account/password";
    let wanted = ["the first new horse", "the second new horse"];
    let (of_one, of_two) = (fields(first.as_str(), wanted[0]), fields(second.as_str(), wanted[1]));
    let (a, b) = join!(one.form(path, &of_one), two.form(path, &of_two));
    let done = [a.status == 303, b.status == 303];
    assert_eq!(done.iter().filter(|done| **done).count(), 1, "{} {}", a.status, b.status);
    for (password, done) in wanted.into_iter().zip(done) {
        let entered = app.browser().try_sign_in(ADA, password).await.status == 200;
        assert_eq!(entered, done, "{password}");
    }
}
