-- +goose Up

-- What people show besides a password. sealed and pending are encrypted with a
-- secret that is not in the database.
CREATE TABLE IF NOT EXISTS second_factor (
    tenant_id    INT            NOT NULL,
    user_id      VARCHAR(100)   NOT NULL,
    sealed       VARBINARY(255) NOT NULL COMMENT 'empty: none',
    pending      VARBINARY(255) NOT NULL COMMENT 'one that is being set up; empty: none',
    confirmed_at BIGINT         NOT NULL COMMENT 'microseconds; 0: never',
    last_step    BIGINT         NOT NULL COMMENT 'half minute of the last code that was taken',
    recovery     TEXT           NOT NULL COMMENT 'JSON: SHA-256 of the recovery codes that are left',
    PRIMARY KEY (tenant_id, user_id)
) {{table}};
