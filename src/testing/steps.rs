//! What people do in a browser, in one step each.

use serde_json::Value;

use super::app::auth;
use super::browser::{Answer, Browser};
use super::passkey::SoftPasskey;
use super::provider::OpenIdProvider;

impl Browser<'_> {
    /// Presses the button of another site on the sign-in page. The answer is where the person is sent; afterwards they go
    /// to `callback_url`.
    ///
    /// # Panics
    /// When nobody is sent anywhere.
    pub async fn go_to_provider(&mut self, name: &str, callback_url: &str) -> String {
        let token = self.csrf().await;
        let fields = [("csrfToken", token.as_str()), ("callbackUrl", callback_url), ("json", "true")];
        let answer = self.form(&self.base(&format!("signin/{name}")), &fields).await;
        assert_eq!(answer.status, 200, "nobody is sent to {name}: {}", answer.body);
        let url = answer.json().get("url").and_then(Value::as_str).map(str::to_owned);
        url.unwrap_or_else(|| panic!("no URL in {}", answer.body))
    }

    /// Signs in with the account at a provider of which `claims` are true: goes there, agrees and comes back. The answer is
    /// that of the callback.
    pub async fn sign_in_with(&mut self, name: &str, provider: &OpenIdProvider, claims: &Value) -> Answer {
        let url = self.go_to_provider(name, "/").await;
        let back = provider.authorize(&url, claims);
        self.get(&back).await
    }

    /// Adds a passkey to the account of the person signed in. The first factor of an account is answered by a page with
    /// recovery codes (200), every further one by a redirect (303).
    ///
    /// # Panics
    /// When no passkey can be added: nobody is signed in, or too long ago, or their address is not
    /// [confirmed](super::TestApp::confirm_email).
    pub async fn add_passkey(&mut self, key: &mut SoftPasskey) -> Answer {
        let path = self.base("account/security/passkeys");
        let credential = key.create(&self.passkey_options(&format!("{path}/options")).await);
        let token = self.csrf().await;
        let fields = [("csrfToken", token.as_str()), ("credential", &credential), ("name", "Test")];
        self.form(&path, &fields).await
    }

    /// Signs in by a passkey alone.
    ///
    /// # Panics
    /// When the application offers no passkeys.
    pub async fn sign_in_by_passkey(&mut self, key: &mut SoftPasskey) -> Answer {
        let asked = self.passkey_options(&self.base("passkey/options")).await;
        let credential = key.get(&asked);
        let token = self.csrf().await;
        let fields = [("csrfToken", token.as_str()), ("credential", &credential), ("json", "true")];
        self.form(&self.base("callback/passkey"), &fields).await
    }

    /// What the application asks a passkey at this path.
    ///
    /// # Panics
    /// When it asks nothing.
    pub async fn passkey_options(&mut self, path: &str) -> Value {
        let token = self.csrf().await;
        let answer = self.form(path, &[("csrfToken", &token)]).await;
        assert_eq!(answer.status, 200, "no options at {path}: {}", answer.body);
        answer.json()
    }

    /// A path below Countersign's own.
    fn base(&self, path: &str) -> String {
        format!("{}/{path}", auth(self.client()).config.url.base_path)
    }
}
