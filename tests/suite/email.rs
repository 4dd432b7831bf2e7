//! Signing in by e-mail: the link, the code, and what strangers can do with either.

use rocket::http::{ContentType, Header, Method, Status};
use rocket::local::asynchronous::Client;
use scraper::{Html, Selector};
use serde_json::{Value, json};

use crate::app::{App, START, STRATEGIES, Setup};
use crate::browser::{Answer, Browser, PASSWORD, Steps as _};
use crate::data;

/// Asks for a link as a browser does.
pub(crate) async fn ask(browser: &mut Browser<'_>, email: &str) -> Answer {
    let token = browser.csrf().await;
    let fields = [("csrfToken", token.as_str()), ("email", email), ("callbackUrl", "/me")];
    browser.form("/api/auth/signin/email", &fields).await
}

/// Path and query of a link.
pub(crate) fn path_of(link: &str) -> &str {
    link.strip_prefix("http://localhost:8000").unwrap()
}

/// The value of a hidden field.
fn hidden(page: &Answer, name: &str) -> String {
    let selector = Selector::parse(&format!("main input[name={name}]")).unwrap();
    let document = Html::parse_document(&page.body);
    document.select(&selector).next().unwrap().value().attr("value").unwrap().to_owned()
}

/// Presses the button of the page a link leads to.
pub(crate) async fn press(browser: &mut Browser<'_>, page: &Answer) -> Answer {
    let selector = Selector::parse("main form").unwrap();
    let action = {
        let document = Html::parse_document(&page.body);
        document.select(&selector).next().unwrap().value().attr("action").unwrap().to_owned()
    };
    let (token, email, secret) = (hidden(page, "csrfToken"), hidden(page, "email"), hidden(page, "token"));
    let mut fields = vec![("csrfToken", token.as_str()), ("email", &email), ("token", &secret)];
    let url =
        if page.body.contains("name=\"callbackUrl\"") { hidden(page, "callbackUrl") } else { String::new() };
    if !url.is_empty() {
        fields.push(("callbackUrl", &url));
    }
    browser.form(&action, &fields).await
}

/// Follows a link and presses the button.
pub(crate) async fn follow(browser: &mut Browser<'_>, link: &str) -> Answer {
    let page = browser.visit(path_of(link)).await;
    assert_eq!(page.status, 200, "{}", page.location());
    press(browser, &page).await
}

pub(crate) async fn type_code(browser: &mut Browser<'_>, code: &str) -> Answer {
    let token = browser.csrf().await;
    browser.form("/api/auth/callback/email", &[("csrfToken", &token), ("code", code)]).await
}

/// A person who has signed in by mail.
pub(crate) async fn enter_by_mail<'a>(app: &'a App, email: &str) -> Browser<'a> {
    let mut browser = app.browser();
    assert_eq!(ask(&mut browser, email).await.status, 302);
    let mail = app.mail(email, "Sign in").await;
    assert_eq!(follow(&mut browser, mail.link().unwrap()).await.status, 302);
    browser
}

// ASVS: 6.5.1, 3.5.3
#[rocket::async_test]
async fn a_link_signs_in_once_by_its_button_on_whatever_device() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut asking = app.browser();
        let answer = ask(&mut asking, " New@Example.com ").await;
        let page = "http://localhost:8000/api/auth/verify-request?provider=email&type=email";
        assert_eq!((answer.status, answer.location()), (302, page));
        let mail = app.mail("new@example.com", "Sign in to Countersign").await;
        let link = mail.link().unwrap();
        assert!(link.starts_with("http://localhost:8000/api/auth/callback/email?callbackUrl=http%3A%2F%2Flocalhost%3A8000%2Fme&token="));
        // Scanners and previews come first, and may come as they like.
        for (method, header) in [
            (Method::Head, ("User-Agent", "Mail scanner")),
            (Method::Get, ("Purpose", "prefetch")),
            (Method::Get, ("Sec-Purpose", "prefetch;prerender")),
            (Method::Get, ("User-Agent", "bot")),
        ] {
            let mut scanner = app.browser().with_header(header.0, header.1);
            let answer = scanner.send(method, path_of(link), None).await;
            // A page, or a refusal to answer HEAD at all: nothing is used up either way.
            let expected = if method == Method::Head { 405 } else { 200 };
            assert_eq!(answer.status, expected, "{method} {header:?}");
            assert!(scanner.session().is_none(), "{method} {header:?}");
        }
        // The mail is read on a phone.
        let mut phone = app.browser();
        let answer = follow(&mut phone, link).await;
        assert_eq!((answer.status, answer.location()), (302, "http://localhost:8000/me"), "{strategy}");
        assert_eq!(phone.me().await, (200, "new@example.com".to_owned()), "{strategy}");
        assert_eq!(app.user("new@example.com").await.unwrap().email_verified_at, Some(START));
        // Once.
        let again = follow(&mut app.browser(), link).await;
        assert_eq!(
            (again.status, again.location()),
            (302, "http://localhost:8000/api/auth/error?error=Verification")
        );
        assert_eq!(asking.me().await.0, 401, "the link is used up, and this browser did not use it");
    }
}

