package main

import (
	"context"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/config"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/engine/oracle"
	"github.com/bailiwick/bailiwick/internal/store"
)

// only gives the one check of a name.
func only(t *testing.T, d *doctor, check string) doctorCheck {
	t.Helper()
	i := slices.IndexFunc(d.found.Checks, func(c doctorCheck) bool { return c.Check == check })
	if i < 0 {
		t.Fatalf("%s was not looked at: %+v", check, d.found)
	}
	return d.found.Checks[i]
}

// TestDoctor_host: clocks that are apart, and fewer connections than may be
// opened, are findings that say what to do.
func TestDoctor_host(t *testing.T) {
	for name, tc := range map[string]struct {
		off         time.Duration
		open        int
		clock       string
		connections string
	}{
		"well":      {0, 4, checkOK, checkOK},
		"apart":     {time.Hour, 4, checkFinding, checkOK},
		"behind":    {-time.Hour, 4, checkFinding, checkOK},
		"many open": {0, 1_000_000, checkOK, checkFinding},
	} {
		t.Run(name, func(t *testing.T) {
			s := accesstest.OpenStore(t, store.Options{
				Driver: store.MySQL, DSN: accesstest.MySQL(t), MaxOpenConns: 4, Clock: func() time.Time { return time.Now().Add(tc.off) },
			})
			d := &doctor{store: s}
			cfg := config.Default()
			cfg.Store.MaxOpenConns = tc.open
			d.host(t.Context(), cfg)
			if c := only(t, d, "clock"); c.Result != tc.clock || (c.Next == "") != (tc.clock == checkOK) {
				t.Errorf("%+v", c)
			}
			if c := only(t, d, "connections"); c.Result != tc.connections || (c.Next == "") != (tc.connections == checkOK) {
				t.Errorf("%+v", c)
			}
		})
	}
}

// TestDoctor_redis: one that answers, one that is not there, and one that could
// not be used for want of a secret.
func TestDoctor_redis(t *testing.T) {
	secret := strings.Repeat("x", 32)
	for name, tc := range map[string]struct {
		cfg  config.Redis
		want string
	}{
		"answers":   {config.Redis{Addresses: []string{accesstest.Redis(t)}, Secret: secret}, checkOK},
		"not there": {config.Redis{Addresses: []string{"127.0.0.1:1"}, Secret: secret}, checkFinding},
		"no secret": {config.Redis{Addresses: []string{accesstest.Redis(t)}}, checkFinding},
	} {
		t.Run(name, func(t *testing.T) {
			d := &doctor{}
			d.redis(t.Context(), tc.cfg)
			if c := only(t, d, "redis"); c.Result != tc.want {
				t.Errorf("%+v", c)
			}
		})
	}
	d := &doctor{}
	if d.redis(t.Context(), config.Redis{}); len(d.found.Checks) != 0 {
		t.Errorf("nothing is configured: %+v", d.found)
	}
}

// TestDoctor_due: rules that have begun by the clock and that nobody has swept are
// told apart from rules that differ.
func TestDoctor_due(t *testing.T) {
	at := time.Now().Add(-time.Hour)
	s := accesstest.OpenStore(t, store.Options{Driver: store.SQLite, DSN: filepath.Join(t.TempDir(), "b.db"), Clock: func() time.Time { return at }})
	begins := time.Now().Add(-time.Minute).Truncate(time.Second)
	p := &access.Policy{
		Tenant: "default", Catalogue: []access.Application{{Code: "crm", Sections: []access.SectionEntry{{Path: "System"}}}},
		Roles: []access.Role{{Code: "r", Grants: []access.Grant{{Section: "System", Rights: access.Show, Validity: access.Validity{From: begins}}}}},
	}
	if _, err := s.Apply(t.Context(), p, access.Change{Base: access.AnyRevision, Author: "tester"}); err != nil {
		t.Fatal(err)
	}
	look := func() *doctor {
		d := &doctor{cli: &cli{err: io.Discard}, store: s, rules: 100, questions: 20, limit: time.Hour}
		d.policy(t.Context(), "default")
		return d
	}
	d := look()
	if c := only(t, d, "casbin"); c.Result != checkFinding || !strings.Contains(c.What, "1 rule has begun or ended") {
		t.Errorf("%+v", c)
	}
	if c := only(t, d, "answers"); c.Result != checkOK {
		t.Errorf("%+v", c)
	}
	if _, err := s.Expire(t.Context(), "default", time.Now()); err != nil {
		t.Fatal(err)
	}
	if d := look(); d.found.Findings != 0 {
		t.Errorf("%+v", d.found)
	}
}

// TestDoctor_unlike: rules that are more, fewer, others or elsewhere.
func TestDoctor_unlike(t *testing.T) {
	f := oracle.Sample(50)
	f.Rules = append(f.Rules, access.Rule{Type: "p", Values: []string{"ended"}, Validity: access.Validity{Until: time.Now().Add(-time.Hour)}})
	rules := f.Rules[:len(f.Rules)-1]
	other := slices.Clone(rules)
	other[3] = access.Rule{Type: "p", Values: []string{"other"}}
	swapped := slices.Clone(rules)
	swapped[1], swapped[2] = swapped[2], swapped[1]
	for name, tc := range map[string]struct {
		theirs []access.Rule
		alike  bool
	}{
		"alike": {rules, true}, "fewer": {rules[1:], false}, "more": {f.Rules, false}, "other": {other, false}, "elsewhere": {swapped, false},
	} {
		if what := unlike(&f, tc.theirs, time.Now()); (what == "") != tc.alike {
			t.Errorf("%s: %q", name, what)
		}
	}
}

// TestDoctor_answers: an engine that answers otherwise than stock Casbin is found.
func TestDoctor_answers(t *testing.T) {
	f := oracle.Sample(200)
	stock, err := oracle.New(f, nil)
	if err != nil {
		t.Fatal(err)
	}
	wrong := f
	wrong.Rules = slices.Clone(f.Rules)
	for i, r := range wrong.Rules {
		if r.Type == "p" && i > 0 {
			values := slices.Clone(r.Values)
			values[4] = "deny"
			wrong.Rules[i].Values = values
		}
	}
	for name, tc := range map[string]struct {
		facts access.Facts
		want  string
	}{"right": {f, checkOK}, "wrong": {wrong, checkFinding}} {
		ours, err := engine.Compile(tc.facts)
		if err != nil {
			t.Fatal(err)
		}
		d := &doctor{cli: &cli{err: io.Discard}, questions: 100, limit: time.Hour}
		d.answers(t.Context(), &f, ours, stock, time.Now())
		if c := only(t, d, "answers"); c.Result != tc.want {
			t.Errorf("%s: %+v", name, c)
		}
	}
	d := &doctor{cli: &cli{err: io.Discard}, questions: 100, limit: time.Hour}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d.answers(ctx, &f, nil, stock, time.Now())
	if c := only(t, d, "answers"); c.Result != checkSkipped {
		t.Errorf("interrupted: %+v", c)
	}
}
