//! Each preset, against a local site that answers as the real one does.

use countersign::presets::{PRESETS, PresetEndpoints};
use serde_json::{Value, json};

use crate::app::{App, Setup};
use crate::browser::Answer;
use crate::idp::{Idp, Reply};
use crate::oidc::{ada, begin, param};

/// A real site's answers to somebody who signs in.
struct Imitated {
    id: &'static str,
    /// Answers by path; OAuth 2.0 only.
    answers: Vec<(&'static str, Value)>,
    /// Claims of the ID token; OpenID Connect only.
    claims: Value,
    /// Configuration besides the endpoints and the client.
    toml: &'static str,
    email: &'static str,
    name: &'static str,
    subject: &'static str,
    proven: bool,
    image: Option<&'static str>,
}

fn oauth_token() -> (&'static str, Value) {
    ("/token", json!({ "access_token": "gho_x", "token_type": "bearer", "scope": "x" }))
}

#[expect(clippy::too_many_lines, reason = "a table")]
fn imitated() -> Vec<Imitated> {
    let oidc = |id, toml, claims| Imitated {
        id,
        answers: vec![],
        claims,
        toml,
        email: "ada@example.com",
        name: "Ada",
        subject: "1815",
        proven: true,
        image: None,
    };
    vec![
        Imitated { answers: vec![], image: Some("https://id.example/ada.png"), ..oidc("google", "", ada()) },
        Imitated {
            name: "ada",
            ..oidc(
                "gitlab",
                "",
                json!({ "sub": "1815", "nickname": "ada", "email": "ada@example.com", "email_verified": true }),
            )
        },
        // The address is whatever an administrator wrote: never proven without xms_edov.
        Imitated {
            proven: false,
            ..oidc(
                "microsoft",
                "",
                json!({ "sub": "1815", "name": "Ada", "email": "ada@example.com", "email_verified": true, "tid": "t" }),
            )
        },
        // Apple writes truth as a text, and tells no name in the token.
        Imitated {
            name: "Ada Lovelace",
            ..oidc(
                "apple",
                "",
                json!({ "sub": "1815", "email": "ada@example.com", "email_verified": "true" }),
            )
        },
        Imitated {
            proven: false,
            image: Some("https://id.example/ada.png"),
            ..oidc(
                "line",
                "",
                json!({ "sub": "1815", "name": "Ada", "email": "ada@example.com", "picture": "https://id.example/ada.png" }),
            )
        },
        Imitated {
            answers: vec![
                oauth_token(),
                (
                    "/me",
                    json!({ "id": 1815, "login": "ada", "name": null, "email": "public@example.com", "avatar_url": "https://avatars.example/1" }),
                ),
                (
                    "/emails",
                    json!([{ "email": "old@example.com", "primary": false, "verified": true },
                                   { "email": "ada@example.com", "primary": true, "verified": true }]),
                ),
            ],
            name: "ada",
            image: Some("https://avatars.example/1"),
            ..oidc("github", "emails_url = \"URL/emails\"\n", Value::Null)
        },
        Imitated {
            answers: vec![
                oauth_token(),
                (
                    "/me",
                    json!({ "id": "1815", "username": "ada_", "global_name": "Ada", "avatar": "abc", "email": "ada@example.com", "verified": true }),
                ),
            ],
            image: Some("https://cdn.discordapp.com/avatars/1815/abc.png"),
            ..oidc("discord", "", Value::Null)
        },
        Imitated {
            answers: vec![
                (
                    "/token",
                    json!({ "access_token": "x", "token_type": "bearer", "refresh_token": "y", "expires_in": 21599, "refresh_token_expires_in": 5_183_999 }),
                ),
                (
                    "/me",
                    json!({ "id": 1815, "kakao_account": { "email": "ada@example.com", "is_email_valid": true, "is_email_verified": true,
                    "profile": { "nickname": "Ada", "profile_image_url": "https://k.example/1.jpg" } } }),
                ),
            ],
            image: Some("https://k.example/1.jpg"),
            ..oidc("kakao", "", Value::Null)
        },
        Imitated {
            // A lifetime as a text.
            answers: vec![
                (
                    "/token",
                    json!({ "access_token": "x", "token_type": "bearer", "refresh_token": "y", "expires_in": "3600" }),
                ),
                (
                    "/me",
                    json!({ "resultcode": "00", "message": "success", "response": { "id": "1815", "nickname": "Ada", "email": "ada@example.com", "profile_image": "https://n.example/1.png" } }),
                ),
            ],
            proven: false,
            image: Some("https://n.example/1.png"),
            ..oidc("naver", "", Value::Null)
        },
    ]
}

async fn start(site: &Imitated, idp: &Idp) -> App {
    setup(site, idp).start().await
}

async fn restart_with(site: &Imitated, idp: &Idp, app: App, toml: &str) -> App {
    app.restart(setup(site, idp).toml(toml)).await
}

fn setup(site: &Imitated, idp: &Idp) -> Setup {
    for (path, answer) in &site.answers {
        let answer = answer.clone();
        idp.answer(path, move |_| Reply::json(&answer));
    }
    let preset = PRESETS.iter().find(|preset| preset.id == site.id).unwrap();
    let url = idp.url();
    let endpoints = match preset.endpoints {
        PresetEndpoints::Oidc { .. } if preset.multi_tenant => format!("issuer = \"{url}/common/v2.0\"\n"),
        PresetEndpoints::Oidc { .. } => format!("issuer = \"{url}\"\n"),
        PresetEndpoints::OAuth { .. } => format!(
            "authorization_url = \"{url}/authorize\"\ntoken_url = \"{url}/token\"\nuserinfo_url = \"{url}/me\"\n"
        ),
    };
    let toml = format!(
        "[default.auth.providers.{}]\nclient_id = \"client 1\"\nclient_secret = \"client-secret:with%odd&signs\"\n\
         {endpoints}{}",
        site.id,
        site.toml.replace("URL", url)
    );
    Setup::new("jwt").toml(&toml)
}

/// What the ID token's issuer does differently from the local provider's own way.
fn prepare(site: &Imitated, idp: &Idp) {
    let url = idp.url().to_owned();
    if site.id == "microsoft" {
        let at = url.clone();
        idp.answer("/common/v2.0/.well-known/openid-configuration", move |_| {
            Reply::json(&json!({ "issuer": format!("{at}/{{tenantid}}/v2.0"), "authorization_endpoint": format!("{at}/authorize"),
                "token_endpoint": format!("{at}/token"), "jwks_uri": format!("{at}/jwks"),
                "id_token_signing_alg_values_supported": ["ES256"] }))
        });
        let tenant = url;
        idp.change_claims(move |claims| claims["iss"] = format!("{tenant}/t/v2.0").into());
    }
}

#[rocket::async_test]
async fn each_preset_signs_in_by_its_sites_answers() {
    let sites = imitated();
    let mut ids: Vec<&str> = sites.iter().map(|site| site.id).collect();
    ids.sort_unstable();
    assert_eq!(ids, PRESETS.iter().map(|preset| preset.id).collect::<Vec<_>>(), "each preset is tested");
    for site in sites {
        let idp = Idp::start().await;
        let app = start(&site, &idp).await;
        prepare(&site, &idp);
        let mut browser = app.browser();
        let url = begin(&mut browser, site.id, "/").await;
        let claims = if site.claims.is_null() { json!({}) } else { site.claims.clone() };
        let mut back = idp.authorize(&url, &claims);
        let preset = PRESETS.iter().find(|preset| preset.id == site.id).unwrap();
        assert_eq!(
            param(&url, "scope").as_deref(),
            Some(preset.scope).filter(|scope| !scope.is_empty()),
            "{}",
            site.id
        );
        assert_eq!(param(&url, "code_challenge_method").as_deref(), Some("S256"), "{}", site.id);
        if preset.form_post {
            assert_eq!(param(&url, "response_mode").as_deref(), Some("form_post"));
            back = posted(&app, &back).await;
        }
        let answer = browser.get(&back).await;
        check(&app, &site, &answer).await;
        let secret = idp.requests().iter().find(|seen| seen.path == "/token").unwrap().clone();
        let posts = secret.field("client_secret").is_some();
        let header = secret.header("authorization").is_some();
        assert!(posts != header, "{}: the secret goes one way", site.id);
    }
}

/// Sites that tell the address only with a permission: whoever comes without it is told which, and what to do.
#[rocket::async_test]
async fn without_the_permission_for_the_address_nobody_is_made_and_the_page_says_why() {
    let mut tried = Vec::new();
    for mut site in imitated() {
        let preset = PRESETS.iter().find(|preset| preset.id == site.id).unwrap();
        if preset.email_permission.is_empty() {
            continue;
        }
        tried.push(site.id);
        let without = |value: &mut Value| {
            value.as_object_mut().map(|object| object.remove("email"));
            if let Some(account) = value["kakao_account"].as_object_mut() {
                account.retain(|name, _| name == "profile");
                account.insert("email_needs_agreement".to_owned(), true.into());
            }
        };
        without(&mut site.claims);
        site.answers.iter_mut().for_each(|(_, answer)| without(answer));
        let idp = Idp::start().await;
        let app = start(&site, &idp).await;
        let mut browser = app.browser();
        let claims = if site.claims.is_null() { json!({}) } else { site.claims.clone() };
        let back = idp.authorize(&begin(&mut browser, site.id, "/").await, &claims);
        let answer = browser.get(&back).await;
        let id = site.id;
        let page = format!("/api/auth/error?error=OAuthCreateAccount&reason=address_missing&provider={id}");
        assert_eq!((answer.status, answer.location()), (302, &*format!("http://localhost:8000{page}")));
        assert!(answer.set_cookie("next-auth.session-token").is_none(), "{id}");
        assert_eq!(browser.get("/me").await.status, 401, "{id}");
        for (language, expected) in
            [("en", "did not tell us your e-mail address"), ("ko", "이메일 주소가 필요합니다")]
        {
            let mut reader = app.browser().with_header("Accept-Language", language);
            let shown = reader.visit(&page).await;
            assert_eq!(shown.status, 403, "{id}");
            for text in [expected, preset.name, preset.email_permission] {
                assert!(shown.body.contains(text), "{id} {language}: {text} is missing in {}", shown.body);
            }
        }
        // The address of the page is no place for words of somebody else's.
        let other = "/api/auth/error?error=OAuthCreateAccount&reason=address_missing&provider=%3Cb%3E";
        assert!(browser.visit(other).await.location().ends_with("/signin?error=OAuthCreateAccount"), "{id}");
        let own = format!(
            "http://localhost:8000/oops?error=OAuthCreateAccount&reason=address_missing&provider={id}"
        );
        drop(browser);
        let toml = "[default.auth.pages]\nerror = \"/oops\"\n";
        let app = restart_with(&site, &idp, app, toml).await;
        assert_eq!(app.browser().visit(&page).await.location(), own);
    }
    assert_eq!(tried, ["line", "kakao"]);
}

/// As Apple's page posts it: from another site, without our cookies, with the name beside it.
async fn posted(app: &App, back: &str) -> String {
    let query: Vec<(String, String)> =
        url::form_urlencoded::parse(back.split_once('?').unwrap().1.as_bytes()).into_owned().collect();
    let user = r#"{"name":{"firstName":"Ada","lastName":"Lovelace"},"email":"evil@example.com"}"#;
    let mut fields: Vec<(&str, &str)> =
        query.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    fields.push(("user", user));
    let path = back.split('?').next().unwrap();
    let mut stranger = app
        .browser()
        .with_header("Origin", "https://appleid.apple.com")
        .with_header("Sec-Fetch-Site", "cross-site");
    let answer = stranger.form(path, &fields).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    assert!(answer.set_cookie("next-auth.session-token").is_none());
    answer.location().strip_prefix("http://localhost:8000").unwrap().to_owned()
}

async fn check(app: &App, site: &Imitated, answer: &Answer) {
    assert_eq!(answer.location(), "http://localhost:8000/", "{}: {}", site.id, answer.body);
    let user = app.user(site.email).await.unwrap_or_else(|| panic!("{}: nobody", site.id));
    assert_eq!(
        user.name.as_ref().map(countersign::model::DisplayName::as_str),
        Some(site.name),
        "{}",
        site.id
    );
    assert_eq!(user.email_verified_at.is_some(), site.proven, "{}", site.id);
    assert_eq!(user.image.as_deref(), site.image, "{}", site.id);
    let links = app.linked_accounts(site.email).await;
    assert_eq!(links[0].external.subject, site.subject, "{}", site.id);
    assert_eq!(links[0].external.provider, site.id);
}

/// The presets whose ID tokens are not signed by the local provider's usual key are tested with theirs.
#[rocket::async_test]
async fn line_signs_with_the_channels_secret() {
    use base64::Engine as _;
    let idp = Idp::start().await;
    let site = imitated().into_iter().find(|site| site.id == "line").unwrap();
    let app = start(&site, &idp).await;
    let mut browser = app.browser();
    let url = begin(&mut browser, "line", "/").await;
    let nonce = param(&url, "nonce").unwrap();
    let issuer = idp.url().to_owned();
    let encode = |text: String| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
    let now = crate::app::START.0;
    let claims = json!({ "iss": issuer, "aud": "client 1", "sub": "1815", "name": "Ada", "email": "ada@example.com",
        "iat": now, "exp": now + 60, "nonce": nonce });
    let message = format!(
        "{}.{}",
        encode(json!({ "alg": "HS256", "typ": "JWT" }).to_string()),
        encode(claims.to_string())
    );
    let key = jsonwebtoken::EncodingKey::from_secret(Idp::CLIENT_SECRET.as_bytes());
    let signature =
        jsonwebtoken::crypto::sign(message.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap();
    let token = format!("{message}.{signature}");
    idp.answer("/token", move |_| {
        Reply::json(&json!({ "access_token": "x", "token_type": "Bearer", "id_token": token }))
    });
    let answer = browser.get(&idp.authorize(&url, &json!({}))).await;
    assert_eq!(answer.location(), "http://localhost:8000/");
}

/// Apple's secret is a token signed with the operator's key, good for minutes.
#[rocket::async_test]
async fn apples_secret_is_signed_anew() {
    let idp = Idp::start().await;
    let key = idp.private_key_pem();
    let toml = format!(
        "[default.auth.providers.apple]\nissuer = \"{}\"\nclient_id = \"com.example.app\"\nteam_id = \"TEAM\"\nkey_id = \"KEY\"\n\
         private_key = \"\"\"{key}\"\"\"\n",
        idp.url()
    );
    let app = Setup::new("jwt").toml(&toml).start().await;
    let mut browser = app.browser();
    let back = idp.authorize(&begin(&mut browser, "apple", "/").await, &ada());
    browser.get(&posted(&app, &back).await).await;
    let seen = idp.requests().into_iter().find(|seen| seen.path == "/token").unwrap();
    assert_eq!(seen.field("client_id").as_deref(), Some("com.example.app"));
    let secret = seen.field("client_secret").unwrap();
    let (message, signature) = secret.rsplit_once('.').unwrap();
    let public =
        jsonwebtoken::DecodingKey::from_jwk(&serde_json::from_value(idp.public_key()).unwrap()).unwrap();
    assert!(
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), &public, jsonwebtoken::Algorithm::ES256)
            .unwrap()
    );
    let claims: Value = serde_json::from_slice(&decode(message.split('.').nth(1).unwrap())).unwrap();
    assert_eq!(
        (&claims["iss"], &claims["sub"], &claims["aud"]),
        (&json!("TEAM"), &json!("com.example.app"), &json!(idp.url()))
    );
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 300);
}

