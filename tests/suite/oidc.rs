//! Signing in with an OpenID provider: going there, coming back, and everything that must not work.

use serde_json::{Value, json};

use crate::app::{App, START, STRATEGIES, Setup};
use crate::browser::{Answer, Browser, Steps as _};
use crate::idp::{Idp, Reply};

pub(crate) const ERROR: &str = "http://localhost:8000/api/auth/error?error=OAuthCallback";

/// Who signs in unless a test says otherwise.
pub(crate) fn ada() -> Value {
    json!({ "sub": "1815", "name": "Ada", "email": "Ada@Example.com", "email_verified": true,
            "picture": "https://id.example/ada.png" })
}

pub(crate) async fn start(idp: &Idp, strategy: &str) -> App {
    let app = Setup::new(strategy).toml(&idp.toml("acme")).start().await;
    idp.follow(&app.clock);
    app
}

/// Begins a sign-in as NextAuth's clients do; the answer is where the person is sent.
pub(crate) async fn begin(browser: &mut Browser<'_>, provider: &str, callback_url: &str) -> String {
    browser.go_to_provider(provider, callback_url).await
}

/// A whole sign-in.
pub(crate) async fn sign_in(browser: &mut Browser<'_>, idp: &Idp, claims: &Value) -> Answer {
    let url = begin(browser, "acme", "/after").await;
    let back = idp.authorize(&url, claims);
    let answer = browser.get(&back).await;
    crate::logs::told_to(idp);
    answer
}

pub(crate) fn param(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(url).unwrap();
    url.query_pairs().find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
}

/// Nobody was signed in, and nothing was kept.
async fn assert_refused(app: &App, browser: &mut Browser<'_>, answer: &Answer, label: &str) {
    assert_eq!((answer.status, answer.location()), (302, ERROR), "{label}: {}", answer.body);
    assert!(answer.set_cookie("next-auth.session-token").is_none(), "{label}");
    assert_eq!(browser.me().await.0, 401, "{label}");
    assert!(app.user("ada@example.com").await.is_none(), "{label}: somebody was stored");
}

#[rocket::async_test]
async fn a_sign_in_goes_there_and_comes_back() {
    for strategy in STRATEGIES {
        let idp = Idp::start().await;
        let app = start(&idp, strategy).await;
        let mut browser = app.browser();
        let url = begin(&mut browser, "acme", "/after?x=1").await;
        for (name, value) in [
            ("response_type", "code"),
            ("client_id", "client 1"),
            ("redirect_uri", "http://localhost:8000/api/auth/callback/acme"),
            ("scope", "openid email profile"),
            ("code_challenge_method", "S256"),
        ] {
            assert_eq!(param(&url, name).as_deref(), Some(value), "{url}");
        }
        assert_eq!(param(&url, "state").unwrap().len(), 43);
        assert_eq!(param(&url, "nonce").unwrap().len(), 43);
        assert_eq!(param(&url, "code_challenge").unwrap().len(), 43);
        let back = idp.authorize(&url, &ada());
        let answer = browser.get(&back).await;
        assert_eq!(
            (answer.status, answer.location()),
            (302, "http://localhost:8000/after?x=1"),
            "{}",
            answer.body
        );
        assert_eq!(browser.me().await, (200, "ada@example.com".to_owned()), "{strategy}");
        let session = browser.get("/api/auth/session").await.json();
        assert_eq!(session["user"]["name"], "Ada");
        assert_eq!(session["user"]["image"], "https://id.example/ada.png");
        let user = app.user("ada@example.com").await.unwrap();
        assert_eq!(user.email_verified_at, Some(START));
        // The provider's tokens are in no body, no cookie and, in the clear, in no file (ASVS 5.0, 10.1.1).
        let everything = [&answer.body, &session.to_string(), &format!("{:?}", answer.headers("set-cookie"))]
            .map(String::as_str)
            .concat();
        assert!(!everything.contains("access-1") && !everything.contains("refresh-1"));
        let kept = crate::dump::kept(&app).await;
        assert!(!kept.windows(8).any(|part| part == b"access-1"), "{strategy}");
        // Coming again is the same person, by the subject alone; another subject is not.
        let mut again = app.browser();
        let renamed = json!({ "sub": "1815", "email": "countess@example.com", "email_verified": true });
        assert_eq!(sign_in(&mut again, &idp, &renamed).await.status, 302);
        assert_eq!(again.me().await.1, "ada@example.com", "{strategy}");
        let mut other = app.browser();
        let namesake = json!({ "sub": "1816", "email": "ada@example.com", "email_verified": true });
        let answer = sign_in(&mut other, &idp, &namesake).await;
        assert!(answer.location().ends_with("error=OAuthAccountNotLinked"), "{}", answer.location());
        assert_eq!(other.me().await.0, 401);
    }
}

