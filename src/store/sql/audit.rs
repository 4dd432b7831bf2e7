//! Statements about the audit log.

/// Takes the head, and with it the right to append, until the act ends: the new last sequence and the old hash.
pub(in crate::store) const TAKE_HEAD: &str =
    "UPDATE audit_chain SET sequence = sequence + $1 WHERE mark = 'head' RETURNING sequence, hash";
pub(in crate::store) const MOVE_HEAD: &str = "UPDATE audit_chain SET hash = $1 WHERE mark = 'head'";
macro_rules! append {
    () => {
        "INSERT INTO audit_records (sequence, at, event, outcome, user_id, email, address, request_id, session_id, \
         details, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    };
}
pub(in crate::store) const APPEND: &str = append!();
/// Two statements in one, which PostgreSQL does not prepare.
pub(in crate::store) const APPEND_AND_MOVE_HEAD: &str =
    concat!(append!(), "; UPDATE audit_chain SET hash = $11 WHERE mark = 'head'");
pub(in crate::store) const RECORDS_AFTER: &str = "SELECT sequence, at, event, outcome, user_id, email, address, request_id, \
     session_id, details, hash FROM audit_records WHERE sequence > $1 AND at >= $2 \
     AND (CAST($3 AS TEXT) IS NULL OR user_id = CAST($3 AS TEXT)) ORDER BY sequence LIMIT $4";
pub(in crate::store) const ENDS: &str = "SELECT anchor.sequence, anchor.hash, head.sequence, head.hash \
     FROM audit_chain AS anchor, audit_chain AS head WHERE anchor.mark = 'anchor' AND head.mark = 'head'";
/// Takes the anchor, and with it the right to prune, until the act ends.
pub(in crate::store) const TAKE_ANCHOR: &str =
    "UPDATE audit_chain SET sequence = sequence WHERE mark = 'anchor' RETURNING sequence";
/// The last record before the first that must stay, as far as a batch from `$1` to `$2` reaches. The plus keeps the index on
/// time out of it: that one would be read from the batch's time to the present, for every batch.
pub(in crate::store) const LAST_OLD: &str = "SELECT COALESCE((SELECT MIN(sequence) - 1 FROM audit_records \
     WHERE sequence > $1 AND sequence <= $2 AND +at >= $3), (SELECT sequence FROM audit_chain WHERE mark = 'head'))";
pub(in crate::store) const RECORD_HASH: &str = "SELECT hash FROM audit_records WHERE sequence = $1";
pub(in crate::store) const PRUNE: &str = "DELETE FROM audit_records WHERE sequence > $1 AND sequence <= $2";
pub(in crate::store) const MOVE_ANCHOR: &str =
    "UPDATE audit_chain SET sequence = $1, hash = $2 WHERE mark = 'anchor'";

/// Every statement of this file.
pub(super) const ALL: &[&str] = &[
    TAKE_HEAD,
    MOVE_HEAD,
    APPEND,
    RECORDS_AFTER,
    ENDS,
    TAKE_ANCHOR,
    LAST_OLD,
    RECORD_HASH,
    PRUNE,
    MOVE_ANCHOR,
];
