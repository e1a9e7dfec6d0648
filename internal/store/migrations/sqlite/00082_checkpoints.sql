-- +goose Up

-- Signed statements about the history: append-only, like the history itself.
CREATE TABLE checkpoint (
    tenant_id INTEGER NOT NULL,
    number    INTEGER NOT NULL, -- from 1
    epoch     TEXT    NOT NULL,
    revision  INTEGER NOT NULL,
    hash      TEXT    NOT NULL,
    made_at   INTEGER NOT NULL, -- microseconds
    previous  TEXT    NOT NULL, -- signature of the one before
    key_name  TEXT    NOT NULL,
    signature TEXT    NOT NULL, -- Ed25519, base64
    PRIMARY KEY (tenant_id, number)
) STRICT, WITHOUT ROWID;
