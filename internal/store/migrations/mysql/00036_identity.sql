-- +goose Up

-- Who accounts are to OpenID providers. A provider's name for somebody is never
-- given to anybody else.
CREATE TABLE IF NOT EXISTS identity (
    tenant_id INT          NOT NULL,
    issuer    VARCHAR(255) NOT NULL,
    subject   VARCHAR(255) NOT NULL,
    user_id   VARCHAR(100) NOT NULL,
    PRIMARY KEY (tenant_id, issuer, subject),
    UNIQUE KEY identity_user (tenant_id, issuer, user_id)
) {{table}};
