package service_test

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/service"
	"github.com/bailiwick/bailiwick/internal/store"
)

// The tenants of the history, and the users of each.
const (
	linearTenants = 4
	linearUsers   = 8
	linearAskers  = 64
)

// linear is a whole house, a history that is made in it and what is wrong with
// that history.
type linear struct {
	follower  *service.Follower
	policies  *service.Policies
	decisions *service.Decisions
	keys      *service.Keys
	tenants   [linearTenants]linearTenant

	checks, writes atomic.Int64
	over           atomic.Bool
	mu             sync.Mutex
	wrong          []string
}

// linearTenant is what is known of a tenant from outside.
type linearTenant struct {
	name string
	seen atomic.Uint64 // the newest revision that answered anybody, or that a writer was told
	mine [linearUsers]register
}

// register is whether a user may do something. It may while the number is odd.
type register struct {
	begun    atomic.Int64 // the last change that was sent
	answered atomic.Int64 // the last change that was answered
}

// whoMay reads policies that are nothing but a list of those who may.
type whoMay struct{}

func (whoMay) Write(*access.Policy) (map[string]string, error) { return nil, nil } //nolint:nilnil // nobody asks

func (whoMay) Read(files fs.FS) (service.Bundle, error) {
	list, err := fs.ReadFile(files, "who")
	if err != nil {
		return service.Bundle{}, err
	}
	p := access.Policy{
		Catalogue: []access.Application{{Code: "a", Sections: []access.SectionEntry{{Path: "T"}}}},
		Roles:     []access.Role{{Code: "r", Grants: []access.Grant{{Section: "T", Rights: access.Show}}}},
	}
	for i := range linearUsers {
		u := access.User{ID: fmt.Sprint(i)}
		if strings.Contains(string(list), u.ID) {
			u.Roles = []access.Link{{To: "r"}}
		}
		p.Users = append(p.Users, u)
	}
	none := func(context.Context) (service.TestReport, error) { return service.TestReport{}, nil }
	return service.Bundle{Policy: p, Test: none}, nil
}

