//! Statements about people.

pub(in crate::store) const CREATE_USER: &str = "INSERT INTO users (id, email, name, password_hash, created_at) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT (email) DO NOTHING";
pub(in crate::store) const FIND_USER: &str = concat!("SELECT ", user_columns!(), " FROM users WHERE id = $1");
pub(in crate::store) const FIND_USER_BY_EMAIL: &str =
    concat!("SELECT ", user_columns!(), ", users.password_hash FROM users WHERE email = $1");
/// What was decided on an older password or stamp changes nothing.
pub(in crate::store) const STRENGTHEN_HASH: &str =
    "UPDATE users SET password_hash = $3 WHERE id = $1 AND password_hash = $2";
pub(in crate::store) const CHANGE_PASSWORD: &str =
    "UPDATE users SET password_hash = $2 WHERE id = $1 AND security_stamp = $3";
pub(in crate::store) const MOVE_STAMP_ON: &str =
    "UPDATE users SET security_stamp = security_stamp + 1 WHERE id = $1";
pub(in crate::store) const SET_NAME: &str = "UPDATE users SET name = $2 WHERE id = $1";
pub(in crate::store) const DISABLE_USER: &str =
    "UPDATE users SET disabled_at = COALESCE(disabled_at, $2) WHERE id = $1";
pub(in crate::store) const ENABLE_USER: &str = "UPDATE users SET disabled_at = NULL WHERE id = $1";
pub(in crate::store) const DELETE_USER: &str = "DELETE FROM users WHERE id = $1";
pub(in crate::store) const LIST_USERS: &str =
    concat!("SELECT ", user_columns!(), " FROM users WHERE email > $1 ORDER BY email LIMIT $2");

/// Every statement of this file.
pub(super) const ALL: &[&str] = &[
    CREATE_USER,
    FIND_USER,
    FIND_USER_BY_EMAIL,
    STRENGTHEN_HASH,
    CHANGE_PASSWORD,
    MOVE_STAMP_ON,
    SET_NAME,
    DISABLE_USER,
    ENABLE_USER,
    DELETE_USER,
    LIST_USERS,
];
