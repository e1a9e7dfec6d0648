package service_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/engine"
	"github.com/bailiwick/bailiwick/internal/service"
)

// SearchActions answers like Decide.
func (e *installed) SearchActions(ctx context.Context, tenant string, r *access.Request) (access.Menu, error) {
	d, err := e.Decide(ctx, tenant, r)
	return access.Menu{Revision: d.Revision}, err
}

// SearchSections answers like Decide.
func (e *installed) SearchSections(ctx context.Context, tenant string, r *access.Request) (access.Menu, error) {
	return e.SearchActions(ctx, tenant, r)
}

// SearchSubjects answers like Decide.
func (e *installed) SearchSubjects(ctx context.Context, tenant string, s *access.SubjectSearch) (access.Holders, error) {
	d, err := e.Decide(ctx, tenant, &s.Request)
	return access.Holders{Revision: d.Revision}, err
}

// searchable is a rig with the real engine and a tenant in which users 00 to 29
// may see T.
type searchable struct {
	*rig
	snapshots *engine.Engine
}

func newSearchable(t *testing.T) *searchable {
	t.Helper()
	s := &searchable{rig: newRig(), snapshots: engine.New(engine.Options{})}
	s.decisions = service.NewDecisions(s.snapshots, s.follower, nil)
	if err := s.follower.Poll(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.put(t, "crm", 1)
	return s
}

func (s *searchable) put(t *testing.T, tenant string, revision access.Revision) {
	t.Helper()
	p := access.Policy{
		Tenant: tenant, Catalogue: []access.Application{{Code: "a", Sections: []access.SectionEntry{{Path: "T"}, {Path: "U"}}}},
		Roles: []access.Role{{Code: "r", Grants: []access.Grant{{Section: "T", Rights: access.Show}, {Section: "U", Rights: access.Show}}}},
	}
	for i := range 30 {
		p.Users = append(p.Users, access.User{ID: fmt.Sprintf("%02d", i), Roles: []access.Link{{To: "r"}}})
	}
	facts := p.Facts()
	facts.Revision = revision
	snapshot, err := engine.Compile(facts)
	if err != nil {
		t.Fatal(err)
	}
	s.snapshots.Install(snapshot)
}

var (
	reader  = access.Caller{Name: "key:crm", Tenant: "crm", May: access.KeyRead}
	seesT   = access.Request{Section: "T", Actions: []access.Action{"show"}}
	anybody = access.Caller{Name: "key:all", Tenant: access.AllTenants, May: access.KeyRead}
)

func (s *searchable) page(t *testing.T, r access.Request, p service.Page) (access.Holders, string, error) {
	t.Helper()
	return s.decisions.SearchSubjects(t.Context(), reader, "crm", &r, "", p, access.Consistency{})
}

// TestSearchSubjects_pages: pages of any size make the same whole, and the size
// may change on the way.
func TestSearchSubjects_pages(t *testing.T) {
	s := newSearchable(t)
	all := func(sizes ...int) string {
		var found []access.Subject
		p := service.Page{}
		for i := 0; ; i++ {
			p.Size = sizes[min(i, len(sizes)-1)]
			part, next, err := s.page(t, seesT, p)
			if err != nil || part.More != (next != "") {
				t.Fatalf("sizes %v: %v, next %q", sizes, err, next)
			}
			found = append(found, part.Subjects...)
			if p.Token = next; next == "" {
				return fmt.Sprint(found)
			}
		}
	}
	whole := all(1000)
	if strings.Count(whole, "user:") != 30 {
		t.Fatalf("found %s", whole)
	}
	for _, sizes := range [][]int{{0}, {1}, {5}, {16}, {30}, {100}, {1, 7, 3}} {
		if got := all(sizes...); got != whole {
			t.Errorf("sizes %v: %s", sizes, got)
		}
	}
}

// TestSearchSubjects_pageSize: 1 to 1000; beyond that it is refused, not cut.
func TestSearchSubjects_pageSize(t *testing.T) {
	s := newSearchable(t)
	for size, good := range map[int]bool{-1: false, 1: true, 1000: true, 1001: false} {
		_, _, err := s.page(t, seesT, service.Page{Size: size})
		if good != (err == nil) || err != nil && err.Error() != "page_size: must be 1 to 1000" {
			t.Errorf("%d: %v", size, err)
		}
	}
}

// TestSearchSubjects_token: a token is good for the search and the tenant that
// it came from, and not a bit of it can be changed.
func TestSearchSubjects_token(t *testing.T) {
	s := newSearchable(t)
	s.put(t, "shop", 1)
	_, token, err := s.page(t, seesT, service.Page{Size: 5})
	if err != nil || token == "" {
		t.Fatal(token, err)
	}
	refused := func(name string, err error) {
		t.Helper()
		if !errors.Is(err, access.ErrInvalid) || !strings.Contains(err.Error(), "page_token: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, r := range map[string]access.Request{
		"another section": {Section: "U", Actions: seesT.Actions},
		"another action":  {Section: "T", Actions: []access.Action{"update"}},
		"another scope":   {Section: "T", Actions: seesT.Actions, Scope: access.Everywhere},
		"an entity":       {Section: "T", Actions: seesT.Actions, Entity: access.Entity{ID: "1"}},
		"a context":       {Section: "T", Actions: seesT.Actions, Context: map[string]any{"a": 1.0}},
		"attributes":      {Section: "T", Actions: seesT.Actions, ResourceAttributes: map[string]any{"a": 1.0}},
	} {
		_, _, err := s.page(t, r, service.Page{Token: token})
		refused(name, err)
	}
	_, _, err = s.decisions.SearchSubjects(t.Context(), reader, "crm", &seesT, "user", service.Page{Token: token}, access.Consistency{})
	refused("another type", err)
	_, _, err = s.decisions.SearchSubjects(t.Context(), anybody, "shop", &seesT, "", service.Page{Token: token}, access.Consistency{})
	refused("another tenant", err)

	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for bit := range 8 {
			raw[i] ^= 1 << bit
			_, _, err := s.page(t, seesT, service.Page{Token: base64.RawURLEncoding.EncodeToString(raw)})
			refused(fmt.Sprintf("bit %d of byte %d", bit, i), err)
			raw[i] ^= 1 << bit
		}
	}
	last := len(token) - 1
	for name, forged := range map[string]string{
		"written in another way": token[:last] + string(token[last]+1), // its last bits stand for nothing
		"cut":                    token[:len(token)-2], "longer": token + "AA", "short": "AAAA", "padded": token + "=", "not base64": "!", "zeroes": strings.Repeat("A", 64),
	} {
		_, _, err := s.page(t, seesT, service.Page{Token: forged})
		refused(name, err)
	}
	if part, _, err := s.page(t, seesT, service.Page{Token: token, Size: 1}); err != nil || fmt.Sprint(part.Subjects) != "[user:05]" {
		t.Errorf("the token itself: %v, %v", part.Subjects, err)
	}
}

// TestSearchSubjects_stale: after a change the pages would not fit together.
func TestSearchSubjects_stale(t *testing.T) {
	s := newSearchable(t)
	_, token, err := s.page(t, seesT, service.Page{Size: 5})
	if err != nil {
		t.Fatal(err)
	}
	s.put(t, "crm", 2)
	part, next, err := s.page(t, seesT, service.Page{Token: token})
	if !errors.Is(err, access.ErrStale) || next != "" || part.Subjects != nil {
		t.Errorf("got %v, %q, %v", part.Subjects, next, err)
	}
	if want := "page_token: comes from revision 1, and revision 2 is in force now; begin again without it"; err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

// TestSearches_callers: a key that asks may search what one subject may do;
// listing people needs a key that reads. No search is made on stale facts.
func TestSearches_callers(t *testing.T) {
	s := newSearchable(t)
	one := access.Request{Subject: access.Subject{Kind: access.KindUser, ID: "01"}, Section: "T", Actions: seesT.Actions}
	search := func(caller access.Caller, tenant string) [3]error {
		_, a := s.decisions.SearchActions(t.Context(), caller, tenant, &one, access.Consistency{})
		_, b := s.decisions.SearchSections(t.Context(), caller, tenant, &one, access.Consistency{})
		_, _, c := s.decisions.SearchSubjects(t.Context(), caller, tenant, &one, "", service.Page{}, access.Consistency{})
		return [3]error{a, b, c}
	}
	for name, c := range map[string]struct {
		caller access.Caller
		tenant string
		want   [3]error
	}{
		"decide":         {asker, "crm", [3]error{nil, nil, access.ErrForbidden}},
		"read":           {reader, "crm", [3]error{}},
		"elsewhere":      {reader, "shop", [3]error{access.ErrForbidden, access.ErrForbidden, access.ErrForbidden}},
		"nobody":         {access.Caller{Tenant: "crm"}, "crm", [3]error{access.ErrForbidden, access.ErrForbidden, access.ErrForbidden}},
		"unknown tenant": {anybody, "shop", [3]error{access.ErrNotFound, access.ErrNotFound, access.ErrNotFound}},
	} {
		for i, err := range search(c.caller, c.tenant) {
			if !errors.Is(err, c.want[i]) {
				t.Errorf("%s: search %d: %v", name, i, err)
			}
		}
	}
	s.tick(time.Minute)
	for i, err := range search(reader, "crm") {
		if !errors.Is(err, access.ErrUnavailable) {
			t.Errorf("stale: search %d: %v", i, err)
		}
	}
}
