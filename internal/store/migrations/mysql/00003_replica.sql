-- +goose Up

-- The processes that answer over this database, as each last said of itself.
-- Nothing depends on it: it is for people who look after them.
CREATE TABLE IF NOT EXISTS replica (
    id         VARCHAR(100) NOT NULL,
    address    VARCHAR(255) NOT NULL,
    version    VARCHAR(255) NOT NULL,
    started_at BIGINT       NOT NULL COMMENT 'microseconds',
    seen_at    BIGINT       NOT NULL COMMENT 'microseconds',
    tenants    INT          NOT NULL COMMENT 'how many it follows',
    behind     INT          NOT NULL COMMENT 'how many of them are not at their newest revision',
    lag        BIGINT       NOT NULL COMMENT 'revisions that the last of them lacks',
    PRIMARY KEY (id)
) {{table}};