#[rocket::async_test]
async fn a_script_is_answered_as_nextauth_answers() {
    let app = App::new("jwt").await;
    let mut browser = app.browser();
    let token = browser.csrf().await;
    let fields = |email: &'static str| {
        [("csrfToken", token.clone()), ("email", email.to_owned()), ("json", "true".to_owned())]
    };
    let send = |email| {
        let (mut browser, fields) = (browser.clone(), fields(email));
        async move {
            let fields: Vec<(&str, &str)> =
                fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            browser.form("/api/auth/signin/email", &fields).await
        }
    };
    let fine = send("ada@example.com").await;
    let page = "http://localhost:8000/api/auth/verify-request?provider=email&type=email";
    assert_eq!((fine.status, fine.json()["url"].as_str()), (200, Some(page)));
    for wrong in ["", "nobody", "a@evil.test@example.com", "A@Example.com,b@evil.test"] {
        let refused = send(wrong).await;
        let url = "http://localhost:8000/api/auth/error?error=EmailSignin";
        assert_eq!((refused.status, refused.json()["url"].as_str()), (400, Some(url)), "{wrong}");
    }
    let provider = app.browser().get("/api/auth/providers").await.json()["email"].clone();
    let expected = json!({
        "id": "email", "name": "Email", "type": "email",
        "signinUrl": "http://localhost:8000/api/auth/signin/email",
        "callbackUrl": "http://localhost:8000/api/auth/callback/email",
    });
    assert_eq!(provider, expected);
    let bare = app.browser().visit("/api/auth/callback/email?email=ada%40example.com").await;
    assert_eq!(bare.location(), "http://localhost:8000/api/auth/error?error=Verification");
}

// ASVS: 6.6.2
#[rocket::async_test]
async fn a_code_works_in_the_browser_that_asked_and_nowhere_else() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut asking = app.browser();
        ask(&mut asking, "ada@example.com").await;
        let mail = app.mail("ada@example.com", "Sign in").await;
        let code = mail.code().unwrap();
        assert!(asking.visit("/api/auth/verify-request").await.body.contains("one-time-code"));
        assert!(!app.browser().visit("/api/auth/verify-request").await.body.contains("one-time-code"));
        let mut stranger = app.browser();
        assert_eq!(type_code(&mut stranger, &code).await.status, 400);
        // Somebody who asked for a mail of their own cannot use this one's code.
        let mut eve = app.browser();
        ask(&mut eve, "eve@example.com").await;
        assert_eq!(type_code(&mut eve, &code).await.status, 400);
        let spaced = format!("{} {}", &code[..4], &code[4..]);
        let answer = type_code(&mut asking, &spaced).await;
        assert_eq!((answer.status, answer.location()), (302, "http://localhost:8000/me"), "{strategy}");
        assert_eq!(asking.me().await, (200, "ada@example.com".to_owned()));
        assert!(asking.cookie("countersign.mailed-code").is_none());
        // Code and link are one secret: the link went with it.
        let link = follow(&mut app.browser(), mail.link().unwrap()).await;
        assert!(link.location().ends_with("error=Verification"));
    }
}

