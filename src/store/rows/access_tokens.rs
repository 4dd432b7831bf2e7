//! Rows about personal access tokens.

use super::{UserRow, hash, permission};
use crate::clock::Timestamp;
use crate::model::{AccessTokenRecord, Permission, User, UserId};
use crate::store::Error;

/// A row of `access_tokens`.
#[derive(sqlx::FromRow)]
pub(in crate::store) struct AccessTokenRow {
    token_id: Vec<u8>,
    user_id: String,
    token_name: String,
    scopes: String,
    made_at: i64,
    expires_at: i64,
    last_used_at: Option<i64>,
}

/// A token and its owner.
#[derive(sqlx::FromRow)]
pub(in crate::store) struct AccessTokenAndUserRow {
    #[sqlx(flatten)]
    token: AccessTokenRow,
    #[sqlx(flatten)]
    user: UserRow,
}

impl TryFrom<AccessTokenRow> for AccessTokenRecord {
    type Error = Error;

    fn try_from(row: AccessTokenRow) -> Result<Self, Error> {
        Ok(Self {
            id: hash(&row.token_id)?,
            user_id: UserId::from_existing(row.user_id),
            name: row.token_name,
            scopes: row.scopes.split_whitespace().map(permission).collect::<Result<_, _>>()?,
            created_at: Timestamp(row.made_at),
            expires_at: Timestamp(row.expires_at),
            last_used_at: row.last_used_at.map(Timestamp),
        })
    }
}

impl TryFrom<AccessTokenAndUserRow> for (AccessTokenRecord, User) {
    type Error = Error;

    fn try_from(row: AccessTokenAndUserRow) -> Result<Self, Error> {
        Ok((row.token.try_into()?, row.user.try_into()?))
    }
}

/// Scopes as they are stored: names with blanks in between (RFC 6749 section 3.3).
pub(in crate::store) fn joined(scopes: &[Permission]) -> String {
    scopes.iter().map(Permission::as_str).collect::<Vec<_>>().join(" ")
}
