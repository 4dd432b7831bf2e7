//! Mailed secrets, in SQLite.

use std::time::Instant;

use rocket::async_trait;
use sqlx::{Sqlite, Transaction};

use super::revocations::{close_all, end_all};
use super::{SqliteStore, expired};
use crate::clock::Timestamp;
use crate::model::{Email, NewUser, Purpose, User, UserId, Verification};
use crate::secret::TokenHash;
use crate::store::rows::{CodeAttemptRow, TakenRow, UserRow, VerificationRow, all};
use crate::store::{CodeAttempt, EmailChange, Error, Redeemed, Redemption, Verifications, sql};

type Act = Transaction<'static, Sqlite>;

#[async_trait]
impl Verifications for SqliteStore {
    async fn add_verification(&self, verification: &Verification) -> Result<(), Error> {
        let code = verification.code.as_ref();
        let query = sqlx::query(sql::verifications::ADD_VERIFICATION)
            .bind(verification.id.as_bytes().as_slice())
            .bind(verification.purpose.as_str())
            .bind(verification.email.as_str())
            .bind(verification.user_id.as_ref().map(UserId::as_str))
            .bind(code.map(|code| code.browser.as_bytes().as_slice()))
            .bind(code.map(|code| code.hash.as_bytes().as_slice()))
            .bind(verification.created_at.0)
            .bind(verification.expires_at.0);
        self.change(query).await.map(drop)
    }

    async fn find_verification(
        &self,
        id: &TokenHash,
        purpose: Purpose,
    ) -> Result<Option<Verification>, Error> {
        let query = sqlx::query_as::<_, VerificationRow>(sql::verifications::FIND_VERIFICATION)
            .bind(id.as_bytes().as_slice())
            .bind(purpose.as_str());
        self.bounded(async {
            query.fetch_optional(&self.readers).await?.map(Verification::try_from).transpose()
        })
        .await
    }

    async fn list_verifications(&self, user: &UserId) -> Result<Vec<Verification>, Error> {
        let query =
            sqlx::query_as::<_, VerificationRow>(sql::verifications::LIST_VERIFICATIONS).bind(user.as_str());
        self.bounded(async { all(query.fetch_all(&self.readers).await?) }).await
    }

