-- What was revoked before its time. One row of counters gives the order: whoever adds a revocation holds that row
-- until it is committed, so a sequence is never visible before a lower one.
CREATE TABLE counters (
    name TEXT PRIMARY KEY NOT NULL,
    value INTEGER NOT NULL
) STRICT;
INSERT INTO counters (name, value) VALUES ('revocations', 0);
CREATE TABLE revocations (
    kind TEXT NOT NULL,
    subject BLOB NOT NULL,
    sequence INTEGER NOT NULL UNIQUE,
    not_after INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (kind, subject)
) STRICT;
CREATE INDEX revocations_by_expiry ON revocations (expires_at);
