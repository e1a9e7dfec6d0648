-- +goose Up

-- Links that work once. Of a user and a purpose only the newest is kept.
CREATE TABLE IF NOT EXISTS one_time_token (
    tenant_id  INT           NOT NULL,
    user_id    VARCHAR(100)  NOT NULL COMMENT 'empty: nobody''s',
    purpose    VARCHAR(20)   NOT NULL,
    token_hash VARBINARY(32) NOT NULL COMMENT 'SHA-256',
    expires_at BIGINT        NOT NULL COMMENT 'microseconds',
    PRIMARY KEY (tenant_id, user_id, purpose),
    UNIQUE KEY one_time_token_hash (token_hash)
) {{table}};
