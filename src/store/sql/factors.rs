//! Statements about second factors.

pub(in crate::store) const FIND_TOTP: &str =
    "SELECT secret, last_step, created_at FROM totp WHERE user_id = $1";
pub(in crate::store) const COUNT_RECOVERY_CODES: &str =
    "SELECT COUNT(*) FROM recovery_codes WHERE user_id = $1";
pub(in crate::store) const LIST_PASSKEYS: &str = "SELECT id AS passkey_id, user_id, name AS passkey_name, credential, \
     created_at AS added_at, last_used_at FROM passkeys WHERE user_id = $1 ORDER BY created_at, id";
pub(in crate::store) const ENABLE_TOTP: &str = "INSERT INTO totp (user_id, secret, last_step, created_at) \
     SELECT id, $2, $3, $4 FROM users WHERE id = $1 ON CONFLICT (user_id) DO UPDATE SET secret = excluded.secret, \
     last_step = excluded.last_step, created_at = excluded.created_at";
pub(in crate::store) const ACCEPT_TOTP_STEP: &str =
    "UPDATE totp SET last_step = $2 WHERE user_id = $1 AND last_step < $2";
pub(in crate::store) const LIST_TOTP: &str =
    "SELECT user_id, secret FROM totp WHERE user_id > $1 ORDER BY user_id LIMIT $2";
pub(in crate::store) const RESEAL_TOTP: &str =
    "UPDATE totp SET secret = $3 WHERE user_id = $1 AND secret = $2";
pub(in crate::store) const REMOVE_TOTP: &str = "DELETE FROM totp WHERE user_id = $1";
pub(in crate::store) const REMOVE_RECOVERY_CODES: &str = "DELETE FROM recovery_codes WHERE user_id = $1";
pub(in crate::store) const REMOVE_UNNEEDED_RECOVERY_CODES: &str = "DELETE FROM recovery_codes WHERE user_id = $1 \
     AND NOT EXISTS (SELECT 1 FROM totp WHERE user_id = $1) AND NOT EXISTS (SELECT 1 FROM passkeys WHERE user_id = $1)";
pub(in crate::store) const ADD_RECOVERY_CODE: &str = "INSERT INTO recovery_codes (user_id, code) SELECT id, $2 FROM users WHERE id = $1 ON CONFLICT DO NOTHING";
pub(in crate::store) const HAS_RECOVERY_CODE: &str =
    "SELECT COUNT(*) FROM recovery_codes WHERE user_id = $1 AND code = $2";
pub(in crate::store) const SPEND_RECOVERY_CODE: &str =
    "DELETE FROM recovery_codes WHERE user_id = $1 AND code = $2";
pub(in crate::store) const ADD_PASSKEY: &str = "INSERT INTO passkeys (id, user_id, name, credential, created_at) \
     SELECT $1, id, $3, $4, $5 FROM users WHERE id = $2 \
     AND (SELECT COUNT(*) FROM passkeys WHERE user_id = $2) < $6 ON CONFLICT (id) DO NOTHING";
pub(in crate::store) const FIND_PASSKEY: &str = concat!(
    "SELECT passkeys.id AS passkey_id, passkeys.user_id, passkeys.name AS passkey_name, passkeys.credential, \
     passkeys.created_at AS added_at, passkeys.last_used_at, ",
    user_columns!(),
    " FROM passkeys JOIN users ON users.id = passkeys.user_id WHERE passkeys.id = $1"
);
pub(in crate::store) const USE_PASSKEY: &str =
    "UPDATE passkeys SET credential = $2, last_used_at = $3 WHERE id = $1";
pub(in crate::store) const REMOVE_PASSKEY: &str = "DELETE FROM passkeys WHERE id = $1 AND user_id = $2";
pub(in crate::store) const REMOVE_PASSKEYS: &str = "DELETE FROM passkeys WHERE user_id = $1";
pub(in crate::store) const SPEND: &str =
    "INSERT INTO spent (key, expires_at) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING";

/// Every statement of this file.
pub(super) const ALL: &[&str] = &[
    FIND_TOTP,
    COUNT_RECOVERY_CODES,
    LIST_PASSKEYS,
    ENABLE_TOTP,
    ACCEPT_TOTP_STEP,
    LIST_TOTP,
    RESEAL_TOTP,
    REMOVE_TOTP,
    REMOVE_RECOVERY_CODES,
    REMOVE_UNNEEDED_RECOVERY_CODES,
    ADD_RECOVERY_CODE,
    HAS_RECOVERY_CODE,
    SPEND_RECOVERY_CODE,
    ADD_PASSKEY,
    FIND_PASSKEY,
    USE_PASSKEY,
    REMOVE_PASSKEY,
    REMOVE_PASSKEYS,
    SPEND,
];
