-- What people may do besides having an account.
CREATE TABLE user_roles (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL,
    granted_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, role)
);
CREATE INDEX user_roles_by_role ON user_roles (role, user_id);
-- Beginnings of addresses are looked up byte by byte, whatever the database's collation.
CREATE INDEX users_by_email_bytes ON users (email COLLATE "C");
