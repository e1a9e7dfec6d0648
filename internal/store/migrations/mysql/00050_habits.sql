-- +goose Up

-- A random text that all servers over this database share, so that one takes
-- what another has sealed.
CREATE TABLE IF NOT EXISTS shared_secret (
    name  VARCHAR(100)  NOT NULL,
    value VARBINARY(64) NOT NULL,
    PRIMARY KEY (name)
) {{table}};

-- What was answered to requests that carry an Idempotency-Key, so that the same
-- request again gets the same answer and changes nothing.
CREATE TABLE IF NOT EXISTS attempt (
    id      BINARY(32)   NOT NULL COMMENT 'hash over caller, tenant, path and key',
    caller  BINARY(32)   NOT NULL COMMENT 'hash over caller and tenant',
    request BINARY(32)   NOT NULL COMMENT 'hash over query and body',
    made_at BIGINT       NOT NULL COMMENT 'microseconds',
    revision BIGINT UNSIGNED NOT NULL COMMENT 'that was made',
    status  INT          NOT NULL COMMENT 'of the answer; 0: it is not kept',
    etag    VARCHAR(100) NOT NULL COMMENT 'its tag; may be empty',
    answer  MEDIUMBLOB   NOT NULL COMMENT 'its body',
    PRIMARY KEY (id),
    INDEX attempt_made (made_at),
    INDEX attempt_caller (caller, made_at)
) {{table}};
