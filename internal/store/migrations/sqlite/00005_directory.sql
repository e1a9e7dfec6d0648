-- +goose Up

-- What edits of single groups and users need: which rules were written as plain
-- lines and not derived from a document, who holds a group or role, and what
-- lists of users are filtered by.
ALTER TABLE casbin_rule ADD COLUMN plain INTEGER NOT NULL DEFAULT 0; -- 1: a plain line of the policy
UPDATE casbin_rule SET plain = 1 WHERE origin LIKE '%.csv:%'
    OR tenant_id IN (SELECT id FROM tenant WHERE settings LIKE '%"model":%');
CREATE INDEX casbin_rule_plain ON casbin_rule (tenant_id, id) WHERE plain = 1;
CREATE INDEX casbin_rule_held ON casbin_rule (tenant_id, ptype, v1, v0);

ALTER TABLE users ADD COLUMN external_id TEXT NOT NULL DEFAULT ''; -- the business system's own key
ALTER TABLE users ADD COLUMN created_at INTEGER NOT NULL DEFAULT 0; -- microseconds; 0: not known
CREATE INDEX users_external ON users (tenant_id, external_id);