// ASVS: 6.5.4, 6.6.3
#[rocket::async_test]
async fn a_code_is_dead_after_five_tries_even_if_the_sixth_is_right() {
    let app = App::new("jwt").await;
    let mut ada = app.browser();
    ask(&mut ada, "ada@example.com").await;
    let mail = app.mail("ada@example.com", "Sign in").await;
    let code = mail.code().unwrap();
    let wrong = if code == "00000000" { "00000001" } else { "00000000" };
    for _ in 0..5 {
        let answer = type_code(&mut ada, wrong).await;
        assert_eq!(answer.status, 400);
        assert!(answer.body.contains("aria-invalid"), "the form is shown again");
    }
    let answer = type_code(&mut ada, &code).await;
    assert_eq!(answer.status, 429);
    assert!(answer.header("retry-after").is_some());
    assert_eq!(ada.me().await.0, 401);
    // The link of the same mail is no guess.
    assert_eq!(follow(&mut ada, mail.link().unwrap()).await.status, 302);
    assert_eq!(ada.me().await.0, 200);
}

// ASVS: 6.5.5
#[rocket::async_test]
async fn what_was_mailed_ends_after_ten_minutes() {
    for (age, status) in [(599, 200), (601, 401)] {
        let app = App::new("jwt").await;
        let mut ada = app.browser();
        ask(&mut ada, "ada@example.com").await;
        let mail = app.mail("ada@example.com", "Sign in").await;
        app.clock.advance(age);
        follow(&mut ada, mail.link().unwrap()).await;
        assert_eq!(ada.me().await.0, status, "{age}");
        let mut eve = app.browser();
        ask(&mut eve, "eve@example.com").await;
        let code = app.mail("eve@example.com", "Sign in").await.code().unwrap();
        app.clock.advance(age);
        type_code(&mut eve, &code).await;
        assert_eq!(eve.me().await.0, status, "{age}");
    }
}

// ASVS: 6.6.2
#[rocket::async_test]
async fn a_secret_is_good_for_its_address_only() {
    let app = App::new("jwt").await;
    ask(&mut app.browser(), "ada@example.com").await;
    let mail = app.mail("ada@example.com", "Sign in").await;
    let secret = mail.link().unwrap().split("token=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let mut eve = app.browser();
    let token = eve.csrf().await;
    let upper = secret.to_uppercase();
    for (email, secret) in [
        ("eve@example.com", secret.as_str()),
        ("", &secret),
        ("ada@example.com", ""),
        ("ada@example.com", "x"),
        ("ada@example.com", &upper),
        ("ada@example.com", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
    ] {
        let fields = [("csrfToken", token.as_str()), ("email", email), ("token", secret), ("json", "true")];
        let answer = eve.form("/api/auth/callback/email", &fields).await;
        assert_eq!(answer.status, 400, "{email} {secret}");
        assert!(answer.json()["url"].as_str().unwrap().ends_with("error=Verification"));
    }
    for odd in [json!(0), json!(true), json!([]), json!({}), json!(null)] {
        let body = json!({ "csrfToken": token, "email": "ada@example.com", "token": odd });
        let status = eve.json("/api/auth/callback/email", &body).await.status;
        assert!((400..500).contains(&status) || status == 302, "{odd}: {status}");
        assert_eq!(eve.me().await.0, 401, "{odd}");
    }
    // Not wasted by any of it.
    follow(&mut eve, mail.link().unwrap()).await;
    assert_eq!(eve.me().await, (200, "ada@example.com".to_owned()));
}

/// The shape of an answer: everything but the values of random cookies.
pub(crate) fn shape(answer: &Answer) -> String {
    let names: Vec<&str> =
        answer.headers("set-cookie").into_iter().map(|header| header.split('=').next().unwrap()).collect();
    let sizes: Vec<usize> = answer.headers("set-cookie").into_iter().map(str::len).collect();
    format!("{} {} {} {names:?} {sizes:?}", answer.status, answer.location(), answer.body)
}

#[rocket::async_test]
async fn known_unknown_and_disabled_addresses_are_answered_alike() {
    let closed = "[default.auth.providers.email]\nsign_up = false\n";
    let app = Setup::new("jwt").toml(closed).start().await;
    app.browser().sign_up("known@example.com").await;
    app.browser().sign_up("off@example.com").await;
    app.mail("known@example.com", "Confirm").await;
    app.mail("off@example.com", "Confirm").await;
    app.disable("off@example.com").await;
    for path in ["/api/auth/signin/email", "/api/auth/forgot-password"] {
        let mut shapes = Vec::new();
        let mut calls = Vec::new();
        for email in ["known@example.com", "nobody@example.com", "off@example.com"] {
            let mut browser = app.browser();
            let token = browser.csrf().await;
            let before = app.store.calls();
            let answer = browser.form(path, &[("csrfToken", &token), ("email", email)]).await;
            calls.push(app.store.calls() - before);
            shapes.push(shape(&answer));
        }
        assert!(shapes.iter().all(|other| *other == shapes[0]), "{path}: {shapes:#?}");
        assert!(calls.iter().all(|other| *other == calls[0]), "{path}: {calls:?}");
    }
    // Only the mailbox knows.
    app.mail("known@example.com", "Sign in").await;
    app.mail("known@example.com", "Choose a new password").await;
    assert!(app.mails.all().is_empty(), "{:?}", app.mails.all());
}

/// Pre-account hijacking: somebody makes an account with a password for an address that is not theirs, and waits.
#[rocket::async_test]
async fn who_registered_an_address_in_advance_is_out_once_its_owner_arrives() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut squatter = app.browser().enter("victim@example.com").await;
        let mut waiting = app.browser();
        assert_eq!(waiting.try_sign_in("victim@example.com", PASSWORD).await.status, 200);
        let mut victim = app.browser();
        ask(&mut victim, "victim@example.com").await;
        let mail = app.mail("victim@example.com", "Sign in").await;
        follow(&mut victim, mail.link().unwrap()).await;
        assert_eq!(victim.me().await, (200, "victim@example.com".to_owned()), "{strategy}");
        assert_eq!(squatter.me().await, (401, "session_revoked".to_owned()), "{strategy}");
        assert_eq!(waiting.me().await.0, 401, "{strategy}");
        assert_eq!(app.browser().try_sign_in("victim@example.com", PASSWORD).await.status, 401);
        app.mail("victim@example.com", "Your account at Countersign is yours alone").await;
        // From now on the address is proven: the next link changes nothing but the browser's session.
        let mut second = app.browser();
        ask(&mut second, "victim@example.com").await;
        let mail = app.mail("victim@example.com", "Sign in").await;
        follow(&mut second, mail.link().unwrap()).await;
        assert_eq!((second.me().await.0, victim.me().await.0), (200, 200));
    }
}

