-- +goose Up

-- What people say of whether they can be given work. No revision, since nothing
-- is decided by it.
CREATE TABLE IF NOT EXISTS presence (
    tenant_id INT          NOT NULL,
    user_id   VARCHAR(100) NOT NULL,
    status    VARCHAR(20)  NOT NULL,
    note      VARCHAR(100) NOT NULL,
    since_at  BIGINT       NOT NULL COMMENT 'microseconds',
    PRIMARY KEY (tenant_id, user_id),
    KEY presence_status (tenant_id, status, user_id)
) {{table}};