fn decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// A tenant that the token does not name, or names with a path in it, is none.
#[rocket::async_test]
async fn a_tenant_is_filled_in_and_nothing_else() {
    for (tenant, issuer) in
        [(json!("other"), "t"), (json!("t/../x"), "t/../x"), (Value::Null, "t"), (json!(""), "")]
    {
        let idp = Idp::start().await;
        let mut site = imitated().into_iter().find(|site| site.id == "microsoft").unwrap();
        site.claims["tid"] = tenant.clone();
        let app = start(&site, &idp).await;
        prepare(&site, &idp);
        let at = idp.url().to_owned();
        let issuer = issuer.to_owned();
        idp.change_claims(move |claims| claims["iss"] = format!("{at}/{issuer}/v2.0").into());
        let mut browser = app.browser();
        let back = idp.authorize(&begin(&mut browser, "microsoft", "/").await, &site.claims);
        assert!(browser.get(&back).await.location().ends_with("error=OAuthCallback"), "{tenant}");
    }
}

/// The guide's own file, word for word, with its endpoints moved to the local site.
#[rocket::async_test]
async fn the_guides_example_signs_in() {
    let guide = include_str!("../../docs/adding-a-provider.md");
    assert!(
        guide.contains(include_str!("acme.rs")),
        "the guide shows another file than the one that is tested"
    );
    let idp = Idp::start().await;
    idp.answer("/token", |_| Reply::json(&json!({ "access_token": "x", "token_type": "Bearer" })));
    idp.answer("/me", |_| {
        Reply::json(&json!({ "account": { "number": 7, "full_name": "Ada", "email": "ada@example.com", "email_confirmed": true } }))
    });
    let url = idp.url();
    let toml = format!(
        "[default.auth.providers.acme]\nclient_id = 7\nclient_secret = \"s\"\nauthorization_url = \"{url}/authorize\"\n\
         token_url = \"{url}/token\"\nuserinfo_url = \"{url}/me\"\n"
    );
    let setup = Setup::new("jwt").toml(&toml).fairing(|fairing| fairing.preset(crate::acme::PRESET));
    let app = setup.start().await;
    let mut browser = app.browser();
    let url = begin(&mut browser, "acme", "/").await;
    assert_eq!(
        (param(&url, "scope").as_deref(), param(&url, "client_id").as_deref()),
        (Some("profile email"), Some("7"))
    );
    assert_eq!(browser.get(&idp.authorize(&url, &json!({}))).await.location(), "http://localhost:8000/");
    let user = app.user("ada@example.com").await.unwrap();
    assert!(user.email_verified_at.is_some());
    assert_eq!(user.image.as_deref(), Some("https://acme.example/pictures/7.png"));
}