#[rocket::async_test]
async fn it_is_listed_and_shown() {
    let idp = Idp::start().await;
    let app = start(&idp, "jwt").await;
    let provider = app.browser().get("/api/auth/providers").await.json()["acme"].clone();
    assert_eq!(
        provider,
        json!({ "id": "acme", "name": "Acme", "type": "oauth",
        "signinUrl": "http://localhost:8000/api/auth/signin/acme",
        "callbackUrl": "http://localhost:8000/api/auth/callback/acme" })
    );
    let page = app.browser().visit("/api/auth/signin").await.body;
    assert!(page.contains("Sign in with Acme") && page.contains("signin&#x2F;acme"), "{page}");
    let v5 = Setup::new("jwt")
        .toml(&idp.toml("acme"))
        .toml("[default.auth.jwt]\nformat = \"authjs-v5\"")
        .start()
        .await;
    assert_eq!(v5.browser().get("/api/auth/providers").await.json()["acme"]["type"], "oidc");
}

#[rocket::async_test]
async fn a_browser_gets_a_page_that_goes_on_and_a_program_a_redirect() {
    let idp = Idp::start().await;
    let app = start(&idp, "jwt").await;
    let mut browser = app.browser();
    let token = browser.csrf().await;
    let plain = browser.form("/api/auth/signin/acme", &[("csrfToken", &token)]).await;
    assert_eq!(plain.status, 302);
    assert!(plain.location().starts_with(&format!("{}/authorize?", idp.url())), "{}", plain.location());
    let mut person = browser.with_header("Accept", "text/html");
    let page = person.form("/api/auth/signin/acme", &[("csrfToken", &token)]).await;
    assert_eq!(page.status, 200);
    assert!(
        page.body.contains("http-equiv=\"refresh\"") && page.body.contains("authorize?"),
        "{}",
        page.body
    );
    assert!(page.header("content-security-policy").unwrap().contains("form-action 'self'"));
    // Without the token, or by GET, nobody is sent anywhere (ASVS 5.0, 7.6.2).
    for answer in [
        app.browser().form("/api/auth/signin/acme", &[("csrfToken", "0")]).await,
        app.browser().get("/api/auth/signin/acme").await,
    ] {
        assert!(!answer.location().contains("authorize"), "{}", answer.location());
    }
}

/// ASVS 5.0, 10.2.3: what is asked for is configuration's alone, but for a few wishes.
#[rocket::async_test]
async fn a_request_wishes_for_little() {
    let idp = Idp::start().await;
    let app = start(&idp, "jwt").await;
    let mut browser = app.browser();
    let token = browser.csrf().await;
    let path = "/api/auth/signin/acme?prompt=login&login_hint=ada&scope=admin&redirect_uri=https://evil.example/\
                &client_id=evil&state=fixed&nonce=fixed&code_challenge=fixed&code_challenge_method=plain\
                &response_type=token&response_mode=fragment&request_uri=https://evil.example/&hd=a%0Ab";
    let answer = browser.form(path, &[("csrfToken", &token), ("json", "true")]).await.json();
    let url = url::Url::parse(answer["url"].as_str().unwrap()).unwrap();
    let mut names: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "client_id",
            "code_challenge",
            "code_challenge_method",
            "login_hint",
            "nonce",
            "prompt",
            "redirect_uri",
            "response_type",
            "scope",
            "state"
        ]
    );
    assert!(
        !url.as_str().contains("evil") && !url.as_str().contains("fixed") && !url.as_str().contains("admin")
    );
}

#[rocket::async_test]
async fn two_tabs_both_come_to_an_end() {
    for strategy in STRATEGIES {
        let idp = Idp::start().await;
        let app = start(&idp, strategy).await;
        let mut browser = app.browser();
        let one = begin(&mut browser, "acme", "/one").await;
        let two = begin(&mut browser, "acme", "/two").await;
        let (back_one, back_two) = (idp.authorize(&one, &ada()), idp.authorize(&two, &ada()));
        let answer = browser.get(&back_two).await;
        assert_eq!(answer.location(), "http://localhost:8000/two", "{strategy}");
        let answer = browser.get(&back_one).await;
        assert_eq!(answer.location(), "http://localhost:8000/one", "{strategy}");
        assert_eq!(browser.me().await.0, 200);
    }
}

