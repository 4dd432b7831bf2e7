-- Second factors. The secret of time-based codes is sealed; a recovery code is kept by its hash alone.
CREATE TABLE totp (
    user_id TEXT PRIMARY KEY NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    secret TEXT NOT NULL,
    last_step BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE TABLE recovery_codes (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    code BYTEA NOT NULL,
    PRIMARY KEY (user_id, code)
);
-- Keyed by the SHA-256 of the credential's id.
CREATE TABLE passkeys (
    id BYTEA PRIMARY KEY NOT NULL,
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    credential TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_used_at BIGINT
);
CREATE INDEX passkeys_by_user ON passkeys (user_id);
-- What was good for one use and has been used: challenges and half-finished sign-ins, by hash.
CREATE TABLE spent (
    key BYTEA PRIMARY KEY NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX spent_by_expiry ON spent (expires_at);