func newLinear(t *testing.T) *linear {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Driver: store.SQLite, DSN: filepath.Join(t.TempDir(), "linear.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	e := engine.New(engine.Options{})
	l := &linear{keys: service.NewKeys(s, service.KeysOptions{})}
	l.follower = service.NewFollower(e, s, l.keys, service.FollowerOptions{})
	l.policies = service.NewPolicies(whoMay{}, e, s, l.follower, nil)
	l.decisions = service.NewDecisions(e, l.follower, nil)
	if err := l.follower.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range l.tenants {
		l.tenants[i].name = fmt.Sprintf("tenant-%d", i)
		if err := l.put(t.Context(), &l.tenants[i]); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// put stores who may according to the changes that were begun.
func (l *linear) put(ctx context.Context, t *linearTenant) error {
	var who strings.Builder
	for i := range t.mine {
		if t.mine[i].begun.Load()%2 == 1 {
			fmt.Fprint(&who, i)
		}
	}
	files := fstest.MapFS{"who": {Data: []byte(who.String())}}
	done, err := l.policies.Load(ctx, operator, t.name, files, service.LoadOptions{CreateTenant: true})
	t.sees(uint64(done.Revision))
	return err
}

// sees notes a revision that somebody was told.
func (t *linearTenant) sees(revision uint64) {
	for {
		newest := t.seen.Load()
		if revision <= newest || t.seen.CompareAndSwap(newest, revision) {
			return
		}
	}
}

var operator = access.Caller{Name: "operator-1", Tenant: access.AllTenants, May: access.KeyAdmin}

// write is a writer: it is the only one who changes grants of its tenant.
func (l *linear) write(ctx context.Context, t *linearTenant) {
	for !l.over.Load() {
		r := &t.mine[rand.IntN(linearUsers)]
		change := r.begun.Add(1)
		if err := l.put(ctx, t); err != nil {
			l.complain("a change fails: %v", err)
			return
		}
		r.answered.Store(change)
		l.writes.Add(1)
	}
}

// disturb makes revisions beside the writers, whose differences then do not
// begin at what decides.
func (l *linear) disturb(ctx context.Context) {
	for i := 0; !l.over.Load(); i++ {
		tenant := l.tenants[i%linearTenants].name
		if _, _, err := l.keys.Create(ctx, operator, tenant, access.KeyDecide, "k"); err != nil {
			l.complain("a key fails: %v", err)
			return
		}
		for n := l.writes.Load(); l.writes.Load() < n+10 && !l.over.Load(); {
			runtime.Gosched()
		}
	}
}

// ask asks as one client does, one question after another.
func (l *linear) ask(ctx context.Context) {
	for !l.over.Load() {
		t := &l.tenants[rand.IntN(linearTenants)]
		user := rand.IntN(linearUsers)
		l.check(ctx, t, user)
		l.checks.Add(1)
		runtime.Gosched() // a client waits for the network; writers come to their turn
	}
}

// check holds one answer against all that was known before the question and
// could be known when the answer came.
func (l *linear) check(ctx context.Context, t *linearTenant, user int) {
	r := &t.mine[user]
	least, seen := r.answered.Load(), t.seen.Load()
	d, err := l.decisions.Check(ctx, operator, t.name, &access.Request{
		Subject: access.Subject{Kind: access.KindUser, ID: fmt.Sprint(user)}, Section: "T", Actions: []access.Action{"show"},
	}, access.Consistency{})
	most := r.begun.Load()
	switch {
	case err != nil:
		l.complain("a question fails: %v", err)
	case least == most && d.Allowed != (least%2 == 1):
		l.complain("%s: %v after change %d of user %d was answered", t.name, d.Allowed, least, user)
	case uint64(d.Revision) < seen:
		l.complain("%s: revision %d answers after %d was seen", t.name, d.Revision, seen)
	default:
		t.sees(uint64(d.Revision))
	}
}

func (l *linear) complain(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
}

func (l *linear) complaints() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wrong
}

// run makes a history until enough says so.
func (l *linear) run(ctx context.Context, enough func() bool) {
	ctx, end := context.WithCancel(ctx)
	defer end()
	go l.follower.Run(ctx) // polls, as in every server
	var all sync.WaitGroup
	for i := range l.tenants {
		all.Go(func() { l.write(ctx, &l.tenants[i]) })
	}
	all.Go(func() { l.disturb(ctx) })
	for range linearAskers {
		all.Go(func() { l.ask(ctx) })
	}
	for !enough() {
		runtime.Gosched()
	}
	l.over.Store(true)
	all.Wait()
}

// TestDecisions_linearizable (C1): when the answer to a change has been sent,
// every question asked afterwards sees it; and once anybody has seen a
// revision, nobody sees an older one.
func TestDecisions_linearizable(t *testing.T) { linearizable(t, 20_000, 150) }

// TestSoakDecisions_linearizable is the same over a million operations.
func TestSoakDecisions_linearizable(t *testing.T) {
	if os.Getenv("BAILIWICK_SOAK") != "1" {
		t.Skip("BAILIWICK_SOAK=1 runs it")
	}
	linearizable(t, 1_000_000, 10_000)
}

func linearizable(t *testing.T, operations, writes int64) {
	t.Helper()
	l := newLinear(t)
	l.run(t.Context(), func() bool {
		return len(l.complaints()) > 0 || l.checks.Load()+l.writes.Load() >= operations && l.writes.Load() >= writes
	})
	if wrong := l.complaints(); len(wrong) > 0 {
		t.Errorf("%d answers are wrong, the first: %s", len(wrong), wrong[0])
	}
	t.Logf("%d questions, %d changes", l.checks.Load(), l.writes.Load())
}

// TestDecisions_linearizableCatches: the same history shows that a writer was
// answered before his change was in force.
func TestDecisions_linearizableCatches(t *testing.T) {
	l := newLinear(t)
	var late sync.WaitGroup
	service.InstallLate(l.follower, func(install func()) {
		late.Go(func() {
			for n := l.checks.Load(); l.checks.Load() < n+10*linearAskers && !l.over.Load(); {
				runtime.Gosched()
			}
			install()
		})
	})
	l.run(t.Context(), func() bool { return len(l.complaints()) > 0 || l.writes.Load() >= 1000 })
	late.Wait()
	if len(l.complaints()) == 0 {
		t.Error("nothing is found wrong with installing after answering")
	}
}
