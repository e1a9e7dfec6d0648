-- +goose Up

-- What people say of whether they can be given work. No revision, since nothing
-- is decided by it.
CREATE TABLE presence (
    tenant_id INTEGER NOT NULL,
    user_id   TEXT    NOT NULL,
    status    TEXT    NOT NULL,
    note      TEXT    NOT NULL,
    since_at  INTEGER NOT NULL, -- microseconds
    PRIMARY KEY (tenant_id, user_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX presence_status ON presence (tenant_id, status, user_id);
