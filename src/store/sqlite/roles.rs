//! Roles, in SQLite.

use rocket::async_trait;

use super::SqliteStore;
use crate::clock::Timestamp;
use crate::model::{Email, Permission, User, UserId};
use crate::store::roles::range_of;
use crate::store::rows::{UserRow, all, permission};
use crate::store::{Error, Roles, sql};

#[async_trait]
impl Roles for SqliteStore {
    async fn grant_role(&self, user: &UserId, role: &Permission, now: Timestamp) -> Result<bool, Error> {
        let query = sqlx::query(sql::roles::GRANT_ROLE).bind(user.as_str()).bind(role.as_str()).bind(now.0);
        self.change(query).await
    }

    async fn take_role(&self, user: &UserId, role: &Permission) -> Result<bool, Error> {
        self.change(sqlx::query(sql::roles::TAKE_ROLE).bind(user.as_str()).bind(role.as_str())).await
    }

    async fn roles_of(&self, user: &UserId) -> Result<Vec<Permission>, Error> {
        let query = sqlx::query_scalar::<_, String>(sql::roles::ROLES_OF).bind(user.as_str());
        self.bounded(async {
            query.fetch_all(&self.readers).await?.iter().map(|role| permission(role)).collect()
        })
        .await
    }

    async fn search_users(
        &self,
        beginning: &str,
        after: Option<&Email>,
        limit: u32,
    ) -> Result<Vec<User>, Error> {
        let (first, end) = range_of(beginning, after);
        let query = sqlx::query_as::<_, UserRow>(sql::roles::SEARCH_USERS)
            .bind(first)
            .bind(end)
            .bind(i64::from(limit));
        self.bounded(async { all(query.fetch_all(&self.readers).await?) }).await
    }
}