#[rocket::async_test]
async fn abandoned_sign_ins_do_not_fill_the_browser() {
    let idp = Idp::start().await;
    let app = start(&idp, "jwt").await;
    let mut browser = app.browser();
    let mut urls = Vec::new();
    for _ in 0..12 {
        urls.push(begin(&mut browser, "acme", "/").await);
    }
    assert_eq!(browser.names().filter(|name| name.contains("oauth")).count(), 5);
    let newest = idp.authorize(&urls[11], &ada());
    assert_eq!(browser.get(&newest).await.location(), "http://localhost:8000/");
}

/// State: missing, forged, replayed, another browser's, another provider's, too late (CVE-2023-27490, CVE-2026-73419).
#[rocket::async_test]
async fn an_answer_belongs_to_its_browser_provider_and_moment() {
    let (idp, other) = (Idp::start().await, Idp::start().await);
    let toml = format!("{}{}", idp.toml("acme"), other.toml("other"));
    let app = Setup::new("jwt").toml(&toml).start().await;
    let code = |back: &str| param(&format!("http://x{back}"), "code").unwrap();
    let mut browser = app.browser();
    let back = idp.authorize(&begin(&mut browser, "acme", "/").await, &ada());
    let state = param(&format!("http://x{back}"), "state").unwrap();
    let foreign = other.authorize(&begin(&mut browser, "other", "/").await, &ada());
    let foreign_state = param(&format!("http://x{foreign}"), "state").unwrap();
    let forged = [
        format!("/api/auth/callback/acme?code={}", code(&back)),
        format!("/api/auth/callback/acme?code={}&state=", code(&back)),
        format!("/api/auth/callback/acme?code={}&state={}", code(&back), "A".repeat(43)),
        format!("/api/auth/callback/acme?code={}&state={foreign_state}&iss={}", code(&back), idp.url()),
        format!("/api/auth/callback/other?code={}&state={state}&iss={}", code(&back), other.url()),
        format!("{back}&code=again"),
        format!("{back}&state={state}"),
        back.replace("callback/acme", "callback/other"),
        format!("/api/auth/callback/acme?{}", "x=1&".repeat(4000)),
    ];
    for path in forged {
        let mut sender = browser.clone();
        let answer = sender.get(&path).await;
        assert_refused(&app, &mut sender, &answer, &path).await;
    }
    let mut stranger = app.browser();
    let answer = stranger.get(&back).await;
    assert_refused(&app, &mut stranger, &answer, "another browser").await;
    // Its cookie under another provider's name, or another state's, opens nothing.
    let own = browser.names().find(|name| name.contains("oauth")).unwrap().to_owned();
    let sealed = browser.cookie(&own).unwrap().to_owned();
    for name in browser
        .names()
        .filter(|name| name.contains("oauth") && *name != own)
        .map(str::to_owned)
        .collect::<Vec<_>>()
    {
        let mut sender = browser.clone();
        sender.set_cookie(&name, &sealed);
        let answer = sender.get(&foreign).await;
        assert_refused(&app, &mut sender, &answer, "a swapped cookie").await;
    }
    // None of this asked the provider for anything: the code is as good as it was, and works where it belongs.
    assert_eq!(idp.asked("/token") + other.asked("/token"), 0);
    let late = browser.clone();
    assert_eq!(browser.get(&back).await.location(), "http://localhost:8000/");
    assert_eq!(browser.me().await.0, 200);
    // The same answer again, with the cookie as it was: used up.
    let mut replay = late.clone();
    let answer = replay.get(&back).await;
    assert_eq!((answer.status, answer.location()), (302, ERROR));
    assert_eq!(replay.me().await.0, 401);
    assert_eq!(idp.asked("/token"), 1);
    // Fifteen minutes and a second.
    let mut slow = app.browser();
    let back = idp.authorize(&begin(&mut slow, "acme", "/").await, &ada());
    app.clock.advance(901);
    let answer = slow.get(&back).await;
    assert_eq!((answer.status, answer.location()), (302, ERROR));
}

