-- Accounts at other sites, and whose they are. Provider, issuer and subject together are who somebody is there.
-- `tokens` is sealed; whoever holds the lease renews them.
CREATE TABLE accounts (
    id TEXT PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    provider TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    label TEXT,
    linked_at INTEGER NOT NULL,
    tokens TEXT,
    lease BLOB,
    lease_until INTEGER NOT NULL DEFAULT 0,
    UNIQUE (provider, issuer, subject)
) STRICT;
CREATE INDEX accounts_by_user ON accounts (user_id);
