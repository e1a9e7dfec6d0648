package store_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
)

// decisionsOf are n answers, a second apart, alternately allowed.
func decisionsOf(tenant string, n int) []access.Recorded {
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	sections := []access.Section{"S", "S.A", "S.A.B", "S.Ab"}
	all := make([]access.Recorded, n)
	for i := range all {
		at := began.Add(time.Duration(i) * time.Second)
		all[i] = access.Recorded{
			ID: access.RecordedID(at, [access.RecordedRandom]byte{byte(i >> 8), byte(i)}), At: at, Tenant: tenant, Caller: fmt.Sprintf("key:%d", i%3), RequestID: fmt.Sprintf("r-%d", i/2),
			Request:  access.Request{Subject: access.Subject{Kind: access.KindUser, ID: fmt.Sprint(i % 5)}, Actions: []access.Action{"show"}, Section: sections[i%4]},
			Decision: access.Decision{Allowed: i%2 == 0, Reason: access.ReasonNoGrant, Revision: access.Revision(i)},
		}
	}
	return all
}

func numbers(found []access.Recorded) []int {
	ns := make([]int, len(found))
	for i := range found {
		ns[i] = int(found[i].Decision.Revision)
	}
	return ns
}

func TestDecisions(t *testing.T) {
	onEach(t, func(d database) {
		s := accesstest.OpenStore(d.t, d.options)
		all := decisionsOf("crm", 40)
		must := func(err error) {
			d.t.Helper()
			if err != nil {
				d.t.Fatal(err)
			}
		}
		must(s.KeepDecisions(d.t.Context(), all[:30]))
		must(s.KeepDecisions(d.t.Context(), all[20:])) // as after an attempt of which nobody knew how it ended
		must(s.KeepDecisions(d.t.Context(), decisionsOf("erp", 3)))
		from := all[0].At
		for name, tc := range map[string]struct {
			q    access.RecordedSearch
			want []int
		}{
			"newest first":  {access.RecordedSearch{Most: 3}, []int{39, 38, 37}},
			"oldest first":  {access.RecordedSearch{Most: 3, Forward: true}, []int{0, 1, 2}},
			"after one":     {access.RecordedSearch{Most: 2, After: all[10].ID}, []int{9, 8}},
			"and forward":   {access.RecordedSearch{Most: 2, After: all[10].ID, Forward: true}, []int{11, 12}},
			"subject":       {access.RecordedSearch{Most: 3, Subject: "user:2"}, []int{37, 32, 27}},
			"no such one":   {access.RecordedSearch{Most: 3, Subject: "USER:2"}, nil},
			"section":       {access.RecordedSearch{Most: 5, Section: "S.A"}, []int{38, 37, 34, 33, 30}}, // and S.A.B, and not S.Ab
			"allowed":       {access.RecordedSearch{Most: 2, Allowed: new(true)}, []int{38, 36}},
			"denied":        {access.RecordedSearch{Most: 2, Allowed: new(false)}, []int{39, 37}},
			"reason":        {access.RecordedSearch{Most: 1, Reason: access.ReasonGrantedBy}, nil},
			"caller":        {access.RecordedSearch{Most: 2, Caller: "key:1"}, []int{37, 34}},
			"request":       {access.RecordedSearch{Most: 9, RequestID: "r-7"}, []int{15, 14}},
			"from":          {access.RecordedSearch{Most: 9, From: from.Add(37 * time.Second)}, []int{39, 38, 37}},
			"from a bit on": {access.RecordedSearch{Most: 9, From: from.Add(37*time.Second + time.Microsecond)}, []int{39, 38}},
			"until":         {access.RecordedSearch{Most: 2, Until: from.Add(5 * time.Second)}, []int{4, 3}},
			"all at once":   {access.RecordedSearch{Most: 9, Section: "S", Allowed: new(true), Caller: "key:0", Until: from.Add(20 * time.Second)}, []int{18, 12, 6, 0}},
		} {
			found, err := s.FindDecisions(d.t.Context(), "crm", tc.q)
			if err != nil || !slices.Equal(numbers(found), tc.want) {
				d.t.Errorf("%s: %v, %v; want %v", name, numbers(found), err, tc.want)
			}
		}
		one, err := s.Decision(d.t.Context(), "crm", all[7].ID)
		if err != nil || one.ID != all[7].ID || one.Request.Section != all[7].Request.Section {
			d.t.Errorf("%+v, %v", one, err)
		}
		if _, err := s.Decision(d.t.Context(), "default", all[7].ID); !errors.Is(err, access.ErrNotFound) {
			d.t.Errorf("another tenant's: %v", err)
		}
	})
}

