-- +goose Up

-- For lists of those who are online.
CREATE INDEX session_seen ON session (tenant_id, seen_at);
