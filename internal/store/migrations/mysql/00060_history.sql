-- +goose Up

-- The history of one thing: when it was changed, and what it was then.
SET @history = (SELECT IF(COUNT(*) > 0, 'DO 0',
    'ALTER TABLE revision_change ADD INDEX revision_change_name (tenant_id, kind, name(200), revision)')
    FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'revision_change' AND index_name = 'revision_change_name');
PREPARE history FROM @history;
EXECUTE history;
DEALLOCATE PREPARE history;