#[rocket::async_test]
async fn a_session_is_replaced_and_a_preset_one_is_not_kept() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = enter_by_mail(&app, "ada@example.com").await;
        let before = ada.session().unwrap().to_owned();
        ask(&mut ada, "ada@example.com").await;
        let mail = app.mail("ada@example.com", "Sign in").await;
        follow(&mut ada, mail.link().unwrap()).await;
        assert_ne!(ada.session().unwrap(), before);
        let mut old = app.browser();
        old.set_cookie("next-auth.session-token", &before);
        assert_eq!(old.me().await.0, 401, "{strategy}");
    }
}

#[rocket::async_test]
async fn mails_are_limited_by_recipient_and_by_client() {
    let app = Setup::new("jwt").toml("[default.auth.limits]\nmails_per_address = 8\n").start().await;
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.push(ask(&mut app.browser(), "ada@example.com").await.status);
    }
    assert_eq!(statuses, [302, 302, 302, 302, 302, 429], "five to one recipient, whoever asks");
    assert_eq!(ask(&mut app.browser(), "ADA@example.com").await.status, 429, "in whatever spelling");
    for name in ["b", "c", "d"] {
        assert_eq!(ask(&mut app.browser(), &format!("{name}@example.com")).await.status, 302);
    }
    let refused = ask(&mut app.browser(), "e@example.com").await;
    assert_eq!(refused.status, 429, "eight from one client");
    assert!(refused.header("retry-after").is_some());
    app.clock.advance(901);
    assert_eq!(ask(&mut app.browser(), "ada@example.com").await.status, 302);
}

