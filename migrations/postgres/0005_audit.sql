-- What happened, each record chained by its hash to the one before. Two marks hold the chain's ends: whoever appends
-- holds the head until the record is committed, and the anchor is what the first record that is kept follows.
CREATE TABLE audit_records (
    sequence BIGINT PRIMARY KEY NOT NULL,
    at BIGINT NOT NULL,
    event TEXT NOT NULL,
    outcome TEXT NOT NULL,
    user_id TEXT,
    email TEXT,
    address TEXT,
    request_id TEXT,
    session_id BYTEA,
    details TEXT NOT NULL,
    hash BYTEA NOT NULL
);
CREATE INDEX audit_records_by_user ON audit_records (user_id, sequence);
CREATE INDEX audit_records_by_time ON audit_records (at);
CREATE TABLE audit_chain (
    mark TEXT PRIMARY KEY NOT NULL,
    sequence BIGINT NOT NULL,
    hash BYTEA NOT NULL
);
INSERT INTO audit_chain (mark, sequence, hash)
VALUES ('anchor', 0, decode(repeat('00', 32), 'hex')), ('head', 0, decode(repeat('00', 32), 'hex'));
