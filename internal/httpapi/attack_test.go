package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/store"
)

// step is one request of an attack. The path is below the tenant's.
type step struct{ method, path, body string }

// attack is what somebody tries who manages users, groups and roles of the call
// centre everywhere, and wants to hold more, or to touch whoever does.
var attack = map[string]step{
	"rename the group of the superusers":      {"PATCH", "/groups/administrators", `{"name":"Mine"}`},
	"rename a group that holds more":          {"PATCH", "/groups/bosses", `{"name":"Mine"}`},
	"base the own group on a stronger one":    {"PATCH", "/groups/delegates", `{"base":"administrators"}`},
	"base a new group on a stronger one":      {"POST", "/groups", `{"code":"mine","name":"Mine","base":"administrators"}`},
	"a new group with the superuser's role":   {"POST", "/groups", `{"code":"mine","name":"Mine","roles":[{"role":"superuser"}]}`},
	"a new group with what is not held":       {"POST", "/groups", `{"code":"mine","name":"Mine","grants":[{"section":"Reports","crud":8,"scope":"team:a"}]}`},
	"a right of the own one, elsewhere":       {"POST", "/groups", `{"code":"mine","name":"Mine","grants":[{"section":"Reports","crud":2}]}`},
	"a right that is prohibited to oneself":   {"POST", "/groups", `{"code":"mine","name":"Mine","roles":[{"role":"handling","scope":"team:b"}]}`},
	"lose a prohibition":                      {"PUT", "/groups/delegates/rights", `{"grants":[{"section":"System.Access","crud":63}]}`},
	"all rights for the own group":            {"PATCH", "/groups/delegates", `{"grants":[{"section":"System","crud":63}]}`},
	"a right for another group":               {"PUT", "/groups/team-a/rights", `{"grants":[{"section":"Reports","crud":8}]}`},
	"a right for the own role":                {"PATCH", "/roles/handling", `{"grants":[{"section":"Reports","crud":32}]}`},
	"a new role that is stronger":             {"POST", "/roles", `{"code":"mine","name":"Mine","grants":[{"section":"System","crud":63}]}`},
	"join the superusers":                     {"POST", "/groups/administrators/members", `{"members":[{"user":"two"}]}`},
	"let another one join them":               {"POST", "/groups/administrators/members", `{"members":[{"user":"one"}]}`},
	"join them in a hundred years":            {"POST", "/groups/administrators/members", `{"members":[{"user":"one","from":"2126-01-01T00:00:00Z"}]}`},
	"put the superuser into the own group":    {"POST", "/groups/delegates/members", `{"members":[{"user":"root"}]}`},
	"throw the superuser out":                 {"DELETE", "/groups/administrators/members/root?move_to=newcomers", ""},
	"move him":                                {"POST", "/groups/administrators/members/move", `{"users":["root"],"move_to":"newcomers"}`},
	"delete the group of the superusers":      {"DELETE", "/groups/administrators?move_to=newcomers", ""},
	"the superuser's role for oneself":        {"POST", "/users/two/roles:add", `{"roles":[{"role":"superuser"}]}`},
	"a right for oneself":                     {"PUT", "/users/two/grants", `{"grants":[{"section":"System","crud":63}]}`},
	"the rights of the superuser":             {"POST", "/users:bulk", `{"operations":[{"op":"copy_rights","id":"two","from":"root"}]}`},
	"a new account that is stronger":          {"POST", "/users", `{"id":"mine","email":"mine@example.com","name":"Mine","groups":["administrators"]}`},
	"one by a table":                          {"POST", "/users:import", "id,email,name,groups\nmine,mine@example.com,Mine,administrators\n"},
	"another e-mail for the superuser":        {"PATCH", "/users/root", `{"email":"mine@example.com"}`},
	"another password for him":                {"PUT", "/users/root/password", `{"password":"` + firstPassword + `"}`},
	"take his second factor away":             {"POST", "/users/root/second-factor:reset", `{}`},
	"end his sessions":                        {"DELETE", "/users/root/sessions", ""},
	"switch him off":                          {"POST", "/users/root:deactivate", `{}`},
	"delete him":                              {"DELETE", "/users/root", ""},
	"a key that may do everything":            {"POST", "/keys", `{"kind":"admin","name":"mine"}`},
	"a policy in which he may do everything":  {"PUT", "/policy", `{"files":{"bundle.yaml":"apiVersion: bailiwick/v1\nkind: Bundle\ntenant: calls\n"}}`},
	"the state before he was bounded":         {"POST", "/revisions:rollback", `{"to":1,"reason":"mine"}`},
	"rules by which passwords can be guessed": {"PATCH", "/settings", `{"sign_in":{"failures":100}}`},
	"change another tenant":                   {"PATCH", "/../default/groups/readers", `{"name":"Mine"}`},
}

