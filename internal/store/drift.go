package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
)

// Drift is a row that is not what the history says: somebody has changed the
// database by hand, or a restore was not complete.
type Drift struct {
	Kind  string // rule, user, group and so on, as in the history
	Name  string // the rule's line, the id, the code
	There bool   // true: it is stored so, and no revision wrote it so; false: a revision did, and it is not there
}

// String says it in words.
func (d Drift) String() string {
	if d.There {
		return fmt.Sprintf("%s %q is stored in a way that no revision wrote", d.Kind, d.Name)
	}
	return fmt.Sprintf("%s %q is not stored as the history has it", d.Kind, d.Name)
}

// Drift compares all rows of a tenant, its counters and its users' stripes with
// what its history adds up to, in one consistent read, and gives what differs, by
// kind and name. What was changed shows twice: as it is, and as it should be. Verify tells whether the
// history itself is what was written.
func (s *Store) Drift(ctx context.Context, tenant string) ([]Drift, error) {
	d := drift{said: map[image]string{}, checks: map[string]string{}, signIn: map[object]string{}, log: counters{stripes: map[access.Stripe]access.Revision{}}}
	err := s.snapshot(ctx, tenant, func(v view) error {
		d.view = v
		if err := d.history(); err != nil {
			return err
		}
		return inTurn(d.rows, d.striped)
	})
	if err != nil {
		return nil, fault("compare rows with the history of "+tenant, err)
	}
	d.counted()
	return d.differences(), nil
}

// image identifies what stood somewhere: a hash of kind, name and content.
type image struct {
	kind string
	hash [sha256.Size]byte
}

// drift holds what the history says is there, less what was found there.
type drift struct {
	view
	said   map[image]string  // names
	checks map[string]string // of the secrets of keys, by id; of older ones there is none
	signIn map[object]string // images of passwords and second factors
	epoch  string            // the newest that was written; empty: the first
	found  []Drift
	log    counters

	rules, userRules, users int64 // rows
}

// history adds up all changes.
func (d *drift) history() error {
	query := "SELECT revision, kind, name, old_value, new_value FROM revision_change WHERE tenant_id = ? ORDER BY revision, n"
	return each(d.ctx, d.tx, query, []any{d.tenant.ID}, func(rows *sql.Rows) error {
		var c changeRow
		if err := rows.Scan(&c.Revision, &c.Kind, &c.Name, &c.OldValue, &c.NewValue); err != nil {
			return err
		}
		line, err := d.change(c)
		d.log.take(c, line)
		return err
	})
}

// change notes what a change says is there, and gives the line of a rule.
func (d *drift) change(c changeRow) (line []string, err error) {
	switch {
	case c.Kind == kindEpoch:
		return nil, decode("epoch", c.NewValue, &d.epoch)
	case c.Kind == kindPassword || c.Kind == kindSecondFactor:
		d.signIn[object{c.Kind, c.Name}] = c.NewValue
		return nil, nil
	case event(c.Kind):
		return nil, nil
	case c.Kind == kindKey && c.NewValue != "":
		if err := d.secret(c); err != nil {
			return nil, err
		}
	}
	if c.OldValue != "" {
		i, old, err := imageOf(c.Kind, c.Name, c.OldValue)
		if err != nil {
			return nil, err
		}
		line = old
		delete(d.said, i)
	}
	if c.NewValue == "" {
		return line, nil
	}
	i, line, err := imageOf(c.Kind, c.Name, c.NewValue)
	d.said[i] = c.Name
	return line, err
}

// secret notes by what the secret of a key can be compared.
func (d *drift) secret(c changeRow) error {
	var k keyImage
	err := decode("key "+c.Name, c.NewValue, &k)
	if k.Check != "" {
		d.checks[c.Name] = k.Check
	}
	return err
}

// imageOf leaves out of rules what a migration has filled in without a revision,
// and of keys what older ones lack.
func imageOf(kind, name, value string) (i image, line []string, err error) {
	if kind == kindRule {
		var r ruleImage
		if err := decode("rule "+name, value, &r); err != nil {
			return image{}, nil, err
		}
		r.Plain, line = false, r.Line
		if value, err = encode(r); err != nil {
			return image{}, nil, err
		}
	}
	if kind == kindKey {
		var k keyImage
		if err := decode("key "+name, value, &k); err != nil {
			return image{}, nil, err
		}
		k.Check = ""
		if value, err = encode(k); err != nil {
			return image{}, nil, err
		}
	}
	l := link{sha256.New()}
	l.add(kind, name, value)
	return image{kind: kind, hash: [sha256.Size]byte(l.h.Sum(nil))}, line, nil
}

// is takes note of something that is there.
func (d *drift) is(kind, name string, content any) error {
	value, err := encode(content)
	if err != nil { // it is no JSON any more
		d.found = append(d.found, Drift{Kind: kind, Name: name, There: true})
		return nil //nolint:nilerr // that is what was looked for
	}
	i, _, err := imageOf(kind, name, value)
	if err != nil {
		return err
	}
	if _, ok := d.said[i]; !ok {
		d.found = append(d.found, Drift{Kind: kind, Name: name, There: true})
	}
	delete(d.said, i)
	return nil
}

