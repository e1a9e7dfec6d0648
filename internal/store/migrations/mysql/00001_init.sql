-- +goose Up

-- DDL is no part of a transaction here. Every statement can be run again, so
-- that a migration that was killed is finished by the next one. {{table}}
-- stands for engine, character set and the server's binary NO PAD collation.

-- A customer system and its counter. Every write locks this row first, so that
-- revisions have no gaps.
CREATE TABLE IF NOT EXISTS tenant (
    id          INT          NOT NULL AUTO_INCREMENT PRIMARY KEY,
    code        VARCHAR(100) NOT NULL,
    description MEDIUMTEXT   NOT NULL,
    epoch       VARCHAR(32)  NOT NULL,
    revision    BIGINT       NOT NULL,
    rules       BIGINT       NOT NULL COMMENT 'how many rows of casbin_rule it has',
    next_at     BIGINT       NOT NULL COMMENT 'microseconds; when a rule next begins or ends by the clock; 0: never',
    settings    MEDIUMTEXT   NOT NULL COMMENT 'JSON',
    UNIQUE KEY tenant_code (code)
) {{table}};

-- The rules in Casbin's own shape. The id is also the place of a rule in its
-- tenant's order, see order.go. Wider columns than 100 would make MariaDB hash
-- the unique key and read the whole table for one subject.
CREATE TABLE IF NOT EXISTS casbin_rule (
    tenant_id   INT          NOT NULL,
    id          BIGINT       NOT NULL,
    ptype       VARCHAR(100) NOT NULL DEFAULT '',
    v0          VARCHAR(100) NOT NULL DEFAULT '',
    v1          VARCHAR(100) NOT NULL DEFAULT '',
    v2          VARCHAR(100) NOT NULL DEFAULT '',
    v3          VARCHAR(100) NOT NULL DEFAULT '',
    v4          VARCHAR(100) NOT NULL DEFAULT '',
    v5          VARCHAR(100) NOT NULL DEFAULT '',
    valid_from  BIGINT       NOT NULL DEFAULT 0 COMMENT 'microseconds since 1970; 0: unbounded',
    valid_until BIGINT       NOT NULL DEFAULT 0,
    pending     TINYINT      NOT NULL DEFAULT 0 COMMENT '1: begins later, no Casbin tool may see it yet',
    origin      VARCHAR(500) NOT NULL DEFAULT '',
    PRIMARY KEY (tenant_id, id),
    UNIQUE KEY casbin_rule_line (tenant_id, ptype, v0, v1, v2, v3, v4, v5)
) {{table}};

-- Documents of a policy: JSON bodies in the order in which they were written.
CREATE TABLE IF NOT EXISTS applications (tenant_id INT NOT NULL, code VARCHAR(100) NOT NULL, position BIGINT NOT NULL, body MEDIUMTEXT NOT NULL, PRIMARY KEY (tenant_id, code)) {{table}};
CREATE TABLE IF NOT EXISTS roles        (tenant_id INT NOT NULL, code VARCHAR(100) NOT NULL, position BIGINT NOT NULL, body MEDIUMTEXT NOT NULL, PRIMARY KEY (tenant_id, code)) {{table}};
CREATE TABLE IF NOT EXISTS user_groups  (tenant_id INT NOT NULL, code VARCHAR(100) NOT NULL, position BIGINT NOT NULL, body MEDIUMTEXT NOT NULL, PRIMARY KEY (tenant_id, code)) {{table}};
CREATE TABLE IF NOT EXISTS scopes       (tenant_id INT NOT NULL, code VARCHAR(100) NOT NULL, position BIGINT NOT NULL, body MEDIUMTEXT NOT NULL, PRIMARY KEY (tenant_id, code)) {{table}};
CREATE TABLE IF NOT EXISTS conditions   (tenant_id INT NOT NULL, code VARCHAR(100) NOT NULL, position BIGINT NOT NULL, body MEDIUMTEXT NOT NULL, PRIMARY KEY (tenant_id, code)) {{table}};

CREATE TABLE IF NOT EXISTS users (
    tenant_id INT          NOT NULL,
    id        VARCHAR(100) NOT NULL,
    position  BIGINT       NOT NULL,
    email     VARCHAR(100) NOT NULL,
    login     VARCHAR(300) NULL COMMENT 'the e-mail with case folded; NULL: has none',
    name      VARCHAR(100) NOT NULL,
    status    VARCHAR(20)  NOT NULL,
    body      MEDIUMTEXT   NOT NULL COMMENT 'JSON: memberships, grants, licences, attributes',
    PRIMARY KEY (tenant_id, id),
    UNIQUE KEY users_login (tenant_id, login),
    KEY users_position (tenant_id, position)
) {{table}};

CREATE TABLE IF NOT EXISTS api_key (
    id          VARCHAR(100)  NOT NULL PRIMARY KEY,
    tenant      VARCHAR(100)  NOT NULL COMMENT 'code, or * for all',
    kind        VARCHAR(20)   NOT NULL,
    name        VARCHAR(100)  NOT NULL,
    secret_hash VARBINARY(32) NOT NULL COMMENT 'SHA-256',
    created_at  BIGINT        NOT NULL COMMENT 'microseconds',
    revoked_at  BIGINT        NOT NULL COMMENT 'microseconds; 0: works'
) {{table}};

-- The history: append-only, every revision carries the hash of the one before.
CREATE TABLE IF NOT EXISTS revision (
    tenant_id INT          NOT NULL,
    number    BIGINT       NOT NULL,
    parent    VARCHAR(64)  NOT NULL,
    hash      VARCHAR(64)  NOT NULL,
    author    VARCHAR(255) NOT NULL,
    source    VARCHAR(255) NOT NULL,
    reason    TEXT         NOT NULL,
    made_at   BIGINT       NOT NULL COMMENT 'microseconds',
    PRIMARY KEY (tenant_id, number)
) {{table}};

CREATE TABLE IF NOT EXISTS revision_change (
    tenant_id INT         NOT NULL,
    revision  BIGINT      NOT NULL,
    n         INT         NOT NULL,
    kind      VARCHAR(20) NOT NULL,
    name      TEXT        NOT NULL,
    old_value MEDIUMTEXT  NOT NULL COMMENT 'JSON; empty: was not there',
    new_value MEDIUMTEXT  NOT NULL COMMENT 'JSON; empty: is no longer there',
    PRIMARY KEY (tenant_id, revision, n)
) {{table}};
