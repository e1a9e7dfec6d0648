-- +goose Up

-- What replicas follow a tenant by.
ALTER TABLE tenant ADD COLUMN policy_revision INTEGER NOT NULL DEFAULT 0; -- the newest that changed more than single users
ALTER TABLE tenant ADD COLUMN users           INTEGER NOT NULL DEFAULT 0; -- how many rows of users it has
ALTER TABLE tenant ADD COLUMN user_rules      INTEGER NOT NULL DEFAULT 0; -- how many of its rules are users' own

UPDATE tenant SET policy_revision = revision,
    users = (SELECT COUNT(*) FROM users u WHERE u.tenant_id = tenant.id),
    user_rules = (SELECT COUNT(*) FROM casbin_rule r WHERE r.tenant_id = tenant.id
        AND r.v0 >= 'u:' AND r.v0 < 'u;' AND r.v0 <> 'u:anonymous');

-- The newest revision that changed a user, by hash of his id. Before this step
-- nobody has remembered anything about users, so there is nothing to fill in.
CREATE TABLE subject_stripe (
    tenant_id INTEGER NOT NULL,
    stripe    INTEGER NOT NULL,
    revision  INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, stripe)
) STRICT, WITHOUT ROWID;
