-- +goose Up

-- When an account was deleted, until all but its id is taken away; 0 for others.
SET @deleted = (SELECT IF(COUNT(*) > 0, 'DO 0', CONCAT('ALTER TABLE users',
    ' ADD COLUMN deleted_at BIGINT NOT NULL DEFAULT 0 COMMENT ''microseconds, until it is purged'',',
    ' ADD INDEX users_deleted (tenant_id, deleted_at)'))
    FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'users' AND column_name = 'deleted_at');
PREPARE deleted FROM @deleted;
EXECUTE deleted;
DEALLOCATE PREPARE deleted;

UPDATE users SET deleted_at = TIMESTAMPDIFF(MICROSECOND, '1970-01-01',
        STR_TO_DATE(SUBSTR(JSON_UNQUOTE(JSON_EXTRACT(body, '$.deleted_at')), 1, 19), '%Y-%m-%dT%H:%i:%s'))
    WHERE status = 'deleted' AND deleted_at = 0 AND JSON_EXTRACT(body, '$.deleted_at') IS NOT NULL AND JSON_EXTRACT(body, '$.purged_at') IS NULL;
