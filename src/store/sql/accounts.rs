//! Statements about accounts at other sites.

pub(in crate::store) const FIND_ACCOUNT: &str = concat!(
    "SELECT ",
    account_columns!(),
    ", ",
    user_columns!(),
    " FROM accounts JOIN users ON users.id = accounts.user_id \
     WHERE accounts.provider = $1 AND accounts.issuer = $2 AND accounts.subject = $3"
);
pub(in crate::store) const LIST_ACCOUNTS: &str = concat!(
    "SELECT ",
    account_columns!(),
    " FROM accounts WHERE accounts.user_id = $1 ORDER BY accounts.linked_at, accounts.id"
);
pub(in crate::store) const CREATE_FEDERATED_USER: &str = "INSERT INTO users \
     (id, email, name, image, email_verified_at, created_at) VALUES ($1, $2, $3, $4, $5, $6) \
     ON CONFLICT (email) DO NOTHING";
/// Holds the user's row until the act ends, so that acts about one user follow each other.
pub(in crate::store) const HOLD_USER: &str =
    "UPDATE users SET created_at = created_at WHERE id = $1 AND disabled_at IS NULL";
pub(in crate::store) const INSERT_ACCOUNT: &str = "INSERT INTO accounts \
     (id, user_id, provider, issuer, subject, label, linked_at, tokens) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
     ON CONFLICT (provider, issuer, subject) DO NOTHING";
pub(in crate::store) const PROVE_AND_DISARM_USER: &str = "UPDATE users SET password_hash = NULL, image = NULL, \
     name = $2, email_verified_at = $3 \
     WHERE id = $1 AND email_verified_at IS NULL AND disabled_at IS NULL AND security_stamp = $4";
pub(in crate::store) const DELETE_ACCOUNTS_OF: &str = "DELETE FROM accounts WHERE user_id = $1";
/// What else somebody holds who never proved the address, and loses when its owner arrives. Whatever new way in there is, or
/// proof that stands in the owner's way, belongs here.
pub(in crate::store) const DISARM: &[&str] = &[
    DELETE_ACCOUNTS_OF,
    super::access_tokens::DELETE_ACCESS_TOKENS_OF,
    super::verifications::FORGET_VERIFICATIONS_OF,
    super::factors::REMOVE_TOTP,
    super::factors::REMOVE_RECOVERY_CODES,
    super::factors::REMOVE_PASSKEYS,
];
/// What a proof of before opened besides sessions, or may open yet: it ends when the proofs change. Whatever else outlives a
/// sign-in belongs here.
pub(in crate::store) const CLOSE: &[&str] =
    &[super::access_tokens::DELETE_ACCESS_TOKENS_OF, super::verifications::FORGET_OPENERS_OF];
pub(in crate::store) const UNLINK_ACCOUNT: &str = "DELETE FROM accounts WHERE id = $1 AND user_id = $2 AND ($3 \
     OR EXISTS (SELECT 1 FROM users WHERE users.id = $2 AND users.password_hash IS NOT NULL) \
     OR EXISTS (SELECT 1 FROM passkeys WHERE passkeys.user_id = $2) \
     OR EXISTS (SELECT 1 FROM accounts AS others WHERE others.user_id = $2 AND others.id <> $1))";
pub(in crate::store) const HAS_ACCOUNT: &str = "SELECT COUNT(*) FROM accounts WHERE id = $1 AND user_id = $2";
pub(in crate::store) const KEEP_TOKENS: &str =
    "UPDATE accounts SET tokens = $2, lease = NULL, lease_until = 0 WHERE id = $1";
pub(in crate::store) const FIND_TOKENS: &str = "SELECT id, tokens FROM accounts \
     WHERE user_id = $1 AND provider = $2 AND tokens IS NOT NULL ORDER BY linked_at, id LIMIT 1";
pub(in crate::store) const LEASE_TOKENS: &str = "UPDATE accounts SET lease = $2, lease_until = $4 \
     WHERE id = $1 AND lease_until <= $3 AND tokens IS NOT NULL RETURNING tokens";
pub(in crate::store) const RENEW_TOKENS: &str =
    "UPDATE accounts SET tokens = $3, lease = NULL, lease_until = 0 WHERE id = $1 AND lease = $2";
pub(in crate::store) const LIST_TOKENS: &str =
    "SELECT id, tokens FROM accounts WHERE id > $1 AND tokens IS NOT NULL ORDER BY id LIMIT $2";
pub(in crate::store) const RESEAL_TOKENS: &str =
    "UPDATE accounts SET tokens = $3 WHERE id = $1 AND tokens = $2";
/// Every statement of this file.
pub(super) const ALL: &[&str] = &[
    FIND_ACCOUNT,
    LIST_ACCOUNTS,
    CREATE_FEDERATED_USER,
    HOLD_USER,
    INSERT_ACCOUNT,
    PROVE_AND_DISARM_USER,
    DELETE_ACCOUNTS_OF,
    UNLINK_ACCOUNT,
    HAS_ACCOUNT,
    KEEP_TOKENS,
    FIND_TOKENS,
    LEASE_TOKENS,
    RENEW_TOKENS,
    LIST_TOKENS,
    RESEAL_TOKENS,
];
