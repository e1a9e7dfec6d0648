-- +goose Up

-- Who accounts are to OpenID providers. A provider's name for somebody is never
-- given to anybody else.
CREATE TABLE identity (
    tenant_id INTEGER NOT NULL,
    issuer    TEXT    NOT NULL,
    subject   TEXT    NOT NULL,
    user_id   TEXT    NOT NULL,
    PRIMARY KEY (tenant_id, issuer, subject),
    UNIQUE (tenant_id, issuer, user_id)
) STRICT, WITHOUT ROWID;
