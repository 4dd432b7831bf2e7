//! Second factors, in PostgreSQL.

use rocket::async_trait;
use sqlx::{Postgres, Transaction};

use super::accounts::{hold, hold_from};
use super::revocations::close_all;
use super::{PostgresStore, expired};
use crate::clock::Timestamp;
use crate::model::{Factors, PasskeyRecord, TotpRecord, User, UserId};
use crate::secret::TokenHash;
use crate::store::rows::all;
use crate::store::rows::factors::{PasskeyAndUserRow, PasskeyRow, TotpRow};
use crate::store::{Ends, Error, FactorStore, PasskeyAdded, sql};

#[async_trait]
impl FactorStore for PostgresStore {
    async fn find_factors(&self, user: &UserId) -> Result<Factors, Error> {
        self.bounded(async {
            let totp = sqlx::query_as::<_, TotpRow>(sql::factors::FIND_TOTP).bind(user.as_str());
            let totp = totp.fetch_optional(&self.pool).await?.map(TotpRecord::from);
            let codes = sqlx::query_scalar::<_, i64>(sql::factors::COUNT_RECOVERY_CODES).bind(user.as_str());
            let recovery_codes = u64::try_from(codes.fetch_one(&self.pool).await?).unwrap_or(0);
            let passkeys = sqlx::query_as::<_, PasskeyRow>(sql::factors::LIST_PASSKEYS).bind(user.as_str());
            let passkeys = all(passkeys.fetch_all(&self.pool).await?)?;
            Ok(Factors { totp, recovery_codes, passkeys })
        })
        .await
    }

    async fn enable_totp(
        &self,
        user: &UserId,
        totp: &TotpRecord,
        recovery: &[TokenHash],
        ends: Ends<'_>,
    ) -> Result<bool, Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            if !hold_from(&mut act, user, ends.keep).await? {
                return Ok(false);
            }
            let enabled = sqlx::query(sql::factors::ENABLE_TOTP)
                .bind(user.as_str())
                .bind(totp.secret.as_str())
                .bind(totp.last_step)
                .bind(totp.created_at.0);
            if enabled.execute(&mut *act).await?.rows_affected() == 0 {
                return Ok(false);
            }
            replace_codes(&mut act, user, recovery).await?;
            close_all(&mut act, user, ends.keep, ends.until).await?;
            act.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn accept_totp_step(&self, user: &UserId, step: i64) -> Result<bool, Error> {
        self.change(sqlx::query(sql::factors::ACCEPT_TOTP_STEP).bind(user.as_str()).bind(step)).await
    }

    async fn list_totp(&self, after: &str, limit: u32) -> Result<Vec<(UserId, String)>, Error> {
        let query =
            sqlx::query_as::<_, (String, String)>(sql::factors::LIST_TOTP).bind(after).bind(i64::from(limit));
        let found = self.bounded(async { Ok(query.fetch_all(&self.pool).await?) }).await?;
        Ok(found.into_iter().map(|(id, secret)| (UserId::from_existing(id), secret)).collect())
    }

    async fn reseal_totp(&self, user: &UserId, old: &str, new: &str) -> Result<bool, Error> {
        self.change(sqlx::query(sql::factors::RESEAL_TOTP).bind(user.as_str()).bind(old).bind(new)).await
    }

    async fn remove_totp(&self, user: &UserId, ends: Ends<'_>) -> Result<bool, Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            if !hold_from(&mut act, user, ends.keep).await? {
                return Ok(false);
            }
            let removed =
                sqlx::query(sql::factors::REMOVE_TOTP).bind(user.as_str()).execute(&mut *act).await?;
            if removed.rows_affected() == 0 {
                return Ok(false);
            }
            finish_removal(&mut act, user, ends).await?;
            act.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn replace_recovery_codes(
        &self,
        user: &UserId,
        from: &TokenHash,
        codes: &[TokenHash],
    ) -> Result<bool, Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            if !hold_from(&mut act, user, Some(from)).await? {
                return Ok(false);
            }
            replace_codes(&mut act, user, codes).await?;
            act.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn has_recovery_code(&self, user: &UserId, code: &TokenHash) -> Result<bool, Error> {
        let query = sqlx::query_scalar::<_, i64>(sql::factors::HAS_RECOVERY_CODE)
            .bind(user.as_str())
            .bind(code.as_bytes().as_slice());
        self.bounded(async { Ok(query.fetch_one(&self.pool).await? > 0) }).await
    }

