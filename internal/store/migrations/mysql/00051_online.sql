-- +goose Up

-- For lists of those who are online.
SET @online = (SELECT IF(COUNT(*) > 0, 'DO 0', 'ALTER TABLE session ADD INDEX session_seen (tenant_id, seen_at)')
    FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'session' AND index_name = 'session_seen');
PREPARE online FROM @online;
EXECUTE online;
DEALLOCATE PREPARE online;
