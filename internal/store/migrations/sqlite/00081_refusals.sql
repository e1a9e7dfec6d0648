-- +goose Up

-- Administrative attempts that were refused. Bounded for each caller when they
-- are written, and forgotten when old.
CREATE TABLE refusal (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant     TEXT    NOT NULL, -- code, or * for none
    id         TEXT    NOT NULL, -- sorts by the moment
    refused_at INTEGER NOT NULL, -- microseconds
    caller     TEXT    NOT NULL,
    request_id TEXT    NOT NULL,
    need       TEXT    NOT NULL,
    door       TEXT    NOT NULL,
    why        TEXT    NOT NULL,
    times      INTEGER NOT NULL,
    UNIQUE (tenant, id)
) STRICT;
