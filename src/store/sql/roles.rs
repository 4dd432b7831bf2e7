//! Statements about roles.

pub(in crate::store) const GRANT_ROLE: &str = "INSERT INTO user_roles (user_id, role, granted_at) \
     SELECT id, $2, $3 FROM users WHERE id = $1 ON CONFLICT (user_id, role) DO NOTHING";
pub(in crate::store) const TAKE_ROLE: &str = "DELETE FROM user_roles WHERE user_id = $1 AND role = $2";
pub(in crate::store) const ROLES_OF: &str = "SELECT role FROM user_roles WHERE user_id = $1 ORDER BY role";
/// SQLite's: its own order is that of bytes. One lower bound and one upper: of two lower ones SQLite seeks by the first and
/// reads everything between them.
pub(in crate::store) const SEARCH_USERS: &str = concat!(
    "SELECT ",
    user_columns!(),
    " FROM users WHERE email >= $1 AND email < $2 ORDER BY email LIMIT $3"
);
/// PostgreSQL's: the order of bytes must be asked for.
pub(in crate::store) const SEARCH_USERS_BY_BYTES: &str = concat!(
    "SELECT ",
    user_columns!(),
    " FROM users WHERE email COLLATE \"C\" >= $1 AND email COLLATE \"C\" < $2 ORDER BY email COLLATE \"C\" LIMIT $3"
);

/// Every statement that both databases share.
pub(super) const ALL: &[&str] = &[GRANT_ROLE, TAKE_ROLE, ROLES_OF];
