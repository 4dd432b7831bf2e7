//! The library's pages: languages, headers, and what they tell a screen reader and a parser.

use scraper::{Html, Selector};

use crate::app::{App, Setup};
use crate::browser::{Answer, Steps as _};

const PAGES: [&str; 6] =
    ["signin", "signup", "signout", "error", "verify-request", "error?error=AccessDenied"];

fn count(page: &Answer, selector: &str) -> usize {
    Html::parse_document(&page.body).select(&Selector::parse(selector).unwrap()).count()
}

#[rocket::async_test]
async fn every_page_has_its_landmarks_and_nothing_inline() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let mut pages = vec![ada.visit("/api/auth/account").await];
    for page in PAGES {
        pages.push(app.browser().visit(&format!("/api/auth/{page}")).await);
    }
    for page in pages {
        assert!(page.status == 200 || page.status == 403, "{}", page.body);
        for (selector, times) in [("h1", 1), ("main", 1), ("html[lang=en]", 1), ("title", 1), ("a.skip", 1)] {
            assert_eq!(count(&page, selector), times, "{selector}: {}", page.body);
        }
        for forbidden in ["[style]", "style", "script:not([type='application/json']):not([src])", "[onclick]"]
        {
            assert_eq!(count(&page, forbidden), 0, "{forbidden}");
        }
        let unlabelled = "input:not([type=hidden]):not([id])";
        assert_eq!(count(&page, unlabelled), 0);
    }
}

// ASVS: 6.2.6, 6.2.7
#[rocket::async_test]
async fn password_fields_help_password_managers() {
    let app = App::new("jwt").await;
    let page = app.browser().visit("/api/auth/signin").await;
    assert_eq!(count(&page, "input[type=password][autocomplete=current-password]"), 1);
    assert_eq!(count(&page, "input[type=email][autocomplete~=username]"), 1);
    let page = app.browser().visit("/api/auth/signup").await;
    assert_eq!(count(&page, "input[type=password][autocomplete=new-password]"), 1);
    assert_eq!(count(&page, "[onpaste]"), 0);
}

// ASVS: 3.2.1, 3.4.1, 3.4.3, 3.4.4, 3.4.5, 3.4.6
#[rocket::async_test]
async fn every_answer_carries_the_security_headers() {
    for (url, secure) in [("http://localhost:8000", false), ("https://app.example.com", true)] {
        let app = Setup::new("jwt").toml(&format!("[default.auth]\nurl = \"{url}\"\n")).start().await;
        let mut paths =
            ["signin", "session", "csrf", "error?error=Configuration", "nope", "account", "assets/none"]
                .map(|path| format!("/api/auth/{path}"))
                .to_vec();
        // The same routes by another spelling.
        paths.extend(["/api//auth/csrf", "/api/auth//csrf", "/api/auth/csrf/"].map(str::to_owned));
        for path in paths {
            let answer = app.browser().visit(&path).await;
            assert!(answer.header("cache-control").unwrap().contains("no-store"), "{path}");
            let policy = answer.header("content-security-policy").unwrap();
            assert!(
                policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"),
                "{path}"
            );
            assert!(!policy.contains("unsafe"), "{policy}");
            for (name, value) in [
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("cross-origin-resource-policy", "same-origin"),
            ] {
                assert_eq!(answer.header(name), Some(value), "{path}");
            }
            let is_html = answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
            let referrer = if is_html { "same-origin" } else { "no-referrer" };
            assert_eq!(answer.header("referrer-policy"), Some(referrer), "{path}");
            let opener = answer.header("cross-origin-opener-policy");
            let leads_to_a_page = is_html || (300..400).contains(&answer.status);
            assert_eq!(opener, leads_to_a_page.then_some("same-origin"), "{path}");
            let transport = answer.header("strict-transport-security");
            assert_eq!(
                transport.is_some_and(|v| v.contains("max-age=31536000; includeSubDomains")),
                secure,
                "{path}"
            );
            assert!(answer.header("access-control-allow-origin").is_none());
        }
    }
}

