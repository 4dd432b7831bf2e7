//! Rows about second factors.

use super::{UserRow, hash};
use crate::clock::Timestamp;
use crate::model::{PasskeyRecord, TotpRecord, User, UserId};
use crate::store::Error;

/// A row of `totp`.
#[derive(sqlx::FromRow)]
pub(in crate::store) struct TotpRow {
    secret: String,
    last_step: i64,
    created_at: i64,
}

/// A row of `passkeys`.
#[derive(sqlx::FromRow)]
pub(in crate::store) struct PasskeyRow {
    passkey_id: Vec<u8>,
    user_id: String,
    passkey_name: String,
    credential: String,
    added_at: i64,
    last_used_at: Option<i64>,
}

/// A passkey and its owner.
#[derive(sqlx::FromRow)]
pub(in crate::store) struct PasskeyAndUserRow {
    #[sqlx(flatten)]
    passkey: PasskeyRow,
    #[sqlx(flatten)]
    user: UserRow,
}

impl From<TotpRow> for TotpRecord {
    fn from(row: TotpRow) -> Self {
        Self { secret: row.secret, last_step: row.last_step, created_at: Timestamp(row.created_at) }
    }
}

impl TryFrom<PasskeyRow> for PasskeyRecord {
    type Error = Error;

    fn try_from(row: PasskeyRow) -> Result<Self, Error> {
        Ok(Self {
            id: hash(&row.passkey_id)?,
            user_id: UserId::from_existing(row.user_id),
            name: row.passkey_name,
            credential: row.credential,
            created_at: Timestamp(row.added_at),
            last_used_at: row.last_used_at.map(Timestamp),
        })
    }
}

impl TryFrom<PasskeyAndUserRow> for (PasskeyRecord, User) {
    type Error = Error;

    fn try_from(row: PasskeyAndUserRow) -> Result<Self, Error> {
        Ok((row.passkey.try_into()?, row.user.try_into()?))
    }
}
