package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"
	"time"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/bailiwick/bailiwick/internal/access"
)

// sessionRow is a row of session.
type sessionRow struct {
	SecretHash []byte
	ID         string
	TenantID   int64
	UserID     string
	Epoch      string
	Steps      string // joined by blanks
	CreatedAt  int64  // microseconds
	SeenAt     int64  // microseconds
	Idle       int64  // microseconds
	EndsAt     int64  // microseconds
	Address    string
	Agent      string
}

// TableName is asked by gorm.
func (sessionRow) TableName() string { return "session" }

func (r sessionRow) session(tenant string) access.Session {
	s := access.Session{
		ID: r.ID, Tenant: tenant, User: r.UserID, Created: moment(r.CreatedAt), Seen: moment(r.SeenAt),
		Idle: time.Duration(r.Idle) * time.Microsecond, Ends: moment(r.EndsAt), Address: r.Address, Agent: r.Agent,
	}
	copy(s.Hash[:], r.SecretHash)
	for step := range strings.FieldsSeq(r.Steps) {
		s.Steps = append(s.Steps, access.Step(step))
	}
	return s
}

func joined(steps []access.Step) string {
	var texts []string
	for _, s := range steps {
		texts = append(texts, string(s))
	}
	return strings.Join(texts, " ")
}

// OpenSession keeps a new session of an account that may sign in, remembers that
// it did, and forgets its failures. It is ErrStale where the account or its
// password is no longer what was looked at. Sessions that have ended are removed.
func (s *Store) OpenSession(ctx context.Context, a *access.Account, session access.Session, cleared, forgiven [32]byte) error {
	err := s.aside(ctx, func(tx *gorm.DB) error {
		tenant, err := tenantIn(tx, a.Tenant)
		if err != nil {
			return err
		}
		if err := unchanged(tx, tenant.ID, a); err != nil {
			return err
		}
		if err := tx.Where("ends_at <= ?", s.now().UnixMicro()).Delete(&sessionRow{}).Error; err != nil {
			return err
		}
		row := sessionRow{
			SecretHash: session.Hash[:], ID: session.ID, TenantID: tenant.ID, UserID: a.User.ID, Epoch: tenant.Epoch, Steps: joined(session.Steps),
			CreatedAt: session.Created.UnixMicro(), SeenAt: session.Seen.UnixMicro(), Idle: session.Idle.Microseconds(), EndsAt: session.Ends.UnixMicro(),
			Address: session.Address, Agent: session.Agent,
		}
		if err := exactly(1, tx.Create(&row)); err != nil {
			return err
		}
		if err := forgive(tx, tenant.ID, cleared, forgiven); err != nil {
			return err
		}
		return attempted(tx, tenant.ID, a.User.ID, access.Attempt{At: session.Created, Address: session.Address})
	})
	return fault("open a session", err)
}

// unchanged locks an account and its password, so that nobody who ends its
// sessions can miss the new one.
func unchanged(tx *gorm.DB, tenant int64, a *access.Account) error {
	var user userRow
	var held credentialRow
	lock := clause.Locking{Strength: "UPDATE"}
	err := tx.Clauses(lock).Select("id", "status").Where("tenant_id = ? AND id = ?", tenant, a.User.ID).Take(&user).Error
	if err == nil {
		err = tx.Clauses(lock).Where("tenant_id = ? AND user_id = ?", tenant, a.User.ID).Take(&held).Error
	}
	if errors.Is(err, gorm.ErrRecordNotFound) && user.ID == a.User.ID && a.Password.Hash == "" {
		err = nil // he has no password, and did not need one
	}
	if err != nil && !errors.Is(err, gorm.ErrRecordNotFound) {
		return err
	}
	if err != nil || user.Status != string(access.UserActive) || held.Password != a.Password.Hash {
		return &access.Error{Kind: access.ErrStale, Field: "user", Message: "has changed meanwhile"}
	}
	return nil
}

// Session gives the session with this hash and the account whose it is, as both
// are now. One that is unknown, over or of an account that is not active is the
// same ErrNotFound.
func (s *Store) Session(ctx context.Context, hash [32]byte) (access.Session, error) {
	if err := s.usable(ctx); err != nil {
		return access.Session{}, err
	}
	var row sessionRow
	var tenant, epoch, status string
	query := `SELECT s.id, s.user_id, s.epoch, s.steps, s.created_at, s.seen_at, s.idle, s.ends_at, s.address, s.agent, t.code, t.epoch, u.status
		FROM session s JOIN tenant t ON t.id = s.tenant_id JOIN users u ON u.tenant_id = s.tenant_id AND u.id = s.user_id
		WHERE s.secret_hash = ?`
	row.SecretHash = hash[:]
	conns, err := s.reader.DB()
	if err != nil {
		return access.Session{}, fault("read a session", err)
	}
	err = conns.QueryRowContext(ctx, query, hash[:]).Scan(&row.ID, &row.UserID, &row.Epoch, &row.Steps, &row.CreatedAt, &row.SeenAt,
		&row.Idle, &row.EndsAt, &row.Address, &row.Agent, &tenant, &epoch, &status)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return access.Session{}, fault("read a session", err)
	}
	session := row.session(tenant)
	if err != nil || !session.Alive(s.now()) || epoch != row.Epoch || status != string(access.UserActive) {
		return access.Session{}, fault("read a session", access.NotFound("session", ""))
	}
	return session, nil
}

