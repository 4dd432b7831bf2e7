//! Personal access tokens, in PostgreSQL.

use rocket::async_trait;

use super::accounts::hold_from;
use super::{PostgresStore, expired};
use crate::clock::Timestamp;
use crate::model::{AccessTokenRecord, User, UserId};
use crate::secret::TokenHash;
use crate::store::rows::access_tokens::{AccessTokenAndUserRow, AccessTokenRow, joined};
use crate::store::rows::all;
use crate::store::{AccessTokens, Error, sql};

#[async_trait]
impl AccessTokens for PostgresStore {
    async fn insert_access_token(
        &self,
        token: &AccessTokenRecord,
        from: Option<&TokenHash>,
        most: u32,
    ) -> Result<bool, Error> {
        let query = sqlx::query(sql::access_tokens::INSERT_ACCESS_TOKEN)
            .bind(token.id.as_bytes().as_slice())
            .bind(token.user_id.as_str())
            .bind(token.name.as_str())
            .bind(joined(&token.scopes))
            .bind(token.created_at.0)
            .bind(token.expires_at.0)
            .bind(i64::from(most));
        self.bounded(async {
            let mut act = self.begin().await?;
            if !hold_from(&mut act, &token.user_id, from).await? {
                return Ok(false);
            }
            let inserted = query.execute(&mut *act).await?.rows_affected() > 0;
            act.commit().await?;
            Ok(inserted)
        })
        .await
    }

    async fn find_access_token(&self, id: &TokenHash) -> Result<Option<(AccessTokenRecord, User)>, Error> {
        let query = sqlx::query_as::<_, AccessTokenAndUserRow>(sql::access_tokens::FIND_ACCESS_TOKEN)
            .bind(id.as_bytes().as_slice());
        self.bounded(async { query.fetch_optional(&self.pool).await?.map(TryInto::try_into).transpose() })
            .await
    }

    async fn list_access_tokens(&self, user: &UserId) -> Result<Vec<AccessTokenRecord>, Error> {
        let query =
            sqlx::query_as::<_, AccessTokenRow>(sql::access_tokens::LIST_ACCESS_TOKENS).bind(user.as_str());
        self.bounded(async { all(query.fetch_all(&self.pool).await?) }).await
    }

    async fn use_access_token(&self, id: &TokenHash, now: Timestamp) -> Result<(), Error> {
        let query =
            sqlx::query(sql::access_tokens::USE_ACCESS_TOKEN).bind(id.as_bytes().as_slice()).bind(now.0);
        self.change(query).await.map(drop)
    }

    async fn delete_access_token(&self, user: &UserId, id: &TokenHash) -> Result<bool, Error> {
        let query = sqlx::query(sql::access_tokens::DELETE_ACCESS_TOKEN)
            .bind(id.as_bytes().as_slice())
            .bind(user.as_str());
        self.change(query).await
    }

    async fn delete_expired_access_tokens(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        self.delete_batch(expired::ACCESS_TOKENS, before, limit).await
    }
}
