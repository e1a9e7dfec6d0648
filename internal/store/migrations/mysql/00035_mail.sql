-- +goose Up

-- Mails on their way out: of a user and a purpose only the newest. What they say
-- is never here.
CREATE TABLE IF NOT EXISTS mail (
    tenant_id  INT          NOT NULL,
    user_id    VARCHAR(100) NOT NULL,
    purpose    VARCHAR(20)  NOT NULL,
    id         VARCHAR(40)  NOT NULL COMMENT 'new with each mail',
    recipient  VARCHAR(100) NOT NULL,
    state      VARCHAR(10)  NOT NULL COMMENT 'waiting, sent or failed',
    created_at BIGINT       NOT NULL COMMENT 'microseconds',
    due_at     BIGINT       NOT NULL COMMENT 'microseconds; while one is being sent, when others may try',
    tries      INT          NOT NULL,
    settled_at BIGINT       NOT NULL COMMENT 'microseconds; 0: it waits',
    expires_at BIGINT       NOT NULL COMMENT 'microseconds, of the link in it; 0: there is none',
    trouble    VARCHAR(300) NOT NULL,
    PRIMARY KEY (tenant_id, user_id, purpose),
    UNIQUE KEY mail_id (id),
    KEY mail_due (state, due_at)
) {{table}};
