-- +goose Up

-- When an account was deleted, until all but its id is taken away; 0 for others.
ALTER TABLE users ADD COLUMN deleted_at INTEGER NOT NULL DEFAULT 0;
UPDATE users SET deleted_at = 1000000 * CAST(strftime('%s', substr(json_extract(body, '$.deleted_at'), 1, 19)) AS INTEGER)
    WHERE status = 'deleted' AND json_extract(body, '$.deleted_at') IS NOT NULL;
CREATE INDEX users_deleted ON users (tenant_id, deleted_at) WHERE deleted_at > 0;