/// Of many answers with one state at once, one comes to an end.
#[rocket::async_test]
async fn one_of_parallel_answers_wins() {
    let idp = Idp::start().await;
    let app = start(&idp, "jwt").await;
    let mut browser = app.browser();
    let back = idp.authorize(&begin(&mut browser, "acme", "/").await, &ada());
    let tries = (0..32).map(|_| {
        let (mut sender, back) = (browser.clone(), back.clone());
        async move { sender.get(&back).await.location().to_owned() }
    });
    let locations = rocket::futures::future::join_all(tries).await;
    assert_eq!(
        locations.iter().filter(|location| *location == "http://localhost:8000/").count(),
        1,
        "{locations:?}"
    );
    assert_eq!(idp.asked("/token"), 1);
}

// ASVS: 6.8.2
#[rocket::async_test]
async fn an_id_token_that_breaks_a_rule_signs_nobody_in() {
    type Change = fn(&mut Value);
    let claims: [(&str, Change); 16] = [
        ("iss wrong", |c| c["iss"] = "https://evil.example".into()),
        ("iss with a slash", |c| c["iss"] = format!("{}/", c["iss"].as_str().unwrap()).into()),
        ("aud wrong", |c| c["aud"] = "another client".into()),
        ("aud of two", |c| c["aud"] = json!(["client 1", "another client"])),
        ("azp wrong", |c| c["azp"] = "another client".into()),
        ("nonce missing", |c| drop(c.as_object_mut().unwrap().remove("nonce"))),
        ("nonce other", |c| c["nonce"] = "other".into()),
        ("nonce empty", |c| c["nonce"] = "".into()),
        ("exp past", |c| c["exp"] = (START.0 - 16).into()),
        ("exp missing", |c| drop(c.as_object_mut().unwrap().remove("exp"))),
        ("exp a text", |c| c["exp"] = "1900000000".into()),
        ("iat ahead", |c| c["iat"] = (START.0 + 16).into()),
        ("nbf ahead", |c| c["nbf"] = (START.0 + 16).into()),
        ("sub missing", |c| drop(c.as_object_mut().unwrap().remove("sub"))),
        ("sub with a NUL", |c| c["sub"] = "1815\u{0}".into()),
        ("at_hash wrong", |c| c["at_hash"] = "AAAAAAAAAAAAAAAAAAAAAA".into()),
    ];
    let headers: [(&str, Change); 7] = [
        ("alg none", |h| h["alg"] = "none".into()),
        ("alg HS256 over the public key", |h| h["alg"] = "HS256".into()),
        ("alg of another key", |h| h["alg"] = "RS256".into()),
        ("crit", |h| h["crit"] = json!(["exp"])),
        ("typ of a log-out token", |h| h["typ"] = "logout+jwt".into()),
        ("kid unknown", |h| h["kid"] = "nope".into()),
        ("kid no text", |h| h["kid"] = 1.into()),
    ];
    let idp = Idp::start().await;
    let app = start(&idp, "jwt").await;
    for (label, change) in claims {
        idp.change_claims(change);
        let mut browser = app.browser();
        let answer = sign_in(&mut browser, &idp, &ada()).await;
        assert_refused(&app, &mut browser, &answer, label).await;
    }
    idp.heal();
    for (label, change) in headers {
        idp.change_header(change);
        let mut browser = app.browser();
        let answer = sign_in(&mut browser, &idp, &ada()).await;
        assert_refused(&app, &mut browser, &answer, label).await;
    }
    idp.heal();
    // A nonce of an earlier sign-in, kept by whoever wants to replay its token.
    let mut browser = app.browser();
    let earlier = param(&begin(&mut browser, "acme", "/").await, "nonce").unwrap();
    idp.change_claims(move |c| c["nonce"] = earlier.clone().into());
    let answer = sign_in(&mut browser, &idp, &ada()).await;
    assert_refused(&app, &mut browser, &answer, "nonce reused").await;
    idp.heal();
    assert_eq!(
        sign_in(&mut browser, &idp, &ada()).await.location(),
        "http://localhost:8000/after",
        "the canary"
    );
}