#[rocket::async_test]
async fn hostile_addresses_are_one_recipient_or_none() {
    let toml = "[default.auth.limits]\nmails_per_address = 1000\nmails_per_recipient = 1000\nmails_per_recipient_everywhere = 1000\n";
    let app = Setup::new("jwt").toml(toml).start().await;
    let corpus = data::read("corpus", "usernames.json");
    let (mut sent, mut refused) = (0, 0);
    for entry in corpus["entries"].as_array().unwrap().iter().filter(|entry| entry["kind"] == "email") {
        let address = match (&entry["value"], entry["repeat"].as_array()) {
            (Value::String(text), _) => text.clone(),
            (_, Some(repeat)) => {
                let times = usize::try_from(repeat[1].as_u64().unwrap()).unwrap();
                repeat[0].as_str().unwrap().repeat(times)
            }
            _ => continue,
        };
        let id = entry["id"].as_str().unwrap();
        let answer = ask(&mut app.browser(), &address).await;
        let accepted = answer.location().contains("verify-request");
        match entry["expected"].as_str().unwrap() {
            "accept" | "normalise" => assert!(accepted, "{id} {address:?}"),
            "reject_4xx" => assert!(!accepted, "{id} {address:?}"),
            _ => {}
        }
        if accepted {
            let canonical = address.trim().to_lowercase();
            let mail = app.mail(&canonical, "Sign in").await;
            assert_eq!(mail.to.as_str(), canonical, "{id}: exactly what was stored and checked");
            let links = Html::parse_document(&mail.html);
            let hrefs = Selector::parse("a[href]").unwrap();
            assert_eq!(links.select(&hrefs).count(), 1, "{id}: one link, ours");
            sent += 1;
        } else {
            assert!(answer.location().ends_with("error=EmailSignin"), "{id}: {}", answer.location());
            refused += 1;
        }
        assert!(app.mails.all().is_empty(), "{id}: nobody else is written to");
    }
    assert!(sent >= 8 && refused >= 25, "{sent} sent, {refused} refused");
}

#[rocket::async_test]
async fn links_come_from_the_configured_url_alone() {
    let app = App::new("jwt").await;
    let mut odd =
        app.browser().with_header("X-Forwarded-Host", "evil.example").with_header("Host", "evil.example");
    ask(&mut odd, "ada@example.com").await;
    let mail = app.mail("ada@example.com", "Sign in").await;
    assert!(!mail.text.contains("evil") && !mail.html.contains("evil"), "{}", mail.text);
}

#[rocket::async_test]
async fn mails_speak_the_language_of_the_page() {
    let app = App::new("jwt").await;
    let mut kim = app.browser().with_header("Accept-Language", "ko");
    ask(&mut kim, "kim@example.com").await;
    let mail = app.mail("kim@example.com", "Countersign 로그인").await;
    assert!(mail.text.contains("10분 동안 한 번만") && mail.html.contains("lang=\"ko\""), "{}", mail.text);
}

#[rocket::async_test]
async fn a_provider_that_is_switched_off_is_none() {
    let app = Setup::new("jwt").toml("[default.auth.providers.email]\nenabled = false\n").start().await;
    assert!(app.browser().get("/api/auth/providers").await.json()["email"].is_null());
    assert!(!app.browser().visit("/api/auth/signin").await.body.contains("signin/email"));
    assert_eq!(ask(&mut app.browser(), "ada@example.com").await.status, 400);
    assert!(app.mails.all().is_empty());
    // Mail is still good for everything else.
    assert_eq!(app.browser().visit("/api/auth/forgot-password").await.status, 200);
}

#[rocket::async_test]
async fn without_passwords_the_link_is_the_way_in() {
    let app = Setup::new("jwt").toml("[default.auth.providers.credentials]\nenabled = false\n").start().await;
    let page = app.browser().visit("/api/auth/signin").await;
    assert!(!page.body.contains("type=\"password\"") && page.body.contains("/signin/email"));
    let mut ada = enter_by_mail(&app, "ada@example.com").await;
    assert_eq!(ada.me().await.0, 200);
    assert_eq!(app.browser().visit("/api/auth/forgot-password").await.status, 400);
}

#[rocket::async_test]
async fn newcomers_go_to_the_page_for_newcomers() {
    let app = Setup::new("jwt").toml("[default.auth.pages]\nnew_user = \"/welcome\"\n").start().await;
    let mut ada = app.browser();
    for expected in [
        "http://localhost:8000/welcome?callbackUrl=http%3A%2F%2Flocalhost%3A8000%2Fme",
        "http://localhost:8000/me",
    ] {
        ask(&mut ada, "ada@example.com").await;
        let mail = app.mail("ada@example.com", "Sign in").await;
        assert_eq!(follow(&mut ada, mail.link().unwrap()).await.location(), expected);
    }
}

