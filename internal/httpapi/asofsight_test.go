package httpapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/bailiwick/bailiwick/api"
	"github.com/bailiwick/bailiwick/internal/httpapi"
)

// lookingBack says of each route that takes as_of how it is asked about somebody,
// a group or a role of another store: the path below the tenant, or a body. A
// route that tells nothing of any of them has no path.
var lookingBack = map[string]string{
	"GET /v1/tenants/{tenant}/users":                        "/users?sort=id",
	"GET /v1/tenants/{tenant}/users/{id}":                   "/users/marker-user",
	"GET /v1/tenants/{tenant}/users/{id}/permissions":       "/users/marker-user/permissions",
	"GET /v1/tenants/{tenant}/users/{id}/navigation":        "/users/marker-user/navigation",
	"GET /v1/tenants/{tenant}/users/{id}/capabilities":      "/users/marker-user/capabilities",
	"GET /v1/tenants/{tenant}/users:export":                 "/users:export",
	"GET /v1/tenants/{tenant}/groups":                       "/groups",
	"GET /v1/tenants/{tenant}/groups/{code}":                "/groups/marker-group",
	"GET /v1/tenants/{tenant}/groups/{code}/permissions":    "/groups/marker-group/permissions",
	"GET /v1/tenants/{tenant}/groups/{code}/summary":        "/groups/marker-group/summary",
	"GET /v1/tenants/{tenant}/groups/{code}/members":        "/groups/eu-registered/members",
	"GET /v1/tenants/{tenant}/groups/{code}/members:export": "/groups/eu-registered/members:export",
	"GET /v1/tenants/{tenant}/groups/{code}/users/{id}":     "/groups/eu-registered/users/marker-user",
	"GET /v1/tenants/{tenant}/groups:export":                "/groups:export",
	"GET /v1/tenants/{tenant}/roles":                        "/roles",
	"GET /v1/tenants/{tenant}/roles/{code}":                 "/roles/marker-role",
	"GET /v1/tenants/{tenant}/roles/{code}/permissions":     "/roles/marker-role/permissions",
	"GET /v1/tenants/{tenant}/grants:export":                "/grants:export",
	"GET /v1/tenants/{tenant}/policy":                       "/policy?users=true",
	"GET /v1/tenants/{tenant}/blame":                        "/blame?holder=u:marker-user",
	"GET /v1/tenants/{tenant}/reports/access":               "/reports/access?user=marker-user",
	"GET /v1/tenants/{tenant}/reports/who":                  "/reports/who?section=Orders&action=show&scope=store:eu",
	"GET /v1/tenants/{tenant}/reports/book":                 "/reports/book?holder=u:marker-user",
	"GET /v1/tenants/{tenant}/licences":                     "",
	"GET /v1/tenants/{tenant}/licences/{feature}":           "",
	"GET /v1/tenants/{tenant}/scopes":                       "",
	"GET /v1/tenants/{tenant}/scopes/{scope}":               "",
	"GET /v1/tenants/{tenant}/applications":                 "",
	"GET /v1/tenants/{tenant}/applications/{application}":   "",
	"GET /v1/tenants/{tenant}/rights-catalogue":             "",
	"POST /v1/enforce":                                      `{"subject":"user:marker-user","section":"Orders","action":"show","scope":"store:eu"%s}`,
	"POST /v1/explain":                                      `{"subject":"user:marker-user","section":"Orders","action":"show","scope":"store:eu"%s}`,
	"POST /v1/enforce/batch":                                `{"requests":[{"subject":"user:marker-user","section":"Orders","action":"show","scope":"store:eu"}]%s}`,
	"POST /v1/search/actions":                               `{"subject":"user:marker-user","section":"Orders","scope":"store:eu"%s}`,
	"POST /v1/search/sections":                              `{"subject":"user:marker-user"%s}`,
	"POST /v1/search/subjects":                              `{"section":"Orders","action":"show","scope":"store:eu"%s}`,
	"POST /v1/matrix":                                       `{"holders":["u:marker-user","g:marker-group"]%s}`,
}

