-- How often somebody tried, by the hash of who and where.
CREATE TABLE attempts (
    key BYTEA PRIMARY KEY NOT NULL,
    count BIGINT NOT NULL,
    window_ends BIGINT NOT NULL
);
CREATE INDEX attempts_by_end ON attempts (window_ends);