    async fn count_code_attempt(
        &self,
        browser: &TokenHash,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Option<CodeAttempt>, Error> {
        let query = sqlx::query_as::<_, CodeAttemptRow>(sql::verifications::COUNT_CODE_ATTEMPT)
            .bind(browser.as_bytes().as_slice())
            .bind(purpose.as_str())
            .bind(now.0);
        // Read to its end: only then it is known to be committed.
        let counted = self.bounded(async { Ok(query.fetch_all(&self.writer).await?) }).await?;
        counted.into_iter().next().map(CodeAttempt::try_from).transpose()
    }

    async fn return_code_attempt(&self, id: &TokenHash) -> Result<(), Error> {
        let query = sqlx::query(sql::verifications::RETURN_CODE_ATTEMPT).bind(id.as_bytes().as_slice());
        self.change(query).await.map(drop)
    }

    async fn redeem_sign_in(&self, redemption: &Redemption<'_>) -> Result<Redeemed, Error> {
        let began = Instant::now();
        let redeemed = self.bounded(async {
            let mut act = self.begin().await?;
            let Some((email, owner)) = take(&mut act, redemption.id, Purpose::SignIn, redemption.now).await?
            else {
                return Ok((Redeemed::Unknown, None));
            };
            let redeemed = arrive(&mut act, &email, owner.as_ref(), redemption).await?;
            if matches!(redeemed, Redeemed::Overtaken | Redeemed::Unknown) {
                return Ok((redeemed, None));
            }
            act.commit().await?;
            Ok((redeemed, Some(email)))
        });
        let (redeemed, email) = redeemed.await?;
        let Some(email) = email else {
            return Ok(redeemed);
        };
        // Whoever is in needs no other link; outside the act, so that two at once cannot wait for each other. The act is done:
        // that this takes too long must not make it unknown.
        let others = sqlx::query(sql::verifications::FORGET_SIGN_INS).bind(email.as_str());
        let left = self.timeout.saturating_sub(began.elapsed());
        let gone = tokio::time::timeout(left, others.execute(&self.writer)).await;
        if let Err(error) = gone.map_err(|_| sqlx::Error::PoolTimedOut).flatten() {
            tracing::warn!(error = %Error::from(error), "sign-in links that are not needed any more remain");
        }
        Ok(redeemed)
    }

    async fn redeem_verify_email(
        &self,
        id: &TokenHash,
        user: &UserId,
        now: Timestamp,
    ) -> Result<bool, Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            let Some(email) = take_own(&mut act, id, Purpose::VerifyEmail, user, now).await? else {
                return Ok(false);
            };
            let confirmed = sqlx::query(sql::verifications::CONFIRM_EMAIL)
                .bind(user.as_str())
                .bind(email.as_str())
                .bind(now.0)
                .execute(&mut *act)
                .await?;
            act.commit().await?;
            Ok(confirmed.rows_affected() > 0)
        })
        .await
    }

    async fn redeem_reset_password(
        &self,
        id: &TokenHash,
        hash: &str,
        now: Timestamp,
        revoke_until: Timestamp,
    ) -> Result<Option<(User, Vec<TokenHash>)>, Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            let Some((email, Some(user))) = take(&mut act, id, Purpose::ResetPassword, now).await? else {
                return Ok(None);
            };
            let former = find(&mut act, &email).await?;
            let reset = sqlx::query(sql::verifications::RESET_PASSWORD)
                .bind(user.as_str())
                .bind(email.as_str())
                .bind(hash)
                .bind(now.0)
                .execute(&mut *act)
                .await?;
            if reset.rows_affected() == 0 {
                return Ok(None);
            }
            let ended = close_all(&mut act, &user, None, revoke_until).await?;
            forget(&mut act, &user).await?;
            // Second factors stay, but those of somebody who never proved the address are not the owner's.
            if former.is_some_and(|former| former.email_verified_at.is_none()) {
                disarm(&mut act, &user).await?;
            }
            let user = find(&mut act, &email).await?;
            act.commit().await?;
            Ok(user.map(|user| (user, ended)))
        })
        .await
    }

    async fn redeem_change_email(
        &self,
        id: &TokenHash,
        user: &UserId,
        keep: &TokenHash,
        now: Timestamp,
        revoke_until: Timestamp,
    ) -> Result<EmailChange, Error> {
        self.bounded(async {
            let mut act = self.begin().await?;
            let Some(new) = take_own(&mut act, id, Purpose::ChangeEmail, user, now).await? else {
                return Ok(EmailChange::Unknown);
            };
            let row = sqlx::query_as::<_, UserRow>(sql::users::FIND_USER).bind(user.as_str());
            let Some(row) = row.fetch_optional(&mut *act).await? else {
                return Ok(EmailChange::Unknown);
            };
            let old = User::try_from(row)?.email;
            let changed = sqlx::query(sql::verifications::CHANGE_EMAIL)
                .bind(user.as_str())
                .bind(new.as_str())
                .bind(now.0)
                .execute(&mut *act)
                .await;
            match changed {
                Ok(done) if done.rows_affected() > 0 => {}
                Ok(_) => return Ok(EmailChange::Taken),
                // Two who change to one address at the same moment: the index decides.
                Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
                    return Ok(EmailChange::Taken);
                }
                Err(error) => return Err(error.into()),
            }
            let ended = close_all(&mut act, user, Some(keep), revoke_until).await?;
            forget(&mut act, user).await?;
            act.commit().await?;
            Ok(EmailChange::Changed { old, new, ended })
        })
        .await
    }

    async fn delete_expired_verifications(&self, before: Timestamp, limit: u32) -> Result<u64, Error> {
        self.delete_batch(expired::VERIFICATIONS, before, limit).await
    }
}

