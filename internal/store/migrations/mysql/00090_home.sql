-- +goose Up

-- The one store that an account belongs to; empty: all. See also users.login.
SET @home = (SELECT IF(COUNT(*) > 0, 'DO 0', CONCAT('ALTER TABLE users',
    ' ADD COLUMN home VARCHAR(100) NOT NULL DEFAULT '''' COMMENT ''a scope; empty: all'',',
    ' ADD INDEX users_home (tenant_id, home, id)'))
    FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'users' AND column_name = 'home');
PREPARE home FROM @home;
EXECUTE home;
DEALLOCATE PREPARE home;