#[rocket::async_test]
async fn the_language_is_negotiated_and_remembered() {
    let app = App::new("jwt").await;
    let korean =
        app.browser().with_header("Accept-Language", "ko-KR,ko;q=0.9").visit("/api/auth/signin").await;
    assert!(korean.body.contains("<html lang=\"ko\">") && korean.body.contains("비밀번호"));
    let mut ada = app.browser();
    assert!(ada.visit("/api/auth/signin").await.body.contains("<html lang=\"en\">"));
    let token = ada.csrf().await;
    let fields =
        [("csrfToken", token.as_str()), ("lang", "ko"), ("returnTo", "/api/auth/signin?error=Signin")];
    let switched = ada.form("/api/auth/language", &fields).await;
    assert_eq!(switched.location(), "http://localhost:8000/api/auth/signin?error=Signin");
    assert!(switched.set_cookie("countersign.language").unwrap().contains("Max-Age=31536000"));
    assert!(ada.visit("/api/auth/signin").await.body.contains("<html lang=\"ko\">"));
    let fields = [("csrfToken", token.as_str()), ("lang", "../../etc"), ("returnTo", "https://evil.example")];
    let refused = ada.form("/api/auth/language", &fields).await;
    assert_eq!(refused.location(), "http://localhost:8000");
    assert!(refused.set_cookie("countersign.language").is_none());
}

#[rocket::async_test]
async fn a_host_overrides_pages_and_adds_languages_by_files() {
    let templates = tempfile::TempDir::new().unwrap();
    let folder = templates.path().join("auth/locales");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("fr.json"), r#"{"language_name":"Français","sign_in":"Se connecter"}"#)
        .unwrap();
    let own =
        "{% extends \"auth/layout.html\" %}{% block main %}<h1>Own {{ site_name }}</h1>{% endblock main %}";
    std::fs::write(templates.path().join("auth/verify_request.html"), own).unwrap();
    let toml = format!("[default]\ntemplate_dir = \"{}\"\n", templates.path().display());
    let app = Setup::new("jwt").toml(&toml).start().await;
    let page = app.browser().with_header("Accept-Language", "fr").visit("/api/auth/verify-request").await;
    assert!(page.body.contains("<h1>Own Countersign</h1>"));
    assert!(page.body.contains("lang=\"fr\"") && page.body.contains("Se connecter"));
    let page = app.browser().visit("/api/auth/signin").await;
    assert!(page.body.contains("Français"), "the switch knows it");
}

#[rocket::async_test]
async fn a_broken_template_refuses_the_launch_and_names_the_place() {
    let templates = tempfile::TempDir::new().unwrap();
    std::fs::create_dir_all(templates.path().join("auth")).unwrap();
    std::fs::write(templates.path().join("auth/error.html"), "{% block %}").unwrap();
    let error = countersign::pages::Pages::load(templates.path(), &[]).err().unwrap().to_string();
    assert!(error.contains("auth") && error.contains("error.html") && !error.contains('\n'), "{error}");
}

// ASVS: 16.5.1
#[rocket::async_test]
async fn error_texts_come_from_a_closed_list() {
    let app = App::new("jwt").await;
    for code in ["%3Cscript%3Ealert(1)%3C%2Fscript%3E", "%7B%7B7*7%7D%7D", "Strange", "%00", "%ff"] {
        for page in ["error?error=", "signin?error=", "error/"] {
            let answer = app.browser().visit(&format!("/api/auth/{page}{code}")).await;
            assert!(answer.status == 200 || answer.status == 302, "{page}{code}: {}", answer.status);
            assert!(!answer.body.contains("<script>"), "{page}{code}");
            let document = Html::parse_document(&answer.body);
            let main = document.select(&Selector::parse("main").unwrap()).next();
            let shown = main.map(|main| main.inner_html()).unwrap_or_default();
            assert!(
                !["alert(1)", "7*7", "Strange"].iter().any(|word| shown.contains(word)),
                "{page}{code}: {shown}"
            );
        }
    }
    for (code, status) in
        [("AccessDenied", 403), ("Verification", 403), ("Configuration", 500), ("Default", 200)]
    {
        assert_eq!(app.browser().visit(&format!("/api/auth/error?error={code}")).await.status, status);
    }
}

