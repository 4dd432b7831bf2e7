//! Whatever changes who gets into an account is told to its owner by mail, in the language of the page.

use countersign::mail::Mail;
use countersign::testing::SoftPasskey;
use serde_json::json;

use crate::app::{App, Setup};
use crate::browser::{Browser, PASSWORD, Steps as _};
use crate::email::follow;
use crate::factors;
use crate::idp::Idp;
use crate::oidc::sign_in;

const NEW: &str = "another good password";

/// What the subjects say, in both languages.
struct Words {
    language: &'static str,
    subjects: [&'static str; 12],
}

const BOTH: [Words; 2] = [
    Words {
        language: "en",
        subjects: [
            "Codes from an app are on for your account at Countersign",
            "A recovery code was used at Countersign",
            "Your account at Countersign has new recovery codes",
            "Codes from an app are off for your account at Countersign",
            "A passkey was added to your account at Countersign",
            "A passkey was removed from your account at Countersign",
            "Acme signs in to your account at Countersign from now on",
            "Acme does not sign in to your account at Countersign any more",
            "An access token was made at Countersign",
            "Your password at Countersign was changed",
            "A new password was chosen at Countersign",
            "Your address at Countersign was changed",
        ],
    },
    Words {
        language: "ko",
        subjects: [
            "Countersign 계정의 앱 코드가 켜졌습니다",
            "Countersign에서 복구 코드가 사용되었습니다",
            "Countersign 계정의 복구 코드가 새로 만들어졌습니다",
            "Countersign 계정의 앱 코드가 꺼졌습니다",
            "Countersign 계정에 패스키가 추가되었습니다",
            "Countersign 계정에서 패스키가 삭제되었습니다",
            "이제 Acme 계정으로 Countersign에 로그인할 수 있습니다",
            "이제 Acme 계정으로 Countersign에 로그인할 수 없습니다",
            "Countersign에서 액세스 토큰이 만들어졌습니다",
            "Countersign 비밀번호가 변경되었습니다",
            "Countersign 비밀번호를 새로 정했습니다",
            "Countersign 이메일 주소가 변경되었습니다",
        ],
    },
];

async fn post(browser: &mut Browser<'_>, path: &str, fields: &[(&str, &str)]) -> String {
    let token = browser.csrf().await;
    let mut all = vec![("csrfToken", token.as_str())];
    all.extend(fields);
    let answer = browser.form(&format!("/api/auth/{path}"), &all).await;
    assert!(answer.status < 400, "{path}: {} {}", answer.status, answer.body);
    answer.body
}

/// A notice says when, has both forms, and holds nothing that opens anything.
fn check(mail: &Mail, secrets: &[&str]) {
    for body in [&mail.text, &mail.html] {
        assert!(body.contains("2027-01-15 08:"), "when: {body}");
        assert!(!body.contains("token=") && !body.contains("href"), "no link: {body}");
        for secret in secrets {
            assert!(!body.contains(secret), "{secret} in {body}");
        }
    }
}

async fn start(idp: &Idp) -> App {
    Setup::new("database").toml(&idp.toml("acme")).start().await
}

/// ASVS 5.0, 6.3.7.
#[rocket::async_test]
async fn every_change_is_told_to_the_owner() {
    for Words { language, subjects } in BOTH {
        let idp = Idp::start().await;
        let app = start(&idp).await;
        let here = || app.browser().with_header("Accept-Language", language);
        let mut subjects = subjects.into_iter();
        let mut told = async |secrets: &[&str]| {
            let subject = subjects.next().unwrap();
            let mail = app.mail("ada@example.com", subject).await;
            assert_eq!(mail.subject, subject);
            check(&mail, secrets);
            mail
        };
        let mut ada = here().enter("ada@example.com").await;

        let (_, codes) = factors::switch_on(&app, &mut ada).await;
        let codes: Vec<&str> = codes.iter().map(String::as_str).collect();
        told(&codes).await;
        let mut half = here();
        half.try_sign_in("ada@example.com", PASSWORD).await;
        assert_eq!(factors::second_proof(&mut half, codes[0]).await.status, 200);
        let mail = told(&codes).await;
        assert!(mail.text.contains(": 9"), "how many are left: {}", mail.text);
        let page = post(&mut ada, "account/security/recovery-codes", &[]).await;
        assert!(!page.contains(codes[1]));
        told(&[]).await;
        post(&mut ada, "account/security/totp/disable", &[]).await;
        told(&[]).await;

        let mut key = SoftPasskey::new("http://localhost:8000", "localhost");
        assert!(ada.add_passkey(&mut key).await.status < 400);
        let mail = told(&[]).await;
        assert!(!mail.text.contains("Test"), "nobody's words but ours: {}", mail.text);
        let id = app.factors("ada@example.com").await.passkeys[0].id.to_hex();
        post(&mut ada, "account/security/passkeys/remove", &[("id", &id)]).await;
        told(&[]).await;

        let elsewhere = json!({ "sub": "1816", "email": "eve@elsewhere.example", "name": "Eve" });
        assert!(!sign_in(&mut ada, &idp, &elsewhere).await.location().contains("error"));
        let mail = told(&["Eve", "eve@", "1816"]).await;
        assert!(mail.text.contains("Acme"), "{}", mail.text);
        let id = app.linked_accounts("ada@example.com").await[0].id.clone();
        post(&mut ada, "account/unlink", &[("id", &id)]).await;
        told(&["Eve", "1816"]).await;

        let fields = [("name", "My script"), ("scope.read", "on"), ("days", "30")];
        post(&mut ada, "account/tokens", &fields).await;
        told(&["cst_", "My script"]).await;
        post(&mut ada, "account/password", &[("currentPassword", PASSWORD), ("newPassword", NEW)]).await;
        told(&[NEW, PASSWORD]).await;

        let mut forgetful = here();
        post(&mut forgetful, "forgot-password", &[("email", "ada@example.com")]).await;
        let asked =
            if language == "en" { "Choose a new" } else { "Countersign 비밀번호를 새로 정하세요" };
        let link = app.mail("ada@example.com", asked).await.link().unwrap().to_owned();
        let secret = link.split("token=").nth(1).unwrap().split('&').next().unwrap();
        let fields = [("email", "ada@example.com"), ("token", secret), ("password", PASSWORD)];
        post(&mut forgetful, "reset-password", &fields).await;
        told(&[secret, PASSWORD]).await;

        app.clock.advance(1);
        let mut ada = here();
        ada.try_sign_in("ada@example.com", PASSWORD).await;
        post(&mut ada, "account/email", &[("email", "countess@example.com")]).await;
        let link = app.mails.take("countess@example.com").await.unwrap().link().unwrap().to_owned();
        assert!(follow(&mut ada, &link).await.location().ends_with("notice=email_changed"));
        told(&["countess"]).await;
    }
}

/// Who refused, mistyped or was too late changed nothing, and nobody is written to.
#[rocket::async_test]
async fn what_did_not_happen_is_not_told() {
    let idp = Idp::start().await;
    let app = start(&idp).await;
    let mut ada = app.browser().enter("ada@example.com").await;
    app.mail("ada@example.com", "Confirm").await;
    app.confirm("ada@example.com").await;
    let token = ada.csrf().await;
    for (path, fields) in [
        ("account/security/totp", vec![("secret", "x"), ("code", "000000")]),
        ("account/security/totp/disable", vec![]),
        ("account/security/passkeys", vec![("credential", "{}"), ("name", "x")]),
        ("account/security/passkeys/remove", vec![("id", "00")]),
        ("account/unlink", vec![("id", "00")]),
        ("account/tokens", vec![("name", "x"), ("days", "0")]),
        ("account/password", vec![("currentPassword", "wrong password"), ("newPassword", NEW)]),
    ] {
        let mut all = vec![("csrfToken", token.as_str())];
        all.extend(fields);
        let answer = ada.form(&format!("/api/auth/{path}"), &all).await;
        assert!(answer.status < 500, "{path}: {}", answer.body);
    }
    let office = "the last letter shows that nothing came before it";
    crate::email::ask(&mut app.browser(), "last@example.com").await;
    app.mail("last@example.com", "Sign in").await;
    assert!(app.mails.all().is_empty(), "{office}: {:?}", app.mails.all());
}

/// An account that somebody made in advance with the owner's address, taken over by way of another site.
#[rocket::async_test]
async fn an_owner_who_arrives_by_another_site_is_told() {
    let idp = Idp::start().await;
    let app = start(&idp).await;
    app.browser().enter("ada@example.com").await;
    sign_in(&mut app.browser(), &idp, &crate::oidc::ada()).await;
    let mail = app.mail("ada@example.com", "Your account at Countersign is yours alone").await;
    check(&mail, &[]);
}
