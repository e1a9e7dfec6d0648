-- +goose Up

-- Administrative attempts that were refused. Bounded for each caller when they
-- are written, and forgotten when old.
CREATE TABLE IF NOT EXISTS refusal (
    seq        BIGINT       NOT NULL AUTO_INCREMENT PRIMARY KEY,
    tenant     VARCHAR(100) NOT NULL COMMENT 'code, or * for none',
    id         VARCHAR(26)  NOT NULL COMMENT 'sorts by the moment',
    refused_at BIGINT       NOT NULL COMMENT 'microseconds',
    caller     VARCHAR(255) NOT NULL,
    request_id VARCHAR(128) NOT NULL,
    need       VARCHAR(255) NOT NULL,
    door       VARCHAR(255) NOT NULL,
    why        TEXT         NOT NULL,
    times      INT          NOT NULL,
    UNIQUE KEY refusal_id (tenant, id)
) {{table}};
