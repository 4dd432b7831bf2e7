//! Forms that are refused: said why beside the field, with what was typed kept, on a page that leads on.

use scraper::{Html, Selector};

use crate::app::App;
use crate::browser::{Answer, Browser, PASSWORD, Steps as _};

fn attribute(page: &Answer, selector: &str, name: &str) -> String {
    let document = Html::parse_document(&page.body);
    let found = document.select(&Selector::parse(selector).unwrap()).next();
    found.and_then(|element| element.value().attr(name)).unwrap_or_default().to_owned()
}

/// Sends a form as a browser does that stands on a page.
async fn send(browser: Browser<'_>, path: &str, fields: &[(&str, &str)]) -> Answer {
    let mut browser = browser.with_header("Accept", "text/html");
    let token = browser.csrf().await;
    let mut all = vec![("csrfToken", token.as_str())];
    all.extend(fields);
    browser.form(path, &all).await
}

#[rocket::async_test]
async fn a_wrong_password_on_the_page_keeps_the_address() {
    let app = App::new("jwt").await;
    app.browser().sign_up("ada@example.com").await;
    for email in ["ada@example.com", "nobody@example.com"] {
        let fields = [("email", email), ("password", "a wrong password"), ("callbackUrl", "/page")];
        let own = [&fields[..], &[("page", "signin")]].concat();
        let page = send(app.browser(), "/api/auth/callback/credentials", &own).await;
        assert_eq!(page.status, 401);
        assert_eq!(attribute(&page, "#email", "value"), email);
        assert_eq!(attribute(&page, "#password", "value"), "");
        assert_eq!(attribute(&page, "input[name=callbackUrl]", "value"), "http://localhost:8000/page");
        assert!(page.body.contains("role=\"alert\"") && !page.body.contains("a wrong password"));
        assert_eq!(
            attribute(&page, "input[name=returnTo]", "value"),
            "http://localhost:8000/api/auth/signin"
        );
        // Whoever does not say that it is our page gets what NextAuth answers.
        let redirected = send(app.browser(), "/api/auth/callback/credentials", &fields).await;
        assert_eq!(redirected.status, 302);
        let expected = "http://localhost:8000/api/auth/error?error=CredentialsSignin&provider=credentials";
        assert_eq!(redirected.location(), expected);
    }
    let fields = [("email", "no address"), ("page", "signin")];
    let page = send(app.browser(), "/api/auth/signin/email", &fields).await;
    assert_eq!((page.status, attribute(&page, "#email", "value")), (400, "no address".to_owned()));
    assert_eq!(attribute(&page, "#email", "aria-invalid"), "true");
}

#[rocket::async_test]
async fn a_wrong_password_at_a_confirmation_stays_there() {
    let app = App::new("jwt").await;
    let ada = app.browser().enter("ada@example.com").await;
    let fields = [
        ("email", "ada@example.com"),
        ("password", "a wrong password"),
        ("page", "reauthenticate"),
        ("callbackUrl", "/api/auth/account/security"),
    ];
    let page = send(ada, "/api/auth/callback/credentials", &fields).await;
    assert_eq!(page.status, 401);
    assert_eq!(attribute(&page, "#password", "aria-invalid"), "true");
    let wanted = "http://localhost:8000/api/auth/account/security";
    assert_eq!(attribute(&page, "input[name=callbackUrl]", "value"), wanted);
    // Nobody is signed in here: the answer tells nothing of an account.
    let page = send(app.browser(), "/api/auth/callback/credentials", &fields).await;
    assert_eq!(page.status, 302);
}

#[rocket::async_test]
async fn what_was_typed_is_kept() {
    let app = App::new("jwt").await;
    for (path, field, typed) in [
        ("/api/auth/account/name", "name", "n".repeat(201)),
        ("/api/auth/account/email", "email", "\"><b>no address".to_owned()),
    ] {
        let ada = app.browser().enter(&format!("{field}@example.com")).await;
        let page = send(ada, path, &[(field, &typed)]).await;
        assert_eq!(page.status, 400, "{path}");
        assert_eq!(attribute(&page, &format!("#{field}"), "value"), typed, "{path}");
        assert_eq!(attribute(&page, &format!("#{field}"), "aria-invalid"), "true", "{path}");
        assert_eq!(
            attribute(&page, "input[name=returnTo]", "value"),
            "http://localhost:8000/api/auth/account",
            "{path}"
        );
    }
}