/// Deletes a secret and tells whose it was, if it is good.
async fn take(
    act: &mut Act,
    id: &TokenHash,
    purpose: Purpose,
    now: Timestamp,
) -> Result<Option<(Email, Option<UserId>)>, Error> {
    let query = sqlx::query_as::<_, TakenRow>(sql::verifications::TAKE_VERIFICATION)
        .bind(id.as_bytes().as_slice())
        .bind(purpose.as_str())
        .bind(now.0);
    query.fetch_optional(&mut **act).await?.map(TryInto::try_into).transpose()
}

/// As [`take`], if it is this user's.
async fn take_own(
    act: &mut Act,
    id: &TokenHash,
    purpose: Purpose,
    user: &UserId,
    now: Timestamp,
) -> Result<Option<Email>, Error> {
    let query = sqlx::query_as::<_, TakenRow>(sql::verifications::TAKE_OWN_VERIFICATION)
        .bind(id.as_bytes().as_slice())
        .bind(purpose.as_str())
        .bind(now.0)
        .bind(user.as_str());
    let taken: Option<(Email, Option<UserId>)> =
        query.fetch_optional(&mut **act).await?.map(TryInto::try_into).transpose()?;
    Ok(taken.map(|(email, _)| email))
}

/// The owner of an address arrives: their user, made if need be, with nothing left of whoever held it unproven.
async fn arrive(
    act: &mut Act,
    email: &Email,
    owner: Option<&UserId>,
    redemption: &Redemption<'_>,
) -> Result<Redeemed, Error> {
    let is_new = match redemption.newcomer {
        Some(newcomer) => create(act, newcomer, email).await?,
        None => false,
    };
    let Some(user) = find(act, email).await? else {
        return Ok(Redeemed::Refused);
    };
    // Mailed when the address was another user's.
    if owner.is_some_and(|owner| *owner != user.id) {
        return Ok(Redeemed::Unknown);
    }
    if user.disabled_at.is_some() {
        return Ok(Redeemed::Refused);
    }
    let proven = sqlx::query(sql::verifications::PROVE_EMAIL_AFRESH)
        .bind(user.id.as_str())
        .bind(redemption.now.0)
        .execute(&mut **act)
        .await?;
    let mut evicted = None;
    if proven.rows_affected() > 0 && !is_new {
        evicted = Some(end_all(act, &user.id, None, redemption.revoke_until).await?);
        forget(act, &user.id).await?;
        disarm(act, &user.id).await?;
    }
    // As the act leaves them: the stamp has moved on if somebody was shut out.
    let user = find(act, email).await?.unwrap_or(user);
    if (&user.id, user.security_stamp) != (redemption.user, redemption.stamp) {
        return Ok(Redeemed::Overtaken);
    }
    Ok(Redeemed::User { user, is_new, evicted })
}

async fn create(act: &mut Act, newcomer: &NewUser, email: &Email) -> Result<bool, Error> {
    let query = sqlx::query(sql::users::CREATE_USER)
        .bind(newcomer.id.as_str())
        .bind(email.as_str())
        .bind(newcomer.name.as_ref().map(crate::model::DisplayName::as_str))
        .bind(None::<&str>)
        .bind(newcomer.created_at.0);
    Ok(query.execute(&mut **act).await?.rows_affected() > 0)
}

async fn find(act: &mut Act, email: &Email) -> Result<Option<User>, Error> {
    let query = sqlx::query_as::<_, UserRow>(sql::users::FIND_USER_BY_EMAIL).bind(email.as_str());
    query.fetch_optional(&mut **act).await?.map(User::try_from).transpose()
}

/// Removes what somebody holds who never proved the address: it is not its owner's.
async fn disarm(act: &mut Act, user: &UserId) -> Result<(), Error> {
    for removal in sql::accounts::DISARM {
        sqlx::query(*removal).bind(user.as_str()).execute(&mut **act).await?;
    }
    Ok(())
}

async fn forget(act: &mut Act, user: &UserId) -> Result<(), Error> {
    let query = sqlx::query(sql::verifications::FORGET_VERIFICATIONS_OF).bind(user.as_str());
    Ok(query.execute(&mut **act).await.map(drop)?)
}