#[rocket::async_test]
async fn mix_up_and_downgrade_sign_nobody_in() {
    let (idp, evil) = (Idp::start().await, Idp::start().await);
    let app = Setup::new("jwt").toml(&idp.toml("acme")).toml(&evil.toml("evil")).start().await;
    let mut browser = app.browser();
    // RFC 9207: the answer names another issuer, or none though all should.
    for (label, from, to) in [
        ("iss of the other", idp.url().to_owned(), evil.url().to_owned()),
        ("iss with a slash", idp.url().to_owned(), format!("{}/", idp.url())),
    ] {
        let back = idp.authorize(&begin(&mut browser, "acme", "/").await, &ada());
        let encode = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
        let answer = browser.get(&back.replace(&encode(&from), &encode(&to))).await;
        assert_refused(&app, &mut browser, &answer, label).await;
    }
    let back = idp.authorize(&begin(&mut browser, "acme", "/").await, &ada());
    let answer = browser.get(back.split("&iss=").next().unwrap()).await;
    assert_refused(&app, &mut browser, &answer, "iss absent").await;
    assert_eq!(idp.asked("/token"), 0, "an answer of unknown origin is exchanged nowhere");
    // Somebody takes the challenge out of the request on its way.
    let url = begin(&mut browser, "acme", "/").await;
    let challenge = param(&url, "code_challenge").unwrap();
    let stripped =
        url.replace(&format!("&code_challenge={challenge}"), "").replace("&code_challenge_method=S256", "");
    let answer = browser.get(&idp.authorize(&stripped, &ada())).await;
    assert_refused(&app, &mut browser, &answer, "PKCE downgrade").await;
    // A code that was stolen elsewhere, put into one's own answer.
    let mut victim = app.browser();
    let stolen = idp.authorize(&begin(&mut victim, "acme", "/").await, &ada());
    let own = idp.authorize(&begin(&mut browser, "acme", "/").await, &json!({ "sub": "eve" }));
    let code = |back: &str| param(&format!("http://x{back}"), "code").unwrap();
    let answer = browser.get(&own.replace(&code(&own), &code(&stolen))).await;
    assert_refused(&app, &mut browser, &answer, "code injection").await;
    // The same person at both: two accounts, and no link between them.
    assert_eq!(sign_in(&mut victim, &idp, &ada()).await.status, 302);
    let back = evil.authorize(&begin(&mut browser, "evil", "/").await, &ada());
    assert!(browser.get(&back).await.location().ends_with("OAuthAccountNotLinked"));
    // The provider says no, in words of its own.
    let state = param(&begin(&mut browser, "acme", "/").await, "state").unwrap();
    let iss: String = url::form_urlencoded::byte_serialize(idp.url().as_bytes()).collect();
    let path = format!(
        "/api/auth/callback/acme?error=access_denied&error_description=%3Cscript%3E&state={state}&iss={iss}"
    );
    let answer = browser.get(&path).await;
    assert_eq!((answer.status, answer.location()), (302, ERROR));
}

#[rocket::async_test]
async fn whatever_an_endpoint_answers_nobody_is_signed_in_and_the_answer_is_ours() {
    let idp = Idp::start().await;
    let app = start(&idp, "jwt").await;
    let trap = Idp::start().await;
    let redirect = |status| {
        Reply::with(status, "application/json", "{}").header("location", &format!("{}/trap", trap.url()))
    };
    let token = |body: &Value| Reply::json(body);
    let faults: Vec<(&str, Reply)> = vec![
        ("302", redirect(302)),
        ("307", redirect(307)),
        (
            "10 MB",
            Reply::with(
                200,
                "application/json",
                &format!("{{\"access_token\":\"{}\"}}", "a".repeat(10_000_000)),
            ),
        ),
        ("HTML", Reply::with(200, "text/html", "<script>alert(1)</script>")),
        ("200 with an error", token(&json!({ "error": "<script>", "error_description": "x" }))),
        ("400 with an error", Reply::with(400, "application/json", "{\"error\":\"invalid_grant\"}")),
        ("500", Reply::with(500, "application/json", "{}")),
        ("not JSON", Reply::with(200, "application/json", "{")),
        ("deep JSON", Reply::with(200, "application/json", &"[".repeat(100_000))),
        ("a list", token(&json!([]))),
        ("no ID token", token(&json!({ "access_token": "a", "token_type": "Bearer" }))),
        (
            "a token of another type",
            token(&json!({ "access_token": "a", "token_type": "mac", "id_token": "x.y.z" })),
        ),
        ("a line break in the token", token(&json!({ "access_token": "a\r\nx: y", "id_token": "x.y.z" }))),
        ("an ID token that is none", token(&json!({ "access_token": "a", "id_token": "x.y.z" }))),
    ];
    for (label, reply) in faults {
        idp.answer("/token", move |_| reply.clone());
        let mut browser = app.browser();
        let answer = sign_in(&mut browser, &idp, &ada()).await;
        assert_refused(&app, &mut browser, &answer, label).await;
        assert!(!answer.body.contains("script"), "{label}");
    }
    assert!(trap.requests().is_empty(), "a redirect was followed");
    // One byte a second: the person does not wait for its end.
    idp.answer("/token", |_| Reply::with(200, "application/json", &" ".repeat(60)).dripping());
    let mut browser = app.browser();
    let begun = std::time::Instant::now();
    let answer = sign_in(&mut browser, &idp, &ada()).await;
    assert_refused(&app, &mut browser, &answer, "a slow drip").await;
    // Far from the minute that the drip takes, on however slow a machine.
    assert!(begun.elapsed().as_secs() < 40);
    idp.heal();
    assert_eq!(
        sign_in(&mut browser, &idp, &ada()).await.location(),
        "http://localhost:8000/after",
        "the canary"
    );
}