// SeeSession notes that a session was used just now.
func (s *Store) SeeSession(ctx context.Context, hash [32]byte) error {
	if err := s.usable(ctx); err != nil {
		return err
	}
	done := s.db.WithContext(ctx).Model(&sessionRow{}).Where("secret_hash = ?", hash[:]).Update("seen_at", s.now().UnixMicro())
	return fault("keep a session", done.Error)
}

// TakeStep notes that one of the things is done that a session must do first,
// and gives the session a new secret.
func (s *Store) TakeStep(ctx context.Context, session access.Session, step access.Step, hash [32]byte) error {
	left := slices.DeleteFunc(slices.Clone(session.Steps), func(x access.Step) bool { return x == step })
	err := s.aside(ctx, func(tx *gorm.DB) error {
		done := tx.Model(&sessionRow{}).Where("secret_hash = ? AND steps = ?", session.Hash[:], joined(session.Steps)).
			Updates(map[string]any{"secret_hash": hash[:], "steps": joined(left)})
		if done.Error == nil && done.RowsAffected != 1 {
			return access.NotFound("session", session.ID)
		}
		return done.Error
	})
	return fault("go on with a session", err)
}

// Sessions lists the sessions of a user that can be used, newest first.
func (s *Store) Sessions(ctx context.Context, tenant, user string) ([]access.Session, error) {
	var all []access.Session
	err := s.snapshot(ctx, tenant, func(v view) error {
		query := `SELECT secret_hash, id, user_id, epoch, steps, created_at, seen_at, idle, ends_at, address, agent
			FROM session WHERE tenant_id = ? AND user_id = ? ORDER BY created_at DESC, id`
		return each(ctx, v.tx, query, []any{v.tenant.ID, user}, func(rows *sql.Rows) error {
			var r sessionRow
			err := rows.Scan(&r.SecretHash, &r.ID, &r.UserID, &r.Epoch, &r.Steps, &r.CreatedAt, &r.SeenAt, &r.Idle, &r.EndsAt, &r.Address, &r.Agent)
			if session := r.session(tenant); session.Alive(s.now()) && r.Epoch == v.tenant.Epoch {
				all = append(all, session)
			}
			return err
		})
	})
	return all, fault("list sessions", err)
}

// EndSession ends one session of a user, by its public id.
func (s *Store) EndSession(ctx context.Context, tenant, user, id string) error {
	err := s.aside(ctx, func(tx *gorm.DB) error {
		row, err := tenantIn(tx, tenant)
		if err != nil {
			return err
		}
		done := tx.Where("tenant_id = ? AND user_id = ? AND id = ?", row.ID, user, id).Delete(&sessionRow{})
		if done.Error == nil && done.RowsAffected == 0 {
			return access.NotFound("session", id)
		}
		return done.Error
	})
	return fault("end a session", err)
}

// EndOtherSessions ends all sessions of a user but one.
func (s *Store) EndOtherSessions(ctx context.Context, tenant, user string, but [32]byte) error {
	err := s.aside(ctx, func(tx *gorm.DB) error {
		row, err := tenantIn(tx, tenant)
		if err != nil {
			return err
		}
		return endSessions(tx, row.ID, []string{user}, but)
	})
	return fault("end sessions", err)
}

// EndSessions ends all sessions of a user and records it.
func (d *draft) EndSessions(user string) error {
	if err := endSessions(d.w.tx, d.tenant.ID, []string{user}, [32]byte{}); err != nil {
		return err
	}
	return d.w.note(kindSession, user, nil, map[string]string{"ended": "all"})
}

func endSessions(tx *gorm.DB, tenant int64, users []string, but [32]byte) error {
	return tx.Where("tenant_id = ? AND user_id IN ? AND secret_hash <> ?", tenant, users, but[:]).Delete(&sessionRow{}).Error
}

// signOut ends the sessions of all whom the write leaves unable to act, whatever
// way it came, so that none comes back with them.
func (w *write) signOut() error {
	var users []string
	for _, c := range w.changes {
		if c.Kind != kindUser {
			continue
		}
		var left userImage
		if c.NewValue != "" {
			if err := decode("user "+c.Name, c.NewValue, &left); err != nil {
				return err
			}
		}
		if left.Status != string(access.UserActive) {
			users = append(users, c.Name)
		}
	}
	for chunk := range slices.Chunk(users, w.chunk) {
		if err := endSessions(w.tx, w.tenant.ID, chunk, [32]byte{}); err != nil {
			return err
		}
	}
	return nil
}
