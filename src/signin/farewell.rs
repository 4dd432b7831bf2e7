//! What is stored about somebody, handed to them; and everything of it, deleted.

use serde_json::{Value, json};

use super::account::own;
use super::errors::SignInError;
use super::service::SignIn;
use crate::audit::AuditEvent;
use crate::clock::Timestamp;
use crate::mail::LetterKind;
use crate::model::{
    AccessTokenRecord, DisplayName, Factors, LinkedAccount, Permission, SessionRecord, User, Verification,
};
use crate::secret::TokenHash;
use crate::session::SessionData;
use crate::store::{self, AuditFilter};

impl SignIn {
    /// Everything that is stored about the person signed in, without the secrets that would let a reader of the file
    /// in: no password hash, no key of a session or access token, no token of another site.
    ///
    /// # Errors
    /// [`store::Error`].
    pub async fn data_of(&self, session: &SessionData) -> Result<Value, store::Error> {
        let id = &session.user_id;
        let user = self.store.find_user(id).await?;
        let has_password = match &user {
            Some(user) => self.has_password(&user.email).await?,
            None => false,
        };
        let sessions = self.store.list_sessions(id).await?;
        let pending = self.store.list_verifications(id).await?;
        let factors = self.store.find_factors(id).await?;
        let accounts = self.store.list_accounts(id).await?;
        let tokens = self.store.list_access_tokens(id).await?;
        let roles = self.store.roles_of(id).await?;
        let records = self.records_of(session).await?;
        self.audit.record(own(AuditEvent::DataExported, session)).await;
        let sessions = sessions.iter().map(|record| session_told(record, &session.id));
        Ok(json!({
            "user": user.map(|user| user_told(&user, has_password)),
            "roles": roles.iter().map(Permission::as_str).collect::<Vec<_>>(),
            "sessions": sessions.collect::<Vec<_>>(),
            "linked_accounts": accounts.iter().map(account_told).collect::<Vec<_>>(),
            "access_tokens": tokens.iter().map(token_told).collect::<Vec<_>>(),
            "mailed_links": pending.iter().map(link_told).collect::<Vec<_>>(),
            "second_factors": factors_told(&factors),
            "audit_records": records,
        }))
    }

    /// What the audit log holds about the person.
    async fn records_of(&self, session: &SessionData) -> Result<Vec<Value>, store::Error> {
        const PAGE: u32 = 500;
        let filter = AuditFilter { user: Some(session.user_id.clone()), since: None };
        let (mut records, mut after) = (Vec::new(), 0);
        loop {
            let page = self.store.audit_after(after, &filter, PAGE).await?;
            records.extend(page.iter().map(|record| {
                json!({
                    "at": record.entry.at.to_rfc3339(),
                    "event": record.entry.event,
                    "outcome": record.entry.outcome,
                    "email": record.entry.email,
                    "address": record.entry.address,
                    "details": serde_json::from_str::<Value>(&record.entry.details).unwrap_or(Value::Null),
                })
            }));
            match page.last() {
                Some(last) if page.len() == PAGE as usize => after = last.sequence,
                _ => return Ok(records),
            }
        }
    }

    /// Deletes the account of the person signed in, and ends all their sessions. The address is told.
    ///
    /// # Errors
    /// [`SignInError`]; nothing was deleted then.
    pub async fn delete_account(&self, session: &SessionData, language: &str) -> Result<(), SignInError> {
        let user = self.store.find_user(&session.user_id).await?;
        self.sessions.delete_user(&session.user_id).await?;
        if let Some(user) = user {
            self.audit.record(own(AuditEvent::AccountDeleted, session)).await;
            self.notify(LetterKind::AccountDeleted, &user.email, language);
        }
        Ok(())
    }
}

fn time(moment: Timestamp) -> String {
    moment.to_rfc3339()
}

fn user_told(user: &User, has_password: bool) -> Value {
    json!({
        "id": user.id,
        "email": user.email.as_str(),
        "email_verified_at": user.email_verified_at.map(time),
        "name": user.name.as_ref().map(DisplayName::as_str),
        "image": user.image,
        "created_at": time(user.created_at),
        "has_password": has_password,
    })
}

fn session_told(record: &SessionRecord, this: &TokenHash) -> Value {
    json!({
        "strategy": record.strategy.as_str(),
        "method": record.method.as_str(),
        "authenticated_at": time(record.authenticated_at),
        "renewed_at": time(record.renewed_at),
        "expires_at": time(record.expires_at),
        "user_agent": record.user_agent,
        "address": record.address,
        "claims": serde_json::from_str::<Value>(&record.claims).unwrap_or(Value::Null),
        "is_this_session": record.id == *this,
    })
}

fn account_told(account: &LinkedAccount) -> Value {
    json!({
        "provider": account.external.provider,
        "issuer": account.external.issuer,
        "subject": account.external.subject,
        "label": account.label,
        "linked_at": time(account.linked_at),
    })
}

fn token_told(token: &AccessTokenRecord) -> Value {
    json!({
        "name": token.name,
        "scopes": token.scopes.iter().map(Permission::as_str).collect::<Vec<_>>(),
        "created_at": time(token.created_at),
        "expires_at": time(token.expires_at),
        "last_used_at": token.last_used_at.map(time),
    })
}

fn link_told(link: &Verification) -> Value {
    json!({
        "purpose": link.purpose.as_str(),
        "email": link.email.as_str(),
        "created_at": time(link.created_at),
        "expires_at": time(link.expires_at),
    })
}

fn factors_told(factors: &Factors) -> Value {
    let passkeys = factors.passkeys.iter().map(|passkey| {
        json!({
            "name": passkey.name,
            "created_at": time(passkey.created_at),
            "last_used_at": passkey.last_used_at.map(time),
        })
    });
    json!({
        "totp": factors.totp.is_some(),
        "recovery": factors.recovery_codes,
        "passkeys": passkeys.collect::<Vec<_>>(),
    })
}
