-- +goose Up

-- Links that work once. Of a user and a purpose only the newest is kept.
CREATE TABLE one_time_token (
    tenant_id  INTEGER NOT NULL,
    user_id    TEXT    NOT NULL, -- empty: nobody's
    purpose    TEXT    NOT NULL,
    token_hash BLOB    NOT NULL, -- SHA-256
    expires_at INTEGER NOT NULL, -- microseconds
    PRIMARY KEY (tenant_id, user_id, purpose)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX one_time_token_hash ON one_time_token (token_hash);
