//! Statements about mailed secrets.

pub(in crate::store) const ADD_VERIFICATION: &str = "INSERT INTO verifications \
     (id, purpose, email, user_id, browser, code, attempts, created_at, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6, 0, $7, $8)";
pub(in crate::store) const FIND_VERIFICATION: &str =
    concat!("SELECT ", verification_columns!(), " FROM verifications WHERE id = $1 AND purpose = $2");
pub(in crate::store) const LIST_VERIFICATIONS: &str = concat!(
    "SELECT ",
    verification_columns!(),
    " FROM verifications WHERE user_id = $1 ORDER BY created_at, id"
);
pub(in crate::store) const COUNT_CODE_ATTEMPT: &str = "UPDATE verifications SET attempts = attempts + 1 \
     WHERE browser = $1 AND purpose = $2 AND expires_at > $3 AND code IS NOT NULL \
     RETURNING id, email, code, attempts";
pub(in crate::store) const RETURN_CODE_ATTEMPT: &str =
    "UPDATE verifications SET attempts = attempts - 1 WHERE id = $1 AND attempts > 0";
/// The one statement that redeems anything: who deletes the row has it, and nobody else.
pub(in crate::store) const TAKE_VERIFICATION: &str =
    "DELETE FROM verifications WHERE id = $1 AND purpose = $2 AND expires_at > $3 RETURNING email, user_id";
pub(in crate::store) const TAKE_OWN_VERIFICATION: &str = "DELETE FROM verifications \
     WHERE id = $1 AND purpose = $2 AND expires_at > $3 AND user_id = $4 RETURNING email, user_id";
pub(in crate::store) const FORGET_VERIFICATIONS_OF: &str = "DELETE FROM verifications WHERE user_id = $1";
/// An address can still be confirmed: that opens nothing.
pub(in crate::store) const FORGET_OPENERS_OF: &str =
    "DELETE FROM verifications WHERE user_id = $1 AND purpose <> 'verify_email'";
pub(in crate::store) const FORGET_SIGN_INS: &str =
    "DELETE FROM verifications WHERE email = $1 AND purpose = 'sign_in'";
/// Also those that were asked for before the user was made.
pub(in crate::store) const FORGET_SIGN_INS_OF: &str = "DELETE FROM verifications WHERE purpose = 'sign_in' \
     AND email = (SELECT email FROM users WHERE id = $1)";
/// Whoever set the password had not proven the address: it goes, with the first proof.
pub(in crate::store) const PROVE_EMAIL_AFRESH: &str = "UPDATE users SET email_verified_at = $2, password_hash = NULL \
     WHERE id = $1 AND email_verified_at IS NULL";
pub(in crate::store) const CONFIRM_EMAIL: &str =
    "UPDATE users SET email_verified_at = COALESCE(email_verified_at, $3) WHERE id = $1 AND email = $2";
pub(in crate::store) const RESET_PASSWORD: &str = "UPDATE users SET password_hash = $3, \
     email_verified_at = COALESCE(email_verified_at, $4) WHERE id = $1 AND email = $2 AND disabled_at IS NULL";
pub(in crate::store) const CHANGE_EMAIL: &str = "UPDATE users SET email = $2, email_verified_at = $3 \
     WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM users other WHERE other.email = $2 AND other.id <> $1)";

/// Every statement of this file.
pub(super) const ALL: &[&str] = &[
    ADD_VERIFICATION,
    FIND_VERIFICATION,
    LIST_VERIFICATIONS,
    COUNT_CODE_ATTEMPT,
    RETURN_CODE_ATTEMPT,
    TAKE_VERIFICATION,
    TAKE_OWN_VERIFICATION,
    FORGET_VERIFICATIONS_OF,
    FORGET_OPENERS_OF,
    FORGET_SIGN_INS,
    FORGET_SIGN_INS_OF,
    PROVE_EMAIL_AFRESH,
    CONFIRM_EMAIL,
    RESET_PASSWORD,
    CHANGE_EMAIL,
];
