-- +goose Up

-- The processes that answer over this database, as each last said of itself.
-- Nothing depends on it: it is for people who look after them.
CREATE TABLE replica (
    id         TEXT    NOT NULL PRIMARY KEY,
    address    TEXT    NOT NULL,
    version    TEXT    NOT NULL,
    started_at INTEGER NOT NULL, -- microseconds
    seen_at    INTEGER NOT NULL, -- microseconds
    tenants    INTEGER NOT NULL, -- how many it follows
    behind     INTEGER NOT NULL, -- how many of them are not at their newest revision
    lag        INTEGER NOT NULL  -- revisions that the last of them lacks
) STRICT, WITHOUT ROWID;
