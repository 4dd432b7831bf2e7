//! Rows as the databases give them, and what they mean.

pub(super) mod access_tokens;
pub(super) mod factors;

use serde::Deserialize;

use super::{AuditEnds, CodeAttempt, Error, UserWithPassword};
use crate::clock::Timestamp;
use crate::model::{
    AuditEntry, AuditRecord, AuthMethod, ChainHash, ChainMark, DisplayName, Email, ExternalId, LinkedAccount,
    MailedCode, Permission, Purpose, Revocation, SecurityStamp, SessionRecord, Strategy, Subject, User,
    UserId, Verification,
};
use crate::secret::TokenHash;

/// A row of `users`.
#[derive(sqlx::FromRow, Deserialize)]
pub(super) struct UserRow {
    id: String,
    email: String,
    name: Option<String>,
    image: Option<String>,
    email_verified_at: Option<i64>,
    disabled_at: Option<i64>,
    created_at: i64,
    security_stamp: i64,
}

/// A row of `users` with the password's hash.
#[derive(sqlx::FromRow)]
pub(super) struct CredentialRow {
    #[sqlx(flatten)]
    user: UserRow,
    password_hash: Option<String>,
}

/// A row of `sessions`.
#[derive(sqlx::FromRow, Deserialize)]
pub(super) struct SessionRow {
    /// Not part of the row as a text.
    #[serde(skip)]
    session_id: Vec<u8>,
    user_id: String,
    strategy: String,
    method: String,
    authenticated_at: i64,
    expires_at: i64,
    renewed_at: i64,
    user_agent: Option<String>,
    address: Option<String>,
    claims: String,
}

/// A session and its user.
#[derive(sqlx::FromRow, Deserialize)]
pub(super) struct SessionAndUserRow {
    #[sqlx(flatten)]
    session: SessionRow,
    #[sqlx(flatten)]
    user: UserRow,
}

/// A row of `accounts`.
#[derive(sqlx::FromRow)]
pub(super) struct AccountRow {
    account_id: String,
    user_id: String,
    provider: String,
    issuer: String,
    subject: String,
    label: Option<String>,
    linked_at: i64,
}

/// An account at another site and the user it opens.
#[derive(sqlx::FromRow)]
pub(super) struct AccountAndUserRow {
    #[sqlx(flatten)]
    account: AccountRow,
    #[sqlx(flatten)]
    user: UserRow,
}

/// A row of `revocations`.
#[derive(sqlx::FromRow)]
pub(super) struct RevocationRow {
    sequence: i64,
    kind: String,
    subject: Vec<u8>,
    not_after: i64,
    expires_at: i64,
}

/// A row of `audit_records`.
#[derive(sqlx::FromRow)]
pub(super) struct AuditRow {
    sequence: i64,
    at: i64,
    event: String,
    outcome: String,
    user_id: Option<String>,
    email: Option<String>,
    address: Option<String>,
    request_id: Option<String>,
    session_id: Option<Vec<u8>>,
    details: String,
    hash: Vec<u8>,
}

/// A row of `verifications`.
#[derive(sqlx::FromRow)]
pub(super) struct VerificationRow {
    id: Vec<u8>,
    purpose: String,
    email: String,
    user_id: Option<String>,
    browser: Option<Vec<u8>>,
    code: Option<Vec<u8>>,
    created_at: i64,
    expires_at: i64,
}

/// What a try of a code is told.
#[derive(sqlx::FromRow)]
pub(super) struct CodeAttemptRow {
    id: Vec<u8>,
    email: String,
    code: Vec<u8>,
    attempts: i64,
}

/// What is left of a row of `verifications` that was redeemed.
#[derive(sqlx::FromRow)]
pub(super) struct TakenRow {
    email: String,
    user_id: Option<String>,
}

impl TryFrom<UserRow> for User {
    type Error = Error;

