-- +goose Up

-- For the refused attempts of one caller, newest first.
SET @caller = (SELECT IF(COUNT(*) > 0, 'DO 0', 'ALTER TABLE refusal ADD INDEX refusal_caller (tenant, caller, id)')
    FROM information_schema.statistics WHERE table_schema = DATABASE() AND table_name = 'refusal' AND index_name = 'refusal_caller');
PREPARE caller FROM @caller;
EXECUTE caller;
DEALLOCATE PREPARE caller;
