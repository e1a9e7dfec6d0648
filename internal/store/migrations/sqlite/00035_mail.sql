-- +goose Up

-- Mails on their way out: of a user and a purpose only the newest. What they say
-- is never here.
CREATE TABLE mail (
    tenant_id  INTEGER NOT NULL,
    user_id    TEXT    NOT NULL,
    purpose    TEXT    NOT NULL,
    id         TEXT    NOT NULL UNIQUE, -- new with each mail
    recipient  TEXT    NOT NULL,
    state      TEXT    NOT NULL, -- waiting, sent or failed
    created_at INTEGER NOT NULL, -- microseconds
    due_at     INTEGER NOT NULL, -- microseconds; while one is being sent, when others may try
    tries      INTEGER NOT NULL,
    settled_at INTEGER NOT NULL, -- microseconds; 0: it waits
    expires_at INTEGER NOT NULL, -- microseconds, of the link in it; 0: there is none
    trouble    TEXT    NOT NULL,
    PRIMARY KEY (tenant_id, user_id, purpose)
) STRICT, WITHOUT ROWID;
CREATE INDEX mail_due ON mail (state, due_at);
