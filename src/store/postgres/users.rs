//! People, in PostgreSQL.

use rocket::async_trait;

use super::PostgresStore;
use super::revocations::{close_all, end_all, revoke};
use crate::clock::Timestamp;
use crate::model::{DisplayName, Email, NewUser, SecurityStamp, Subject, User, UserId};
use crate::secret::TokenHash;
use crate::store::rows::{CredentialRow, UserRow, all};
use crate::store::{Created, Error, UserWithPassword, Users, sql};

#[async_trait]
impl Users for PostgresStore {
    async fn create_user(&self, user: &NewUser) -> Result<Created, Error> {
        let query = sqlx::query(sql::users::CREATE_USER)
            .bind(user.id.as_str())
            .bind(user.email.as_str())
            .bind(user.name.as_ref().map(DisplayName::as_str))
            .bind(user.password_hash.as_deref())
            .bind(user.created_at.0);
        Ok(if self.change(query).await? { Created::Created } else { Created::EmailTaken })
    }

    async fn find_user(&self, id: &UserId) -> Result<Option<User>, Error> {
        let query = sqlx::query_as::<_, UserRow>(sql::users::FIND_USER).bind(id.as_str());
        self.bounded(async { query.fetch_optional(&self.pool).await?.map(User::try_from).transpose() }).await
    }

    async fn find_user_by_email(&self, email: &Email) -> Result<Option<UserWithPassword>, Error> {
        let query = sqlx::query_as::<_, CredentialRow>(sql::users::FIND_USER_BY_EMAIL).bind(email.as_str());
        self.bounded(async {
            query.fetch_optional(&self.pool).await?.map(UserWithPassword::try_from).transpose()
        })
        .await
    }

    async fn strengthen_hash(&self, id: &UserId, old: &str, new: &str) -> Result<bool, Error> {
        self.change(sqlx::query(sql::users::STRENGTHEN_HASH).bind(id.as_str()).bind(old).bind(new)).await
    }

    async fn change_password(
        &self,
        id: &UserId,
        hash: &str,
        seen: SecurityStamp,
        keep: Option<&TokenHash>,
        revoke_until: Timestamp,
    ) -> Result<Option<Vec<TokenHash>>, Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            let changed = sqlx::query(sql::users::CHANGE_PASSWORD)
                .bind(id.as_str())
                .bind(hash)
                .bind(seen.0)
                .execute(&mut *act)
                .await?;
            if changed.rows_affected() == 0 {
                return Ok(None);
            }
            let ended = close_all(&mut act, id, keep, revoke_until).await?;
            act.commit().await?;
            Ok(Some(ended))
        })
        .await
    }

    async fn set_name(&self, id: &UserId, name: Option<&DisplayName>) -> Result<bool, Error> {
        self.change(sqlx::query(sql::users::SET_NAME).bind(id.as_str()).bind(name.map(DisplayName::as_str)))
            .await
    }

    async fn disable_user(
        &self,
        id: &UserId,
        now: Timestamp,
        revoke_until: Timestamp,
    ) -> Result<bool, Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            let disabled = sqlx::query(sql::users::DISABLE_USER)
                .bind(id.as_str())
                .bind(now.0)
                .execute(&mut *act)
                .await?;
            if disabled.rows_affected() == 0 {
                return Ok(false);
            }
            close_all(&mut act, id, None, revoke_until).await?;
            revoke(&mut act, &Subject::User(id.clone()), now, revoke_until).await?;
            act.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn enable_user(&self, id: &UserId) -> Result<bool, Error> {
        self.change(sqlx::query(sql::users::ENABLE_USER).bind(id.as_str())).await
    }

    async fn delete_user(&self, id: &UserId, now: Timestamp, revoke_until: Timestamp) -> Result<bool, Error> {
        self.bounded(async {
            let links = sqlx::query(sql::verifications::FORGET_SIGN_INS_OF).bind(id.as_str());
            links.execute(&self.pool).await?;
            let mut act = self.begin().await?;
            // Disabled first: the row is locked, and nobody signs in meanwhile.
            let disable = sqlx::query(sql::users::DISABLE_USER).bind(id.as_str()).bind(now.0);
            if disable.execute(&mut *act).await?.rows_affected() == 0 {
                return Ok(false);
            }
            end_all(&mut act, id, None, revoke_until).await?;
            revoke(&mut act, &Subject::User(id.clone()), now, revoke_until).await?;
            sqlx::query(sql::users::DELETE_USER).bind(id.as_str()).execute(&mut *act).await?;
            act.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn list_users(&self, after: Option<&Email>, limit: u32) -> Result<Vec<User>, Error> {
        let query = sqlx::query_as::<_, UserRow>(sql::users::LIST_USERS)
            .bind(after.map_or("", Email::as_str))
            .bind(i64::from(limit));
        self.bounded(async { all(query.fetch_all(&self.pool).await?) }).await
    }
}
