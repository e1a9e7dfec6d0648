-- +goose Up

-- What people show besides a password. sealed and pending are encrypted with a
-- secret that is not in the database.
CREATE TABLE second_factor (
    tenant_id    INTEGER NOT NULL,
    user_id      TEXT    NOT NULL,
    sealed       BLOB    NOT NULL, -- empty: none
    pending      BLOB    NOT NULL, -- one that is being set up; empty: none
    confirmed_at INTEGER NOT NULL, -- microseconds; 0: never
    last_step    INTEGER NOT NULL, -- half minute of the last code that was taken
    recovery     TEXT    NOT NULL, -- JSON: SHA-256 of the recovery codes that are left
    PRIMARY KEY (tenant_id, user_id)
) STRICT, WITHOUT ROWID;
