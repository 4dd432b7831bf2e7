//! Small promises that belong to no page alone.

use scraper::{Html, Selector};

use crate::app::{App, STRATEGIES};
use crate::browser::Steps as _;

// ASVS: 6.3.2, 3.4.2
#[rocket::async_test]
async fn a_fresh_service_has_no_users_and_answers_no_other_origin() {
    let app = App::new("jwt").await;
    assert!(app.users().await.is_empty(), "no default accounts");
    let mut elsewhere = app.browser().with_header("Origin", "https://evil.example");
    for path in ["/api/auth/session", "/api/auth/csrf", "/api/auth/providers", "/me", "/api/auth/signin"] {
        let answer = elsewhere.get(path).await;
        for header in ["access-control-allow-origin", "access-control-allow-credentials"] {
            assert_eq!(answer.header(header), None, "{path}");
        }
    }
}

// ASVS: 7.4.4
#[rocket::async_test]
async fn signing_out_is_offered_on_every_page() {
    for strategy in STRATEGIES {
        let app = App::new(strategy).await;
        let mut ada = app.browser().enter("ada@example.com").await;
        for path in ["account", "account/security", "account/tokens"] {
            let page = ada.visit(&format!("/api/auth/{path}")).await;
            assert_eq!(page.status, 200, "{path}");
            let document = Html::parse_document(&page.body);
            let way_out = Selector::parse("nav a[href$='/signout']").unwrap();
            assert!(document.select(&way_out).next().is_some(), "{strategy}: {path}");
        }
        let page = ada.visit("/api/auth/signout").await;
        let document = Html::parse_document(&page.body);
        let form = Selector::parse("form[method=post][action$='/signout'] input[name=csrfToken]").unwrap();
        assert!(document.select(&form).next().is_some(), "{strategy}");
    }
}
