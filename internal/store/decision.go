package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/bailiwick/bailiwick/internal/access"
)

// decisionRow is a row of decision: the columns are what is searched by, the
// body is all of it.
type decisionRow struct {
	Seq       int64 `gorm:"primaryKey"`
	Tenant    string
	ID        string
	AskedAt   int64 // microseconds
	Subject   string
	Section   string
	Allowed   bool
	Reason    string
	Caller    string
	RequestID string
	Body      string // JSON
}

// TableName is asked by gorm.
func (decisionRow) TableName() string { return "decision" }

func (r decisionRow) size() int { return len(r.Body) }

func decisionRowOf(r *access.Recorded) (decisionRow, error) {
	body, err := encode(r)
	row := decisionRow{
		Tenant: r.Tenant, ID: r.ID, AskedAt: r.At.UnixMicro(), Section: fits(string(r.Request.Section), 100),
		Allowed: r.Decision.Allowed, Reason: fits(string(r.Decision.Reason), 100), Caller: fits(r.Caller, 255),
		RequestID: fits(r.RequestID, 128), Body: body,
	}
	if r.Request.Subject != (access.Subject{}) {
		row.Subject = fits(r.Request.Subject.String(), 255)
	}
	return row, err
}

// fits cuts a text that was asked with and need not be valid to what its column
// holds; the body has all of it.
func fits(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.ToValidUTF8(s, "")
}

// KeepDecisions keeps answers, all or none. One that is there already is left as
// it is, so that an attempt of which nobody knows how it ended can be repeated.
func (s *Store) KeepDecisions(ctx context.Context, batch []access.Recorded) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	rows := make([]decisionRow, len(batch))
	for i := range batch {
		var err error
		if rows[i], err = decisionRowOf(&batch[i]); err != nil {
			return fault("keep decisions", err)
		}
	}
	err := s.db.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		for len(rows) > 0 {
			n := fitting(rows, s.chunk)
			chunk := rows[:n]
			if err := tx.Clauses(s.leaveThere()).Omit("seq").Create(&chunk).Error; err != nil {
				return err
			}
			rows = rows[n:]
		}
		return nil
	})
	return fault("keep decisions", err)
}

// leaveThere keeps a row that is there already as it is. On MySQL anything but
// IGNORE would need the right to update logs; what it would also let pass, texts
// that are too long, fits has cut.
func (s *Store) leaveThere() clause.Expression {
	if s.driver == SQLite {
		return clause.OnConflict{DoNothing: true}
	}
	return clause.Insert{Modifier: "IGNORE"}
}

// ForgetDecisions removes answers that were given before a moment, unless that
// is zero, and those beyond so many, unless that is 0: some of them at a time. It
// tells whether it is done. Whoever has the most loses his oldest, so that the
// decisions of one tenant cannot push out those of another.
func (s *Store) ForgetDecisions(ctx context.Context, before time.Time, most int) (done bool, err error) {
	done, err = s.forgetLog(ctx, "decision", "asked_at", before, most)
	return done, fault("forget decisions", err)
}

// Decision gives one recorded answer, or an error of kind ErrNotFound.
func (s *Store) Decision(ctx context.Context, tenant, id string) (access.Recorded, error) {
	if err := s.usable(ctx); err != nil {
		return access.Recorded{}, err
	}
	var row decisionRow
	err := s.reader.WithContext(ctx).Where("tenant = ? AND id = ?", tenant, id).Take(&row).Error
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return access.Recorded{}, access.NotFound("decision", id)
	}
	if err != nil {
		return access.Recorded{}, fault("read a decision", err)
	}
	return row.recorded()
}

func (r decisionRow) recorded() (access.Recorded, error) {
	var a access.Recorded
	err := json.Unmarshal([]byte(r.Body), &a)
	return a, fault("read decision "+r.ID, err)
}

// FindDecisions gives recorded answers of a tenant, newest first unless the
// search says otherwise. There are more where there are as many as were wanted.
func (s *Store) FindDecisions(ctx context.Context, tenant string, q access.RecordedSearch) ([]access.Recorded, error) {
	if err := s.usable(ctx); err != nil {
		return nil, err
	}
	var rows []decisionRow
	if err := decisionQuery(s.reader.WithContext(ctx), tenant, q).Limit(q.Most).Find(&rows).Error; err != nil {
		return nil, fault("find decisions", err)
	}
	found := make([]access.Recorded, len(rows))
	for i, r := range rows {
		var err error
		if found[i], err = r.recorded(); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func decisionQuery(db *gorm.DB, tenant string, q access.RecordedSearch) *gorm.DB {
	db = db.Where("tenant = ?", tenant)
	if q.Forward {
		db = db.Order("id")
	} else {
		db = db.Order("id DESC")
	}
	if q.After != "" && q.Forward {
		db = db.Where("id > ?", q.After)
	} else if q.After != "" {
		db = db.Where("id < ?", q.After)
	}
	for _, f := range []struct{ column, value string }{
		{"subject", q.Subject}, {"reason", string(q.Reason)}, {"caller", q.Caller}, {"request_id", q.RequestID},
	} {
		if f.value != "" {
			db = db.Where(f.column+" = ?", f.value)
		}
	}
	if q.Section != "" { // "/" comes behind ".", and no section has it
		db = db.Where("(section = ? OR (section > ? AND section < ?))", string(q.Section), string(q.Section)+".", string(q.Section)+"/")
	}
	if q.Allowed != nil {
		db = db.Where("allowed = ?", *q.Allowed)
	}
	return askedWithin(db, q)
}

// askedWithin bounds the moments. Ids sort by them, so that the index is of use.
func askedWithin(db *gorm.DB, q access.RecordedSearch) *gorm.DB {
	if !q.From.IsZero() {
		db = db.Where("id >= ? AND asked_at >= ?", access.RecordedID(q.From, [access.RecordedRandom]byte{}), q.From.UnixMicro())
	}
	if !q.Until.IsZero() {
		db = db.Where("id <= ? AND asked_at < ?", access.RecordedID(q.Until.Add(time.Millisecond), [access.RecordedRandom]byte{}), q.Until.UnixMicro())
	}
	return db
}

// EpochAt gives the epoch in which a revision of the history was made. It reads
// all changes that were made since.
func (s *Store) EpochAt(ctx context.Context, tenant string, revision access.Revision) (string, error) {
	var epoch string
	err := s.snapshot(ctx, tenant, func(v view) error {
		var before string
		query := "SELECT old_value FROM revision_change WHERE tenant_id = ? AND revision > ? AND kind = ? ORDER BY revision LIMIT 1"
		err := v.tx.QueryRowContext(ctx, query, v.tenant.ID, revision, kindEpoch).Scan(&before)
		if errors.Is(err, sql.ErrNoRows) {
			epoch = v.tenant.Epoch
			return nil
		}
		if err != nil {
			return err
		}
		return decode("epoch", before, &epoch)
	})
	return epoch, fault("read the epoch of a revision", err)
}
