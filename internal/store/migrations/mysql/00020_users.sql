-- +goose Up

-- What lists of users are sorted and searched by. The store fills the columns
-- in, see Store.fillKeys; search is never empty once it has. The primary key
-- is part of every index.
SET @lists = (SELECT IF(COUNT(*) > 0, 'DO 0', CONCAT('ALTER TABLE users',
    ' ADD COLUMN mail_key VARCHAR(100) NOT NULL DEFAULT '''' COMMENT ''the e-mail with case folded, also of deleted accounts'',',
    ' ADD COLUMN name_key VARCHAR(100) NOT NULL DEFAULT '''' COMMENT ''the name with case folded'',',
    ' ADD COLUMN seats    VARCHAR(700) NOT NULL DEFAULT '''' COMMENT '',feature,feature,'',',
    ' ADD COLUMN search   VARCHAR(300) NOT NULL DEFAULT '''' COMMENT ''e-mail, name and id, a line each, with case folded'',',
    ' ADD INDEX users_mail (tenant_id, mail_key, id), ADD INDEX users_name (tenant_id, name_key, id),',
    ' ADD INDEX users_created (tenant_id, created_at, id), ADD INDEX users_status (tenant_id, status, id),',
    ' ADD INDEX users_seats (tenant_id, seats), ADD INDEX users_search (tenant_id, search)'))
    FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'users' AND column_name = 'search');
PREPARE lists FROM @lists;
EXECUTE lists;
DEALLOCATE PREPARE lists;
