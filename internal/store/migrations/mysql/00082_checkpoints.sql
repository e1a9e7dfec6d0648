-- +goose Up

-- Signed statements about the history: append-only, like the history itself.
CREATE TABLE IF NOT EXISTS checkpoint (
    tenant_id INT          NOT NULL,
    number    BIGINT       NOT NULL COMMENT 'from 1',
    epoch     VARCHAR(32)  NOT NULL,
    revision  BIGINT       NOT NULL,
    hash      VARCHAR(64)  NOT NULL,
    made_at   BIGINT       NOT NULL COMMENT 'microseconds',
    previous  VARCHAR(100) NOT NULL COMMENT 'signature of the one before',
    key_name  VARCHAR(32)  NOT NULL,
    signature VARCHAR(100) NOT NULL COMMENT 'Ed25519, base64',
    PRIMARY KEY (tenant_id, number)
) {{table}};
