-- Second factors. The secret of time-based codes is sealed; a recovery code is kept by its hash alone.
CREATE TABLE totp (
    user_id TEXT PRIMARY KEY NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    secret TEXT NOT NULL,
    last_step INTEGER NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE recovery_codes (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    code BLOB NOT NULL,
    PRIMARY KEY (user_id, code)
) STRICT;
-- Keyed by the SHA-256 of the credential's id.
CREATE TABLE passkeys (
    id BLOB PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    credential TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    last_used_at INTEGER
) STRICT;
CREATE INDEX passkeys_by_user ON passkeys (user_id);
-- What was good for one use and has been used: challenges and half-finished sign-ins, by hash.
CREATE TABLE spent (
    key BLOB PRIMARY KEY NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX spent_by_expiry ON spent (expires_at);
