package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/store"
)

// What is measured of earlier states, for each of the moments.
const (
	pastTime   = "%s: the first question as of %s"
	pastMemory = "%s: memory for that, at its peak"
)

// grantsPerUser of the tenant whose past is looked at.
const grantsPerUser = 10

// past measures how long it takes to rebuild and compile an earlier state, and
// how much memory, of a tenant that was changed a thousand times.
func (b *bench) past(ctx context.Context) error {
	for _, driver := range drivers() {
		if err := b.pastOf(ctx, driver); err != nil {
			return fmt.Errorf("%s: %w", named(driver), err)
		}
	}
	return nil
}

func (b *bench) pastOf(ctx context.Context, driver string) (err error) {
	d, remove, err := b.newDatabase(ctx, driver)
	if err != nil {
		return err
	}
	defer remove()
	if err := d.found(ctx, access.Facts{}); err != nil {
		return err
	}
	s, err := store.Open(ctx, d.options())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	say("%s: %d revisions of a tenant with %s grants", named(driver), b.revisions, thousands(float64(b.grants)))
	first, err := s.Apply(ctx, manyGrants(b.grants), access.Change{Base: access.AnyRevision, Author: "bench", Reason: "first"})
	if err != nil {
		return err
	}
	last := first.To
	for i := range b.revisions {
		u := grantedUser(i*7%(b.grants/grantsPerUser), 1+i)
		done, err := s.Edit(ctx, access.DefaultTenant, access.Change{Base: access.AnyRevision, Author: "bench", Reason: "edit"},
			func(d access.Draft) error { d.PutUser(u); return nil }, nil)
		if err != nil {
			return err
		}
		last = done.To
	}
	now, size, err := rebuilds(func() (access.Facts, error) { return s.Load(ctx, access.DefaultTenant) })
	if err != nil {
		return err
	}
	for _, moment := range []struct {
		name string
		at   access.Revision
	}{{"the revision before", last - 1}, {"the middle", (first.To + last) / 2}, {"the first revision", first.To}} {
		took, memory, err := rebuilds(func() (access.Facts, error) { return s.LoadAt(ctx, access.DefaultTenant, moment.at) })
		if err != nil {
			return err
		}
		f := figure{Group: "past", Size: b.grants, Of: "grants", Beside: "the state of now", Note: fmt.Sprintf("%d revisions", b.revisions)}
		f.What, f.Unit, f.Ours, f.Theirs = fmt.Sprintf(pastTime, named(driver), moment.name), "ns", float64(took), float64(now)
		b.report.add(f)
		f.What, f.Unit, f.Ours, f.Theirs = fmt.Sprintf(pastMemory, named(driver)), "B", float64(memory), float64(size)
		b.report.add(f)
	}
	return nil
}

// manyGrants is a tenant whose users hold all grants themselves.
func manyGrants(grants int) *access.Policy {
	p := &access.Policy{Tenant: access.DefaultTenant, Root: "Shop"}
	app := access.Application{Code: "shop"}
	for i := range 100 {
		app.Sections = append(app.Sections, access.SectionEntry{Path: access.Section(fmt.Sprintf("Shop.S%d", i))})
	}
	p.Catalogue = []access.Application{app}
	for i := range grants / grantsPerUser {
		p.Users = append(p.Users, grantedUser(i, 0))
	}
	return p
}

// grantedUser holds other rights in every turn.
func grantedUser(n, turn int) access.User {
	u := access.User{ID: fmt.Sprintf("user-%05d", n)}
	for i := range grantsPerUser {
		u.Grants = append(u.Grants, access.Grant{Section: access.Section(fmt.Sprintf("Shop.S%d", (n+i*7)%100)), Rights: access.Show << ((turn + i) % 5)})
	}
	return u
}

// rebuilds reads and compiles a state: what the first question as of it waits for.
func rebuilds(read func() (access.Facts, error)) (took time.Duration, memory uint64, err error) {
	peak := watchHeap()
	began := time.Now()
	facts, err := read()
	if err == nil {
		_, err = engine.Compile(facts)
	}
	return time.Since(began), peak(), err
}

// watchHeap looks how far the heap grows until the function it gives is called.
func watchHeap() (peak func() uint64) {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, most, done := m.HeapAlloc, m.HeapAlloc, make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	return func() uint64 {
		close(done)
		watching.Wait()
		return most - before
	}
}