// TestDecisions_odd: what was asked with need not be valid, and is kept all the
// same: it must not spoil the batch that it is in.
func TestDecisions_odd(t *testing.T) {
	onEach(t, func(d database) {
		s := accesstest.OpenStore(d.t, d.options)
		odd := decisionsOf("crm", 1)
		long := strings.Repeat("ü", 300)
		odd[0].Request.Subject.ID, odd[0].Request.Section, odd[0].RequestID, odd[0].Caller = long, access.Section(long), long, long
		if err := s.KeepDecisions(d.t.Context(), odd); err != nil {
			d.t.Fatal(err)
		}
		if one, err := s.Decision(d.t.Context(), "crm", odd[0].ID); err != nil || one.Request.Subject.ID != long {
			d.t.Errorf("%+v, %v", one, err)
		}
	})
}

func TestForgetDecisions(t *testing.T) {
	onEach(t, func(d database) {
		s := accesstest.OpenStore(d.t, d.options)
		all := decisionsOf("crm", 2500)
		if err := s.KeepDecisions(d.t.Context(), all); err != nil {
			d.t.Fatal(err)
		}
		forget := func(before time.Time, most int) (rounds int) {
			for {
				rounds++
				done, err := s.ForgetDecisions(d.t.Context(), before, most)
				if err != nil || rounds > 10 {
					d.t.Fatal(rounds, err)
				}
				if done {
					return rounds
				}
			}
		}
		left := func() []int {
			found, err := s.FindDecisions(d.t.Context(), "crm", access.RecordedSearch{Most: 5000, Forward: true})
			if err != nil {
				d.t.Fatal(err)
			}
			return numbers(found)
		}
		if forget(time.Time{}, 0); len(left()) != 2500 {
			d.t.Error("nothing is to be forgotten, and something was")
		}
		if rounds := forget(all[1200].At, 0); len(left()) != 1300 || left()[0] != 1200 || rounds < 2 {
			d.t.Errorf("by age: %d left, %d rounds", len(left()), rounds)
		}
		if forget(time.Time{}, 100); len(left()) != 100 || left()[0] != 2400 {
			d.t.Errorf("by number: %d left", len(left()))
		}
	})
}

// TestForgetDecisions_shares: a tenant that asks without end pushes out his own
// decisions alone, and what one leaves of his share the others have.
func TestForgetDecisions_shares(t *testing.T) {
	onEach(t, func(d database) {
		s := accesstest.OpenStore(d.t, d.options)
		keep := func(tenant string, many int) {
			if err := s.KeepDecisions(d.t.Context(), decisionsOf(tenant, many)); err != nil {
				d.t.Fatal(err)
			}
		}
		left := func(tenant string) int {
			found, err := s.FindDecisions(d.t.Context(), tenant, access.RecordedSearch{Most: 5000, Forward: true})
			if err != nil {
				d.t.Fatal(err)
			}
			return len(found)
		}
		keep("quiet", 30)
		keep("middling", 400)
		keep("noisy", 3000)
		for done := false; !done; {
			var err error
			if done, err = s.ForgetDecisions(d.t.Context(), time.Time{}, 1000); err != nil {
				d.t.Fatal(err)
			}
		}
		if quiet, middling, noisy := left("quiet"), left("middling"), left("noisy"); quiet != 30 || middling != 400 || noisy != 570 {
			d.t.Errorf("%d quiet, %d middling and %d noisy decisions are left", quiet, middling, noisy)
		}
		newest, err := s.FindDecisions(d.t.Context(), "noisy", access.RecordedSearch{Most: 1})
		if err != nil || numbers(newest)[0] != 2999 {
			d.t.Errorf("the newest is %v (%v)", numbers(newest), err)
		}
	})
}

// TestEpochAt: a revision belongs to the epoch in which it was made.
func TestEpochAt(t *testing.T) {
	onEach(t, func(d database) {
		s := accesstest.OpenStore(d.t, d.options)
		head := func() access.Head {
			heads, err := s.Heads(d.t.Context())
			if err != nil {
				d.t.Fatal(err)
			}
			return heads[access.DefaultTenant]
		}
		first := head()
		if err := s.RenewEpoch(d.t.Context(), access.DefaultTenant, access.Change{Base: access.AnyRevision, Author: "operator-1"}); err != nil {
			d.t.Fatal(err)
		}
		second := head()
		for revision, want := range map[access.Revision]string{first.Revision: first.Epoch, second.Revision: second.Epoch} {
			if got, err := s.EpochAt(d.t.Context(), access.DefaultTenant, revision); err != nil || got != want {
				d.t.Errorf("revision %d: %q, %v; want %q", revision, got, err, want)
			}
		}
	})
}
