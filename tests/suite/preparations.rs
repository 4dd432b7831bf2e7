//! How everything is prepared that is done in `acts`.

use countersign::testing::TestApp;
use serde_json::{Value, json};

use crate::acts::{Act, Ready, World};
use crate::browser::{Browser, PASSWORD, Steps as _};
use crate::email::ask;
use crate::factors::{code, field, first_proof, switch_on, texts};
use crate::oidc::{begin, param};

const NEW_PASSWORD: &str = "another good password";

/// Who somebody is at the other site.
fn there(email: &str, is_proven: bool) -> Value {
    json!({ "sub": email, "name": "Ada", "email": email, "email_verified": is_proven })
}

impl World {
    /// A person who was never seen before, up to the request that does it.
    pub(crate) async fn prepare(&self, act: Act) -> Ready<'_> {
        self.has_newer_secret(false);
        let email = self.email();
        let admin = format!("admin.{email}");
        let mut ready = match act {
            Act::SignUp | Act::SignIn | Act::SignInUnderStrongerRules => self.by_password(act, &email).await,
            Act::Renewal | Act::SignOut | Act::EndSession | Act::EndOtherSessions => {
                self.with_sessions(act, &email).await
            }
            Act::ChangeName | Act::ChangePassword | Act::FirstPassword | Act::Data | Act::Delete => {
                self.own_account(act, &email).await
            }
            Act::AskForLink | Act::AskForReset | Act::AskForChange => self.asking_for_mail(act, &email).await,
            Act::OwnersLink | Act::NewcomersCode | Act::Reset | Act::Verify | Act::ChangeEmail => {
                self.by_mail(act, &email).await
            }
            Act::SwitchOn | Act::SwitchOff | Act::RenewCodes | Act::AddPasskey | Act::RemovePasskey => {
                self.own_factors(act, &email).await
            }
            Act::SecondByCode | Act::SecondByOldCode | Act::SecondByRecovery => {
                self.second_by_code(act, &email).await
            }
            Act::SecondByPasskey | Act::Passkey => self.by_passkey(act, &email).await,
            Act::FromThere | Act::FromThereAtFirst | Act::FromThereByAddress | Act::FromThereAsOwner => {
                self.arriving(act, &email).await
            }
            Act::LinkThere | Act::Unlink => self.linking(act, &email).await,
            Act::TokensThere | Act::OldTokensThere => self.tokens_there(act, &email).await,
            Act::MakeToken | Act::RevokeToken | Act::UseToken | Act::UseRole => {
                self.permissions(act, &email).await
            }
            Act::Search | Act::Look | Act::Log => self.looking(act, &email, &admin).await,
            Act::Grant
            | Act::Take
            | Act::Disable
            | Act::Enable
            | Act::EndTheirSessions
            | Act::RemoveTheirFactors => self.administering(act, &email, &admin).await,
        };
        for email in [&email, &admin] {
            ready.ids.extend(self.app.user(email).await.map(|user| user.id));
        }
        ready
    }

    async fn by_password(&self, act: Act, email: &str) -> Ready<'_> {
        let proof = [("email", email), ("password", PASSWORD)];
        let nobody = self.app.browser();
        if act == Act::SignUp {
            return self.form(nobody, "signup", &proof).await;
        }
        self.app.browser().sign_up(email).await;
        let browser = self.stronger.as_ref().map_or(nobody, TestApp::browser);
        self.form(browser, "callback/credentials", &proof).await
    }

    async fn with_sessions(&self, act: Act, email: &str) -> Ready<'_> {
        let ada = self.app.sign_in(email).await;
        let own = self.app.session_ids(email).await;
        self.app.sign_in(email).await;
        let other = self.app.session_ids(email).await.into_iter().find(|id| !own.contains(id)).unwrap();
        match act {
            Act::Renewal => {
                self.app.clock.advance(86_400);
                self.get(ada, "/me")
            }
            Act::SignOut => self.form(ada, "signout", &[]).await,
            Act::EndSession => self.form(ada, "account/sessions/end", &[("id", &other)]).await,
            _ => self.form(ada, "account/sessions/end-others", &[]).await,
        }
    }

    async fn own_account(&self, act: Act, email: &str) -> Ready<'_> {
        let ada = match act {
            Act::ChangePassword => self.app.browser().enter(email).await,
            _ => self.app.sign_in(email).await,
        };
        match act {
            Act::ChangeName => self.form(ada, "account/name", &[("name", "Ada Lovelace")]).await,
            Act::ChangePassword => {
                let fields = [("currentPassword", PASSWORD), ("newPassword", NEW_PASSWORD)];
                self.form(ada, "account/password", &fields).await
            }
            Act::FirstPassword => {
                self.form(ada, "account/password/first", &[("newPassword", NEW_PASSWORD)]).await
            }
            Act::Data => self.get(ada, "/api/auth/account/data"),
            _ => self.form(ada, "account/delete", &[("confirm", "yes")]).await,
        }
    }

    async fn asking_for_mail(&self, act: Act, email: &str) -> Ready<'_> {
        let ada = self.app.sign_in(email).await;
        let (nobody, other) = (self.app.browser(), format!("new.{email}"));
        match act {
            Act::AskForLink => self.form(nobody, "signin/email", &[("email", email)]).await,
            Act::AskForReset => self.form(nobody, "forgot-password", &[("email", email)]).await,
            _ => self.form(ada, "account/email", &[("email", &other)]).await,
        }
    }

    async fn by_mail(&self, act: Act, email: &str) -> Ready<'_> {
        let mut browser = self.app.browser();
        let new = format!("new.{email}");
        let (subject, to, page) = match act {
            Act::OwnersLink | Act::NewcomersCode => {
                if act == Act::OwnersLink {
                    // Whoever it was never proved the address.
                    self.app.browser().enter(email).await;
                }
                ask(&mut browser, email).await;
                ("Sign in", email, "callback/email")
            }
            Act::Reset => {
                self.app.confirm(email).await;
                self.form(browser.clone(), "forgot-password", &[("email", email)]).await.send().await;
                ("Choose a new password", email, "reset-password")
            }
            Act::Verify => {
                browser = browser.enter(email).await;
                ("Confirm", email, "verify-email")
            }
            _ => {
                browser = self.app.sign_in(email).await;
                self.form(browser.clone(), "account/email", &[("email", &new)]).await.send().await;
                ("Confirm your new address", new.as_str(), "change-email")
            }
        };
        let mail = self.app.mail(to, subject).await;
        if act == Act::NewcomersCode {
            return self.form(browser, page, &[("code", &mail.code().unwrap())]).await;
        }
        let token = param(mail.link().unwrap(), "token").unwrap();
        let fields = [("email", to), ("token", &token), ("password", NEW_PASSWORD)];
        self.form(browser, page, &fields).await
    }

    async fn own_factors(&self, act: Act, email: &str) -> Ready<'_> {
        let mut ada = self.app.sign_in(email).await;
        let codes = "account/security/totp";
        match act {
            Act::SwitchOn => {
                let page = ada.visit(&format!("/api/auth/{codes}")).await.body;
                let phone = crate::factors::app_of(&texts(&page, "code.secret")[0]);
                let (secret, code) = (field(&page, "secret"), code(&phone, &self.app));
                self.form(ada, codes, &[("secret", &secret), ("code", &code)]).await
            }
            Act::SwitchOff | Act::RenewCodes => {
                switch_on(&self.app, &mut ada).await;
                let page = if act == Act::SwitchOff { "totp/disable" } else { "recovery-codes" };
                self.form(ada, &format!("account/security/{page}"), &[]).await
            }
            Act::AddPasskey => {
                let asked = ada.passkey_options("/api/auth/account/security/passkeys/options").await;
                let fields = [("credential", self.app.passkey().create(&asked)), ("name", "Key".to_owned())];
                let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
                self.form(ada, "account/security/passkeys", &fields).await
            }
            _ => {
                ada.add_passkey(&mut self.app.passkey()).await;
                let id = self.app.factors(email).await.passkeys[0].id.to_hex();
                self.form(ada, "account/security/passkeys/remove", &[("id", &id)]).await
            }
        }
    }

    async fn second_by_code(&self, act: Act, email: &str) -> Ready<'_> {
        let mut ada = self.app.browser().enter(email).await;
        let (phone, recovery) = switch_on(&self.app, &mut ada).await;
        self.app.clock.advance(60);
        let half = first_proof(&self.app, email).await;
        let code = code(&phone, &self.app);
        let shown = if act == Act::SecondByRecovery { &recovery[0] } else { &code };
        let ready = self.form(half, "factor", &[("code", shown)]).await;
        self.has_newer_secret(act == Act::SecondByOldCode);
        ready
    }

    async fn by_passkey(&self, act: Act, email: &str) -> Ready<'_> {
        let mut ada = self.app.browser().enter(email).await;
        self.app.confirm(email).await;
        let mut key = self.app.passkey();
        ada.add_passkey(&mut key).await;
        let (mut browser, options, page) = if act == Act::Passkey {
            (self.app.browser(), "/api/auth/passkey/options", "callback/passkey")
        } else {
            (first_proof(&self.app, email).await, "/api/auth/factor/options", "factor")
        };
        let answer = key.get(&browser.passkey_options(options).await);
        self.form(browser, page, &[("credential", &answer)]).await
    }

    /// Somebody at the other site, about to come back.
    async fn comes_back<'a>(&'a self, mut browser: Browser<'a>, site: &str, claims: &Value) -> Ready<'a> {
        let back = self.idp.authorize(&begin(&mut browser, site, "/after").await, claims);
        self.get(browser, &back)
    }

    async fn arriving(&self, act: Act, email: &str) -> Ready<'_> {
        let (claims, nobody) = (there(email, true), self.app.browser());
        match act {
            Act::FromThere => {
                self.app.browser().sign_in_with("acme", &self.idp, &claims).await;
            }
            Act::FromThereByAddress => self.app.confirm(email).await,
            Act::FromThereAsOwner => {
                self.app.browser().enter(email).await;
            }
            _ => {}
        }
        let site = if act == Act::FromThereByAddress { "trusted" } else { "acme" };
        self.comes_back(nobody, site, &claims).await
    }

    async fn linking(&self, act: Act, email: &str) -> Ready<'_> {
        let mut ada = self.app.sign_in(email).await;
        if act == Act::LinkThere {
            return self.comes_back(ada, "acme", &there(email, false)).await;
        }
        ada.sign_in_with("acme", &self.idp, &there(email, false)).await;
        let id = self.app.linked_accounts(email).await[0].id.clone();
        self.form(ada, "account/unlink", &[("id", &id)]).await
    }

    async fn tokens_there(&self, act: Act, email: &str) -> Ready<'_> {
        let mut ada = self.app.browser();
        ada.sign_in_with("acme", &self.idp, &there(email, true)).await;
        if act == Act::TokensThere {
            self.app.clock.advance(45);
        }
        self.has_newer_secret(act == Act::OldTokensThere);
        self.get(ada, "/tokens")
    }

    async fn permissions(&self, act: Act, email: &str) -> Ready<'_> {
        let ada = self.app.sign_in(email).await;
        match act {
            Act::MakeToken => {
                let fields = [("name", "script"), ("scope.read", "on"), ("days", "30")];
                self.form(ada, "account/tokens", &fields).await
            }
            Act::RevokeToken => {
                self.app.access_token(email, &["read"]).await;
                let user = self.app.user(email).await.unwrap().id;
                let id = self.app.store().list_access_tokens(&user).await.unwrap()[0].id.to_hex();
                self.form(ada, "account/tokens/revoke", &[("id", &id)]).await
            }
            Act::UseToken => {
                let token = self.app.access_token(email, &["read"]).await;
                let script = self.app.browser().with_header("Authorization", &format!("Bearer {token}"));
                self.get(script, "/notes")
            }
            _ => {
                self.app.grant_role(email, "editor").await;
                self.get(ada, "/drafts")
            }
        }
    }

    async fn looking(&self, act: Act, email: &str, admin: &str) -> Ready<'_> {
        let user = self.app.add_user(email, None).await;
        let browser = self.app.sign_in(admin).await;
        self.app.grant_role(admin, "admin").await;
        let path = match act {
            Act::Search => format!("?q={email}"),
            Act::Look => format!("/users/{}", user.id),
            _ => "/log".to_owned(),
        };
        self.get(browser, &format!("/api/auth/admin{path}"))
    }

    async fn administering(&self, act: Act, email: &str, admin: &str) -> Ready<'_> {
        let mut bob = self.app.sign_in(email).await;
        let (name, role) = match act {
            Act::Grant => ("grant", "editor"),
            Act::Take => ("take", "editor"),
            Act::Disable => ("disable", ""),
            Act::Enable => ("enable", ""),
            Act::EndTheirSessions => ("end_sessions", ""),
            _ => ("remove_factors", ""),
        };
        match act {
            Act::Take => self.app.grant_role(email, "editor").await,
            Act::Enable => self.app.disable(email).await,
            Act::RemoveTheirFactors => {
                bob.add_passkey(&mut self.app.passkey()).await;
            }
            _ => {}
        }
        let id = self.app.user(email).await.unwrap().id;
        let browser = self.app.sign_in(admin).await;
        self.app.grant_role(admin, "admin").await;
        self.form(browser, &format!("admin/users/{id}"), &[("act", name), ("role", role)]).await
    }
}
