//! Roles, and what an administrator does.
//!
//! A role is asked of the store by every request that needs one: what is taken away counts from the next request on, on
//! every instance. The token of a session carries the roles of its sign-in, too (`roles`), for other programs that read it;
//! there they count until the token is renewed.
//!
//! Nobody gives themselves a role: the first administrator is made by `countersign user role`, and from then on
//! administrators act on others. What would lock the last one out (disabling oneself, taking one's own role) is refused.

use super::service::SignIn;
use crate::audit::{AuditEvent, Detail, Entry};
use crate::model::{AuditRecord, Email, Permission, SessionRecord, User, UserId};
use crate::session::SessionData;
use crate::store::{self, AuditFilter};

/// The role of those who may see and change everybody's account.
pub const ADMIN: &str = "admin";

/// Why an administrator's act was not done.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No such user.
    #[error("there is no such user")]
    NoSuchUser,
    /// It would be done to oneself.
    #[error("nobody does this to their own account")]
    Oneself,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// What an administrator sees of somebody.
#[derive(Debug)]
pub struct Person {
    /// The user.
    pub user: User,
    /// Their roles.
    pub roles: Vec<Permission>,
    /// Where they are signed in.
    pub sessions: Vec<SessionRecord>,
    /// Whether a second factor is on.
    pub second_factor: bool,
}

/// What an administrator does to somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdminAct {
    /// No sign-in any more, and every session ends.
    Disable,
    /// May sign in again.
    Enable,
    /// Every session ends.
    EndSessions,
    /// Every second factor goes: for somebody who lost theirs and proved by other means who they are.
    RemoveFactors,
    /// Gets a role.
    Grant(Permission),
    /// Loses a role.
    Take(Permission),
}

impl SignIn {
    /// The roles of a user.
    ///
    /// # Errors
    /// [`store::Error`].
    pub async fn roles_of(&self, user: &UserId) -> Result<Vec<Permission>, store::Error> {
        self.store.roles_of(user).await
    }

    /// Up to `limit` users whose address begins with `beginning`, those after `after`.
    ///
    /// # Errors
    /// [`store::Error`].
    pub async fn search_users(
        &self,
        beginning: &str,
        after: Option<&Email>,
        limit: u32,
    ) -> Result<Vec<User>, store::Error> {
        self.store.search_users(&beginning.trim().to_lowercase(), after, limit).await
    }

    /// Everything an administrator sees of somebody.
    ///
    /// # Errors
    /// [`AdminError`].
    pub async fn person(&self, id: &UserId) -> Result<Person, AdminError> {
        let user = self.store.find_user(id).await?.ok_or(AdminError::NoSuchUser)?;
        Ok(Person {
            roles: self.store.roles_of(id).await?,
            sessions: self.store.list_sessions(id).await?,
            second_factor: self.store.find_factors(id).await?.is_on(),
            user,
        })
    }

    /// Up to `limit` records of the audit log, newest first, those before `before`.
    ///
    /// # Errors
    /// [`store::Error`].
    pub async fn audit_page(
        &self,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<AuditRecord>, store::Error> {
        // Numbers follow each other without a gap, so a page is known by its last one.
        let head = self.store.audit_ends().await?.head.sequence;
        let newest = before.map_or(head, |before| before.saturating_sub(1)).min(head);
        let after = newest.saturating_sub(i64::from(limit)).max(0);
        let wanted = u32::try_from(newest.saturating_sub(after)).unwrap_or(0);
        let mut records = self.store.audit_after(after, &AuditFilter::default(), wanted).await?;
        records.retain(|record| record.sequence <= newest);
        records.reverse();
        Ok(records)
    }

    /// Does something to somebody else's account.
    ///
    /// # Errors
    /// [`AdminError`]; nothing was done then.
    pub async fn administer(
        &self,
        admin: &SessionData,
        id: &UserId,
        act: &AdminAct,
    ) -> Result<(), AdminError> {
        if *id == admin.user_id {
            return Err(AdminError::Oneself);
        }
        if self.store.find_user(id).await?.is_none() {
            return Err(AdminError::NoSuchUser);
        }
        let until = self.sessions.revoke_until();
        let changed = match act {
            AdminAct::Disable => {
                let now = self.sessions.now();
                self.store.disable_user(id, now, until).await?
            }
            AdminAct::Enable => self.store.enable_user(id).await?,
            AdminAct::EndSessions => self.sessions.end_others(id, None).await? > 0,
            AdminAct::RemoveFactors => {
                self.store.remove_factors(id, store::Ends { keep: None, until }).await?;
                true
            }
            AdminAct::Grant(role) => self.store.grant_role(id, role, self.sessions.now()).await?,
            AdminAct::Take(role) => self.store.take_role(id, role).await?,
        };
        if changed {
            self.audit.record(entry_of(admin, id, act)).await;
        }
        self.sessions.learn_of_ended(id).await;
        Ok(())
    }
}

fn entry_of(admin: &SessionData, id: &UserId, act: &AdminAct) -> Entry {
    let (event, role) = match act {
        AdminAct::Disable => (AuditEvent::UserDisabled, None),
        AdminAct::Enable => (AuditEvent::UserEnabled, None),
        AdminAct::EndSessions => (AuditEvent::OtherSessionsEnded, None),
        AdminAct::RemoveFactors => (AuditEvent::SecondFactorChanged, None),
        AdminAct::Grant(role) => (AuditEvent::RoleGranted, Some(role)),
        AdminAct::Take(role) => (AuditEvent::RoleTaken, Some(role)),
    };
    let entry =
        Entry::new(event).user(id).session(&admin.id).detail("by", Detail::words(admin.user_id.as_str()));
    match (act, role) {
        (_, Some(role)) => entry.detail("role", Detail::words(role.as_str())),
        (AdminAct::RemoveFactors, None) => entry.detail("change", "all_removed"),
        (_, None) => entry,
    }
}
