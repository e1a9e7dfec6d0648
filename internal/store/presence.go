package store

import (
	"context"
	"database/sql"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/bailiwick/bailiwick/internal/access"
)

// presenceRow is a row of presence.
type presenceRow struct {
	TenantID int64
	UserID   string
	Status   string
	Note     string
	SinceAt  int64 // microseconds
}

// TableName is asked by gorm.
func (presenceRow) TableName() string { return "presence" }

// SetPresence keeps what somebody says of himself, in the place of what he said
// before. It is no revision.
func (s *Store) SetPresence(ctx context.Context, tenant, user string, p access.Presence) error {
	return fault("keep a presence", s.aside(ctx, func(tx *gorm.DB) error {
		t, err := tenantIn(tx, tenant)
		if err != nil {
			return err
		}
		row := presenceRow{TenantID: t.ID, UserID: user, Status: string(p.Status), Note: p.Note, SinceAt: p.Since.UnixMicro()}
		return tx.Clauses(clause.OnConflict{UpdateAll: true}).Create(&row).Error
	}))
}

// PresenceOf tells of each of some users what he said of himself and whether he
// is online, by id.
func (s *Store) PresenceOf(ctx context.Context, tenant string, users []string) (map[string]access.Presence, error) {
	found := make(map[string]access.Presence, len(users))
	if len(users) == 0 {
		return found, nil
	}
	for _, id := range users {
		found[id] = access.Presence{Status: access.PresenceAvailable}
	}
	err := s.snapshot(ctx, tenant, func(v view) error {
		args := []any{v.tenant.ID}
		for _, id := range users {
			args = append(args, id)
		}
		if err := v.said(args, found); err != nil {
			return err
		}
		return v.there(args, s.now().Add(-access.OnlineFor).UnixMicro(), s.now().UnixMicro(), found)
	})
	return found, fault("read presences", err)
}

func (v view) said(args []any, found map[string]access.Presence) error {
	query := "SELECT user_id, status, note, since_at FROM presence WHERE tenant_id = ? AND user_id IN (" + marks(len(args)-1) + ")"
	return each(v.ctx, v.tx, query, args, func(rows *sql.Rows) error {
		var r presenceRow
		err := rows.Scan(&r.UserID, &r.Status, &r.Note, &r.SinceAt)
		if _, asked := found[r.UserID]; asked {
			found[r.UserID] = access.Presence{Status: access.PresenceStatus(r.Status), Note: r.Note, Since: moment(r.SinceAt)}
		}
		return err
	})
}

func (v view) there(args []any, seen, ends int64, found map[string]access.Presence) error {
	query := "SELECT DISTINCT user_id FROM session WHERE tenant_id = ? AND user_id IN (" + marks(len(args)-1) + ") AND seen_at > ? AND ends_at > ?"
	return each(v.ctx, v.tx, query, append(args, seen, ends), func(rows *sql.Rows) error {
		var id string
		err := rows.Scan(&id)
		if p, asked := found[id]; asked {
			p.Online = true
			found[id] = p
		}
		return err
	})
}

// presence adds the filter for those who say of themselves that they are
// something. Who has said nothing is available.
func (l *userList) presence() {
	status := l.q.Presence
	if status == "" {
		return
	}
	said := " FROM presence WHERE tenant_id = ? AND status"
	if status == access.PresenceAvailable {
		l.filters = append(l.filters, userFilter{
			where: "NOT EXISTS (SELECT 1" + said + " <> ? AND user_id = users.id)", with: []any{l.tenant.ID, string(status)},
		})
		return
	}
	with := []any{l.tenant.ID, string(status)}
	l.filters = append(l.filters, userFilter{
		ids: "SELECT user_id AS chosen" + said + " = ?", args: with, where: "EXISTS (SELECT 1" + said + " = ? AND user_id = users.id)", with: with,
	})
}
