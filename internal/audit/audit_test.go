package audit_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/audit"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// shelf is a sink that can be held, and that fails as often as it is told to.
type shelf struct {
	mu    sync.Mutex
	kept  []access.Recorded
	fails int
	hold  chan struct{} // nil: it does not wait
	begun chan struct{} // one for each attempt; nil: nobody listens
}

func (*shelf) Name() string { return "shelf" }

func (s *shelf) Write(_ context.Context, batch []access.Recorded) error {
	if s.begun != nil {
		s.begun <- struct{}{}
	}
	if s.hold != nil {
		<-s.hold
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails > 0 {
		s.fails--
		return errors.New("the shelf is full")
	}
	s.kept = append(s.kept, batch...)
	return nil
}

func (*shelf) Tend(context.Context) error { return nil }
func (*shelf) Close() error               { return nil }

func answer(id string) []access.Recorded {
	return []access.Recorded{{At: noon, Tenant: "crm", Caller: "key:crm", Request: access.Request{
		Subject: access.Subject{Kind: access.KindUser, ID: id}, Actions: []access.Action{"show"}, Section: "S.A",
	}, Decision: access.Decision{Reason: access.ReasonNoGrant, Revision: 3}}}
}

// TestLog_keepsAll: everything that was recorded is in the sink when the log has
// been closed, in its order, with an id.
func TestLog_keepsAll(t *testing.T) {
	s := &shelf{}
	l := audit.New(audit.Options{Sinks: []audit.Sink{s}})
	for i := range 3000 {
		if err := l.Record(t.Context(), answer(string(rune('a'+i%26)))); err != nil {
			t.Fatal(err)
		}
		for l.Stats().Waiting > 2000 {
			time.Sleep(time.Millisecond) // the sink is behind
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if len(s.kept) != 3000 || l.Stats().Recorded != 3000 {
		t.Fatalf("%d were kept, and counted %+v", len(s.kept), l.Stats())
	}
	ids := map[string]bool{}
	for i := range s.kept {
		if ids[s.kept[i].ID] = true; s.kept[i].Request.Subject.ID != string(rune('a'+i%26)) {
			t.Fatalf("number %d is about %q", i, s.kept[i].Request.Subject.ID)
		}
	}
	if len(ids) != 3000 {
		t.Errorf("there are %d ids", len(ids))
	}
	if err := l.Record(t.Context(), answer("late")); err != nil || l.Stats().Lost != 1 {
		t.Errorf("what comes after the end is lost, and counted: %v, %+v", err, l.Stats())
	}
}

// TestLog_losesAndCounts: a sink that hangs holds nobody up. What finds no room is
// lost, counted and shown (A4).
func TestLog_losesAndCounts(t *testing.T) {
	s := &shelf{hold: make(chan struct{}), begun: make(chan struct{}, 1000)}
	l := audit.New(audit.Options{Sinks: []audit.Sink{s}, Queue: 10, Clock: func() time.Time { return noon }})
	if trouble := l.Trouble(); trouble != nil {
		t.Errorf("nothing is wrong yet: %q", trouble)
	}
	for range 25 {
		if err := l.Record(t.Context(), answer("1")); err != nil {
			t.Fatal(err)
		}
	}
	if got := l.Stats(); got.Lost != 15 || got.Waiting != 10 {
		t.Errorf("ten wait and fifteen are lost: %+v", got)
	}
	if trouble := l.Trouble(); len(trouble) != 1 || !strings.Contains(trouble[0], "15 decisions are missing") {
		t.Errorf("it says %q", trouble)
	}
	close(s.hold)
	if err := l.Close(); err != nil || len(s.kept) != 10 {
		t.Errorf("%d were kept, %v", len(s.kept), err)
	}
}

// TestLog_triesAgain: a sink that fails now and then loses nothing.
func TestLog_triesAgain(t *testing.T) {
	s := &shelf{fails: 2, begun: make(chan struct{}, 10)}
	l := audit.New(audit.Options{Sinks: []audit.Sink{s}})
	_ = l.Record(t.Context(), answer("1"))
	for range 3 {
		<-s.begun
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	got := l.Stats().Sinks[0]
	if len(s.kept) != 1 || got.Failures != 2 || got.Lost != 0 || got.Written != 1 || l.Trouble() != nil {
		t.Errorf("kept %d, counted %+v, trouble %q", len(s.kept), got, l.Trouble())
	}
}

// TestLog_givesUp: when the log ends, a sink that fails is not waited for.
func TestLog_givesUp(t *testing.T) {
	s := &shelf{fails: 1 << 30, begun: make(chan struct{}, 100)}
	l := audit.New(audit.Options{Sinks: []audit.Sink{s}, Clock: func() time.Time { return noon }})
	_ = l.Record(t.Context(), answer("1"))
	<-s.begun
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := l.Stats(); got.Sinks[0].Lost != 1 || got.Recorded != 0 || len(l.Trouble()) != 2 {
		t.Errorf("%+v, %q", got, l.Trouble())
	}
}

// TestStrict: no log, no decision (A4).
func TestStrict(t *testing.T) {
	t.Run("it waits until the answer is kept", func(t *testing.T) {
		s := &shelf{}
		l := audit.New(audit.Options{Sinks: []audit.Sink{s}, Strict: true})
		defer l.Close()
		for range 50 {
			if err := l.Record(t.Context(), answer("1")); err != nil {
				t.Fatal(err)
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.kept) != 50 {
			t.Errorf("%d were kept when the last one was acknowledged", len(s.kept))
		}
	})
	t.Run("what fails is refused", func(t *testing.T) {
		good, bad := &shelf{}, &shelf{fails: 1}
		l := audit.New(audit.Options{Sinks: []audit.Sink{good, bad}, Strict: true})
		defer l.Close()
		if err := l.Record(t.Context(), answer("1")); !errors.Is(err, access.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
		if err := l.Record(t.Context(), answer("1")); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		if got := l.Stats(); got.Recorded != 1 || got.Sinks[1].Lost != 1 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("what takes too long is refused", func(t *testing.T) {
		s := &shelf{hold: make(chan struct{})}
		l := audit.New(audit.Options{Sinks: []audit.Sink{s}, Strict: true, Wait: time.Millisecond})
		if err := l.Record(t.Context(), answer("1")); !errors.Is(err, access.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.Record(ctx, answer("1")); err == nil {
			t.Error("nobody waits for it any more, and it is acknowledged")
		}
		close(s.hold)
		_ = l.Close()
	})
	t.Run("what finds no room is refused", func(t *testing.T) {
		s := &shelf{hold: make(chan struct{})}
		l := audit.New(audit.Options{Sinks: []audit.Sink{s}, Strict: true, Queue: 1, Wait: time.Hour})
		first := make(chan error)
		go func() { first <- l.Record(t.Context(), answer("1")) }()
		for l.Stats().Waiting == 0 {
			time.Sleep(time.Millisecond)
		}
		if err := l.Record(t.Context(), answer("2")); !errors.Is(err, access.ErrUnavailable) {
			t.Errorf("got %v", err)
		}
		close(s.hold)
		if err := <-first; err != nil {
			t.Error(err)
		}
		_ = l.Close()
	})
}

func TestSample(t *testing.T) {
	sample, err := audit.ParseSample("decisions.sample", []string{
		"1 tenant=crm section=S.Kept", "0 section=S.Kept", "0 outcome=allow", "0 reason=no_grant", "0.5 section=S.Half",
	})
	if err != nil {
		t.Fatal(err)
	}
	l := audit.New(audit.Options{Sample: sample})
	defer l.Close()
	deny := access.Decision{Reason: access.ReasonDeniedBy}
	for name, tc := range map[string]struct {
		tenant, section string
		d               access.Decision
		want            bool
	}{
		"the first rule counts":            {"crm", "S.Kept.Below", access.Decision{Allowed: true}, true},
		"of another tenant":                {"erp", "S.Kept", deny, false},
		"a section is not what looks so":   {"erp", "S.Keptx", deny, true},
		"by outcome":                       {"erp", "S", access.Decision{Allowed: true, Reason: access.ReasonGrantedBy}, false},
		"by reason":                        {"erp", "S", access.Decision{Reason: access.ReasonNoGrant}, false},
		"what matches none is kept":        {"erp", "S", deny, true},
		"exports are kept whatever is set": {"erp", "S.Kept.Export", access.Decision{Allowed: true}, true}, // Req 18
	} {
		t.Run(name, func(t *testing.T) {
			if got := l.Wants(tc.tenant, &access.Request{Section: access.Section(tc.section)}, tc.d.Allowed, tc.d.Reason); got != tc.want {
				t.Errorf("got %v", got)
			}
		})
	}
	n := 0
	for range 4000 {
		if l.Wants("erp", &access.Request{Section: "S.Half"}, false, access.ReasonDeniedBy) {
			n++
		}
	}
	if n < 1600 || n > 2400 { // twelve standard deviations
		t.Errorf("%d of 4000 were half", n)
	}
	if l.Stats().LeftOut == 0 {
		t.Error("what is left out is not counted")
	}
}

func TestParseSample_mistakes(t *testing.T) {
	for _, text := range []string{"", "x", "-0.1", "1.1", "NaN", "0.1 outcome=maybe", "0.1 section=", "0.1 tenant=A B", "0.1 subject=1", "0.1 reason="} {
		if _, err := audit.ParseSample("decisions.sample", []string{text}); !errors.Is(err, access.ErrInvalid) || !strings.HasPrefix(err.Error(), "decisions.sample") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

var maskKey = []byte(strings.Repeat("k", 32))

// masked records one answer and gives it as it was kept.
func masked(t *testing.T, m audit.Mask, r access.Recorded) access.Recorded {
	t.Helper()
	s := &shelf{}
	l := audit.New(audit.Options{Sinks: []audit.Sink{s}, Mask: m})
	_ = l.Record(t.Context(), []access.Recorded{r})
	if err := l.Close(); err != nil || len(s.kept) != 1 {
		t.Fatalf("%d, %v", len(s.kept), err)
	}
	return s.kept[0]
}

func TestMask_subjects(t *testing.T) {
	m := audit.Mask{Key: maskKey, Subjects: true}
	r := answer("anna")[0]
	r.Caller = "user:anna"
	r.Decision.Rule = &access.Rule{Type: "p", Values: []string{"u:anna", "*", "S.A", "show", "deny", "-"}}
	shared := r.Decision.Rule
	got := masked(t, m, r)
	line, err := json.Marshal(got)
	if err != nil || strings.Contains(string(line), "anna") {
		t.Errorf("%s, %v", line, err)
	}
	if shared.Values[0] != "u:anna" {
		t.Error("a rule that decides was changed")
	}
	if want := m.Subject("user:anna"); got.Request.Subject.String() != want || m.Subject(want) != want {
		t.Errorf("searched for as %q, and kept as %q", want, got.Request.Subject)
	}
	if got.Replayable() {
		t.Error("a masked answer says that it can be replayed")
	}
	if m.Subject("app:shop") != "app:shop" || m.Subject("anonymous") != "anonymous" {
		t.Error("only users are masked")
	}
	other := audit.Mask{Key: []byte(strings.Repeat("x", 32)), Subjects: true}
	if other.Subject("user:anna") == m.Subject("user:anna") {
		t.Error("the mask does not depend on the key")
	}
	raw := access.Recorded{Request: access.Request{Raw: []any{"anna", "data"}}, Decision: access.Decision{
		Rule: &access.Rule{Type: "p", Values: []string{"anna", "data"}},
	}}
	if line, _ := json.Marshal(masked(t, m, raw)); strings.Contains(string(line), "anna") {
		t.Errorf("under a model of one's own: %s", line)
	}
}

func TestMask_fields(t *testing.T) {
	r := answer("1")[0]
	r.Request.Entity = access.Entity{Type: "order", ID: "17"}
	r.Request.Context = map[string]any{"ip": "10.0.0.1", "hour": 12.0, "note": "x"}
	r.Request.ResourceAttributes = map[string]any{"owner": "anna"}
	r.Request.SubjectAttributes = map[string]any{"mail": "a@example.com"}
	got := masked(t, audit.Mask{Key: maskKey, Hashed: []string{"context.ip", "resource.id", "resource.*"}, Dropped: []string{"context.note", "subject.*"}}, r)
	want := []string{"context.ip", "context.note", "resource.id", "resource.owner", "subject.mail"}
	if !slices.Equal(got.Masked, want) {
		t.Errorf("masked is %q, want %q", got.Masked, want)
	}
	line, _ := json.Marshal(got)
	for _, canary := range []string{"10.0.0.1", "\"17\"", "anna", "a@example.com", "\"x\""} {
		if strings.Contains(string(line), canary) {
			t.Errorf("%s is in %s", canary, line)
		}
	}
	if got.Request.Context["hour"] != 12.0 {
		t.Errorf("what is not named is kept: %v", got.Request.Context)
	}
}

// TestMask_secretsNever: whatever is set, what sounds or looks like a secret is
// in no entry (A4).
func TestMask_secretsNever(t *testing.T) {
	const canary = "canary-4711"
	r := answer("1")[0]
	r.Request.Context = map[string]any{
		"password": canary, "User-Token": canary, "deep": map[string]any{"client_secret": canary, "list": []any{map[string]any{"API-Key": canary}}},
		"header": "Bearer " + canary, "jwt": "eyJ" + canary + ".b.c", "key": "bw_" + strings.Repeat("a", 40) + canary, "pem": "-----BEGIN " + canary,
	}
	r.Request.SubjectAttributes = map[string]any{"Cookie": canary}
	r.Request.ResourceAttributes = map[string]any{"credentials": canary}
	r.Request.ActionAttributes = map[string]any{"x": []any{"bearer " + canary}}
	raw := access.Recorded{Request: access.Request{Raw: []any{"alice", map[string]any{"passwd": canary}, "Bearer " + canary}}}
	for _, e := range []access.Recorded{r, raw} {
		got := masked(t, audit.Mask{}, e)
		if line, _ := json.Marshal(got); strings.Contains(string(line), canary) {
			t.Errorf("%s", line)
		}
		if got.Replayable() {
			t.Error("it says that it can be replayed")
		}
	}
}

func TestMask_check(t *testing.T) {
	for name, m := range map[string]audit.Mask{
		"no key":         {Subjects: true},
		"a short key":    {Hashed: []string{"context.ip"}, Key: []byte("short")},
		"no such part":   {Dropped: []string{"header.x"}},
		"no name":        {Dropped: []string{"context"}},
		"an empty name":  {Dropped: []string{"context."}},
		"hashed unknown": {Hashed: []string{"ip"}, Key: maskKey},
	} {
		if err := m.Check("decisions.mask"); !errors.Is(err, access.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	fine := audit.Mask{Subjects: true, Hashed: []string{"context.*"}, Dropped: []string{"resource.id"}, Key: maskKey}
	if err := fine.Check("decisions.mask"); err != nil {
		t.Error(err)
	}
}
