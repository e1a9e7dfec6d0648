-- +goose Up

-- The history of one thing: when it was changed, and what it was then.
CREATE INDEX revision_change_name ON revision_change (tenant_id, kind, name, revision);
