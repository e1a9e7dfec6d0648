package store_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/store"
)

func TestArrange(t *testing.T) {
	const step = store.Step
	for name, tc := range map[string]struct{ had, want []int64 }{
		"nothing":                         {nil, []int64{}},
		"all new":                         {[]int64{0, 0}, []int64{step, 2 * step}},
		"all there":                       {[]int64{5, 7}, []int64{5, 7}},
		"one between":                     {[]int64{4, 0, 8}, []int64{4, 6, 8}},
		"two between":                     {[]int64{3, 0, 0, 9}, []int64{3, 5, 7, 9}},
		"one before":                      {[]int64{0, 8}, []int64{4, 8}},
		"one behind":                      {[]int64{8, 0}, []int64{8, 8 + step}},
		"the last has moved to the front": {[]int64{30, 10, 20}, []int64{5, 10, 20}},
		"no room between":                 {[]int64{4, 0, 5}, []int64{step, 2 * step, 3 * step}},
		"no room at the end":              {[]int64{math.MaxInt64 - 1, 0}, []int64{step, 2 * step}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := store.Arrange(tc.had); !slices.Equal(got, tc.want) {
				t.Errorf("arranged %d, want %d", got, tc.want)
			}
		})
	}
}

// TestArrange_random: numbers always rise, are positive, and as many stay as a
// slow count says can stay.
func TestArrange_random(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 2000 {
		had := make([]int64, r.IntN(9))
		for i, n := range r.Perm(20)[:len(had)] {
			if r.IntN(3) > 0 {
				had[i] = int64(n+1) * 1000
			}
		}
		got := store.Arrange(had)
		kept := 0
		for i := range got {
			if got[i] <= 0 || (i > 0 && got[i] <= got[i-1]) {
				t.Fatalf("%d of %d do not rise", got, had)
			}
			if got[i] == had[i] {
				kept++
			}
		}
		if want := longestRise(had, 0); kept != want {
			t.Fatalf("%d keeps %d of %d, want %d", got, kept, had, want)
		}
	}
}

// longestRise tries every choice.
func longestRise(numbers []int64, above int64) int {
	if len(numbers) == 0 {
		return 0
	}
	best := longestRise(numbers[1:], above)
	if numbers[0] > above {
		best = max(best, 1+longestRise(numbers[1:], numbers[0]))
	}
	return best
}

// TestApply_order: under a model of the tenant's own, where the order of lines may
// decide, lines that only change places make a revision, and the history tells it;
// under ours they make none.
func TestApply_order(t *testing.T) {
	onEach(t, func(d database) {
		s := accesstest.OpenStore(d.t, d.options)
		p := accesstest.StorePolicy(access.DefaultTenant)
		p.Users, p.Rules = nil, p.Rules[:2]
		for _, tc := range []struct {
			policy *access.Policy
			told   []string
		}{
			{p, nil},
			{&access.Policy{Tenant: access.DefaultTenant, Model: "[request_definition]\nr = sub, obj\n", Rules: []access.Rule{
				{Type: "p", Values: []string{"alice", "deny"}}, {Type: "p", Values: []string{"alice", "allow"}}, {Type: "p", Values: []string{"bob", "allow"}},
			}}, []string{"order"}},
		} {
			before := apply(d.t, s, tc.policy).Revision
			slices.Reverse(tc.policy.Rules[:2])
			after := apply(d.t, s, tc.policy)
			told, err := s.Operations(d.t.Context(), access.DefaultTenant, before, after.Revision)
			if err != nil || int(after.Revision-before) != len(tc.told) || len(told) != len(tc.told) || len(told) > 0 && told[0].Field != tc.told[0] {
				d.t.Errorf("from revision %d to %d: %v, %v", before, after.Revision, told, err)
			}
			for i, want := range tc.policy.Rules {
				if len(tc.told) > 0 && !after.Rules[i].Same(want) {
					d.t.Errorf("rule %d is %v, want %v", i, after.Rules[i], want)
				}
			}
		}
	})
}