#[rocket::async_test]
async fn every_mistake_of_a_new_token_is_told_at_once() {
    let app = App::new("jwt").await;
    let ada = app.browser().enter("ada@example.com").await;
    let page = send(ada, "/api/auth/account/tokens", &[("name", ""), ("days", "400")]).await;
    assert_eq!(page.status, 400);
    for target in ["#name", "#scope-1", "#days"] {
        let link = format!("[role=alert] a[href='{target}']");
        assert_eq!(attribute(&page, &link, "href"), target);
    }
    assert_eq!(attribute(&page, "#days", "value"), "400");
    let grace = app.browser().enter("grace@example.com").await;
    let fields = [("name", " "), ("days", "30"), ("scope.write", "on")];
    let page = send(grace, "/api/auth/account/tokens", &fields).await;
    let document = Html::parse_document(&page.body);
    let ticked = Selector::parse("input[type=checkbox][checked]").unwrap();
    let names: Vec<_> = document.select(&ticked).map(|found| found.value().attr("name").unwrap()).collect();
    assert_eq!((page.status, names), (400, vec!["scope.write"]));
}

#[rocket::async_test]
async fn a_mistyped_first_code_does_not_mean_a_new_picture() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await.with_header("Accept", "text/html");
    app.confirm("ada@example.com").await;
    let path = "/api/auth/account/security/totp";
    let shown = ada.visit(path).await;
    let secret = |page: &Answer| {
        let document = Html::parse_document(&page.body);
        let selector = Selector::parse("#totp-secret").unwrap();
        document.select(&selector).next().unwrap().text().collect::<String>()
    };
    let sealed = attribute(&shown, "input[name=secret]", "value");
    let token = ada.csrf().await;
    for (sent, same) in [(sealed.as_str(), true), ("made up", false)] {
        let again = ada.form(path, &[("csrfToken", &token), ("secret", sent), ("code", "abc")]).await;
        assert_eq!(again.status, 400);
        assert_eq!(secret(&again) == secret(&shown), same, "{sent}");
    }
}

/// What is shown once is not lost by a change of the language: it is not offered there.
#[rocket::async_test]
async fn what_is_shown_once_has_no_address() {
    let app = App::new("jwt").await;
    let ada = app.browser().enter("ada@example.com").await;
    let fields = [("name", "script"), ("days", "30"), ("scope.read", "on")];
    let page = send(ada, "/api/auth/account/tokens", &fields).await;
    assert!(page.body.contains("cst_"), "{}", page.body);
    assert_eq!(attribute(&page, "form[action$='/language']", "action"), "");
}

#[rocket::async_test]
async fn a_person_is_told_of_an_unknown_address_by_a_page() {
    let app = App::new("jwt").await;
    let page = app.browser().visit("/api/auth/nowhere").await;
    assert_eq!(page.status, 400);
    assert!(page.body.contains("Page not found"), "{}", page.body);
    assert_eq!(attribute(&page, "main a.button", "href"), "/");
    let problem = app.browser().get("/api/auth/nowhere").await;
    assert_eq!((problem.status, problem.json()["code"].as_str()), (400, Some("action_unknown")));
}

#[rocket::async_test]
async fn waiting_is_told_in_minutes() {
    let app = App::new("jwt").await;
    let fields = [("email", "ada@example.com"), ("password", "a wrong password"), ("page", "signin")];
    for _ in 0..5 {
        assert_eq!(send(app.browser(), "/api/auth/callback/credentials", &fields).await.status, 401);
    }
    let fields = [("email", "ada@example.com"), ("password", PASSWORD), ("page", "signin")];
    let page = send(app.browser(), "/api/auth/callback/credentials", &fields).await;
    assert_eq!(page.status, 429);
    assert!(page.body.contains("wait 15 min"), "{}", page.body);
}
