-- +goose Up

-- The log of decisions: written in batches, looked up, and forgotten when old.
-- Nothing depends on it. It is written in the order of seq, which has gaps.
CREATE TABLE decision (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant     TEXT    NOT NULL, -- code
    id         TEXT    NOT NULL, -- sorts by the moment
    asked_at   INTEGER NOT NULL, -- microseconds
    subject    TEXT    NOT NULL,
    section    TEXT    NOT NULL,
    allowed    INTEGER NOT NULL,
    reason     TEXT    NOT NULL,
    caller     TEXT    NOT NULL,
    request_id TEXT    NOT NULL,
    body       TEXT    NOT NULL, -- JSON: all of it
    UNIQUE (tenant, id)
) STRICT;
CREATE INDEX decision_subject ON decision (tenant, subject, id);
