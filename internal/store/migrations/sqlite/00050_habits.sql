-- +goose Up

-- A random text that all servers over this database share, so that one takes
-- what another has sealed.
CREATE TABLE shared_secret (
    name  TEXT NOT NULL PRIMARY KEY,
    value BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What was answered to requests that carry an Idempotency-Key, so that the same
-- request again gets the same answer and changes nothing.
CREATE TABLE attempt (
    id      BLOB    NOT NULL PRIMARY KEY, -- hash over caller, tenant, path and key
    caller  BLOB    NOT NULL,             -- hash over caller and tenant
    request BLOB    NOT NULL,             -- hash over query and body
    made_at INTEGER NOT NULL,             -- microseconds
    revision INTEGER NOT NULL,            -- that was made
    status  INTEGER NOT NULL,             -- of the answer; 0: it is not kept
    etag    TEXT    NOT NULL,             -- its tag; may be empty
    answer  BLOB    NOT NULL              -- its body
) STRICT;
CREATE INDEX attempt_made ON attempt (made_at);
CREATE INDEX attempt_caller ON attempt (caller, made_at);
