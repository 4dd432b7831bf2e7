-- What was mailed to prove an address. The key hashes purpose, address and the secret of the link; the code hashes the
-- secret that only the asking browser keeps as well, so that eight digits cannot be guessed from this table.
CREATE TABLE verifications (
    id BLOB PRIMARY KEY NOT NULL,
    purpose TEXT NOT NULL,
    email TEXT NOT NULL,
    user_id TEXT REFERENCES users (id) ON DELETE CASCADE,
    browser BLOB UNIQUE,
    code BLOB,
    attempts INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL
) STRICT;
CREATE INDEX verifications_by_user ON verifications (user_id);
CREATE INDEX verifications_by_email ON verifications (email, purpose);
CREATE INDEX verifications_by_expiry ON verifications (expires_at);
