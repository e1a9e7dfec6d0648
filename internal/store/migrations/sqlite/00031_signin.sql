-- +goose Up

-- What people sign in with, and how they last tried.
CREATE TABLE credential (
    tenant_id   INTEGER NOT NULL,
    user_id     TEXT    NOT NULL,
    password    TEXT    NOT NULL, -- as argon2 writes it; empty: none
    set_at      INTEGER NOT NULL, -- microseconds; 0: never
    must_change INTEGER NOT NULL,
    former      TEXT    NOT NULL, -- JSON: passwords before, newest first
    attempts    TEXT    NOT NULL, -- JSON: the last tries to sign in, newest first
    PRIMARY KEY (tenant_id, user_id)
) STRICT, WITHOUT ROWID;

-- Who has signed in. Rows are no revisions: whether one can be used is judged
-- each time, by the account as it is then.
CREATE TABLE session (
    secret_hash BLOB    NOT NULL PRIMARY KEY, -- SHA-256
    id          TEXT    NOT NULL, -- public, to name it by
    tenant_id   INTEGER NOT NULL,
    user_id     TEXT    NOT NULL,
    epoch       TEXT    NOT NULL, -- of the tenant; a restored backup has another one
    steps       TEXT    NOT NULL, -- what must be done first
    created_at  INTEGER NOT NULL, -- microseconds
    seen_at     INTEGER NOT NULL, -- microseconds
    idle        INTEGER NOT NULL, -- microseconds that it may go unused
    ends_at     INTEGER NOT NULL, -- microseconds
    address     TEXT    NOT NULL,
    agent       TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX session_user ON session (tenant_id, user_id);
CREATE INDEX session_ends ON session (ends_at);

-- How often signing in has failed, by account or by address.
CREATE TABLE sign_in_failure (
    tenant_id    INTEGER NOT NULL,
    counted      BLOB    NOT NULL, -- SHA-256 of what is counted
    failures     INTEGER NOT NULL,
    since_at     INTEGER NOT NULL, -- microseconds; so are the others
    seen_at      INTEGER NOT NULL,
    wait_until   INTEGER NOT NULL,
    locked_until INTEGER NOT NULL, -- 0: not locked
    ends_at      INTEGER NOT NULL, -- when it is forgotten
    PRIMARY KEY (tenant_id, counted)
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_in_failure_ends ON sign_in_failure (ends_at);