#[rocket::async_test]
async fn assets_are_cached_by_their_hash_and_the_same_for_all() {
    let app = App::new("jwt").await;
    let mut ada = app.browser().enter("ada@example.com").await;
    let page = ada.visit("/api/auth/signin").await;
    let document = Html::parse_document(&page.body);
    let selector = Selector::parse("link[rel=stylesheet]").unwrap();
    let href = document.select(&selector).next().unwrap().value().attr("href").unwrap().to_owned();
    let (mine, theirs) = (ada.get(&href).await, app.browser().get(&href).await);
    assert_eq!(mine.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(mine.header("content-type"), Some("text/css; charset=utf-8"));
    assert_eq!(mine.body, theirs.body);
    assert!(mine.headers("set-cookie").is_empty());
    for path in ["/api/auth/assets/", "/api/auth/assets/none.css", "/api/auth/assets/..%2f..%2fCargo.toml"] {
        assert!(matches!(app.browser().get(path).await.status, 400 | 404), "{path}");
    }
}

#[rocket::async_test]
async fn the_page_carries_the_session() {
    let app = App::new("jwt").await;
    let selector = Selector::parse("#countersign-session").unwrap();
    let embedded = |page: &Answer| {
        let text = Html::parse_document(&page.body).select(&selector).next().unwrap().inner_html();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    assert_eq!(embedded(&app.browser().visit("/api/auth/signin").await), serde_json::json!({}));
    let mut ada = app.browser().enter("ada@example.com").await;
    let page = ada.visit("/api/auth/signin").await;
    assert_eq!(embedded(&page), ada.get("/api/auth/session").await.json());
}

#[rocket::async_test]
async fn an_application_has_its_own_pages() {
    let toml = "[default.auth.pages]\nsign_in = \"/own/in\"\nsign_out = \"/own/out\"\nerror = \"/own/error\"\n\
                verify_request = \"/own/mail\"\nnew_user = \"/own/welcome\"\n";
    let app = Setup::new("jwt").toml(toml).start().await;
    let home = "http://localhost:8000";
    for (path, location) in [
        ("/api/auth/signin?callbackUrl=/a", "/own/in?callbackUrl=http%3A%2F%2Flocalhost%3A8000%2Fa"),
        ("/api/auth/signout", "/own/out"),
        ("/api/auth/error?error=AccessDenied", "/own/error?error=AccessDenied"),
        ("/api/auth/verify-request", "/own/mail"),
        ("/page", "/own/in?callbackUrl=http%3A%2F%2Flocalhost%3A8000%2Fpage"),
    ] {
        assert_eq!(app.browser().visit(path).await.location(), format!("{home}{location}"), "{path}");
    }
    let made = app.browser().sign_up("ada@example.com").await;
    let expected = format!("{home}/own/welcome?callbackUrl=http%3A%2F%2Flocalhost%3A8000");
    assert_eq!(made.json()["url"], expected.as_str());
}

/// A host's own pages, by the library's engine: escaped, in the person's language, overridden by files, and nothing of one
/// page stays for the next.
#[rocket::async_test]
async fn a_hosts_own_pages_are_rendered_too() {
    use countersign::PageContext;
    use countersign::pages::Page;

    #[rocket::get("/hosts/<text>?<name>")]
    fn shown(page: PageContext, text: &str, name: Option<&str>) -> Page {
        let page = page.render("hosts/shown").with("text", text);
        match name {
            // Replaces what all pages share.
            Some(name) => page.with("site_name", name),
            None => page,
        }
    }

    let template =
        "<p lang={{ lang }}>{{ site_name }}: {{ text | default(value='none') }} {{ t.sign_in }}</p>";
    let host = |folder: &std::path::Path| {
        let toml = format!("[default]\ntemplate_dir = \"{}\"\n", folder.display());
        let named = [("hosts/shown".to_owned(), template.to_owned())];
        Setup::new("jwt")
            .toml(&toml)
            .fairing(move |fairing| fairing.templates(named))
            .build(|rocket| rocket.mount("/", rocket::routes![shown]))
    };
    let folder = tempfile::TempDir::new().unwrap();
    let app = host(folder.path()).start().await;
    let shown = app.browser().visit("/hosts/%3Cscript%3E").await;
    assert!(shown.header("content-type").unwrap().starts_with("text/html"));
    assert_eq!(shown.body, "<p lang=en>Countersign: &lt;script&gt; Sign in</p>");
    let replaced = app.browser().visit("/hosts/a?name=Other").await;
    assert_eq!(replaced.body, "<p lang=en>Other: a Sign in</p>");
    for _ in 0..2 {
        assert_eq!(app.browser().visit("/hosts/b").await.body, "<p lang=en>Countersign: b Sign in</p>");
    }
    std::fs::create_dir_all(folder.path().join("hosts")).unwrap();
    std::fs::write(folder.path().join("hosts/shown.html"), "from a file").unwrap();
    let app = host(folder.path()).start().await;
    assert_eq!(app.browser().visit("/hosts/a").await.body, "from a file");
}
