-- People. Times are seconds since the Unix epoch, UTC.
CREATE TABLE users (
    id TEXT PRIMARY KEY NOT NULL,
    email TEXT NOT NULL UNIQUE,
    name TEXT,
    image TEXT,
    password_hash TEXT,
    email_verified_at INTEGER,
    disabled_at INTEGER,
    created_at INTEGER NOT NULL
) STRICT;
