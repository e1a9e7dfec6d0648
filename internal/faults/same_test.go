package faults_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/accesstest"
	"github.com/bailiwick/bailiwick/internal/engine"
)

// TestSame: the same questions between the same changes are answered in the
// same words by replicas that keep answers in Redis always, where it pays, or
// never; that have users in memory or ask for them; that have asked before or
// have just started.
func TestSame(t *testing.T) {
	t.Parallel()
	same(t, 10, 40)
}

// TestSoakSame is TestSame for long.
func TestSoakSame(t *testing.T) {
	soak(t)
	same(t, 1000, 100)
}

// same asks so many questions after each of so many changes.
func same(t *testing.T, changes, questions int) {
	t.Helper()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	s := newSite(t, onMySQL(accesstest.MySQL(t)))
	s.redis = accesstest.Redis(t)
	db := accesstest.OpenStore(t, s.store)
	first := s.start("--cache-redis-mode=off")
	replicas := map[string]*replica{
		"off":                      first,
		"auto":                     s.start("--cache-redis-mode=auto"),
		"always":                   s.start("--cache-redis-mode=always", "--cache-memory=0"),
		"always, asking for users": s.start("--cache-redis-mode=always", "--cache-memory=0", "--limits-resident-users=0"),
		"off, asking for users":    s.start("--cache-redis-mode=off", "--limits-resident-users=0"),
	}
	allowed, asked := 0, 0
	for i := range changes {
		p := answerable(random)
		d, err := db.Apply(t.Context(), p, access.Change{Base: access.AnyRevision, Author: "test"})
		if err != nil {
			t.Fatal(err)
		}
		revisions := map[string]uint64{"default": uint64(d.To), "own": first.load(t, "own", own(random, 40))}
		if i == changes/2 { // one that knows nothing of before
			replicas["cold"] = s.start("--cache-redis-mode=always")
		}
		for _, batch := range []struct {
			tenant    string
			questions []api.Request
		}{
			{"default", questionsAbout(random, p, questions)},
			{"own", ownQuestions(random, questions)},
		} {
			batch.questions[0].AtLeast = revisions[batch.tenant]
			want := first.batch(t, batch.tenant, batch.questions)
			for name, r := range replicas {
				for range 2 { // the second time from what the first has kept
					if got := r.batch(t, batch.tenant, batch.questions); !sameAnswers(t, name, batch.questions, got, want) {
						return
					}
				}
			}
			for _, w := range want {
				asked++
				if w.Allowed {
					allowed++
				}
			}
		}
	}
	t.Logf("%d questions, %d of them allowed, to %d replicas", asked, allowed, len(replicas))
	if allowed == 0 || allowed == asked {
		t.Error("all answers are the same: the questions show nothing")
	}
}

// answerable is a random policy of those that an engine takes.
func answerable(r *rand.Rand) *access.Policy {
	for {
		p := accesstest.RandomPolicy(r, access.DefaultTenant)
		if _, err := engine.Compile(p.Facts()); err == nil && p.Model == "" {
			return p
		}
	}
}

func sameAnswers(t *testing.T, name string, questions []api.Request, got, want []api.Decision) bool {
	t.Helper()
	for i := range want {
		a, _ := json.Marshal(got[i])
		b, _ := json.Marshal(want[i])
		if string(a) != string(b) {
			q, _ := json.Marshal(questions[i])
			t.Errorf("%s is answered by\n%s: %s\noff: %s", q, name, a, b)
			return false
		}
	}
	return true
}

func (r *replica) batch(t *testing.T, tenant string, questions []api.Request) []api.Decision {
	t.Helper()
	a := r.do(http.MethodPost, "/t/"+tenant+"/v1/enforce/batch", api.Batch{Requests: questions})
	var answers api.Decisions
	if a.status != http.StatusOK || json.Unmarshal(a.body, &answers) != nil || len(answers.Decisions) != len(questions) {
		t.Fatalf("batch: %s", a)
	}
	return answers.Decisions
}

func (r *replica) load(t *testing.T, tenant string, p api.Policy) uint64 {
	t.Helper()
	a := r.do(http.MethodPut, "/v1/tenants/"+tenant+"/policy", p)
	var loaded api.PolicyLoaded
	if a.status != http.StatusOK || json.Unmarshal(a.body, &loaded) != nil {
		t.Fatalf("load: %s", a)
	}
	return loaded.Revision
}

// questionsAbout asks about what a policy has, at random and mostly in vain.
func questionsAbout(r *rand.Rand, p *access.Policy, many int) []api.Request {
	var sections []string
	for _, a := range p.Catalogue {
		for _, s := range a.Sections {
			sections = append(sections, string(s.Path))
		}
	}
	subjects := []string{"anonymous", "user:nobody"}
	for _, u := range p.Users {
		subjects = append(subjects, "user:"+u.ID)
	}
	for _, a := range p.Catalogue {
		subjects = append(subjects, "app:"+a.Code)
	}
	scopes := []string{""}
	for _, s := range p.Scopes {
		scopes = append(scopes, string(s.Scope))
	}
	sections = append(sections, "System.Unknown")
	all := make([]api.Request, many)
	for i := range all {
		all[i] = api.Request{
			Subject: pick(r, subjects), Section: pick(r, sections), Scope: pick(r, scopes),
			Action:   api.Actions{Sum: []int64{2, 4, 8, 16, 32, 10, 62}[r.IntN(7)]},
			Resource: &api.Resource{Type: "order", ID: "1", Attributes: map[string]any{"amount": r.IntN(2000)}},
		}
	}
	return all
}

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

// own is a policy of so many rules in a Casbin model that must be interpreted.
func own(r *rand.Rand, many int) api.Policy {
	var rules strings.Builder
	for i := range many {
		fmt.Fprintf(&rules, "p, r%d, /shop/%d/%s, %s\n", r.IntN(4), i, pick(r, []string{"*", ":id", "orders"}), pick(r, []string{"GET", "POST"}))
	}
	for user := range 8 {
		fmt.Fprintf(&rules, "g, u%d, r%d\n", user, r.IntN(4))
	}
	return api.Policy{CreateTenant: true, Files: map[string]string{
		"bundle.yaml": "apiVersion: bailiwick/v1\nkind: Bundle\ntenant: own\n",
		"model.conf": `[request_definition]
r = sub, obj, act
[policy_definition]
p = sub, obj, act
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = g(r.sub, p.sub) && keyMatch2(r.obj, p.obj) && r.act == p.act
`,
		"rules.csv": rules.String(),
	}}
}

func ownQuestions(r *rand.Rand, many int) []api.Request {
	all := make([]api.Request, many)
	for i := range all {
		all[i].Request = []any{fmt.Sprint("u", r.IntN(9)), fmt.Sprintf("/shop/%d/%s", r.IntN(40), pick(r, []string{"orders", "1", "a/b"})), pick(r, []string{"GET", "POST"})}
	}
	return all
}
