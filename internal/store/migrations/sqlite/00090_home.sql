-- +goose Up

-- The one store that an account belongs to; empty: all. See also users.login.
ALTER TABLE users ADD COLUMN home TEXT NOT NULL DEFAULT '';
CREATE INDEX users_home ON users (tenant_id, home, id) WHERE home > '';
