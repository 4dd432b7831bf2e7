//! What somebody is given who asks for everything that is stored about them: what they added to their account, too.

use countersign::testing::SoftPasskey;
use serde_json::json;

use crate::account_life::post;
use crate::app::{START, STRATEGIES, Setup};
use crate::browser::Steps as _;
use crate::dump::Dump;
use crate::idp::Idp;
use crate::oidc::sign_in;

#[rocket::async_test]
async fn it_tells_of_links_tokens_roles_and_passkeys_and_gives_none_of_them() {
    for strategy in STRATEGIES {
        let idp = Idp::start().await;
        let app = Setup::new(strategy).toml(&idp.toml("acme")).start().await;
        idp.follow(&app.clock);
        let mut ada = app.browser().enter("ada@example.com").await;
        app.confirm("ada@example.com").await;
        app.grant_role("ada@example.com", "editor").await;
        let mut key = SoftPasskey::new("http://localhost:8000", "localhost");
        assert!(ada.add_passkey(&mut key).await.status < 400);
        let there = json!({ "sub": "1816", "email": "countess@example.com", "name": "Countess" });
        sign_in(&mut ada, &idp, &there).await;
        let fields = [("name", "Backup"), ("scope.read", "on"), ("days", "30")];
        let page = post(&mut ada, "account/tokens", &fields).await.body;
        let at = page.find("cst_").unwrap();
        let token: String =
            page[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();

        let answer = ada.get("/api/auth/account/data").await;
        let data = answer.json();
        let at = START.to_rfc3339();
        assert_eq!(data["roles"], json!(["editor"]), "{strategy}");
        assert_eq!(
            data["linked_accounts"],
            json!([{ "provider": "acme", "issuer": idp.url(), "subject": "1816", "label": "countess@example.com",
                     "linked_at": at }]),
            "{strategy}"
        );
        assert_eq!(
            data["access_tokens"],
            json!([{ "name": "Backup", "scopes": ["read"], "created_at": at,
                     "expires_at": START.plus(30 * 86_400).to_rfc3339(), "last_used_at": null }]),
            "{strategy}"
        );
        assert_eq!(data["second_factors"]["passkeys"][0]["name"], "Test", "{strategy}");
        assert_eq!(data["second_factors"]["recovery"], 10, "{strategy}");

        let secrets = Dump::of(&app).await.secrets().await;
        assert!(secrets.len() >= 14, "{strategy}: {}", secrets.len());
        for secret in secrets.iter().map(String::as_str).chain([token.as_str(), "access-1", "refresh-1"]) {
            assert!(!answer.body.contains(secret), "{strategy}: {secret} in {}", answer.body);
        }
    }
}
