//! Accounts at other sites, in SQLite.

use rocket::async_trait;
use sqlx::{Sqlite, Transaction};

use super::SqliteStore;
use super::revocations::{close_all, end_all, revoke};
use crate::clock::Timestamp;
use crate::model::{
    DisplayName, ExternalId, LinkedAccount, NewAccount, NewUser, SecurityStamp, Subject, User, UserId,
};
use crate::secret::TokenHash;
use crate::store::rows::{AccountAndUserRow, AccountRow, all};
use crate::store::{Accounts, Ends, Error, Linked, SealedTokens, Unlinked, sql};

#[async_trait]
impl Accounts for SqliteStore {
    async fn find_account(&self, external: &ExternalId) -> Result<Option<(LinkedAccount, User)>, Error> {
        let query = sqlx::query_as::<_, AccountAndUserRow>(sql::accounts::FIND_ACCOUNT)
            .bind(external.provider.as_str())
            .bind(external.issuer.as_str())
            .bind(external.subject.as_str());
        self.bounded(async { query.fetch_optional(&self.readers).await?.map(TryInto::try_into).transpose() })
            .await
    }

    async fn list_accounts(&self, user: &UserId) -> Result<Vec<LinkedAccount>, Error> {
        let query = sqlx::query_as::<_, AccountRow>(sql::accounts::LIST_ACCOUNTS).bind(user.as_str());
        self.bounded(async { all(query.fetch_all(&self.readers).await?) }).await
    }

    async fn create_user_with_account(
        &self,
        user: &NewUser,
        proven: Option<Timestamp>,
        image: Option<&str>,
        account: &NewAccount,
    ) -> Result<Linked, Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            let created = sqlx::query(sql::accounts::CREATE_FEDERATED_USER)
                .bind(user.id.as_str())
                .bind(user.email.as_str())
                .bind(user.name.as_ref().map(DisplayName::as_str))
                .bind(image)
                .bind(proven.map(|at| at.0))
                .bind(user.created_at.0)
                .execute(&mut *act)
                .await?;
            if created.rows_affected() == 0 {
                return Ok(Linked::AddressTaken);
            }
            if !insert(&mut act, &user.id, account).await? {
                return Ok(Linked::AccountTaken);
            }
            act.commit().await?;
            Ok(Linked::Linked)
        })
        .await
    }

    async fn link_account(&self, user: &UserId, account: &NewAccount) -> Result<Linked, Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            if !hold(&mut act, user).await? {
                return Ok(Linked::NoSuchUser);
            }
            if !insert(&mut act, user, account).await? {
                return Ok(Linked::AccountTaken);
            }
            act.commit().await?;
            Ok(Linked::Linked)
        })
        .await
    }

    async fn take_over(
        &self,
        user: &UserId,
        seen: SecurityStamp,
        name: Option<&DisplayName>,
        account: &NewAccount,
        now: Timestamp,
        revoke_until: Timestamp,
    ) -> Result<Linked, Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            let disarmed = sqlx::query(sql::accounts::PROVE_AND_DISARM_USER)
                .bind(user.as_str())
                .bind(name.map(DisplayName::as_str))
                .bind(now.0)
                .bind(seen.0)
                .execute(&mut *act)
                .await?;
            if disarmed.rows_affected() == 0 {
                return Ok(Linked::NoSuchUser);
            }
            for statement in sql::accounts::DISARM {
                sqlx::query(*statement).bind(user.as_str()).execute(&mut *act).await?;
            }
            end_all(&mut act, user, None, revoke_until).await?;
            // Tokens of other issuers have no row. The owner's own session begins at `now`.
            revoke(&mut act, &Subject::User(user.clone()), now.plus(-1), revoke_until).await?;
            if !insert(&mut act, user, account).await? {
                return Ok(Linked::AccountTaken);
            }
            act.commit().await?;
            Ok(Linked::Linked)
        })
        .await
    }

    async fn unlink_account(
        &self,
        user: &UserId,
        account: &str,
        other_way: bool,
        ends: Ends<'_>,
    ) -> Result<Unlinked, Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            if !hold_from(&mut act, user, ends.keep).await? {
                return Ok(Unlinked::NotFound);
            }
            let deleted = sqlx::query(sql::accounts::UNLINK_ACCOUNT)
                .bind(account)
                .bind(user.as_str())
                .bind(other_way)
                .execute(&mut *act)
                .await?;
            if deleted.rows_affected() > 0 {
                let ended = close_all(&mut act, user, ends.keep, ends.until).await?;
                act.commit().await?;
                return Ok(Unlinked::Unlinked(ended));
            }
            let there = sqlx::query_scalar::<_, i64>(sql::accounts::HAS_ACCOUNT)
                .bind(account)
                .bind(user.as_str())
                .fetch_one(&mut *act)
                .await?;
            Ok(if there > 0 { Unlinked::LastWayIn } else { Unlinked::NotFound })
        })
        .await
    }

    async fn keep_tokens(&self, account: &str, sealed: &str) -> Result<bool, Error> {
        self.change(sqlx::query(sql::accounts::KEEP_TOKENS).bind(account).bind(sealed)).await
    }

    async fn find_tokens(&self, user: &UserId, provider: &str) -> Result<Option<SealedTokens>, Error> {
        let query = sqlx::query_as::<_, (String, String)>(sql::accounts::FIND_TOKENS)
            .bind(user.as_str())
            .bind(provider);
        let found = self.bounded(async { Ok(query.fetch_optional(&self.readers).await?) }).await?;
        Ok(found.map(|(account, sealed)| SealedTokens { account, sealed }))
    }

    async fn lease_tokens(
        &self,
        account: &str,
        lease: &TokenHash,
        now: Timestamp,
        until: Timestamp,
    ) -> Result<Option<String>, Error> {
        let query = sqlx::query_scalar::<_, String>(sql::accounts::LEASE_TOKENS)
            .bind(account)
            .bind(lease.as_bytes().as_slice())
            .bind(now.0)
            .bind(until.0);
        // Read to its end: only then it is known to be committed.
        let leased = self.bounded(async { Ok(query.fetch_all(&self.writer).await?) }).await?;
        Ok(leased.into_iter().next())
    }

    async fn renew_tokens(&self, account: &str, lease: &TokenHash, sealed: &str) -> Result<bool, Error> {
        let query = sqlx::query(sql::accounts::RENEW_TOKENS)
            .bind(account)
            .bind(lease.as_bytes().as_slice())
            .bind(sealed);
        self.change(query).await
    }

    async fn list_tokens(&self, after: &str, limit: u32) -> Result<Vec<SealedTokens>, Error> {
        let query = sqlx::query_as::<_, (String, String)>(sql::accounts::LIST_TOKENS)
            .bind(after)
            .bind(i64::from(limit));
        let found = self.bounded(async { Ok(query.fetch_all(&self.readers).await?) }).await?;
        Ok(found.into_iter().map(|(account, sealed)| SealedTokens { account, sealed }).collect())
    }

    async fn reseal_tokens(&self, account: &str, old: &str, new: &str) -> Result<bool, Error> {
        self.change(sqlx::query(sql::accounts::RESEAL_TOKENS).bind(account).bind(old).bind(new)).await
    }
}

