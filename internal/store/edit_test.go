package store_test

import (
	"database/sql"
	"errors"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
)

// waits waits until a statement is being executed, or what it is for is done.
func waits(t *testing.T, db *sql.DB, statement string, done func() bool) {
	t.Helper()
	query := "SELECT COUNT(*) FROM information_schema.processlist WHERE db = DATABASE() AND id <> CONNECTION_ID() AND info LIKE ?"
	for n := 0; n == 0 && !done(); time.Sleep(time.Millisecond) {
		if err := db.QueryRowContext(t.Context(), query, statement).Scan(&n); err != nil {
			t.Error(err)
			return
		}
	}
}

// TestEdit_afterTheLock: an edit that waits for another one sees what that one
// has left, also where it asks the database for others' accounts. What MySQL shows
// a transaction is what there was when it first read without a lock.
func TestEdit_afterTheLock(t *testing.T) {
	o := databases["mysql"](t)
	s, raw := accesstest.OpenStore(t, o), beside(t, o)
	p := accesstest.StorePolicy(access.DefaultTenant)
	apply(t, s, p)
	second := make(chan error, 1)
	var found []access.User
	var taken map[string]int
	follow := func(d access.Draft) (err error) {
		if found, err = d.WithEmail("RACER@example.com"); err != nil {
			return err
		}
		taken, err = d.CountHolders(access.KindGroup, []string{p.Groups[0].Code})
		return err
	}
	had := 0
	_, err := s.Edit(t.Context(), p.Tenant, any1, func(d access.Draft) error {
		before, err := d.CountHolders(access.KindGroup, []string{p.Groups[0].Code})
		had = before[p.Groups[0].Code]
		go func() {
			_, err := s.Edit(t.Context(), p.Tenant, any1, follow, nil)
			second <- err
		}()
		waits(t, raw, "SELECT%tenant%FOR UPDATE", func() bool { return len(second) > 0 })
		d.PutUser(access.User{ID: "racer", Email: "racer@example.com", Name: "Racer", Groups: []access.Link{{To: p.Groups[0].Code}}})
		return err
	}, nil)
	if err := errors.Join(err, <-second); err != nil {
		t.Fatal(err)
	}
	if len(found) != 1 || found[0].ID != "racer" || taken[p.Groups[0].Code] != had+1 {
		t.Errorf("the second edit sees %+v, and %v in the group that had %d", found, taken, had)
	}
}

// TestEdit_secondFactor: a code that is taken while an edit writes the second
// factor stays taken.
func TestEdit_secondFactor(t *testing.T) {
	o := databases["mysql"](t)
	s, raw := accesstest.OpenStore(t, o), beside(t, o)
	p := accesstest.StorePolicy(access.DefaultTenant)
	apply(t, s, p)
	const user, step = "42", 7
	put := func(d access.Draft) error {
		return d.PutSecondFactor(user, access.SecondFactor{Sealed: []byte("sealed"), Confirmed: time.Now(), LastStep: step - 2})
	}
	if _, err := s.Edit(t.Context(), p.Tenant, any1, put, nil); err != nil {
		t.Fatal(err)
	}
	took := make(chan error, 1)
	_, err := s.Edit(t.Context(), p.Tenant, any1, func(d access.Draft) error {
		f, err := d.SecondFactor(user)
		if err != nil {
			return err
		}
		go func() { took <- s.TakeCode(t.Context(), p.Tenant, user, step) }()
		waits(t, raw, "UPDATE%second_factor%", func() bool { return len(took) > 0 })
		f.Recovery = [][32]byte{{1}}
		return d.PutSecondFactor(user, f)
	}, nil)
	if err := errors.Join(err, <-took); err != nil {
		t.Fatal(err)
	}
	if err := s.TakeCode(t.Context(), p.Tenant, user, step); !errors.Is(err, access.ErrStale) {
		t.Errorf("the code is good again: %v", err)
	}
}
