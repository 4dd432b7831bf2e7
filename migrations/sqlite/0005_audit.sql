-- What happened, each record chained by its hash to the one before. Two marks hold the chain's ends: whoever appends
-- holds the head until the record is committed, and the anchor is what the first record that is kept follows.
CREATE TABLE audit_records (
    sequence INTEGER PRIMARY KEY NOT NULL,
    at INTEGER NOT NULL,
    event TEXT NOT NULL,
    outcome TEXT NOT NULL,
    user_id TEXT,
    email TEXT,
    address TEXT,
    request_id TEXT,
    session_id BLOB,
    details TEXT NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE INDEX audit_records_by_user ON audit_records (user_id, sequence);
CREATE INDEX audit_records_by_time ON audit_records (at);
CREATE TABLE audit_chain (
    mark TEXT PRIMARY KEY NOT NULL,
    sequence INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT;
INSERT INTO audit_chain (mark, sequence, hash) VALUES ('anchor', 0, zeroblob(32)), ('head', 0, zeroblob(32));
