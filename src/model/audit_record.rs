//! Records of the audit log, and the chain that holds them together.
//!
//! Each record carries the SHA-256 over its own fields and the hash of the record before it, so no record can be altered,
//! removed or moved without every later hash being wrong. The hash has no key: whoever can write the whole table can
//! make a whole new chain. What shows that is a hash noted elsewhere, and every hash is in the log line of its record.

use sha2::{Digest as _, Sha256};

use super::UserId;
use crate::clock::Timestamp;
use crate::secret::TokenHash;

/// What is to be recorded: everything but its place in the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// When it happened.
    pub at: Timestamp,
    /// What happened, as a stable code.
    pub event: String,
    /// How it went, as a stable code.
    pub outcome: String,
    /// Whom it concerns, when that is known.
    pub user_id: Option<UserId>,
    /// The address that was named, when it was one.
    pub email: Option<String>,
    /// From where.
    pub address: Option<String>,
    /// The request it happened in.
    pub request_id: Option<String>,
    /// The session it happened in or to.
    pub session_id: Option<TokenHash>,
    /// What else is worth knowing, as one JSON object.
    pub details: String,
}

/// A record: an entry in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its number: one more than the record before it.
    pub sequence: i64,
    /// What is recorded.
    pub entry: AuditEntry,
    /// The hash of this record and, through the one before it, of all.
    pub hash: ChainHash,
}

/// A link of the chain: SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ChainHash([u8; 32]);

/// A place in the chain: a number and the hash there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChainMark {
    /// The record's number; 0 before the first.
    pub sequence: i64,
    /// Its hash; zeros before the first.
    pub hash: ChainHash,
}

impl ChainHash {
    /// Takes 32 bytes as the store kept them; `None` when the length is another.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        <[u8; 32]>::try_from(bytes).ok().map(Self)
    }

    /// The bytes the store keeps.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// 64 hexadecimal digits.
    #[must_use]
    pub fn to_hex(self) -> String {
        crate::secret::hex(&self.0)
    }
}

impl ChainMark {
    /// Where every chain begins.
    pub const START: Self = Self { sequence: 0, hash: ChainHash([0; 32]) };
}

impl AuditEntry {
    /// The record that this entry becomes after `previous`.
    #[must_use]
    pub fn chained(self, previous: &ChainMark) -> AuditRecord {
        let sequence = previous.sequence.saturating_add(1);
        AuditRecord { sequence, hash: self.hash(sequence, &previous.hash), entry: self }
    }

    /// SHA-256 over every field in a fixed order, each behind its length, so that no two lists of fields are one text.
    fn hash(&self, sequence: i64, previous: &ChainHash) -> ChainHash {
        let mut hash = Sha256::new();
        hash.update(b"countersign audit record 1");
        hash.update(previous.0);
        hash.update(sequence.to_be_bytes());
        hash.update(self.at.0.to_be_bytes());
        let user = self.user_id.as_ref().map(|id| id.as_str().as_bytes());
        let texts = [&self.email, &self.address, &self.request_id];
        let fields = [Some(self.event.as_bytes()), Some(self.outcome.as_bytes()), user]
            .into_iter()
            .chain(texts.into_iter().map(|text| text.as_ref().map(String::as_bytes)))
            .chain([
                self.session_id.as_ref().map(|id| id.as_bytes().as_slice()),
                Some(self.details.as_bytes()),
            ]);
        for field in fields {
            match field {
                None => hash.update([0]),
                Some(bytes) => {
                    hash.update([1]);
                    hash.update((bytes.len() as u64).to_be_bytes());
                    hash.update(bytes);
                }
            }
        }
        ChainHash(hash.finalize().into())
    }
}

impl AuditRecord {
    /// The place it has in the chain.
    #[must_use]
    pub const fn mark(&self) -> ChainMark {
        ChainMark { sequence: self.sequence, hash: self.hash }
    }

    /// Whether it is, unaltered, the record that follows `previous`.
    #[must_use]
    pub fn follows(&self, previous: &ChainMark) -> bool {
        Some(self.sequence) == previous.sequence.checked_add(1)
            && self.entry.hash(self.sequence, &previous.hash) == self.hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> AuditEntry {
        AuditEntry {
            at: Timestamp(1_800_000_000),
            event: "sign_in.succeeded".to_owned(),
            outcome: "success".to_owned(),
            user_id: Some(UserId::from_existing("ada")),
            email: Some("ada@example.com".to_owned()),
            address: Some("192.0.2.1".to_owned()),
            request_id: Some("r-1".to_owned()),
            session_id: Some(TokenHash::of("s")),
            details: "{}".to_owned(),
        }
    }

    #[test]
    fn every_field_counts_and_where_one_ends() {
        let first = entry().chained(&ChainMark::START);
        assert!(first.follows(&ChainMark::START));
        let changes: [fn(&mut AuditEntry); 10] = [
            |e| e.at = e.at.plus(1),
            |e| e.event.push('x'),
            |e| e.outcome.clear(),
            |e| e.user_id = None,
            |e| e.user_id = Some(UserId::from_existing("")),
            |e| e.email = e.address.take(),
            |e| e.address = Some("192.0.2.11".to_owned()),
            |e| std::mem::swap(&mut e.request_id, &mut e.address),
            |e| e.session_id = Some(TokenHash::of("t")),
            |e| e.details = "{} ".to_owned(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut altered = first.clone();
            change(&mut altered.entry);
            assert!(!altered.follows(&ChainMark::START), "change {number}");
        }
    }

    #[test]
    fn a_record_knows_its_place() {
        let first = entry().chained(&ChainMark::START);
        let second = entry().chained(&first.mark());
        assert!(second.follows(&first.mark()));
        assert!(!second.follows(&ChainMark::START));
        let moved = AuditRecord { sequence: 1, ..second };
        assert!(!moved.follows(&ChainMark::START));
    }

    /// The encoding is a promise: records of an older version must verify for ever.
    #[test]
    fn the_hash_is_the_one_of_the_first_version() {
        let hash = entry().chained(&ChainMark::START).hash.to_hex();
        assert_eq!(hash, "137c98a750b4cf49dc57a371138a2ee7c0f252099ad7f2401624efd7802e413e");
    }
}
