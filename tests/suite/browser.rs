//! What people and scripts of the suite do, in the browser of the testing kit.

pub(crate) use countersign::testing::{Answer, Browser};
use serde_json::json;

/// The password everybody has here.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// Steps that many tests take.
pub(crate) trait Steps: Sized {
    /// Makes an account.
    async fn sign_up(&mut self, email: &str) -> Answer;

    /// Tries to sign in, as a script.
    async fn try_sign_in(&mut self, email: &str, password: &str) -> Answer;

    /// Makes an account and signs in.
    async fn enter(self, email: &str) -> Self;

    /// Signs in to an account that exists.
    async fn enter_again(self, email: &str) -> Self;

    /// Who the API says this is: status and body of a guarded route.
    async fn me(&mut self) -> (u16, String);
}

impl Steps for Browser<'_> {
    async fn sign_up(&mut self, email: &str) -> Answer {
        let token = self.csrf().await;
        let body = json!({ "csrfToken": token, "name": "Ada", "email": email, "password": PASSWORD });
        self.json("/api/auth/signup", &body).await
    }

    async fn try_sign_in(&mut self, email: &str, password: &str) -> Answer {
        let token = self.csrf().await;
        let fields =
            [("csrfToken", token.as_str()), ("email", email), ("password", password), ("json", "true")];
        self.form("/api/auth/callback/credentials", &fields).await
    }

    async fn enter(mut self, email: &str) -> Self {
        let answer = self.sign_up(email).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let answer = self.try_sign_in(email, PASSWORD).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        self
    }

    async fn enter_again(mut self, email: &str) -> Self {
        let answer = self.try_sign_in(email, PASSWORD).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        self
    }

    async fn me(&mut self) -> (u16, String) {
        let answer = self.get("/me").await;
        let shown = if answer.status == 200 { answer.body } else { answer.json()["code"].to_string() };
        (answer.status, shown.trim_matches('"').to_owned())
    }
}