// Req 97, 98, 99: a store administrator sees by no way to look back whom he may
// not see now, though he did then, be it that somebody has left his store or was
// deleted elsewhere; nor whom he sees now, and did not then.
func TestAsOf_sight(t *testing.T) {
	h := printHouse(t)
	const print = "/v1/tenants/print"
	change := func(method, path, body string) {
		if w := h.send(method, print+path, h.root, body); w.Code >= 300 {
			t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
		}
	}
	shown := func(part string) string { return `{"section":"System.Access.` + part + `","rights":["show"]}` }
	change(http.MethodPatch, "/groups/administrator", `{"grants":[{"section":"Orders","rights":["update"]},`+
		shown("Users")+`,`+shown("Groups")+`,`+shown("Roles")+`,`+shown("Grants")+`,`+shown("Policies")+`,`+shown("Audit")+`]}`)
	in := func(store string) string {
		return `"grants":[{"section":"Orders","rights":["show"],"scope":"` + store + `"}]`
	}
	change(http.MethodPost, "/users", `{"id":"marker-user","email":"marker@example.com","name":"Marker","groups":["eu-registered"],`+in("store:eu")+`}`)
	change(http.MethodPost, "/users", `{"id":"marker-gone","email":"gone@example.com","name":"Marker gone","groups":["eu-registered"],`+in("store:eu")+`}`)
	change(http.MethodPost, "/users", `{"id":"marker-come","email":"come@example.com","name":"Marker come","groups":["us-registered"],"grants":[`+
		`{"section":"Orders","rights":["show"],"scope":"store:eu"},{"section":"Orders","rights":["show"],"scope":"store:us"}]}`)
	change(http.MethodPost, "/groups", `{"code":"marker-group","name":"Marker group",`+in("store:eu")+`}`)
	change(http.MethodPost, "/roles", `{"code":"marker-role","name":"Marker role",`+in("store:eu")+`}`)
	then := decode[api.Users](t, h.send(http.MethodGet, print+"/users", h.root, "")).Revision
	admin := h.signIn("print", "admin-1")
	look := func(by actor, name, how string, at uint64) *httptest.ResponseRecorder {
		method, path, _ := strings.Cut(name, " ")
		asOf := ""
		if method == http.MethodPost {
			if at != 0 {
				asOf = fmt.Sprintf(`,"as_of":%d`, at)
			}
			return h.as(by, method, "/t/print"+path, fmt.Sprintf(how, asOf))
		}
		if at != 0 {
			asOf = map[bool]string{true: "&", false: "?"}[strings.Contains(how, "?")] + fmt.Sprintf("as_of=%d", at)
		}
		return h.as(by, method, print+how+asOf, "")
	}
	// Whoever gets an answer to a question about one subject is told something; a
	// list may leave him out.
	tells := func(name string, w *httptest.ResponseRecorder) bool {
		return w.Code < 300 && (strings.Contains(lookingBack[name], "marker") || strings.Contains(strings.ToLower(w.Body.String()), "marker"))
	}
	sees := map[string]bool{}
	for name, how := range lookingBack {
		sees[name] = how != "" && tells(name, look(admin, name, how, 0))
	}
	for _, name := range []string{"GET /v1/tenants/{tenant}/users", "GET /v1/tenants/{tenant}/groups:export", "GET /v1/tenants/{tenant}/roles/{code}", "GET /v1/tenants/{tenant}/users/{id}/permissions"} {
		if !sees[name] {
			t.Errorf("%s: he is not shown his own store", name)
		}
	}
	change(http.MethodPut, "/users/marker-user/groups", `{"groups":["us-registered"]}`)
	change(http.MethodPut, "/users/marker-user/grants", `{`+in("store:us")+`}`)
	change(http.MethodPatch, "/users/marker-gone", `{"groups":["us-registered"],`+in("store:us")+`}`)
	change(http.MethodDelete, "/users/marker-gone", "")
	change(http.MethodPatch, "/users/marker-come", `{"groups":["eu-registered"],`+in("store:eu")+`}`)
	change(http.MethodPatch, "/groups/marker-group", `{`+in("store:us")+`}`)
	change(http.MethodPatch, "/roles/marker-role", `{`+in("store:us")+`}`)
	if w := look(admin, "POST /v1/search/subjects", lookingBack["POST /v1/search/subjects"], 0); !strings.Contains(w.Body.String(), "marker-come") {
		t.Errorf("he is not shown who has come to his store: %s", w.Body)
	}
	for _, r := range httpapi.Routes() {
		name := r.Method + " " + r.Path
		if !takesAsOf(r) {
			continue
		}
		how, there := lookingBack[name]
		if !there {
			t.Errorf("%s can look back: say how it is asked about somebody of another store", name)
		}
		if how == "" {
			continue
		}
		if w := look(actor{key: h.root}, name, how, then); !tells(name, w) {
			t.Errorf("%s shows nobody what was: %d %s", name, w.Code, w.Body)
		}
		for _, who := range []string{"marker-user", "marker-come"} {
			if w := look(admin, name, strings.ReplaceAll(how, "marker-user", who), then); tells(name, w) {
				t.Errorf("%s shows him what he may not see of %s: %d %s", name, who, w.Code, w.Body)
			}
		}
	}
}

// takesAsOf tells whether a route can be asked about an earlier state.
func takesAsOf(r httpapi.Route) bool {
	if strings.HasPrefix(r.Path, "/t/{tenant}") {
		return false // like the path without it
	}
	if slices.ContainsFunc(r.Query, func(p httpapi.Param) bool { return p.Name == "as_of" }) {
		return true
	}
	if r.Body == nil || reflect.TypeOf(r.Body).Kind() != reflect.Struct {
		return false
	}
	return slices.ContainsFunc(reflect.VisibleFields(reflect.TypeOf(r.Body)), func(f reflect.StructField) bool {
		return strings.HasPrefix(f.Tag.Get("json"), "as_of")
	})
}
