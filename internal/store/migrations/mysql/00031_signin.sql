-- +goose Up

-- What people sign in with, and how they last tried.
CREATE TABLE IF NOT EXISTS credential (
    tenant_id   INT          NOT NULL,
    user_id     VARCHAR(100) NOT NULL,
    password    VARCHAR(255) NOT NULL COMMENT 'as argon2 writes it; empty: none',
    set_at      BIGINT       NOT NULL COMMENT 'microseconds; 0: never',
    must_change TINYINT      NOT NULL,
    former      TEXT         NOT NULL COMMENT 'JSON: passwords before, newest first',
    attempts    TEXT         NOT NULL COMMENT 'JSON: the last tries to sign in, newest first',
    PRIMARY KEY (tenant_id, user_id)
) {{table}};

-- Who has signed in. Rows are no revisions: whether one can be used is judged
-- each time, by the account as it is then.
CREATE TABLE IF NOT EXISTS session (
    secret_hash VARBINARY(32) NOT NULL COMMENT 'SHA-256',
    id          VARCHAR(40)   NOT NULL COMMENT 'public, to name it by',
    tenant_id   INT           NOT NULL,
    user_id     VARCHAR(100)  NOT NULL,
    epoch       VARCHAR(32)   NOT NULL COMMENT 'of the tenant; a restored backup has another one',
    steps       VARCHAR(100)  NOT NULL COMMENT 'what must be done first',
    created_at  BIGINT        NOT NULL COMMENT 'microseconds',
    seen_at     BIGINT        NOT NULL COMMENT 'microseconds',
    idle        BIGINT        NOT NULL COMMENT 'microseconds that it may go unused',
    ends_at     BIGINT        NOT NULL COMMENT 'microseconds',
    address     VARCHAR(100)  NOT NULL,
    agent       VARCHAR(255)  NOT NULL,
    PRIMARY KEY (secret_hash),
    KEY session_user (tenant_id, user_id),
    KEY session_ends (ends_at)
) {{table}};

-- How often signing in has failed, by account or by address.
CREATE TABLE IF NOT EXISTS sign_in_failure (
    tenant_id    INT           NOT NULL,
    counted      VARBINARY(32) NOT NULL COMMENT 'SHA-256 of what is counted',
    failures     INT           NOT NULL,
    since_at     BIGINT        NOT NULL COMMENT 'microseconds; so are the others',
    seen_at      BIGINT        NOT NULL,
    wait_until   BIGINT        NOT NULL,
    locked_until BIGINT        NOT NULL COMMENT '0: not locked',
    ends_at      BIGINT        NOT NULL COMMENT 'when it is forgotten',
    PRIMARY KEY (tenant_id, counted),
    KEY sign_in_failure_ends (ends_at)
) {{table}};