func (d *drift) rows() error {
	if err := d.is(kindTenant, d.tenant.Code, json.RawMessage(d.tenant.Settings)); err != nil {
		return err
	}
	if d.epoch != "" && d.epoch != d.tenant.Epoch {
		d.found = append(d.found, Drift{Kind: kindEpoch, Name: d.tenant.Epoch, There: true}, Drift{Kind: kindEpoch, Name: d.epoch})
	}
	for _, t := range documentTables {
		err := readDocuments(d.ctx, d.tx, t.name, d.tenant.ID, func(r documentRow) error { return d.is(t.kind, r.name(), r.image()) })
		if err != nil {
			return err
		}
	}
	err := readUsers(d.ctx, d.tx, d.tenant.ID, "id", func(r userRow) error {
		d.users++
		if !r.derived() {
			d.found = append(d.found, Drift{Kind: "lookup", Name: r.ID, There: true})
		}
		return d.is(kindUser, r.name(), r.image())
	})
	if err != nil {
		return err
	}
	if err := inTurn(d.keys, d.passwords, d.secondFactors); err != nil {
		return err
	}
	return readRules(d.view, func(r ruleRow) error {
		d.rules++
		if r.users() {
			d.userRules++
		}
		return d.is(kindRule, r.name(), r.image())
	})
}

// derived tells whether what is made of an account for signing in and for lists
// is what it makes.
func (r userRow) derived() bool {
	u, err := r.user()
	if err != nil {
		return true // it shows otherwise
	}
	made, err := userRowOf(r.TenantID, u, access.UserStatus(r.Status))
	return err != nil || made.Login == r.Login && made.Home == r.Home && made.DeletedAt == r.DeletedAt &&
		made.MailKey == r.MailKey && made.NameKey == r.NameKey && made.Seats == r.Seats && made.Search == r.Search
}

// keys: of their hashes nothing but a hash stands in the history.
func (d *drift) keys() error {
	query := "SELECT id, tenant, kind, name, secret_hash, created_at, revoked_at FROM api_key"
	return each(d.ctx, d.tx, query, nil, func(rows *sql.Rows) error {
		var k keyRow
		if err := rows.Scan(&k.ID, &k.Tenant, &k.Kind, &k.Name, &k.SecretHash, &k.CreatedAt, &k.RevokedAt); err != nil {
			return err
		}
		if historyOf(k.Tenant) != d.tenant.Code {
			return nil
		}
		if check := d.checks[k.ID]; check != "" && check != k.check() {
			d.found = append(d.found, Drift{Kind: "secret", Name: k.ID, There: true})
		}
		return d.is(kindKey, k.ID, k.image())
	})
}

func (d *drift) differences() []Drift {
	for i, name := range d.said {
		d.found = append(d.found, Drift{Kind: i.kind, Name: name})
	}
	clear(d.said)
	slices.SortFunc(d.found, func(a, b Drift) int {
		there := 0
		if a.There != b.There {
			there = 1
			if a.There {
				there = -1
			}
		}
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), there)
	})
	return d.found
}

// Host is what is known of the server that the database is on.
type Host struct {
	Clock       time.Time // its clock, read between Asked and Answered
	Asked       time.Time // by our clock
	Answered    time.Time
	Connections int // most that it accepts; 0: no limit is known
}

// Ahead is by how much the server's clock is ahead of ours at least; negative
// where it is behind, zero where the answer took longer than they differ.
func (h Host) Ahead() time.Duration {
	switch {
	case h.Clock.After(h.Answered):
		return h.Clock.Sub(h.Answered)
	case h.Clock.Before(h.Asked):
		return h.Clock.Sub(h.Asked)
	}
	return 0
}

// Host asks the database's server. An embedded database has our own clock.
func (s *Store) Host(ctx context.Context) (Host, error) {
	h := Host{Asked: s.clock()}
	if s.driver != MySQL {
		h.Clock, h.Answered = h.Asked, h.Asked
		return h, nil
	}
	var micros int64
	err := s.reader.WithContext(ctx).Raw("SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED), @@max_connections").Row().Scan(&micros, &h.Connections)
	h.Clock, h.Answered = time.UnixMicro(micros), s.clock()
	return h, fault("ask the database's server", err)
}

// Schema gives the version of the database's schema.
func (s *Store) Schema(ctx context.Context) (int64, error) {
	version, err := s.version(ctx)
	return version, fault("read the schema's version", err)
}

// Due counts the rules that have begun or ended by the clock and that no sweep
// has brought up to date: other Casbin tools still see them as they were.
func (s *Store) Due(ctx context.Context, tenant string, now time.Time) (int, error) {
	var n int
	err := s.snapshot(ctx, tenant, func(v view) error {
		query := `SELECT COUNT(*) FROM casbin_rule WHERE tenant_id = ?
			AND ((valid_until <> 0 AND valid_until <= ?) OR (pending = 1 AND valid_from <= ?))`
		at := now.UnixMicro()
		return v.tx.QueryRowContext(v.ctx, query, v.tenant.ID, at, at).Scan(&n)
	})
	return n, fault("count the rules that are due", err)
}
