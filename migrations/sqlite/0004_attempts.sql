-- How often somebody tried, by the hash of who and where.
CREATE TABLE attempts (
    key BLOB PRIMARY KEY NOT NULL,
    count INTEGER NOT NULL,
    window_ends INTEGER NOT NULL
) STRICT;
CREATE INDEX attempts_by_end ON attempts (window_ends);
