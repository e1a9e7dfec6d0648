-- +goose Up

-- The log of decisions: written in batches, looked up, and forgotten when old.
-- Nothing depends on it. It is written in the order of seq, which has gaps.
CREATE TABLE IF NOT EXISTS decision (
    seq        BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    tenant     VARCHAR(100) NOT NULL COMMENT 'code',
    id         VARCHAR(26)  NOT NULL COMMENT 'sorts by the moment',
    asked_at   BIGINT       NOT NULL COMMENT 'microseconds',
    subject    VARCHAR(255) NOT NULL,
    section    VARCHAR(100) NOT NULL,
    allowed    TINYINT      NOT NULL,
    reason     VARCHAR(100) NOT NULL,
    caller     VARCHAR(255) NOT NULL,
    request_id VARCHAR(128) NOT NULL,
    body       MEDIUMTEXT   NOT NULL COMMENT 'JSON: all of it',
    UNIQUE KEY decision_id (tenant, id),
    KEY decision_subject (tenant, subject, id)
) {{table}};