    fn try_from(row: UserRow) -> Result<Self, Error> {
        Ok(Self {
            id: UserId::from_existing(row.id),
            email: Email::parse(&row.email).map_err(|_| corrupt("a user's address"))?,
            name: row
                .name
                .map(|name| DisplayName::parse(&name))
                .transpose()
                .map_err(|_| corrupt("a user's name"))?,
            image: row.image,
            email_verified_at: row.email_verified_at.map(Timestamp),
            disabled_at: row.disabled_at.map(Timestamp),
            created_at: Timestamp(row.created_at),
            security_stamp: SecurityStamp(row.security_stamp),
        })
    }
}

impl TryFrom<CredentialRow> for UserWithPassword {
    type Error = Error;

    fn try_from(row: CredentialRow) -> Result<Self, Error> {
        Ok(Self { user: row.user.try_into()?, password_hash: row.password_hash })
    }
}

impl TryFrom<SessionRow> for SessionRecord {
    type Error = Error;

    fn try_from(row: SessionRow) -> Result<Self, Error> {
        Ok(Self {
            id: hash(&row.session_id)?,
            user_id: UserId::from_existing(row.user_id),
            strategy: Strategy::from_name(&row.strategy).ok_or_else(|| corrupt("a session's strategy"))?,
            method: AuthMethod::from_name(&row.method),
            authenticated_at: Timestamp(row.authenticated_at),
            expires_at: Timestamp(row.expires_at),
            renewed_at: Timestamp(row.renewed_at),
            user_agent: row.user_agent,
            address: row.address,
            claims: row.claims,
        })
    }
}

impl TryFrom<SessionAndUserRow> for (SessionRecord, User) {
    type Error = Error;

    fn try_from(row: SessionAndUserRow) -> Result<Self, Error> {
        Ok((row.session.try_into()?, row.user.try_into()?))
    }
}

/// Sessions and their users, as SQLite writes them into one text: an array of the id, the session and the user, or of the id
/// and null where a column holds bytes. See `sqlite/sessions.rs`.
pub(super) fn sessions_of_text(text: &[u8]) -> Result<Vec<(SessionRecord, User)>, Error> {
    let nonsense = || corrupt("a session or its user");
    let rows: Vec<(String, Option<SessionAndUserRow>)> =
        serde_json::from_slice(text).map_err(|_| nonsense())?;
    let read = rows.into_iter().map(|(id, row)| {
        let mut row = row.ok_or_else(nonsense)?;
        row.session.session_id = TokenHash::from_hex(&id).ok_or_else(nonsense)?.as_bytes().to_vec();
        row.try_into()
    });
    read.collect()
}

impl TryFrom<AccountRow> for LinkedAccount {
    type Error = Error;

    fn try_from(row: AccountRow) -> Result<Self, Error> {
        Ok(Self {
            id: row.account_id,
            user_id: UserId::from_existing(row.user_id),
            external: ExternalId { provider: row.provider, issuer: row.issuer, subject: row.subject },
            label: row.label,
            linked_at: Timestamp(row.linked_at),
        })
    }
}

impl TryFrom<VerificationRow> for Verification {
    type Error = Error;

    fn try_from(row: VerificationRow) -> Result<Self, Error> {
        let code = match (row.browser, row.code) {
            (Some(browser), Some(code)) => Some(MailedCode { browser: hash(&browser)?, hash: hash(&code)? }),
            _ => None,
        };
        Ok(Self {
            id: hash(&row.id)?,
            purpose: Purpose::from_name(&row.purpose)
                .ok_or_else(|| corrupt("the purpose of a mailed secret"))?,
            email: mailed_to(&row.email)?,
            user_id: row.user_id.map(UserId::from_existing),
            code,
            created_at: Timestamp(row.created_at),
            expires_at: Timestamp(row.expires_at),
        })
    }
}

impl TryFrom<AccountAndUserRow> for (LinkedAccount, User) {
    type Error = Error;

    fn try_from(row: AccountAndUserRow) -> Result<Self, Error> {
        Ok((row.account.try_into()?, row.user.try_into()?))
    }
}

impl TryFrom<CodeAttemptRow> for CodeAttempt {
    type Error = Error;

    fn try_from(row: CodeAttemptRow) -> Result<Self, Error> {
        Ok(Self {
            id: hash(&row.id)?,
            email: mailed_to(&row.email)?,
            code: hash(&row.code)?,
            attempts: row.attempts,
        })
    }
}