/// Holds the user's row within an act. `false` when the user is gone or disabled.
pub(super) async fn hold(act: &mut Transaction<'static, Sqlite>, user: &UserId) -> Result<bool, Error> {
    let held = sqlx::query(sql::accounts::HOLD_USER).bind(user.as_str()).execute(&mut **act).await?;
    Ok(held.rows_affected() > 0)
}

/// Holds the user's row within an act that is made from a session. `false` when that session has ended.
pub(super) async fn hold_from(
    act: &mut Transaction<'static, Sqlite>,
    user: &UserId,
    session: Option<&TokenHash>,
) -> Result<bool, Error> {
    hold(act, user).await?;
    let Some(session) = session else {
        return Ok(true);
    };
    let query = sqlx::query_scalar::<_, i64>(sql::sessions::HAS_SESSION);
    let query = query.bind(session.as_bytes().as_slice()).bind(user.as_str());
    Ok(query.fetch_one(&mut **act).await? > 0)
}

/// Adds a link within an act. `false` when the account there belongs to somebody already.
async fn insert(
    act: &mut Transaction<'static, Sqlite>,
    user: &UserId,
    account: &NewAccount,
) -> Result<bool, Error> {
    let inserted = sqlx::query(sql::accounts::INSERT_ACCOUNT)
        .bind(account.id.as_str())
        .bind(user.as_str())
        .bind(account.external.provider.as_str())
        .bind(account.external.issuer.as_str())
        .bind(account.external.subject.as_str())
        .bind(account.label.as_deref())
        .bind(account.linked_at.0)
        .bind(account.tokens.as_deref())
        .execute(&mut **act)
        .await?;
    Ok(inserted.rows_affected() > 0)
}
