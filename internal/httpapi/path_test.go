package httpapi_test

import (
	"net/http"
	"net/url"
	"strconv"
	"testing"

	"github.com/bailiwick/bailiwick/api"
)

// Business systems choose the ids of accounts, so whatever an id may hold must be
// able to stand in a path, for the thing and for what is done to it.
func TestPath_names(t *testing.T) {
	h := staffHouse(t)
	for _, id := range []string{"a/b", "a%2fb", "one:activate", "with blank", "ä", "a?b#c", "a+b", `a\b`, "*"} {
		body := `{"id":` + strconv.Quote(id) + `,"email":` + strconv.Quote(url.QueryEscape(id)+"@example.com") + `,"name":"A"}`
		made := decode[api.User](t, h.admin(http.MethodPost, "/users", body))
		at := "/users/" + url.PathEscape(id)
		if u := decode[api.User](t, h.admin(http.MethodPost, at+":deactivate", `{}`)); u.ID != id || u.Status != "disabled" {
			t.Errorf("%q: %+v", id, u)
		}
		if u := decode[api.User](t, h.send(http.MethodGet, made.Link, h.root, "")); u.ID != id {
			t.Errorf("%q has the link %s, to %q", id, made.Link, u.ID)
		}
		decode[api.Permissions](t, h.admin(http.MethodGet, at+"/permissions", ""))
	}
	// A slash that belongs to a name does not part a path, nor does an escaped colon name an act.
	h.wantProblem(h.send(http.MethodGet, "/v1/tenants/calls%2Fusers", h.root, ""), 404, "path_unknown")
	h.wantProblem(h.admin(http.MethodPost, "/users/one%3Adeactivate", `{}`), 404, "path_unknown")
	if u := decode[api.User](t, h.admin(http.MethodGet, "/users/one", "")); u.Status != "active" {
		t.Errorf("an escaped colon was taken for an act: %+v", u)
	}
	for _, id := range []string{".", ".."} { // clients take them out of paths
		h.wantProblem(h.admin(http.MethodPost, "/users", `{"id":"`+id+`","email":"dots@example.com","name":"A"}`), 400, "invalid")
	}
}

// The first moment of all stands for none, so a membership that ends then would
// never end. What lies outside of what can be kept is refused by its field.
func TestMoments_bounds(t *testing.T) {
	h := staffHouse(t)
	before := decode[api.User](t, h.admin(http.MethodGet, "/users/one", ""))
	for _, at := range []string{"0001-01-01T00:00:00Z", "0000-06-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "0001-01-01T01:00:00+01:00", "2027-02-30T00:00:00Z"} {
		p := h.wantProblem(h.admin(http.MethodPost, "/users/one/groups:add", `{"groups":[{"group":"newcomers","until":"`+at+`"}]}`), 400, "invalid")
		if len(p.Details) != 1 || p.Details[0].Field != "groups[0].until" {
			t.Errorf("%s: %+v", at, p)
		}
		p = h.wantProblem(h.admin(http.MethodGet, "/users?created_from="+url.QueryEscape(at), ""), 400, "invalid")
		if len(p.Details) != 1 || p.Details[0].Field != "created_from" {
			t.Errorf("%s: %+v", at, p)
		}
		p = h.wantProblem(h.admin(http.MethodGet, "/users?as_of="+url.QueryEscape(at), ""), 400, "invalid")
		if len(p.Details) != 1 || p.Details[0].Field != "as_of" {
			t.Errorf("%s: %+v", at, p)
		}
	}
	if after := decode[api.User](t, h.admin(http.MethodGet, "/users/one", "")); after.Revision != before.Revision {
		t.Errorf("something was changed: revision %d became %d", before.Revision, after.Revision)
	}
}