impl TryFrom<TakenRow> for (Email, Option<UserId>) {
    type Error = Error;

    fn try_from(row: TakenRow) -> Result<Self, Error> {
        Ok((mailed_to(&row.email)?, row.user_id.map(UserId::from_existing)))
    }
}

fn mailed_to(email: &str) -> Result<Email, Error> {
    Email::parse(email).map_err(|_| corrupt("the address of a mailed secret"))
}

impl TryFrom<RevocationRow> for Revocation {
    type Error = Error;

    fn try_from(row: RevocationRow) -> Result<Self, Error> {
        let subject = match row.kind.as_str() {
            "session" => Subject::Session(hash(&row.subject)?),
            "user" => Subject::User(UserId::from_existing(
                String::from_utf8(row.subject).map_err(|_| corrupt("a revocation's user"))?,
            )),
            _ => return Err(corrupt("a revocation's kind")),
        };
        Ok(Self {
            sequence: row.sequence,
            subject,
            not_after: Timestamp(row.not_after),
            expires_at: Timestamp(row.expires_at),
        })
    }
}

impl TryFrom<AuditRow> for AuditRecord {
    type Error = Error;

    fn try_from(row: AuditRow) -> Result<Self, Error> {
        let entry = AuditEntry {
            at: Timestamp(row.at),
            event: row.event,
            outcome: row.outcome,
            user_id: row.user_id.map(UserId::from_existing),
            email: row.email,
            address: row.address,
            request_id: row.request_id,
            session_id: row.session_id.as_deref().map(hash).transpose()?,
            details: row.details,
        };
        Ok(Self { sequence: row.sequence, entry, hash: chain_mark(row.sequence, &row.hash)?.hash })
    }
}

/// A place in the audit log's chain.
pub(super) fn chain_mark(sequence: i64, hash: &[u8]) -> Result<ChainMark, Error> {
    let hash = ChainHash::from_bytes(hash).ok_or_else(|| corrupt("a hash of the audit log"))?;
    Ok(ChainMark { sequence, hash })
}

/// Both ends of the chain.
pub(super) fn audit_ends(row: Option<(i64, Vec<u8>, i64, Vec<u8>)>) -> Result<AuditEnds, Error> {
    let (anchor, anchor_hash, head, head_hash) = row.ok_or_else(|| missing_mark("anchor or head"))?;
    Ok(AuditEnds { anchor: chain_mark(anchor, &anchor_hash)?, head: chain_mark(head, &head_hash)? })
}

/// The end of the chain that ought to be there and is not.
pub(super) fn missing_mark(which: &str) -> Error {
    corrupt(&format!("the audit log's {which} is missing"))
}

/// The record up to which the audit log is pruned. Where it is missing nothing more is deleted: somebody did already.
pub(super) fn pruned_record(sequence: i64, hash: Option<&[u8]>) -> Result<ChainMark, Error> {
    let hash = hash.ok_or_else(|| corrupt(&format!("record {sequence} of the audit log is missing")))?;
    chain_mark(sequence, hash)
}

/// How a subject is stored: its kind and its bytes.
pub(super) fn stored_subject(subject: &Subject) -> (&'static str, &[u8]) {
    match subject {
        Subject::Session(id) => ("session", id.as_bytes()),
        Subject::User(id) => ("user", id.as_str().as_bytes()),
    }
}

/// The hash a row holds.
pub(super) fn hash(bytes: &[u8]) -> Result<TokenHash, Error> {
    TokenHash::from_bytes(bytes).ok_or_else(|| corrupt("a hash"))
}

/// The name of a role or scope that a row holds.
pub(super) fn permission(name: &str) -> Result<Permission, Error> {
    Permission::parse(name).map_err(|_| corrupt("the name of a role or scope"))
}

fn corrupt(what: &str) -> Error {
    Error::Corrupt(what.to_owned())
}

/// Rows into what they mean; the first that means nothing is the error.
pub(super) fn all<R, T: TryFrom<R, Error = Error>>(rows: Vec<R>) -> Result<Vec<T>, Error> {
    rows.into_iter().map(T::try_from).collect()
}