// delegates gives the call centre that administrator, and everybody an e-mail.
func delegates(t *testing.T, h *house) {
	t.Helper()
	staffed(t, h)
	decode[api.Group](t, h.admin(http.MethodPost, "/groups", `{"code":"delegates","name":"Delegates","base":"operators",
		"grants":[{"section":"System.Access.Users","crud":63},{"section":"System.Access.Groups","crud":63},{"section":"System.Access.Roles","crud":63},
			{"section":"Reports","crud":2,"scope":"team:a"},{"section":"Calls.Queue","rights":["accept"],"scope":"team:b","effect":"deny"}]}`))
	decode[api.DirectoryChanged](t, h.admin(http.MethodPost, "/groups/delegates/members", `{"members":[{"user":"two","first":true}]}`))
	decode[api.Group](t, h.admin(http.MethodPost, "/groups", `{"code":"bosses","name":"Bosses","grants":[{"section":"Reports","crud":62}]}`))
	for _, id := range []string{"root", "one", "two"} {
		decode[api.User](t, h.admin(http.MethodPatch, "/users/"+id, `{"email":"`+id+`@example.com","name":"`+id+`"}`))
	}
}

// Req 52, 74, 100: the same attack as TestDelegation_malicious and more, as it
// comes: through the door, by somebody who has signed in. Each step is refused and
// changes no table at all; what he may do still works after it.
func TestDelegation_overHTTP(t *testing.T) {
	onBoth(t, func(t *testing.T, o store.Options) {
		t.Helper()
		h := newHouseOn(t, o)
		delegates(t, h)
		two := h.signIn("calls", "two")
		before := h.footprint()
		for name, s := range attack {
			path, media := calls+s.path, "application/json"
			if other, elsewhere := strings.CutPrefix(s.path, "/../"); elsewhere {
				path = "/v1/tenants/" + other
			}
			if strings.Contains(path, ":import") {
				media = "text/csv"
			}
			w := h.as(two, s.method, path, s.body, media)
			if got := codeOf(w.Body.Bytes()); w.Code != http.StatusForbidden || got != "forbidden" {
				t.Errorf("%s: %d %s", name, w.Code, w.Body)
			}
		}
		for table, sum := range h.footprint() {
			if before[table] != sum {
				t.Errorf("the table %s has changed", table)
			}
		}
		for _, s := range []step{
			{"POST", "/groups", `{"code":"smaller","name":"Smaller","grants":[{"section":"Reports","crud":2,"scope":"team:a"}]}`},
			{"POST", "/groups/newcomers/members", `{"members":[{"user":"one"}]}`},
			{"PATCH", "/users/one", `{"name":"One"}`},
		} {
			if w := h.as(two, s.method, calls+s.path, s.body); w.Code/100 != 2 {
				t.Errorf("%s %s: %d %s", s.method, s.path, w.Code, w.Body)
			}
		}
	})
}

func codeOf(problem []byte) string {
	var p api.Problem
	_ = json.Unmarshal(problem, &p)
	return p.Code
}

// enter signs somebody in by a link, which costs no hashing.
func (h *house) enter(tenant, id string) actor {
	h.t.Helper()
	link, err := h.options.Accounts.SignInLink(context.Background(), rootCaller, tenant, id)
	h.must(err)
	page, err := url.Parse(link)
	h.must(err)
	fragment, err := url.ParseQuery(page.Fragment)
	h.must(err)
	token := fragment.Get("token")
	return h.signedIn(h.send(http.MethodPost, "/v1/tenants/"+tenant+"/sign-in-link", "", `{"token":"`+token+`"}`, "Origin", ownOrigin))
}

