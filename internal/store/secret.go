package store

import (
	"context"
	"crypto/rand"

	"gorm.io/gorm/clause"

	"github.com/bailiwick/bailiwick/internal/access"
)

// secretRow is a row of shared_secret.
type secretRow struct {
	Name  string
	Value []byte
}

// TableName is asked by gorm.
func (secretRow) TableName() string { return "shared_secret" }

// secretName is the one secret that there is. What needs several derives them.
const secretName = "shared"

// Secret gives 32 random bytes that all servers over this database share. They
// are made when they are first asked for, and never change.
func (s *Store) Secret(ctx context.Context) ([]byte, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	row := secretRow{Name: secretName, Value: make([]byte, 32)}
	_, _ = rand.Read(row.Value) // it never fails, by its own promise
	db := s.db.WithContext(ctx)
	var rows []secretRow
	err := db.Where("name = ?", secretName).Find(&rows).Error
	if err == nil && len(rows) == 0 { // of several who make one, the first is right
		err = db.Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error
		if err == nil {
			err = db.Where("name = ?", secretName).Find(&rows).Error
		}
	}
	if err == nil && (len(rows) != 1 || len(rows[0].Value) != len(row.Value)) {
		err = access.Unavailable("the table shared_secret was changed by somebody else")
	}
	if err != nil {
		return nil, fault("read the shared secret", err)
	}
	return rows[0].Value, nil
}
