-- +goose Up

-- What lists of users are sorted and searched by. The store fills the columns
-- in, see Store.fillKeys; search is never empty once it has.
ALTER TABLE users ADD COLUMN mail_key TEXT NOT NULL DEFAULT ''; -- the e-mail with case folded, also of deleted accounts
ALTER TABLE users ADD COLUMN name_key TEXT NOT NULL DEFAULT ''; -- the name with case folded
ALTER TABLE users ADD COLUMN seats    TEXT NOT NULL DEFAULT ''; -- ,feature,feature,
ALTER TABLE users ADD COLUMN search   TEXT NOT NULL DEFAULT ''; -- e-mail, name and id, a line each, with case folded
CREATE INDEX users_mail    ON users (tenant_id, mail_key, id);
CREATE INDEX users_name    ON users (tenant_id, name_key, id);
CREATE INDEX users_created ON users (tenant_id, created_at, id);
CREATE INDEX users_status  ON users (tenant_id, status, id);
CREATE INDEX users_seats   ON users (tenant_id, seats, id) WHERE seats > '';
CREATE INDEX users_search  ON users (tenant_id, search, id);
