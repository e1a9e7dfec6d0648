-- +goose Up

-- A customer system and its counter. Every write locks this row first, so that
-- revisions have no gaps.
CREATE TABLE tenant (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    code        TEXT    NOT NULL UNIQUE,
    description TEXT    NOT NULL,
    epoch       TEXT    NOT NULL,
    revision    INTEGER NOT NULL,
    rules       INTEGER NOT NULL, -- how many rows of casbin_rule it has
    next_at     INTEGER NOT NULL, -- microseconds; when a rule next begins or ends by the clock; 0: never
    settings    TEXT    NOT NULL  -- JSON
) STRICT;

-- The rules in Casbin's own shape. The id is also the place of a rule in its
-- tenant's order, see order.go.
CREATE TABLE casbin_rule (
    tenant_id   INTEGER NOT NULL,
    id          INTEGER NOT NULL,
    ptype       TEXT    NOT NULL DEFAULT '',
    v0          TEXT    NOT NULL DEFAULT '',
    v1          TEXT    NOT NULL DEFAULT '',
    v2          TEXT    NOT NULL DEFAULT '',
    v3          TEXT    NOT NULL DEFAULT '',
    v4          TEXT    NOT NULL DEFAULT '',
    v5          TEXT    NOT NULL DEFAULT '',
    valid_from  INTEGER NOT NULL DEFAULT 0, -- microseconds since 1970; 0: unbounded
    valid_until INTEGER NOT NULL DEFAULT 0,
    pending     INTEGER NOT NULL DEFAULT 0, -- 1: begins later, no Casbin tool may see it yet
    origin      TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX casbin_rule_line ON casbin_rule (tenant_id, ptype, v0, v1, v2, v3, v4, v5);

-- Documents of a policy: JSON bodies in the order in which they were written.
CREATE TABLE applications (tenant_id INTEGER NOT NULL, code TEXT NOT NULL, position INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (tenant_id, code)) STRICT, WITHOUT ROWID;
CREATE TABLE roles        (tenant_id INTEGER NOT NULL, code TEXT NOT NULL, position INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (tenant_id, code)) STRICT, WITHOUT ROWID;
CREATE TABLE user_groups  (tenant_id INTEGER NOT NULL, code TEXT NOT NULL, position INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (tenant_id, code)) STRICT, WITHOUT ROWID;
CREATE TABLE scopes       (tenant_id INTEGER NOT NULL, code TEXT NOT NULL, position INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (tenant_id, code)) STRICT, WITHOUT ROWID;
CREATE TABLE conditions   (tenant_id INTEGER NOT NULL, code TEXT NOT NULL, position INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (tenant_id, code)) STRICT, WITHOUT ROWID;

CREATE TABLE users (
    tenant_id INTEGER NOT NULL,
    id        TEXT    NOT NULL,
    position  INTEGER NOT NULL,
    email     TEXT    NOT NULL,
    login     TEXT,              -- the e-mail with case folded; NULL: has none
    name      TEXT    NOT NULL,
    status    TEXT    NOT NULL,
    body      TEXT    NOT NULL,  -- JSON: memberships, grants, licences, attributes
    PRIMARY KEY (tenant_id, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX users_login ON users (tenant_id, login);
CREATE INDEX users_position ON users (tenant_id, position);

CREATE TABLE api_key (
    id          TEXT    NOT NULL PRIMARY KEY,
    tenant      TEXT    NOT NULL, -- code, or * for all
    kind        TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    secret_hash BLOB    NOT NULL, -- SHA-256
    created_at  INTEGER NOT NULL, -- microseconds
    revoked_at  INTEGER NOT NULL  -- microseconds; 0: works
) STRICT, WITHOUT ROWID;

-- The history: append-only, every revision carries the hash of the one before.
CREATE TABLE revision (
    tenant_id INTEGER NOT NULL,
    number    INTEGER NOT NULL,
    parent    TEXT    NOT NULL,
    hash      TEXT    NOT NULL,
    author    TEXT    NOT NULL,
    source    TEXT    NOT NULL,
    reason    TEXT    NOT NULL,
    made_at   INTEGER NOT NULL, -- microseconds
    PRIMARY KEY (tenant_id, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE revision_change (
    tenant_id INTEGER NOT NULL,
    revision  INTEGER NOT NULL,
    n         INTEGER NOT NULL,
    kind      TEXT    NOT NULL,
    name      TEXT    NOT NULL,
    old_value TEXT    NOT NULL, -- JSON; empty: was not there
    new_value TEXT    NOT NULL, -- JSON; empty: is no longer there
    PRIMARY KEY (tenant_id, revision, n)
) STRICT, WITHOUT ROWID;
