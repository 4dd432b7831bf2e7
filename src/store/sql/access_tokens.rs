//! Statements about personal access tokens.

pub(in crate::store) const INSERT_ACCESS_TOKEN: &str = "INSERT INTO access_tokens (id, user_id, name, scopes, created_at, expires_at) \
     SELECT $1, id, $3, $4, $5, $6 FROM users WHERE id = $2 AND disabled_at IS NULL \
     AND (SELECT COUNT(*) FROM access_tokens WHERE user_id = $2) < $7 ON CONFLICT (id) DO NOTHING";
pub(in crate::store) const FIND_ACCESS_TOKEN: &str = concat!(
    "SELECT access_tokens.id AS token_id, access_tokens.user_id, access_tokens.name AS token_name, \
     access_tokens.scopes, access_tokens.created_at AS made_at, access_tokens.expires_at, access_tokens.last_used_at, ",
    user_columns!(),
    " FROM access_tokens JOIN users ON users.id = access_tokens.user_id WHERE access_tokens.id = $1"
);
pub(in crate::store) const LIST_ACCESS_TOKENS: &str = "SELECT id AS token_id, user_id, name AS token_name, scopes, \
     created_at AS made_at, expires_at, last_used_at FROM access_tokens WHERE user_id = $1 \
     ORDER BY created_at DESC, id";
pub(in crate::store) const USE_ACCESS_TOKEN: &str = "UPDATE access_tokens SET last_used_at = $2 WHERE id = $1 \
     AND (last_used_at IS NULL OR last_used_at < $2)";
pub(in crate::store) const DELETE_ACCESS_TOKEN: &str =
    "DELETE FROM access_tokens WHERE id = $1 AND user_id = $2";
/// Whoever had them is somebody else than the owner.
pub(in crate::store) const DELETE_ACCESS_TOKENS_OF: &str = "DELETE FROM access_tokens WHERE user_id = $1";

/// Every statement of this file.
pub(super) const ALL: &[&str] = &[
    INSERT_ACCESS_TOKEN,
    FIND_ACCESS_TOKEN,
    LIST_ACCESS_TOKENS,
    USE_ACCESS_TOKEN,
    DELETE_ACCESS_TOKEN,
    DELETE_ACCESS_TOKENS_OF,
];
