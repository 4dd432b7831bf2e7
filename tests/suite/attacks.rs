//! What an attacker tries who has something real: a stolen cookie, a password without the second factor, a mailbox for a
//! minute, a parallel request.

use countersign::clock::Timestamp;
use countersign::guards::Auth;
use countersign::token::{Claims, Codec, CodecOptions};
use countersign::{Scope, ScopeName};

use crate::account_life::post;
use crate::app::{App, START, STRATEGIES, Setup};
use crate::browser::{Answer, Browser, PASSWORD, Steps as _};
use crate::dump::Dump;
use crate::email::{ask, enter_by_mail, follow, path_of};
use crate::factors::{code, first_proof, second_proof, switch_on};
use crate::idp::{Idp, Reply};
use crate::oidc::{ERROR, ada, sign_in};

const NEW: &str = "another good password";

struct Read;

impl ScopeName for Read {
    const NAME: &'static str = "read";
}

#[rocket::get("/notes")]
fn notes(caller: Scope<Read>) -> String {
    caller.user().email.to_string()
}

async fn app(strategy: &str) -> App {
    Setup::new(strategy).build(|rocket| rocket.mount("/", rocket::routes![notes])).start().await
}

/// A personal access token, as a thief makes one in a stolen session.
async fn token_of(browser: &mut Browser<'_>) -> String {
    let fields = [("name", "script"), ("scope.read", "on"), ("days", "300")];
    let shown = post(browser, "account/tokens", &fields).await;
    let at = shown.body.find("cst_").unwrap_or_else(|| panic!("no token: {}", shown.body));
    shown.body[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect()
}

async fn notes_by(app: &App, token: &str) -> u16 {
    let mut script = app.browser().with_header("Authorization", &format!("Bearer {token}"));
    script.get("/notes").await.status
}

/// What a link's page sends for a new password.
async fn reset(browser: &mut Browser<'_>, link: &str, password: &str) -> Answer {
    let url = url::Url::parse(link).unwrap();
    let of = |name: &str| url.query_pairs().find(|(own, _)| own == name).unwrap().1.into_owned();
    let (email, token) = (of("email"), of("token"));
    let fields = [("email", email.as_str()), ("token", &token), ("password", password)];
    post(browser, "reset-password", &fields).await
}

/// The mailbox was open for a minute: the link that was asked for then is worth nothing once the owner has acted.
#[rocket::async_test]
async fn a_reset_link_dies_when_the_password_changes() {
    for strategy in STRATEGIES {
        let app = app(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        assert_eq!(
            post(&mut app.browser(), "forgot-password", &[("email", "ada@example.com")]).await.status,
            303
        );
        let mail = app.mail("ada@example.com", "Choose a new password").await;
        let change = [("currentPassword", PASSWORD), ("newPassword", NEW)];
        assert_eq!(post(&mut ada, "account/password", &change).await.status, 303, "{strategy}");
        let mut eve = app.browser();
        let late = reset(&mut eve, mail.link().unwrap(), "a password of the thief").await;
        assert_eq!(late.status, 400, "{strategy}: {}", late.body);
        assert_eq!(app.browser().try_sign_in("ada@example.com", NEW).await.status, 200, "{strategy}");
    }
}

/// A token that was made in a stolen session ends with that session, whichever way the owner throws the thief out.
#[rocket::async_test]
async fn an_access_token_ends_with_the_proofs_of_its_time() {
    for strategy in STRATEGIES {
        let app = app(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let by_password = token_of(&mut app.browser().enter_again("ada@example.com").await).await;
        assert_eq!(notes_by(&app, &by_password).await, 200, "{strategy}");
        let change = [("currentPassword", PASSWORD), ("newPassword", NEW)];
        assert_eq!(post(&mut ada, "account/password", &change).await.status, 303, "{strategy}");
        assert_eq!(notes_by(&app, &by_password).await, 401, "{strategy}: a new password");

        let before_codes = token_of(&mut ada).await;
        assert_eq!(notes_by(&app, &before_codes).await, 200, "{strategy}");
        switch_on(&app, &mut ada).await;
        assert_eq!(notes_by(&app, &before_codes).await, 401, "{strategy}: codes switched on");

        let before_reset = token_of(&mut ada).await;
        post(&mut app.browser(), "forgot-password", &[("email", "ada@example.com")]).await;
        let mail = app.mail("ada@example.com", "Choose a new password").await;
        assert_eq!(reset(&mut app.browser(), mail.link().unwrap(), PASSWORD).await.status, 303, "{strategy}");
        assert_eq!(notes_by(&app, &before_reset).await, 401, "{strategy}: a reset");
    }
}

/// A change of address that was asked for in a stolen session cannot be finished by whoever has the cookie still.
#[rocket::async_test]
async fn a_pending_address_dies_with_the_password_it_was_asked_under() {
    for strategy in STRATEGIES {
        let app = app(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        assert_eq!(post(&mut ada, "account/email", &[("email", "eve@example.com")]).await.status, 303);
        let mail = app.mail("eve@example.com", "Confirm your new address").await;
        let change = [("currentPassword", PASSWORD), ("newPassword", NEW)];
        assert_eq!(post(&mut ada, "account/password", &change).await.status, 303, "{strategy}");
        assert!(path_of(mail.link().unwrap()).starts_with("/api/auth/change-email"), "{strategy}");
        assert_eq!(follow(&mut ada, mail.link().unwrap()).await.status, 400, "{strategy}");
        assert!(app.user("ada@example.com").await.is_some(), "{strategy}");
    }
}

/// A token of another program that shares the secret: it names nobody's proof, only when it was issued.
fn foreign_token(app: &App, user: &str, issued: Timestamp) -> String {
    let config = &app.client().rocket().state::<Auth>().unwrap().config;
    let codec = Codec::new(CodecOptions {
        secrets: &config.secrets,
        mint: config.jwt.format,
        accept: &[],
        secure_cookies: false,
        max_age: config.session.max_age,
    });
    let mut claims = Claims::default();
    claims.set("sub", user);
    claims.set("email", "ada@example.com");
    codec.mint(&claims, issued, issued.plus(config.session.max_age)).unwrap()
}

/// Another program issues its tokens anew without asking anybody, and so does our own renewal: neither is a recent proof, and
/// neither makes a session younger than it is.
#[rocket::async_test]
async fn a_token_that_is_issued_anew_is_no_recent_proof() {
    let app = app("jwt").await;
    app.browser().sign_up("ada@example.com").await;
    let ada = app.user("ada@example.com").await.unwrap().id;
    let mut thief = app.browser();
    thief.set_cookie("next-auth.session-token", &foreign_token(&app, ada.as_str(), START));
    assert_eq!(thief.me().await.0, 200, "it is a session");
    let refused = thief.get("/api/auth/account/data").await;
    assert_eq!((refused.status, &refused.json()["code"]), (403, &"reauthentication_required".into()));
    app.clock.advance(3 * 24 * 60 * 60);
    let token = thief.csrf().await;
    let updated =
        thief.json("/api/auth/session", &serde_json::json!({ "csrfToken": token, "data": {} })).await;
    assert_eq!(updated.status, 200);
    let claims = thief.get("/claims").await.json();
    assert!(claims["iat"].as_i64() > Some(START.0), "it was issued anew: {claims}");
    assert_eq!(claims["auth_time"], START.0, "and is as old as it was");
    assert_eq!(thief.get("/api/auth/account/data").await.status, 403);
    // A session of our own is recent, and then not.
    let mut own = app.browser().enter_again("ada@example.com").await;
    assert_eq!(own.get("/api/auth/account/data").await.status, 200);
    app.clock.advance(901);
    assert_eq!(own.get("/api/auth/account/data").await.status, 403);
}

/// An administrator's cookie, found an hour later: it shows people, and changes nothing about them.
#[rocket::async_test]
async fn an_administrator_acts_after_a_recent_proof_only() {
    for strategy in STRATEGIES {
        let app = app(strategy).await;
        app.browser().sign_up("eve@example.com").await;
        let eve = app.user("eve@example.com").await.unwrap().id;
        let mut ada = app.browser().enter("ada@example.com").await;
        app.grant_role("ada@example.com", "admin").await;
        let path = format!("admin/users/{eve}");
        app.clock.advance(901);
        assert_eq!(ada.get(&format!("/api/auth/{path}")).await.status, 200, "{strategy}");
        for act in [[("act", "grant"), ("role", "admin")], [("act", "remove_factors"), ("role", "")]] {
            let refused = post(&mut ada, &path, &act).await;
            assert_eq!((refused.status, &refused.json()["code"]), (403, &"reauthentication_required".into()));
        }
        assert!(app.roles("eve@example.com").await.is_empty(), "{strategy}");
        let mut ada = app.browser().enter_again("ada@example.com").await;
        let granted = post(&mut ada, &path, &[("act", "grant"), ("role", "editor")]).await;
        assert_eq!(granted.status, 303, "{strategy}");
    }
}

/// Signing out leaves nothing half-done behind for whoever sits down next.
#[rocket::async_test]
async fn signing_out_ends_what_waits_in_this_browser() {
    let app = app("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    switch_on(&app, &mut ada).await;
    let mut half = first_proof(&app, "ada@example.com").await;
    ask(&mut half, "ada@example.com").await;
    assert!(half.cookie("countersign.pending").is_some() && half.cookie("countersign.mailed-code").is_some());
    half.sign_out().await;
    assert!(half.cookie("countersign.pending").is_none() && half.cookie("countersign.mailed-code").is_none());
}

/// One client uses up its own mails to an address, by whatever form, and not those of the address's owner.
#[rocket::async_test]
async fn one_client_cannot_keep_somebody_from_being_written_to() {
    let toml = "[default.auth]\ntrusted_proxies = [\"192.0.2.1\"]\n";
    let app = Setup::new("jwt").toml(toml).start().await;
    let at = |network: &str| app.browser().with_header("X-Forwarded-For", network);
    let forgot = |network: &'static str| async move {
        let mut browser = at(network);
        post(&mut browser, "forgot-password", &[("email", "ada@example.com")]).await.status
    };
    app.browser().sign_up("ada@example.com").await;
    for _ in 0..3 {
        at("198.51.100.1").sign_up("ada@example.com").await;
    }
    let statuses = [forgot("198.51.100.1").await, forgot("198.51.100.1").await, forgot("198.51.100.1").await];
    assert_eq!(statuses, [303, 303, 429], "five from one client");
    assert_eq!(forgot("203.0.113.9").await, 303, "and the owner is written to all the same");
    // From many networks together there is an end to it, too.
    for network in ["203.0.113.1", "203.0.113.2", "203.0.113.3"] {
        for _ in 0..5 {
            forgot(network).await;
        }
    }
    assert_eq!(forgot("203.0.113.4").await, 429);
    let records = app.audit_records().await;
    let limits = records.iter().filter(|record| record.entry.event == "limit.hit");
    assert!(limits.count() >= 2, "and the log tells");
}

/// A site whose word about addresses is believed (`link_by_email`) gives the first proof. Whoever has that alone, for as long
/// as they read the mailbox, leaves no way in behind that lasts.
#[rocket::async_test]
async fn a_first_proof_leaves_no_link_behind() {
    for strategy in STRATEGIES {
        let idp = Idp::start().await;
        let toml = format!("{}link_by_email = true\n", idp.toml("acme"));
        let app = Setup::new(strategy).toml(&toml).start().await;
        let mut ada = enter_by_mail(&app, "ada@example.com").await;
        let (phone, _) = switch_on(&app, &mut ada).await;
        let there = serde_json::json!({ "sub": "eve", "email": "ada@example.com", "email_verified": true });
        let mut eve = app.browser();
        let answer = sign_in(&mut eve, &idp, &there).await;
        assert!(answer.location().ends_with("/api/auth/factor"), "{strategy}: {}", answer.location());
        assert_eq!(eve.me().await.0, 401, "{strategy}");
        assert!(app.linked_accounts("ada@example.com").await.is_empty(), "{strategy}: no link");
        app.clock.advance(60);
        assert_eq!(second_proof(&mut eve, &code(&phone, &app)).await.status, 200, "{strategy}");
        assert_eq!(eve.me().await.0, 200, "{strategy}: both proofs sign in");
    }
}

/// Whoever holds the mailbox for a minute gets an account whose address nobody confirmed, and its holder is disarmed as a
/// squatter. A factor there would guard nothing, so there is none; once the address is confirmed there may be, and the mailbox
/// opens nothing any more.
#[rocket::async_test]
async fn a_mailbox_for_a_minute_beats_no_second_factor() {
    for strategy in STRATEGIES {
        let app = app(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        let confirmation = app.mail("ada@example.com", "Confirm").await;
        let totp = "account/security/totp";
        let refused = ada.get(&format!("/api/auth/{totp}")).await;
        assert_eq!((refused.status, &refused.json()["code"]), (403, &"email_unconfirmed".into()));
        for (path, fields) in [
            (totp, vec![("secret", "x"), ("code", "000000")]),
            ("account/security/passkeys/options", vec![]),
            ("account/security/passkeys", vec![("credential", "{}"), ("name", "x")]),
            ("account/security/recovery-codes", vec![]),
        ] {
            let refused = post(&mut ada, path, &fields).await;
            let code = refused.json()["code"].clone();
            assert_eq!((refused.status, code), (403, "email_unconfirmed".into()), "{strategy}: {path}");
        }
        let factors = app.factors("ada@example.com").await;
        assert_eq!((factors.is_on(), factors.recovery_codes), (false, 0), "{strategy}");

        assert!(follow(&mut ada, confirmation.link().unwrap()).await.location().ends_with("email_verified"));
        let (phone, _) = switch_on(&app, &mut ada).await;
        app.clock.advance(60);
        let mut eve = app.browser();
        ask(&mut eve, "ada@example.com").await;
        let mail = app.mail("ada@example.com", "Sign in").await;
        let answer = follow(&mut eve, mail.link().unwrap()).await;
        assert!(answer.location().ends_with("/api/auth/factor"), "{strategy}: {}", answer.location());
        post(&mut app.browser(), "forgot-password", &[("email", "ada@example.com")]).await;
        let mail = app.mail("ada@example.com", "Choose a new password").await;
        assert_eq!(reset(&mut app.browser(), mail.link().unwrap(), NEW).await.status, 303, "{strategy}");
        let mut eve = app.browser();
        let answer = eve.try_sign_in("ada@example.com", NEW).await;
        assert!(answer.json()["url"].as_str().unwrap().ends_with("/api/auth/factor"), "{strategy}");
        assert_eq!(eve.me().await.0, 401, "{strategy}");
        assert!(app.factors("ada@example.com").await.is_on(), "{strategy}");
        assert_eq!(
            second_proof(&mut eve, &code(&phone, &app)).await.status,
            200,
            "{strategy}: her own proof"
        );
    }
}

/// Each return from another site leaves a note and asks that site something: whoever returns again and again with nothing is
/// stopped before either.
#[rocket::async_test]
async fn returns_that_come_to_nothing_are_counted_by_address() {
    let idp = Idp::start().await;
    let limits =
        "[default.auth]\ntrusted_proxies = [\"192.0.2.1\"]\n[default.auth.limits]\nper_address = 3\n";
    let app = Setup::new("jwt").toml(&idp.toml("acme")).toml(limits).start().await;
    idp.follow(&app.clock);
    let dump = Dump::of(&app).await;
    let at = |network: &str| app.browser().with_header("X-Forwarded-For", network);
    idp.answer("/token", |_| Reply::with(400, "application/json", "{}"));
    for _ in 0..3 {
        assert_eq!(sign_in(&mut at("198.51.100.1"), &idp, &ada()).await.location(), ERROR);
    }
    let (before, asked) = (dump.state().await, idp.asked("/token"));
    let refused = sign_in(&mut at("198.51.100.1"), &idp, &ada()).await;
    assert_eq!((refused.status, &refused.json()["code"]), (429, &"rate_limited".into()));
    assert!(refused.header("retry-after").is_some() && refused.headers("set-cookie").is_empty());
    assert_eq!(
        (dump.state().await, idp.asked("/token")),
        (before, asked),
        "nothing was kept, nobody was asked"
    );

    idp.heal();
    for _ in 0..5 {
        let answer = sign_in(&mut at("203.0.113.9"), &idp, &ada()).await;
        assert!(
            answer.location().ends_with("/after"),
            "who is vouched for is not counted: {}",
            answer.location()
        );
    }
    assert_eq!(
        sign_in(&mut at("198.51.100.1"), &idp, &ada()).await.status,
        429,
        "another one's word is not theirs"
    );
    app.clock.advance(901);
    assert!(sign_in(&mut at("198.51.100.1"), &idp, &ada()).await.location().ends_with("/after"));
}

/// An account at another site is unlinked because somebody else has it: whoever came in by it is out, and so is what they left
/// behind.
#[rocket::async_test]
async fn an_account_that_is_unlinked_keeps_nobody_in() {
    for strategy in STRATEGIES {
        let idp = Idp::start().await;
        let app = Setup::new(strategy)
            .toml(&idp.toml("acme"))
            .build(|rocket| rocket.mount("/", rocket::routes![notes]))
            .start()
            .await;
        idp.follow(&app.clock);
        let mut own = enter_by_mail(&app, "ada@example.com").await;
        let elsewhere = enter_by_mail(&app, "ada@example.com").await;
        sign_in(&mut own, &idp, &ada()).await;
        let mut eve = app.browser();
        sign_in(&mut eve, &idp, &ada()).await;
        let token = token_of(&mut eve).await;
        assert_eq!((eve.me().await.0, notes_by(&app, &token).await), (200, 200), "{strategy}");
        // From one session into another, by an address that reads her mail.
        post(&mut eve, "account/email", &[("email", "eve@example.com")]).await;
        let pending = app.mail("eve@example.com", "Confirm your new address").await;
        let link = app.linked_accounts("ada@example.com").await[0].id.clone();
        let gone = post(&mut own, "account/unlink", &[("id", &link)]).await;
        assert!(gone.location().ends_with("notice=account_unlinked"), "{strategy}: {}", gone.location());
        assert_eq!(own.me().await.0, 200, "{strategy}: where it was done");
        assert_eq!(elsewhere.clone().me().await.0, 401, "{strategy}: whoever that is");
        assert_eq!((eve.me().await.0, notes_by(&app, &token).await), (401, 401), "{strategy}");
        let late = follow(&mut own, pending.link().unwrap()).await;
        assert!(!late.location().ends_with("notice=email_changed"), "{strategy}: {}", late.location());
    }
}