#[rocket::async_test]
async fn a_foreign_callback_url_is_not_mailed() {
    let app = App::new("jwt").await;
    let mut ada = app.browser();
    let token = ada.csrf().await;
    let fields = [
        ("csrfToken", token.as_str()),
        ("email", "ada@example.com"),
        ("callbackUrl", "https://evil.example/x"),
    ];
    ada.form("/api/auth/signin/email", &fields).await;
    let mail = app.mail("ada@example.com", "Sign in").await;
    assert!(!mail.text.contains("evil"));
    let changed = mail
        .link()
        .unwrap()
        .replace("callbackUrl=http%3A%2F%2Flocalhost%3A8000", "callbackUrl=https%3A%2F%2Fevil.example");
    assert!(changed.contains("evil"));
    assert_eq!(follow(&mut ada, &changed).await.location(), "http://localhost:8000");
}

/// 32 who use one link, and 32 who type one code: one gets in.
#[rocket::async_test]
async fn of_many_at_once_one_gets_in() {
    for strategy in STRATEGIES {
        for by_code in [false, true] {
            let app = App::new(strategy).await;
            let mut asking = app.browser();
            ask(&mut asking, "ada@example.com").await;
            let mail = app.mail("ada@example.com", "Sign in").await;
            let page = asking.visit(path_of(mail.link().unwrap())).await;
            let code = mail.code().unwrap();
            let entries = (0..32).map(|_| {
                let (mut browser, page, code) = (asking.clone(), &page, &code);
                async move {
                    let answer = if by_code {
                        type_code(&mut browser, code).await
                    } else {
                        press(&mut browser, page).await
                    };
                    (browser.session().is_some(), answer.status)
                }
            });
            let outcomes = rocket::futures::future::join_all(entries).await;
            let entered = outcomes.iter().filter(|(entered, _)| *entered).count();
            assert_eq!(entered, 1, "{strategy}, by code: {by_code}: {outcomes:?}");
            // Nobody was told "unknown": where the store is out of time, the one who is in may be the one who is not told.
            assert!(outcomes.iter().all(|(_, status)| *status < 500), "{strategy}: {outcomes:?}");
        }
    }
}

#[rocket::async_test]
async fn the_outbox_is_shown_to_this_machine_in_the_debug_profile_and_is_absent_otherwise() {
    for (profile, mounted) in [("debug", true), ("release", false)] {
        let folder = tempfile::TempDir::new().unwrap();
        let figment = crate::app::figment("jwt", "", folder.path()).select(profile);
        let rocket = rocket::custom(figment).attach(countersign::Countersign::fairing());
        let client = Client::untracked(rocket).await.unwrap();
        let mut ada = Browser::new(&client);
        let asked = ask(&mut ada, "ada@example.com").await;
        assert_eq!(asked.status, if mounted { 302 } else { 400 }, "{profile}: {}", asked.body);
        let look = |from: &'static str| {
            let request = client.get("/api/auth/outbox").header(Header::new("Accept", "text/html"));
            async move { request.remote(from.parse().unwrap()).dispatch().await }
        };
        let mut body = String::new();
        for _ in 0..100 {
            let answer = look("127.0.0.1:4000").await;
            assert_eq!(answer.status(), if mounted { Status::Ok } else { Status::BadRequest }, "{profile}");
            body = answer.into_string().await.unwrap();
            if !mounted || body.contains("ada@example.com") {
                break;
            }
            rocket::tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(body.contains("callbackUrl=http%3A%2F%2Flocalhost"), mounted, "{body}");
        if mounted {
            assert_eq!(look("192.0.2.1:4000").await.status(), Status::NotFound);
        }
    }
}

#[rocket::async_test]
async fn a_user_whose_row_is_gone_takes_their_links_along() {
    let app = App::new("jwt").await;
    for (email, is_deleted) in [("ada@example.com", true), ("eve@example.com", false)] {
        app.add_user(email, None).await;
        let mut browser = app.browser();
        ask(&mut browser, email).await;
        let mail = app.mail(email, "Sign in").await;
        if is_deleted {
            app.delete_user(email).await;
        }
        follow(&mut browser, mail.link().unwrap()).await;
        assert_eq!(browser.me().await.0, if is_deleted { 401 } else { 200 }, "{email}");
    }
}

#[rocket::async_test]
async fn other_content_types_are_refused() {
    let app = App::new("jwt").await;
    let body = Some((ContentType::Plain, "{}".to_owned()));
    for path in ["/api/auth/signin/email", "/api/auth/callback/email", "/api/auth/forgot-password"] {
        assert_eq!(app.browser().send(Method::Post, path, body.clone()).await.status, 415, "{path}");
    }
}