#[rocket::async_test]
async fn a_discovery_document_must_be_the_issuers_own() {
    for (label, change) in [
        ("another issuer", json!({ "issuer": "https://evil.example" })),
        ("no issuer", json!({ "issuer": null })),
        ("an endpoint without TLS", json!({ "authorization_endpoint": "http://evil.example/authorize" })),
        ("a script for an endpoint", json!({ "authorization_endpoint": "javascript:alert(1)" })),
        ("no token endpoint", json!({ "token_endpoint": null })),
        ("keys inside", json!({ "jwks_uri": "http://169.254.169.254/keys" })),
    ] {
        let idp = Idp::start().await;
        let app = start(&idp, "jwt").await;
        let url = idp.url().to_owned();
        idp.answer("/.well-known/openid-configuration", move |_| {
            let mut document = json!({ "issuer": url, "authorization_endpoint": format!("{url}/authorize"),
                "token_endpoint": format!("{url}/token"), "jwks_uri": format!("{url}/jwks") });
            for (name, value) in change.as_object().unwrap() {
                document[name] = value.clone();
            }
            Reply::json(&document)
        });
        let mut browser = app.browser();
        let token = browser.csrf().await;
        let answer = browser.form("/api/auth/signin/acme", &[("csrfToken", &token), ("json", "true")]).await;
        assert_eq!(answer.status, 503, "{label}: {}", answer.body);
        assert_eq!(answer.json()["url"], "http://localhost:8000/api/auth/error?error=OAuthSignin", "{label}");
        assert!(answer.header("retry-after").is_some());
        assert!(answer.headers("set-cookie").is_empty());
        // The other ways in are unaffected.
        assert_eq!(app.browser().enter("eve@example.com").await.me().await.0, 200);
        app.clock.advance(10);
        idp.heal();
        assert!(begin(&mut browser, "acme", "/").await.contains("/authorize"), "{label}: it came back");
    }
}

/// A key that is new is found; a flood of unknown ones asks hardly ever; and keys that are known go on verifying.
#[rocket::async_test]
async fn keys_rotate_and_are_not_asked_for_by_strangers() {
    let idp = Idp::start().await;
    let app = start(&idp, "jwt").await;
    let mut browser = app.browser();
    assert_eq!(sign_in(&mut browser, &idp, &ada()).await.location(), "http://localhost:8000/after");
    assert_eq!((idp.asked("/jwks"), idp.asked("/.well-known/openid-configuration")), (1, 1));
    app.clock.advance(60);
    idp.rotate_key();
    assert_eq!(
        sign_in(&mut browser, &idp, &ada()).await.location(),
        "http://localhost:8000/after",
        "the new key"
    );
    assert_eq!(idp.asked("/jwks"), 2);
    app.clock.advance(60);
    idp.change_header(|header| header["kid"] = "nope".into());
    for _ in 0..40 {
        assert_eq!(sign_in(&mut browser, &idp, &ada()).await.location(), ERROR);
    }
    assert_eq!(idp.asked("/jwks"), 3, "one question for all of them");
    idp.heal();
    idp.answer("/jwks", |_| Reply::with(500, "text/plain", ""));
    idp.answer("/.well-known/openid-configuration", |_| Reply::with(500, "text/plain", ""));
    app.clock.advance(7200);
    assert_eq!(sign_in(&mut browser, &idp, &ada()).await.location(), "http://localhost:8000/after", "away");
}