    async fn spend_recovery_code(&self, user: &UserId, code: &TokenHash) -> Result<bool, Error> {
        let query = sqlx::query(sql::factors::SPEND_RECOVERY_CODE)
            .bind(user.as_str())
            .bind(code.as_bytes().as_slice());
        self.change(query).await
    }

    async fn add_passkey(
        &self,
        passkey: &PasskeyRecord,
        most: u32,
        recovery: &[TokenHash],
        ends: Ends<'_>,
    ) -> Result<PasskeyAdded, Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            if !hold_from(&mut act, &passkey.user_id, ends.keep).await? {
                return Ok(PasskeyAdded::Refused);
            }
            let added = sqlx::query(sql::factors::ADD_PASSKEY)
                .bind(passkey.id.as_bytes().as_slice())
                .bind(passkey.user_id.as_str())
                .bind(passkey.name.as_str())
                .bind(passkey.credential.as_str())
                .bind(passkey.created_at.0)
                .bind(i64::from(most));
            if added.execute(&mut *act).await?.rows_affected() == 0 {
                return Ok(PasskeyAdded::Refused);
            }
            replace_codes(&mut act, &passkey.user_id, recovery).await?;
            close_all(&mut act, &passkey.user_id, ends.keep, ends.until).await?;
            act.commit().await?;
            Ok(PasskeyAdded::Added)
        })
        .await
    }

    async fn find_passkey(&self, id: &TokenHash) -> Result<Option<(PasskeyRecord, User)>, Error> {
        let query =
            sqlx::query_as::<_, PasskeyAndUserRow>(sql::factors::FIND_PASSKEY).bind(id.as_bytes().as_slice());
        self.bounded(async { query.fetch_optional(&self.pool).await?.map(TryInto::try_into).transpose() })
            .await
    }

    async fn use_passkey(&self, id: &TokenHash, credential: &str, now: Timestamp) -> Result<bool, Error> {
        let query = sqlx::query(sql::factors::USE_PASSKEY)
            .bind(id.as_bytes().as_slice())
            .bind(credential)
            .bind(now.0);
        self.change(query).await
    }

    async fn remove_passkey(&self, user: &UserId, id: &TokenHash, ends: Ends<'_>) -> Result<bool, Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            if !hold_from(&mut act, user, ends.keep).await? {
                return Ok(false);
            }
            let removed =
                sqlx::query(sql::factors::REMOVE_PASSKEY).bind(id.as_bytes().as_slice()).bind(user.as_str());
            if removed.execute(&mut *act).await?.rows_affected() == 0 {
                return Ok(false);
            }
            finish_removal(&mut act, user, ends).await?;
            act.commit().await?;
            Ok(true)
        })
        .await
    }

    async fn remove_factors(&self, user: &UserId, ends: Ends<'_>) -> Result<(), Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            hold(&mut act, user).await?;
            for statement in [sql::factors::REMOVE_TOTP, sql::factors::REMOVE_PASSKEYS] {
                sqlx::query(statement).bind(user.as_str()).execute(&mut *act).await?;
            }
            finish_removal(&mut act, user, ends).await?;
            Ok(act.commit().await?)
        })
        .await
    }

    async fn spend(&self, key: &TokenHash, expires_at: Timestamp) -> Result<bool, Error> {
        let query = sqlx::query(sql::factors::SPEND).bind(key.as_bytes().as_slice()).bind(expires_at.0);
        self.change(query).await
    }

    async fn delete_spent(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        self.delete_batch(expired::SPENT, before, limit).await
    }
}

/// Replaces the recovery codes within an act, unless there are none to put in their place.
async fn replace_codes(
    act: &mut Transaction<'static, Postgres>,
    user: &UserId,
    codes: &[TokenHash],
) -> Result<(), Error> {
    if codes.is_empty() {
        return Ok(());
    }
    sqlx::query(sql::factors::REMOVE_RECOVERY_CODES).bind(user.as_str()).execute(&mut **act).await?;
    for code in codes {
        let query =
            sqlx::query(sql::factors::ADD_RECOVERY_CODE).bind(user.as_str()).bind(code.as_bytes().as_slice());
        query.execute(&mut **act).await?;
    }
    Ok(())
}

/// What follows when a factor went, within an act.
async fn finish_removal(
    act: &mut Transaction<'static, Postgres>,
    user: &UserId,
    ends: Ends<'_>,
) -> Result<(), Error> {
    let unneeded = sqlx::query(sql::factors::REMOVE_UNNEEDED_RECOVERY_CODES).bind(user.as_str());
    unneeded.execute(&mut **act).await?;
    close_all(act, user, ends.keep, ends.until).await?;
    Ok(())
}
