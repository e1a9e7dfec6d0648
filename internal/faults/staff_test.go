package faults_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/access"
	"github.com/bailiwick/bailiwick/internal/bundle"
	"github.com/bailiwick/bailiwick/internal/engine"
)

// staff is a small policy that says at a glance who may what, so that tests
// know the right answer without asking: members of a group may show the orders
// while the group's role may.
type staff struct {
	in   [8]bool // which user is in the group
	role bool    // whether the role grants
}

func everybody() staff {
	s := staff{role: true}
	for i := range s.in {
		s.in[i] = true
	}
	return s
}

func (s staff) allows(user int) bool { return s.in[user] && s.role }

// policy writes it as files.
func (s staff) policy() api.Policy {
	var users strings.Builder
	users.WriteString("apiVersion: bailiwick/v1\nkind: Users\nusers:\n")
	for i, in := range s.in {
		groups := ""
		if in {
			groups = "staff"
		}
		fmt.Fprintf(&users, "  - {id: user-%d, email: user-%d@example.com, name: User %d, groups: [%s]}\n", i, i, i, groups)
	}
	right := "insert"
	if s.role {
		right = "show"
	}
	return api.Policy{Reason: "test", Files: map[string]string{
		"bundle.yaml":         "apiVersion: bailiwick/v1\nkind: Bundle\ntenant: default\nroot: Shop\n",
		"catalogue/shop.yaml": "apiVersion: bailiwick/v1\nkind: Application\ncode: shop\nname: Shop\nsections:\n  - {path: Shop.Orders, name: Orders}\n",
		"roles/clerk.yaml":    "apiVersion: bailiwick/v1\nkind: Role\ncode: clerk\nname: Clerk\ngrants:\n  - {section: Shop.Orders, rights: [" + right + "]}\n",
		"groups/staff.yaml":   "apiVersion: bailiwick/v1\nkind: Group\ncode: staff\nname: Staff\nroles: [clerk]\n",
		"users/staff.yaml":    users.String(),
	}}
}

// read gives it as the words have it.
func (s staff) read(t testing.TB) access.Policy {
	t.Helper()
	files := fstest.MapFS{}
	for path, text := range s.policy().Files {
		files[path] = &fstest.MapFile{Data: []byte(text)}
	}
	read, err := bundle.Read(files, bundle.Options{ModelOf: engine.ModelOf})
	if err != nil {
		t.Fatal(err)
	}
	return read.Policy
}

// write puts the policy into force through a replica.
func (r *replica) write(s staff) (api.PolicyLoaded, answer) {
	a := r.do(http.MethodPut, "/v1/tenants/default/policy", s.policy())
	var loaded api.PolicyLoaded
	if a.status == http.StatusOK {
		a.err = json.Unmarshal(a.body, &loaded)
	}
	return loaded, a
}

// mustWrite fails the test when the write is not acknowledged.
func (r *replica) mustWrite(s staff) uint64 {
	r.site.t.Helper()
	loaded, a := r.write(s)
	if a.status != http.StatusOK {
		r.site.t.Fatalf("write: %s", a)
	}
	return loaded.Revision
}

func question(user int) api.Request {
	return api.Request{Subject: fmt.Sprintf("user:user-%d", user), Section: "Shop.Orders", Action: api.Do("show")}
}

// check asks about one user.
func (r *replica) check(user int) (api.Decision, answer) { return r.checkAt(user, 0) }

// checkAt asks for an answer that is no older than a revision.
func (r *replica) checkAt(user int, revision uint64) (api.Decision, answer) {
	q := question(user)
	q.AtLeast = revision
	a := r.do(http.MethodPost, "/v1/enforce", q)
	var d api.Decision
	if a.status == http.StatusOK {
		a.err = json.Unmarshal(a.body, &d)
	}
	return d, a
}

// agrees asks about every user and compares with what the policy says.
func (r *replica) agrees(s staff) {
	r.site.t.Helper()
	r.agreesAt(s, 0)
}

// agreesAt is agrees for another replica than the one that wrote. Where that
// does not follow within the second that it has, it is asked again, as it says.
func (r *replica) agreesAt(s staff, revision uint64) {
	t := r.site.t
	t.Helper()
	for user := range s.in {
		d, a := r.checkAt(user, revision)
		for end := time.Now().Add(patience); a.code == "behind" && time.Now().Before(end); {
			d, a = r.checkAt(user, revision)
		}
		if a.status != http.StatusOK || a.err != nil {
			t.Errorf("user-%d: %s", user, a)
		} else if d.Allowed != s.allows(user) {
			t.Errorf("user-%d: allowed is %v at revision %d, and should not be", user, d.Allowed, d.Revision)
		}
	}
}
