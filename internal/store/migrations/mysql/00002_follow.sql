-- +goose Up

-- What replicas follow a tenant by. MySQL knows no ADD COLUMN IF NOT EXISTS, so
-- the statement is only made where the step was not broken off behind it.
SET @follow = (SELECT IF(COUNT(*) > 0, 'DO 0', CONCAT('ALTER TABLE tenant',
    ' ADD COLUMN policy_revision BIGINT NOT NULL DEFAULT 0 COMMENT ''the newest that changed more than single users'',',
    ' ADD COLUMN users BIGINT NOT NULL DEFAULT 0 COMMENT ''how many rows of users it has'',',
    ' ADD COLUMN user_rules BIGINT NOT NULL DEFAULT 0 COMMENT ''how many of its rules are users'''' own'''))
    FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'tenant' AND column_name = 'policy_revision');
PREPARE follow FROM @follow;
EXECUTE follow;
DEALLOCATE PREPARE follow;

UPDATE tenant SET policy_revision = revision,
    users = (SELECT COUNT(*) FROM users u WHERE u.tenant_id = tenant.id),
    user_rules = (SELECT COUNT(*) FROM casbin_rule r WHERE r.tenant_id = tenant.id
        AND r.v0 >= 'u:' AND r.v0 < 'u;' AND r.v0 <> 'u:anonymous');

-- The newest revision that changed a user, by hash of his id. Before this step
-- nobody has remembered anything about users, so there is nothing to fill in.
CREATE TABLE IF NOT EXISTS subject_stripe (
    tenant_id INT    NOT NULL,
    stripe    INT    NOT NULL,
    revision  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, stripe)
) {{table}};
