package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"gorm.io/gorm"

	"github.com/bailiwick/bailiwick/internal/access"
)

// The bounds of what is remembered of changes that are made once.
const (
	maxAttempts = 10_000  // of one caller in one tenant; older ones are forgotten before their time
	maxAnswer   = 1 << 20 // bytes; of a longer answer only that it was given is kept
)

// attemptRow is a row of attempt.
type attemptRow struct {
	ID       []byte
	Caller   []byte
	Request  []byte
	MadeAt   int64 // microseconds
	Revision access.Revision
	Status   int
	Etag     string
	Answer   []byte
}

// TableName is asked by gorm.
func (attemptRow) TableName() string { return "attempt" }

// repeated looks whether a change was made before. Its caller holds the lock of
// the tenant, so a twin that runs at the same moment has committed or has not
// begun.
func (s *Store) repeated(tx *gorm.DB, once *access.Once) error {
	if once == nil {
		return nil
	}
	var row attemptRow
	err := tx.Where("id = ? AND made_at > ?", once.ID[:], s.now().Add(-access.OnceFor).UnixMicro()).Take(&row).Error
	switch {
	case errors.Is(err, gorm.ErrRecordNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("look for an earlier answer: %w", err)
	case string(row.Request) != string(once.Request[:]):
		return &access.Error{Kind: access.ErrReused, Field: "Idempotency-Key", Message: "stands for another request already; use a new one for each change"}
	}
	once.Kept = true
	return &access.Repeated{Answer: access.Answer{Status: row.Status, Tag: row.Etag, Body: row.Answer}, Revision: row.Revision}
}

// remember keeps the answer to a change with it.
func (w *write) remember(once *access.Once, at access.Revision) error {
	if once == nil {
		return nil
	}
	row := attemptRow{ID: once.ID[:], Caller: once.Caller[:], Request: once.Request[:], MadeAt: w.now.UnixMicro(), Revision: at, Answer: []byte{}}
	if once.Settle != nil {
		answer, err := once.Settle(once.Made, at)
		if err != nil {
			return err
		}
		if len(answer.Body) <= maxAnswer {
			row.Status, row.Etag, row.Answer = answer.Status, answer.Tag, answer.Body
		}
	}
	if err := w.forget(once); err != nil {
		return err
	}
	once.Kept = true
	return exactly(1, w.tx.Create(&row))
}

// forget makes room: an earlier answer for the same key is over, and of one
// caller only so many are kept.
func (w *write) forget(once *access.Once) error {
	if err := w.tx.Where("id = ?", once.ID[:]).Delete(&attemptRow{}).Error; err != nil {
		return err
	}
	var oldest sql.NullInt64
	query := "SELECT made_at FROM attempt WHERE caller = ? ORDER BY made_at DESC LIMIT 1 OFFSET ?"
	err := w.tx.Raw(query, once.Caller[:], maxAttempts-1).Row().Scan(&oldest)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return w.tx.Where("caller = ? AND made_at <= ?", once.Caller[:], oldest.Int64).Delete(&attemptRow{}).Error
}

// ForgetAttempts removes what is remembered for longer than it must be.
func (s *Store) ForgetAttempts(ctx context.Context) error {
	old := s.now().Add(-access.OnceFor).UnixMicro()
	return fault("forget earlier answers", s.db.WithContext(ctx).Where("made_at <= ?", old).Delete(&attemptRow{}).Error)
}
