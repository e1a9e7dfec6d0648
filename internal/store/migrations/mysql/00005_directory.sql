-- +goose Up

-- What edits of single groups and users need: which rules were written as plain
-- lines and not derived from a document, who holds a group or role, and what
-- lists of users are filtered by.
SET @plain = (SELECT IF(COUNT(*) > 0, 'DO 0', CONCAT('ALTER TABLE casbin_rule',
    ' ADD COLUMN plain TINYINT NOT NULL DEFAULT 0 COMMENT ''1: a plain line of the policy'',',
    ' ADD INDEX casbin_rule_plain (tenant_id, plain), ADD INDEX casbin_rule_held (tenant_id, ptype, v1, v0)'))
    FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'casbin_rule' AND column_name = 'plain');
PREPARE plain FROM @plain;
EXECUTE plain;
DEALLOCATE PREPARE plain;

UPDATE casbin_rule SET plain = 1 WHERE origin LIKE '%.csv:%'
    OR tenant_id IN (SELECT id FROM tenant WHERE settings LIKE '%"model":%');

SET @users = (SELECT IF(COUNT(*) > 0, 'DO 0', CONCAT('ALTER TABLE users',
    ' ADD COLUMN external_id VARCHAR(100) NOT NULL DEFAULT '''' COMMENT ''the key of the business system'',',
    ' ADD COLUMN created_at BIGINT NOT NULL DEFAULT 0 COMMENT ''microseconds; 0: not known'',',
    ' ADD INDEX users_external (tenant_id, external_id)'))
    FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'users' AND column_name = 'external_id');
PREPARE users FROM @users;
EXECUTE users;
DEALLOCATE PREPARE users;
