package httpapi_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/bailiwick/bailiwick/api"
)

// libraryModel has two sets of definitions, the second of which reads attributes.
const libraryModel = `[request_definition]
r = sub, obj, act
r2 = sub, obj
[policy_definition]
p = sub, obj, act
p2 = rule, obj
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow))
[matchers]
m = r.sub == p.sub && r.act == p.act && g(r.obj, p.obj)
m2 = r2.obj == p2.obj && eval(p2.rule)
`

// TestEnforce_ownModel: a tenant with a Casbin model of its own is asked as by
// the command line, with objects for attributes and the number of the set of
// definitions; what would not be heeded is refused.
func TestEnforce_ownModel(t *testing.T) {
	h := newHouse(t)
	h.load("library", files(map[string]string{
		"bundle.yaml": "apiVersion: bailiwick/v1\nkind: Bundle\ntenant: library\nfunctions: {roles: {g: keyMatch2}, eval: true}\n",
		"model.conf":  libraryModel,
		"policy.csv":  "p, alice, books, read\ng, /books/:id, books\np2, r2.sub.Age >= 18, reading-room\n",
	}))
	for name, tc := range map[string]struct{ body, want string }{
		"a pattern of roles":   {`{"request":["alice","/books/17","read"]}`, "granted_by p, alice, books, read"},
		"no such book":         {`{"request":["alice","/films/17","read"]}`, "no_grant "},
		"attributes allow":     {`{"request":[{"Age":20},"reading-room"],"context_set":"2"}`, "granted_by p2, r2.sub.Age >= 18, reading-room"},
		"attributes deny":      {`{"request":[{"Age":12},"reading-room"],"context_set":"2"}`, "no_grant "},
		"no such attribute":    {`{"request":[{},"reading-room"],"context_set":"2"}`, "no_grant "},
		"the wrong set":        {`{"request":["alice","/books/17","read"],"context_set":"2"}`, "request"},
		"no such set":          {`{"request":["alice","/books/17","read"],"context_set":"3"}`, "context_set"},
		"a set without values": {`{"subject":"user:alice","action":"read","section":"books","context_set":"2"}`, "context_set"},
		"a set that is a number": {
			`{"request":["alice","/books/17","read"],"context_set":2}`, "context_set",
		},
		"attributes beside it": {`{"request":["alice","/books/17","read"],"context":{"ip":"10.0.0.1"}}`, "request"},
	} {
		t.Run(name, func(t *testing.T) {
			w := h.send(http.MethodPost, "/t/library/v1/enforce", h.root, tc.body)
			if w.Code != http.StatusOK {
				if p := h.wantProblem(w, 400, "invalid"); p.Details[0].Field != tc.want {
					t.Errorf("got %+v, want a mistake in %s", p, tc.want)
				}
				return
			}
			var d api.Decision
			if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil {
				t.Fatal(err)
			}
			got := d.Reason + " "
			if d.Rule != nil {
				got += d.Rule.Line
			}
			if got != tc.want || d.Allowed != (d.Reason == "granted_by") {
				t.Errorf("got %s, want %q", w.Body, tc.want)
			}
		})
	}
	w := h.send(http.MethodPost, "/t/default/v1/enforce", h.root, `{"request":["alice","store:eu-1","System.Orders","show"],"context_set":"2"}`)
	if p := h.wantProblem(w, 400, "invalid"); p.Details[0].Field != "context_set" {
		t.Errorf("under the built-in model: %+v", p)
	}
}
