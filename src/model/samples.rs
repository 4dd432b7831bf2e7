//! Somebody, and a session of theirs, for unit tests.

use super::{AuthMethod, Email, SecurityStamp, SessionRecord, Strategy, User, UserId};
use crate::clock::Timestamp;
use crate::secret::TokenHash;

/// Ada.
pub(crate) fn user() -> User {
    User {
        id: UserId::from_existing("1815"),
        email: Email::parse("ada@example.com").unwrap(),
        name: None,
        image: None,
        email_verified_at: None,
        disabled_at: None,
        created_at: Timestamp(0),
        security_stamp: SecurityStamp(0),
    }
}

/// A session of hers with this id: begun at 1, renewed at 2, over at 3.
pub(crate) fn session(id: TokenHash) -> SessionRecord {
    SessionRecord {
        id,
        user_id: user().id,
        strategy: Strategy::Database,
        method: AuthMethod::Pwd,
        authenticated_at: Timestamp(1),
        expires_at: Timestamp(3),
        renewed_at: Timestamp(2),
        user_agent: None,
        address: None,
        claims: "{}".to_owned(),
    }
}