// againstOneAnother are ways in which a superuser makes another one none, and
// againstOneself are those in which he makes himself none. %s is who is meant.
var (
	againstOneAnother = []step{
		{"DELETE", "/groups/administrators/members/%s?move_to=newcomers", ""},
		{"POST", "/users/%s:deactivate", `{}`},
		{"DELETE", "/users/%s", ""},
		{"PATCH", "/users/%s", `{"groups":["newcomers"]}`},
		{"POST", "/users:bulk", `{"operations":[{"op":"move_group","id":"%s","from":"administrators","to":"newcomers"}]}`},
		{"POST", "/groups/administrators/members/move", `{"users":["%s"],"move_to":"newcomers"}`},
		{"POST", "/groups/administrators/members", `{"members":[{"user":"%s","until":"2126-01-01T00:00:00Z"}]}`},
		{"POST", "/users:bulk", `{"operations":[{"op":"deactivate","id":"%s"}]}`},
	}
	againstOneself = []step{
		{"PATCH", "/users/%s", `{"groups":["newcomers"]}`},
		{"DELETE", "/groups/administrators/members/%s?move_to=newcomers", ""},
		{"POST", "/users:bulk", `{"operations":[{"op":"move_group","id":"%s","from":"administrators","to":"newcomers"}]}`},
		{"POST", "/groups/administrators/members/move", `{"users":["%s"],"move_to":"newcomers"}`},
	}
)

// Req 48, 74: superusers who make one another none, or all themselves, at the same
// moment and by different doors, leave one. Whoever is too late is told why: he is
// no superuser any more (403), signed out (401), or the last one (409).
func TestSuperuser_raceOverHTTP(t *testing.T) {
	onBoth(t, func(t *testing.T, o store.Options) {
		t.Helper()
		h := newHouseOn(t, o)
		staffed(t, h)
		round := 0
		h.superusersRace(&round, 2, againstOneAnother, 1)
		h.superusersRace(&round, 5, againstOneAnother, 1)
		h.superusersRace(&round, 2, againstOneself, 0)
		h.superusersRace(&round, 5, againstOneself, 0)
	})
}

// superusersRace lets each of n superusers go for the one after him, or himself
// when next is 0. Two try every pair of ways; the more they are, the fewer rounds.
func (h *house) superusersRace(round *int, n int, ways []step, next int) {
	h.t.Helper()
	for first := 0; first < len(ways); first += n - 1 {
		*round++
		ids, actors := h.superusers(*round, n)
		answers := make([]string, n)
		var all sync.WaitGroup
		for i := range n {
			s := ways[(first+i)%len(ways)]
			whom := ids[(i+next)%n]
			named := strings.NewReplacer("%s", whom)
			all.Go(func() {
				w := h.as(actors[i], s.method, calls+named.Replace(s.path), named.Replace(s.body))
				answers[i] = fmt.Sprint(w.Code, " ", codeOf(w.Body.Bytes()))
			})
		}
		all.Wait()
		done := 0
		for i, got := range answers {
			switch {
			case got == "200 ":
				done++
			case !slices.Contains([]string{"403 forbidden", "401 signed_out", "401 unauthenticated", "409 conflict"}, got):
				h.t.Errorf("round %d, %s: got %s", *round, ids[i], got)
			}
		}
		left := decode[api.Users](h.t, h.admin(http.MethodGet, "/users?superuser=true&active=true", ""))
		if len(left.Users) == 0 || done == 0 || done > n-1 {
			h.t.Fatalf("round %d: %d are left after %q", *round, len(left.Users), answers)
		}
	}
}

// superusers makes n of them, the only ones there are.
func (h *house) superusers(round, n int) (ids []string, actors []actor) {
	h.t.Helper()
	before := decode[api.Members](h.t, h.admin(http.MethodGet, "/groups/administrators/members?page_size=100", ""))
	for i := range n {
		id := fmt.Sprintf("boss-%d-%d", round, i)
		decode[api.User](h.t, h.admin(http.MethodPost, "/users", `{"id":"`+id+`","email":"`+id+`@example.com","name":"Boss","groups":["administrators"]}`))
		ids, actors = append(ids, id), append(actors, h.enter("calls", id))
	}
	for _, m := range before.Members {
		decode[api.DirectoryChanged](h.t, h.admin(http.MethodDelete, "/groups/administrators/members/"+m.User+"?move_to=newcomers", ""))
	}
	return ids, actors
}
