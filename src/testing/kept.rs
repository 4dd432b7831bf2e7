//! What an application keeps, to look at after the act.

use super::app::{TestApp, auth};
use crate::model::{AuditRecord, Factors, LinkedAccount, SessionRecord, User};
use crate::store::{self, AuditFilter};

/// How much is read at once.
const PAGE: u32 = 500;

impl TestApp {
    /// Everybody who has an account, by address.
    ///
    /// # Panics
    /// When the store does not answer.
    pub async fn users(&self) -> Vec<User> {
        let mut all: Vec<User> = Vec::new();
        loop {
            let after = all.last().map(|user| user.email.clone());
            let page = answered(self.store().list_users(after.as_ref(), PAGE).await);
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    }

    /// The roles of the user of an address.
    ///
    /// # Panics
    /// When nobody has the address, and when the store does not answer.
    pub async fn roles(&self, email: &str) -> Vec<String> {
        let roles = answered(self.store().roles_of(&self.existing(email).await.id).await);
        roles.iter().map(|role| role.as_str().to_owned()).collect()
    }

    /// Where the user of an address is signed in, most recently used first.
    ///
    /// # Panics
    /// When nobody has the address, and when the store does not answer.
    pub async fn sessions(&self, email: &str) -> Vec<SessionRecord> {
        answered(self.store().list_sessions(&self.existing(email).await.id).await)
    }

    /// The second factors of the user of an address.
    ///
    /// # Panics
    /// When nobody has the address, and when the store does not answer.
    pub async fn factors(&self, email: &str) -> Factors {
        answered(self.store().find_factors(&self.existing(email).await.id).await)
    }

    /// The accounts at other sites that open the account of the user of an address.
    ///
    /// # Panics
    /// When nobody has the address, and when the store does not answer.
    pub async fn linked_accounts(&self, email: &str) -> Vec<LinkedAccount> {
        answered(self.store().list_accounts(&self.existing(email).await.id).await)
    }

    /// The audit log, oldest first; refusals that still wait are written first.
    ///
    /// ```
    /// # use countersign::Countersign;
    /// # use countersign::testing::TestApp;
    /// # rocket::async_test(async {
    /// # let app = TestApp::start(rocket::build().attach(Countersign::fairing())).await;
    /// app.sign_in("ada@example.com").await;
    /// let records = app.audit_records().await;
    /// assert_eq!(records.last().unwrap().entry.event, "sign_in.succeeded");
    /// # });
    /// ```
    ///
    /// # Panics
    /// When the application has no sign-in, and when the store does not answer.
    pub async fn audit_records(&self) -> Vec<AuditRecord> {
        let sign_in = auth(self.client()).sign_in.as_ref();
        let sign_in =
            sign_in.unwrap_or_else(|| panic!("an application that only verifies tokens keeps no audit log"));
        answered(sign_in.audit().flush().await);
        let mut all: Vec<AuditRecord> = Vec::new();
        loop {
            let after = all.last().map_or(0, |record| record.sequence);
            let page = answered(self.store().audit_after(after, &AuditFilter::default(), PAGE).await);
            if page.is_empty() {
                return all;
            }
            all.extend(page);
        }
    }
}

/// What the store answered.
fn answered<T>(answer: Result<T, store::Error>) -> T {
    answer.unwrap_or_else(|error| panic!("{error}"))
}
